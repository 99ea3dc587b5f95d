"""Stands in for the making of avatars, where it does not matter what they look like: a tiny pack, at once.

Used by ``python -m tests.fakes`` with ``FAKE_PREPARING=1``.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from tests.fakes import CLIP_FRAMES, FPS, make_pack

STAGES = ("reading", "faces", "measuring", "mouth", "matte", "writing")
SECONDS = 0.1
"""Seconds of each stage, so that a client can come in between."""


def main() -> None:
    """Make what the command line of ``pipeline.preparing.prepare`` asks for, and report it as that does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("clip", type=Path)
    parser.add_argument("--name")
    parser.add_argument("--resolution", action="append")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--report", type=Path)
    given, _ = parser.parse_known_args()
    assert given.clip.stat().st_size
    for number, stage in enumerate(STAGES):
        _emit(progress=number / len(STAGES), stage=stage)
        time.sleep(SECONDS)
    made = [make_pack(given.out, given.name, resolution) for resolution in given.resolution]
    given.report.mkdir()
    report = {"frames": CLIP_FRAMES, "fps": FPS, "usable": 1, "face_width": 20, "problems": []}
    (given.report / "report.json").write_text(json.dumps({**report, "teeth": "none", "teeth_ko": "없음"}), "utf-8")
    _emit(progress=1.0, stage="done")
    _emit(made=[str(path) for path in made])


def _emit(**what: object) -> None:
    print(json.dumps(what, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
