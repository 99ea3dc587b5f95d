"""Footage as if a clip had been read, for tests of what is measured of it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np

from pipeline.preparing.footage import PATCH, Footage
from pipeline.video.reader import ColorTags
from tests.media import delay
from tests.servers import ROOT


def as_footage(frames: Sequence[np.ndarray] | np.ndarray, points: np.ndarray, **known: Any) -> Footage:
    """Return FRAMES (planes) with the face at POINTS ((n, 478, 3)), crisp, at rest, at 25 fps but for what is KNOWN."""
    count = len(points)
    usual = {
        "motion": np.tile(np.eye(2, 3), (count, 1, 1)),
        "patches": np.zeros((count, PATCH, PATCH), np.uint8),
        "sharpness": np.full(count, 0.2),
        "fps": Fraction(25),
    }
    clip = np.array(frames)
    shot = {"read": clip, "shots": ((0, count),), "begin": 0}
    return Footage(frames=clip, points=points, colors=ColorTags(), seen=(), chosen=0, **{**usual, **shot, **known})


def copied(source: Path, target: Path, shift: float, **options: str) -> Path:
    """Copy SOURCE's packets into TARGET, all of them SHIFT seconds later, without encoding them again."""
    with av.open(str(source)) as old, av.open(str(target), "w", options=options) as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        for packet in old.demux(stream):
            if packet.dts is not None:
                delay(packet, shift)
                packet.stream = copy
                new.mux(packet)
    return target


def first_second(size: tuple[int, int], frames: int = 30) -> bytes:
    """Return the first FRAMES (25 per second) of a bundled clip as an mp4 of SIZE (width, height)."""
    film = BytesIO()
    with av.open(str(ROOT / "examples" / "talk_short.mp4")) as source, av.open(film, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        for number, frame in enumerate(islice(source.decode(video=0), frames)):
            picture = frame.reformat(*size, "yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return film.getvalue()
