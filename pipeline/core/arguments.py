"""Arguments of the command lines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def with_files(arguments: Sequence[str] | None) -> list[str]:
    """Return ARGUMENTS (None: the program's own), files whose names begin with "-" such that they are no options."""
    given = sys.argv[1:] if arguments is None else arguments
    return [f"./{one}" if one.startswith("-") and Path(one).is_file() else one for one in given]
