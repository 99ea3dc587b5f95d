"""Makes avatars as the program does, in less time: of small pictures, whose mouth's width is measured in one of them.

Used by ``python -m tests.fakes`` and ``python -m tests.quick_app``.
"""

from __future__ import annotations

import sys

from pipeline.preparing import mouth_scale, prepare
from pipeline.preparing.encode_clip import CLIP


def main() -> int:
    """Do what the command line of ``pipeline.preparing.prepare`` asks for; return its exit status."""
    CLIP["preset"] = "ultrafast"
    mouth_scale.FRAMES = 1
    prepare.WORK_SIDE = 360
    return prepare.main()


if __name__ == "__main__":
    sys.exit(main())
