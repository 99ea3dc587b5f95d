"""Hibari as a speech engine: a natural English voice of 8 MB, far faster than real time, with exact phoneme times.

It comes with requirements.txt, weights included; nothing is downloaded. Code and weights are under Apache-2.0. The
package reads English aloud (numbers, dates, prices, stress) and knows how to pronounce its words; its network turns
phonemes into a spectrum, and tells how long each of them lasts.
"""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.cancel import CancelToken
from pipeline.speech_types import Mark, Speech, Voice, joined
from pipeline.text.clauses import clauses
from pipeline.text.language import plain
from pipeline.text.piece import source_offset
from pipeline.text.reading import reading
from pipeline.text.word_times import place_words
from pipeline.tts.english_words import EnglishWords, places
from pipeline.tts.refusals import unknown_voice
from pipeline.tts.speech_engine import CUSTOM_VOICE, TTSEngine, sounding
from pipeline.tts.symbol_times import phoneme_marks, with_pauses
from pipeline.tts.voice_network import Network, OpenedOnce, opening

logger = logging.getLogger(__name__)

RATE = 24000
LANGUAGE = "en-us"
VOICES = (Voice("heart", "Heart", "en-us", "female"),)
"""The voice whose weights are in the package."""
LONGEST_CLAUSE = 280
"""Characters that are spoken in one go: up to twenty seconds, in a fraction of one."""
MOST_SYMBOLS = 400
"""Symbols that the network was trained to say in one go."""
LOUDNESS = -25.9
"""LUFS of the voice as it comes."""
LEAD, TAIL = 0.06, 0.24
"""Seconds of silence before and after a clause; between two of them that is the pause of a full stop."""
_DURATIONS = "/Clip_output_0"
"""The result of the node that rounds the durations."""
_PARTS = ("lh", "theta", "ln", "lr", "phi", "f0")


@dataclass(frozen=True)
class _Opened:
    """What speaks: the network, the numbers of its symbols, the dictionary, and the package's synthesis."""

    network: Network
    numbers: dict[str, int]
    english: EnglishWords
    dsp: Any


class HibariEngine(TTSEngine):
    """Speaks English, with a mark for every phoneme and pause, and the times of the words.

    Args:
        assets: Folder of the weights; that of the package by default.
    """

    name = "hibari"

    def __init__(self, assets: Path | None = None) -> None:
        self._assets = assets
        self._opened = OpenedOnce(self.name, lambda: _load(assets))

    def available(self) -> bool:
        """Return whether the package is there, and was not found to be damaged; nothing is loaded."""
        return not self._opened.failed and all(
            importlib.util.find_spec(name) is not None for name in ("hibari", "onnxruntime")
        )

    def check(self) -> None:
        """Load the voice, once.

        Raises:
            Unavailable: The package or its weights are missing, damaged or of another version.
        """
        self._opened.get()

    def voices(self) -> list[Voice]:
        """Return the voices whose weights are in the package."""
        return list(VOICES)

    def check_voice(self, voice: str) -> None:
        """Check that there is a voice.

        Raises:
            BadRequest: There is not; the message lists the voices.
        """
        choices = [CUSTOM_VOICE, *(known.id for known in VOICES)]
        if voice not in choices:
            raise unknown_voice(self.name, voice, choices)

    def loudness(self, voice: str, language: str) -> float | None:
        """Return how loud the voice is, measured over twelve sentences, which differ by less than 1 LU."""
        return LOUDNESS

    def speaks(self, language: str) -> bool:
        """Return whether a language is English."""
        return language.split("-")[0] == "en"

    def stream(
        self, text: str, voice: str, cancel: CancelToken, language: str | None = None, speed: float = 1.0
    ) -> Iterator[Speech]:
        """Speak a text sentence by sentence, with its words and a mark for every phoneme and pause.

        A voice that is named speaks any text, with the letters of other scripts as they sound.

        Raises:
            NothingToSay: The text makes no sound.
            BadRequest: There is no such voice, or the text is not English.
            Unavailable: The voice cannot be loaded.
            Cancelled: `cancel` is set.
        """
        self.language_for(text, voice, language)
        opened = self._opened.get()
        yield from sounding(_say(opened, clause, speed, cancel) for clause in clauses(plain(text), LONGEST_CLAUSE))


