"""Encodes the sound of a session; silence, which is most of it, costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from pipeline.video.writer import AUDIO_BITS, AUDIO_RATE

PACKET = 1024
"""Samples in a packet of AAC."""
SETTLED = 4
"""Silent packets after which the encoder remembers no sound: the next silent one has the same bytes."""


class SoundPackets:
    """An AAC encoder whose packets come in the order of a session's clock.

    Args:
        before: Samples of the stream whose packets another encoder has made.

    Attributes:
        count: Packets so far.
    """

    def __init__(self, before: int = 0) -> None:
        blocks = before // PACKET
        self._rest = np.zeros(before % PACKET, np.float32)
        self._fed = 0
        context = self._context = av.CodecContext.create("aac", "w")
        context.sample_rate, context.layout, context.format = AUDIO_RATE, "mono", "fltp"
        context.bit_rate, context.options = AUDIO_BITS, {"aac_coder": "fast"}
        context.time_base = Fraction(1, AUDIO_RATE)
        context.open()
        late = 0
        for block in range(2 * SETTLED):
            for packet in self._encoded(np.zeros(PACKET, np.float32)):
                late = block - int(packet.pts or 0) // PACKET
                self._silent = bytes(packet)
        self._quiet = SETTLED
        self.count = max(0, blocks - late)
        self._late = max(0, late - blocks)
        """Packets by which the encoder is behind: the first ones belong to the time before the stream."""

    def add(self, samples: np.ndarray | int) -> list[bytes]:
        """Encode the sound that follows, and return the packets that are complete.

        They end at most 0.07 s before the sound that was given.

        Args:
            samples: (n,) float32 mono at 48 kHz in [-1, 1]; or a number of silent samples.
        """
        new = np.zeros(samples, np.float32) if isinstance(samples, int) else samples
        sound = np.concatenate([self._rest, new])
        whole = len(sound) // PACKET * PACKET
        self._rest = sound[whole:]
        packets = [packet for start in range(0, whole, PACKET) for packet in self._block(sound[start : start + PACKET])]
        dropped = min(self._late, len(packets))
        self._late -= dropped
        self.count += len(packets) - dropped
        return packets[dropped:]

    def _block(self, block: np.ndarray) -> Iterator[bytes]:
        silent = not block.any()
        self._quiet = self._quiet + 1 if silent else 0
        if self._quiet > SETTLED:
            yield self._silent
        else:
            yield from (bytes(packet) for packet in self._encoded(block))

    def _encoded(self, block: np.ndarray) -> list[av.Packet]:
        frame = av.AudioFrame.from_ndarray(np.clip(block, -1, 1)[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE, self._fed, Fraction(1, AUDIO_RATE)
        self._fed += len(block)
        return list(self._context.encode(frame))
