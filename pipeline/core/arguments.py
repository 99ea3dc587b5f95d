"""Arguments of the command-line programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def with_files(arguments: Sequence[str] | None) -> list[str]:
    """Return command-line arguments in which a file whose name begins with "-" is not taken for an option.

    Args:
        arguments: The arguments; None stands for those of this process.
    """
    given = sys.argv[1:] if arguments is None else arguments
    return [f"./{one}" if one.startswith("-") and Path(one).is_file() else one for one in given]
