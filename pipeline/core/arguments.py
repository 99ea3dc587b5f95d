"""Arguments of the command-line programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import PipelineError


def with_files(arguments: Sequence[str] | None) -> list[str]:
    """Return command-line arguments in which a file whose name begins with "-" is not taken for an option.

    Args:
        arguments: The arguments; None stands for those of this process.
    """
    given = sys.argv[1:] if arguments is None else arguments
    return [f"./{one}" if one.startswith("-") and Path(one).is_file() else one for one in given]


def print_error(error: PipelineError, as_json: bool) -> None:
    """Print an error: for people to the error output, or as a line of JSON for programs."""
    if as_json:
        print(json.dumps(error.to_line(), ensure_ascii=False))
    else:
        print(error.message, file=sys.stderr)
