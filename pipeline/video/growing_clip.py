"""A clip that can be read while it is still encoded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction

import av

from pipeline.core.cancel import CancelToken
from pipeline.errors import PipelineError
from pipeline.video.frame import Frame
from pipeline.video.reader import ClipReader, ColorTags

LOOKING = 0.25
"""Seconds after which those that wait are told how far it is, even if nothing has changed."""


class GrowingClip(ClipReader):
    """A clip whose frames can be read as soon as they are encoded; safe to use from any thread.

    They are decoded of the packets of the finished file, so that it does not matter when they are read.

    Args:
        width: Width in pixels.
        height: Height in pixels.
        fps: Frames per second.
        count: How many frames it will have.
        colors: Colour tags.

    Attributes:
        done: How much of it is there, 0..1.
    """

    def __init__(self, width: int, height: int, fps: Fraction, count: int, colors: ColorTags) -> None:
        self.codec, self.pix_fmt = "h264", "yuv420p"
        self.width, self.height, self.fps, self.count, self.colors = width, height, fps, count, colors
        self.done = 0.0
        self._header = b""
        self._packets: list[bytes] = []
        self._whole: bytes | None = None
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def __reduce__(self) -> tuple[type[ClipReader], tuple[bytes]]:
        """Another process gets it finished."""
        return ClipReader, (self.whole(CancelToken()),)

    @property
    def finished(self) -> bool:
        """See ``ClipReader``."""
        return self._whole is not None

    @property
    def failed(self) -> bool:
        """Whether it will never be finished."""
        return self._error is not None

    def add(self, header: bytes, packet: bytes) -> None:
        """Add a packet.

        Args:
            header: What the decoder needs before the first packet (the encoder's `extradata`).
            packet: H.264, in the order of decoding.
        """
        with self._changed:
            self._header = header
            self._packets.append(packet)
            self._changed.notify_all()

    def tell(self, done: float) -> None:
        """Note how much of it is done, 0..1."""
        self.done = done

    def finish(self, video: bytes) -> None:
        """Complete it with the finished mp4."""
        with self._changed:
            self._whole, self._packets, self.done = video, [], 1.0  # readers go on with the list that they have
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Have all that read it raise an error."""
        with self._changed:
            self._error = error.afresh() if isinstance(error, PipelineError) else error
            self._changed.notify_all()

    def beginning(self, cancel: CancelToken) -> Iterator[float]:
        """Wait until its first frames can be read; yield how much is done, at once and again and again.

        Raises:
            PipelineError: It failed, or the reason with which `cancel` was set.
        """
        return self._until(lambda: bool(self._packets) or self.finished, cancel)

    def whole(self, cancel: CancelToken, told: Callable[[float], object] = lambda done: None) -> bytes:
        """Wait until it is finished, and return its mp4; call `told` as ``beginning`` yields, and raise as it does."""
        for done in self._until(lambda: self.finished, cancel):
            told(done)
        assert self._whole is not None
        return self._whole

    def once(self) -> Generator[Frame, None, None]:
        """Yield the frames of the clip once, in order, each as soon as it is there.

        Raises:
            PipelineError: It failed; or as ``ClipReader.once`` does.
        """
        with self._changed:
            packets, whole = self._packets, self._whole
        yield from self._counted(self._decoded(packets)) if whole is None else ClipReader(whole).once()

    def _decoded(self, packets: list[bytes]) -> Iterator[av.VideoFrame]:
        decoder = av.VideoCodecContext.create("h264", "r")
        number = 0
        while self._there(packets, number):
            if not number:
                decoder.extradata = self._header
            yield from decoder.decode(av.Packet(packets[number]))
            number += 1
        yield from decoder.decode(None)

    def _there(self, packets: list[bytes], number: int) -> bool:
        """Wait for a packet; return False if there are no more."""
        with self._changed:
            self._changed.wait_for(lambda: number < len(packets) or self.finished or self.failed)
            if number < len(packets):
                return True
            self._check()
            return False

    def _until(self, ready: Callable[[], bool], cancel: CancelToken) -> Iterator[float]:
        with cancel.calling(self._wake):
            while True:
                cancel.check()
                with self._changed:
                    self._check()
                    if ready():
                        return
                yield self.done
                with self._changed:
                    if not (ready() or self.failed or cancel.cancelled):
                        self._changed.wait(LOOKING)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error.afresh() if isinstance(self._error, PipelineError) else self._error
