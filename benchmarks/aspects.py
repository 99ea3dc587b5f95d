"""A sheet of every aspect with captions in the pictures and the mark, as requests get them.

    python -m benchmarks.aspects --out docs/sheets/aspects.webp

Each picture is one of the finished video, in the middle of a cue; a row is a person and a sentence.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from benchmarks.film import filmed
from pipeline.avatars.framing import ASPECTS, SOURCE
from pipeline.jobs.request import parse
from pipeline.jobs.studio import Studio, make_studio
from pipeline.jobs.tasks import TaskBook
from pipeline.settings import AI_LABELS, Settings
from pipeline.video.captions import srt_of

ROWS = (
    ("talk_short", "안녕하세요, 면접에 오신 것을 환영합니다.", "source"),
    ("talk_long", "SQL을 마지막으로 써 본 것은 언제였나요?", "#1e90ff"),
    ("woman", "Welcome, please tell me about yourself.", "blur"),
    ("woman", "本日の面接にようこそ、自己紹介をどうぞ。", "#ffffff"),
)
"""Avatars, what they say, and in front of what."""
HIGH = 300
"""Pixels of a row."""


def main() -> None:
    """Write the sheet."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        studio = make_studio(replace(Settings.from_environment(), results=Path(folder)))
        book = TaskBook(Path(folder), 0)
        rows = []
        for avatar, text, background in ROWS:
            fields = {"avatar": avatar, "text": text, "background": background, "captions": "burn"}
            pictures = [
                _picture(fields | {"aspect": aspect, "label": label}, studio, book)
                for aspect, label in ((SOURCE, AI_LABELS[0]), *((one, AI_LABELS[1]) for one in ASPECTS))
            ]
            rows.append(np.hstack([_scaled(picture) for picture in pictures]))
            print(avatar, text, flush=True)
    Image.fromarray(np.vstack(rows)).save(given.out, quality=80, method=6)


def _picture(fields: dict[str, Any], studio: Studio, book: TaskBook) -> np.ndarray:
    """Return the picture (height, width, 3) RGB in the middle of the widest cue of a request's video."""
    task = filmed(parse(fields, studio), studio, book)
    cues = [block.split("\n") for block in srt_of(task.captions.read_text(encoding="utf-8")).split("\n\n")]
    times = max(cues, key=lambda cue: len(cue[2]))[1]
    begin, end = (float(time.split(":")[-1].replace(",", ".")) for time in times.split(" --> "))  # below a minute
    with av.open(str(task.video)) as container:
        rate = container.streams.video[0].average_rate
        assert rate is not None
        frames = container.decode(video=0)
        return next(islice(frames, round((begin + end) / 2 * float(rate)), None)).to_ndarray(format="rgb24")


def _scaled(picture: np.ndarray) -> np.ndarray:
    wide = round(HIGH * picture.shape[1] / picture.shape[0])
    return np.asarray(Image.fromarray(picture).resize((wide, HIGH), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    main()
