"""A command that a node runs for a test: ``python -m tests.chore FILE [--more=x=FILE] [--folder=..] [--file=..]``."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("one", type=Path)
parser.add_argument("--more", default="")
parser.add_argument("--folder", type=Path)
parser.add_argument("--file", type=Path)
parser.add_argument("--fail", action="store_true")
parser.add_argument("--hang", action="store_true")
asked = parser.parse_args()
if asked.hang:
    time.sleep(60)
if asked.fail:
    print(json.dumps({"error": {"ko": "얼굴 없음", "en": "no face"}, "code": "clip_unusable"}), flush=True)
else:
    files = [asked.one, Path(asked.more.partition("=")[2])]
    asked.file.write_bytes(asked.one.read_bytes()[::-1])
    (asked.folder / "720p").mkdir(parents=True)
    (asked.folder / "720p" / "a.pkl").write_bytes(asked.one.read_bytes())
    (asked.folder / "empty.json").touch()
    sizes, names = [one.stat().st_size for one in files], [one.name for one in files]
    print(json.dumps({"sizes": sizes, "names": names, "where": str(asked.one)}), flush=True)
