"""Runs Kokoro-82M: from symbols to frames with their pitch, and from those to sound, without computing silence.

The network begins and ends each clause with about half a second of silence, which costs as much as speech. Most of it
is left out. But the second half of the network compares each frame with the mean of all (instance normalisation): with
less silence consonants would fade. So the frames that stay count for those that are left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.tts.onnx_graph import Node, convolutions_as_products, exact_products, node
from pipeline.tts.voice_network import Network, opening

MARGIN = 4
"""Frames (25 ms) of silence that stay before and after the sound."""
FARTHEST = 4
"""Frames of silence from the very ends of a clause that are put before and after these, also where it is cut.

They hold nothing of the sound, as those beside it do: without them, its first and last consonants are less clear.
"""
EARLY = 2
"""Frames by which the network says a symbol before its turn."""
RISE = 5.0
"""Semitones above the middle of a clause at which a question ends."""
_VOICED = 50.0
"""Hz above which a half frame has a pitch."""
_LOUD = 0.0
"""Energy, in the network's own measure, from which a half frame is sound; silence is below -2, stops are above 1."""
_DURATIONS = "/encoder/Clip_output_0"
"""The result of the node that rounds the durations."""
_FRAMES, _PITCH, _ENERGY = "/encoder/MatMul_1_output_0", "/encoder/Reshape_output_0", "/encoder/Reshape_1_output_0"
_NORMALISED = re.compile("/decoder/decoder/(?:generator/)?(encode|decode|resblocks|noise_res)(?:[.]([0-9]))?/(norm1)?")
"""Names of the nodes that compare frames with their mean."""
_SHARES = {1: "shares", 2: "shares.2", 20: "shares.20", 120: "shares.120"}
"""How much each step counts in the means, by steps per frame."""


@dataclass(frozen=True)
class Reading:
    """How a clause is to be spoken.

    Attributes:
        edges: (n + 1,) the frames at which its n symbols begin, and the end.
        frames: (1, 512, count) what is spoken in each frame.
        pitch: (1, count, 2) Hz in each half of a frame.
        energy: (1, count, 2) how loud it is, in the network's own measure.
        style: (1, 256) the voice.
    """

    edges: np.ndarray
    frames: np.ndarray
    pitch: np.ndarray
    energy: np.ndarray
    style: np.ndarray

    @property
    def loudness(self) -> np.ndarray:
        """The energy of each frame, (count,)."""
        return np.asarray(self.energy[0].max(1))

    def gap(self, index: int) -> int:
        """Return the frame in which it is quietest around the blank before a symbol."""
        start, stop = int(self.edges[index - 1]) - EARLY, int(self.edges[index])
        return start + int(np.argmin(self.loudness[start:stop]))

    def rising(self, first: int) -> Reading:
        """Return the same with a melody that rises from a symbol on to the end, as in a question."""
        pitch = self.pitch.reshape(-1).copy()
        voiced = pitch > _VOICED
        start = 2 * max(int(self.edges[first]) - EARLY, 0)
        halves = np.flatnonzero(voiced[start:]) + start
        if not len(halves):
            return self
        low, high = pitch[halves[0]], np.median(pitch[voiced]) * 2 ** (RISE / 12)
        pitch[halves] = low * (high / low) ** np.linspace(0, 1, len(halves))
        return replace(self, pitch=pitch.reshape(self.pitch.shape))


