"""Copies a finished video into an unfragmented mp4, which declares its length at the start.

A stream is sent in fragments before its length is known. Players without support for fragments show no length, or only
the first fragment. The stream itself stays as it is, so that what a client has received stays valid. The copy is not
encoded again.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import av

from pipeline.core import origin
from pipeline.core.growing_file import copy_once

logger = logging.getLogger(__name__)

_COPYING = threading.Lock()
"""Held while a copy is made; one takes some hundredths of a second."""


def whole_copy(source: Path, copy: Path) -> Path:
    """Return the unfragmented copy of an mp4, which is made if it is missing.

    The copy gets the time stamp of its source, so that both expire together.

    Args:
        source: The fragmented mp4.
        copy: Path of the copy.

    Returns:
        `copy`, or `source` if the copy cannot be made (a full disk).
    """
    with _COPYING:
        try:
            return copy_once(source, copy, lambda part: _copy(source, part))
        except (OSError, av.error.FFmpegError) as error:
            logger.warning("no copy of %s in one piece: %s", source.name, error)
            return source


def _copy(source: Path, target: Path) -> None:
    options = {"movflags": "faststart"}
    with av.open(str(source)) as old, av.open(str(target), "w", format="mp4", options=options) as new:
        new.metadata.update({name: value for name, value in old.metadata.items() if name == origin.KEY})
        kept = *old.streams.video, *old.streams.audio
        streams = {stream.index: new.add_stream_from_template(stream) for stream in kept}
        for packet in old.demux(*kept):
            if packet.dts is not None:  # the last packet of each stream is empty
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
