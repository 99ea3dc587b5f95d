"""What is found out about speech, and what a second try at the same video may take from the first."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from pipeline.core.cancel import CancelToken
from pipeline.jobs.request import GenerateRequest
from pipeline.jobs.studio import Studio
from pipeline.speech_types import Speech

T = TypeVar("T")

Speak = Callable[[GenerateRequest, Studio, CancelToken], Generator[Speech, None, None]]
"""The type of ``pipeline.jobs.generate.speech_of``."""
Recall = Callable[[str, int, Callable[[], Any]], Any]
"""Returns what is known about a piece of speech: what it is, the number of the piece, and what finds it out.

The times of phonemes and words may be found out a little differently another time; everything else follows from the
speech.
"""


def find_out(_what: str, _piece: int, find: Callable[[], T]) -> T:
    """Find it out: there was no try before."""
    return find()
