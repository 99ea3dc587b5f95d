"""How long preparing takes, stage by stage, and how evenly its bar moves.

    python -m benchmarks.preparing clip.mp4 [--resolution 720p] [--no-matte]

Seconds of CPU are those of all threads; on a busy machine they say more than those of the clock. The bar is even if the
share that it shows is the share of the time that has passed; `farthest` is the greatest difference, 0..1.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from benchmarks.machine import describe_machine, load
from pipeline.avatars.store import RESOLUTIONS
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.prepare import prepare


def main() -> None:
    """Prepare the clip and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("clip", type=Path)
    options.add_argument("--resolution", action="append", help="repeatable; default: all")
    options.add_argument("--no-matte", action="store_true")
    given = options.parse_args()
    logging.disable(logging.INFO)
    reports: list[tuple[str, float, float, float]] = []

    def report(share: float, stage: str) -> None:
        reports.append((stage, share, time.perf_counter(), _cpu()))

    with tempfile.TemporaryDirectory() as folder:
        wanted, out = given.resolution or RESOLUTIONS, Path(folder)
        made = PrepareOptions(name="measured", resolutions=wanted, out=out, matte=not given.no_matte)
        paths = prepare(given.clip, made, report)
        sizes = {path.parent.name: path.stat().st_size / 1e6 for path in paths}
    print(f"machine: {describe_machine()}; load {load():.1f}")
    print("\n| stage | s | s of CPU |\n|---|---|---|")
    begin, end = reports[0], reports[-1]
    stages = list(dict.fromkeys(stage for stage, *_ in reports))
    starts = [next(entry for entry in reports if entry[0] == stage) for stage in stages]
    for one, other in pairwise(starts):
        print(f"| {one[0]} | {other[2] - one[2]:.1f} | {other[3] - one[3]:.1f} |")
    print(f"| all | {end[2] - begin[2]:.1f} | {end[3] - begin[3]:.1f} |")
    apart = [abs(share - (now - begin[2]) / (end[2] - begin[2])) for _, share, now, _ in reports]
    print(f"\nthe bar: farthest {max(apart):.2f}; packs, MB: {sizes}")


def _cpu() -> float:
    """Return the seconds of CPU that this process has used."""
    used = os.times()
    return used.user + used.system


if __name__ == "__main__":
    main()