class KokoroNetwork:
    """The network, in two parts.

    Args:
        files: The parts of the ONNX file, in order.
        sha256: What the whole must have.

    Raises:
        OSError: A file cannot be read.
        OtherNetwork: It is damaged, or another network.
        ImportError: onnxruntime is missing.
    """

    def __init__(self, files: Sequence[Path], sha256: str) -> None:
        first, found = ("tokens", "style", "speed"), (_DURATIONS, _FRAMES, _PITCH, _ENERGY)
        second = (_FRAMES, _PITCH, _ENERGY, "style", *_SHARES.values())
        with opening(files, sha256) as graph:
            if exact_products(graph, lambda inputs, outputs: Network(graph, inputs, outputs).run):
                convolutions_as_products(graph)
            graph.replace(_weighted)
            self._reader = Network(graph, first, found)
            self._speaker = Network(graph, second, ["audio"])

    def read(self, tokens: np.ndarray, style: np.ndarray, speed: float) -> Reading:
        """Return how symbols are to be spoken, all in one melody.

        Args:
            tokens: (n,) int64, the numbers of the symbols, 0 at both ends.
            style: (256,) float32, the voice.
            speed: How fast, 1 is usual.
        """
        style = style.astype(np.float32)[None]
        durations, frames, pitch, energy = self._reader.run(
            tokens=tokens[None], style=style, speed=np.array([speed], np.float32)
        )
        edges = np.cumsum([0, *np.ravel(durations).astype(int)])
        return Reading(edges, frames, pitch.reshape(1, -1, 2), energy.reshape(1, -1, 2), style)

    def speak(self, reading: Reading, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the sound of some symbols, and how long each of them is.

        Args:
            reading: What ``read`` returned.
            first: Index of the first symbol.
            last: That after the last one. Both are ends of the whole, or follow a blank between two words, at which the
                sound is faded out and in.

        Returns:
            (samples,) float32 at 24 kHz, and how many frames of 600 samples each symbol takes, (1 + last - first + 1,),
            the first and last of which are silence that was added.
        """
        count = reading.frames.shape[2]
        loud = reading.loudness > _LOUD
        begin, end = _ends(loud)
        start = reading.gap(first) if first else 0
        stop = reading.gap(last) if last < len(reading.edges) - 1 else count
        low, high = (start + edge for edge in _ends(loud[start:stop]))
        start, stop = max(start, low - MARGIN), min(stop, high + MARGIN)
        before = np.arange(min(FARTHEST, begin, start))
        after = np.arange(max(count - FARTHEST, end, stop), count)
        kept = np.concatenate([before, np.arange(start, stop), after])
        edge = (np.arange(len(kept)) < len(before) + low - start) | (np.arange(len(kept)) >= len(before) + high - start)
        heard = int(np.count_nonzero(loud))
        share = (count - heard) / max(heard, 1)
        silence = share * np.count_nonzero(loud[kept]) - np.count_nonzero(~loud[kept[~edge]])
        (sound,) = self._speaker.run(
            **{_FRAMES: reading.frames[:, :, kept]},
            **{_PITCH: reading.pitch[:, kept].reshape(1, -1), _ENERGY: reading.energy[:, kept].reshape(1, -1)},
            **_shares(edge, silence),
            style=reading.style,
        )
        edges = np.clip(reading.edges[first : last + 1], start, stop)
        edges[0], edges[-1] = start, stop
        return np.asarray(sound, np.float32).ravel(), np.array([len(before), *np.diff(edges), len(after)])


def _ends(loud: np.ndarray) -> tuple[int, int]:
    """Return the first frame that is loud and the one after the last; all of them if none is."""
    found = np.flatnonzero(loud)
    return (int(found[0]), int(found[-1]) + 1) if len(found) else (0, len(loud))


def _shares(edge: np.ndarray, silence: float) -> dict[str, np.ndarray]:
    """Return how much each step counts, at each number of steps per frame.

    Args:
        edge: (frames,) bool, which of those that are computed are the silence at the ends.
        silence: For how many frames they count: as much silence as the whole clause has for so much sound.
    """
    share = np.ones(len(edge))
    if 0 < edge.sum() < len(edge):
        share[edge] = max(silence / edge.sum(), 1.0)
    found = {}
    for steps, name in _SHARES.items():
        fine = np.repeat(share, steps)
        if steps == 120:
            fine = np.append(fine, fine[-1])  # the network adds a step there
        found[name] = (fine / fine.sum()).astype(np.float32)[:, None]
    return found


def _weighted(old: Node) -> list[Node] | None:
    """Replace a mean over time in the second part by one in which each step has its share."""
    place = re.match(
        "/decoder/decoder/(?:generator/)?(encode|decode|resblocks|noise_res)(?:[.]([0-9]))?/(norm1)?", old.name
    )
    if old.type != "ReduceMean" or not place:
        return None
    part, number = place[1], int(place[2] or 0)
    if part in ("encode", "decode"):
        steps = 2 if (part, number) == ("decode", 3) and not place[3] else 1
    else:
        steps = 20 if number < (3 if part == "resblocks" else 1) else 120
    return [node("MatMul", [old.inputs[0], _SHARES[steps]], old.outputs[0])]
