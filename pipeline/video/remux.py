"""Copies a finished video into an mp4 of one piece, which tells its length up front.

What streams is in fragments, and its first bytes are sent before anybody knows how long it is going to be. Players that
know nothing of fragments show no length, or the first fragment alone. The stream is left as it is, so that what a
client has of it stays true; nothing is encoded again for the copy.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from pathlib import Path

import av

from pipeline.core.growing_file import part_of

logger = logging.getLogger(__name__)

_COPYING = threading.Lock()
"""One copy is made at a time: it takes some hundredths of a second."""


def whole_copy(source: Path, copy: Path) -> Path:
    """Return COPY, made of the mp4 at SOURCE unless it is there; SOURCE where it cannot be made (a full disk).

    Of the same age as SOURCE, so that both go together.
    """
    with _COPYING:
        if copy.exists():
            return copy
        part = part_of(copy)
        try:
            _copy(source, part)
            written = source.stat()
            os.utime(part, ns=(written.st_atime_ns, written.st_mtime_ns))
            part.replace(copy)
        except (OSError, av.error.FFmpegError) as error:
            logger.warning("no copy of %s in one piece: %s", source.name, error)
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            return source
        return copy


def _copy(source: Path, target: Path) -> None:
    options = {"movflags": "faststart"}
    with av.open(str(source)) as old, av.open(str(target), "w", format="mp4", options=options) as new:
        kept = *old.streams.video, *old.streams.audio
        streams = {stream.index: new.add_stream_from_template(stream) for stream in kept}
        for packet in old.demux(*kept):
            if packet.dts is not None:  # the last of each is empty
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
