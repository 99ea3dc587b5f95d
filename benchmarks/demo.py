"""The moving picture with which the README begins: the face in a request's video, as clients get it.

    python -m benchmarks.demo --out docs/demo.webp

The bundled woman and the voice that is bundled with the program say one sentence.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.film import filmed
from benchmarks.lip_judge import pictures_of
from pipeline.jobs.request import parse
from pipeline.jobs.studio import make_studio
from pipeline.jobs.tasks import TaskBook
from pipeline.settings import Settings

REQUEST = {"avatar": "woman", "text": "안녕하세요, 면접에 오신 것을 환영합니다.", "tts_engine": "kokoro"}
SIDE = 320
"""Pixels."""
FACE = 0.42
"""Width of the face, as a share of the picture."""


def main() -> None:
    """Write the picture."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        studio = make_studio(replace(Settings.from_environment(), results=Path(folder)))
        request = parse(REQUEST, studio)
        task = filmed(request, studio, TaskBook(Path(folder), 0))
        points = request.avatar.landmarks[..., :2].mean(0)
        reach = float(np.ptp(points[:, 0])) / FACE / 2
        (left, top), (right, bottom) = points.mean(0) - reach, points.mean(0) + reach
        pictures = [
            Image.fromarray(picture).resize((SIDE, SIDE), box=(left, top, right, bottom))
            for picture in pictures_of(task.video)
        ]
    milliseconds = round(1000 / request.avatar.fps)
    pictures[0].save(
        given.out, save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0, quality=60, method=6
    )
    print(f"{len(pictures)} frames, spoken by {request.tts_engine}, {given.out.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