def _load(assets: Path | None) -> _Opened:
    from hibari import dsp, g2p

    assets = assets or Path(g2p.ASSETS)
    with opening([assets / "hibari.onnx"]) as graph:
        network = Network(graph, ("ids", "speed"), (*_PARTS, _DURATIONS))
    numbers = json.loads((assets / "vocab.json").read_text("utf-8"))
    english = EnglishWords(assets)
    english.load()
    return _Opened(network, numbers, english, dsp)


def _say(opened: _Opened, text: str, speed: float, cancel: CancelToken) -> Speech:
    """Speak a clause; its text may have blanks at its ends.

    Args:
        opened: What speaks.
        text: The clause as it is written.
        speed: How fast, 1 is usual.
        cancel: The task's token.
    """
    pieces = reading(text, LANGUAGE)
    aloud = "".join(piece.spoken for piece in pieces)
    words = [
        (word, "".join(symbol for symbol in symbols if symbol in opened.numbers))
        for word, symbols in opened.english.said(aloud)
    ]
    rendered = [_render(opened, part, speed, cancel) for part in _parts(words)]
    spoken = (
        joined(rendered) if rendered else Speech(samples=np.zeros(0, np.float32), rate=RATE, text="", language=LANGUAGE)
    )
    begins = {int(mark.text): mark.start for mark in spoken.words}
    events = []
    for offset, number in places(aloud, [word for word, _ in words]):
        time = begins.get(number)
        if time is not None:
            events.append((source_offset(offset, pieces), time))
    return replace(spoken, text=text, words=place_words(text, events, spoken.marks))


def _parts(words: list[tuple[str, str]]) -> list[list[tuple[int, str]]]:
    """Divide words among parts of at most `MOST_SYMBOLS` symbols; return (number of the word, symbols) of each."""
    parts: list[list[tuple[int, str]]] = []
    length = 0
    for number, (_, symbols) in enumerate(words):
        for at in range(0, len(symbols), MOST_SYMBOLS):
            part = symbols[at : at + MOST_SYMBOLS]
            if not parts or length + len(part) + 1 > MOST_SYMBOLS:
                parts.append([])
                length = 0
            parts[-1].append((number, part))
            length += len(part) + 1
    return parts


def _render(opened: _Opened, words: list[tuple[int, str]], speed: float, cancel: CancelToken) -> Speech:
    """Speak words; the words of the speech are their numbers, each at the time at which it begins."""
    cancel.check()
    symbols, owners = [""], [-1]
    for number, part in words:
        if len(symbols) > 1:
            symbols.append(" ")
            owners.append(-1)
        symbols += part
        owners += [number] * len(part)
    symbols.append("")
    owners.append(-1)
    ids = np.array([[opened.numbers.get(symbol, 0) for symbol in symbols]], np.int64)
    *parts, durations = opened.network.run(ids=ids, speed=np.array([speed], np.float32))
    sound = opened.dsp.synth(*(part[0] for part in parts), np.random.default_rng(0))
    samples = np.clip(np.asarray(sound, np.float32), -1, 1)
    marks, begins = phoneme_marks(symbols, np.ravel(durations), samples, RATE)
    first: dict[int, float] = {}
    for number, time in zip(owners, begins, strict=True):
        if number >= 0 and time is not None:
            first.setdefault(number, time)
    named = tuple(Mark("word", str(number), time, time) for number, time in first.items())
    return with_pauses(
        Speech(samples=samples, rate=RATE, text=" ", language=LANGUAGE, marks=marks, words=named),
        LEAD / speed,
        TAIL / speed,
    )
