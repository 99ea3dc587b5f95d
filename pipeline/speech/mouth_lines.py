"""What is said and how far the mouth opens in a video, as lines of JSON that grow while it is being made."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pipeline import messages
from pipeline.core.growing_file import GrowingText
from pipeline.speech.mouth_track import MouthTrack
from pipeline.speech_types import Mark


class MouthLines(GrowingText):
    """A file with one JSON object a line for each piece of speech; use it as a context manager.

    Each has `start` (seconds), `fps`, `opening` (0..1 for each frame from `start` on) and `phonemes` (IPA, start and
    end in seconds of the video; "" is a pause).

    Raises:
        RenderFailed: The disk is full.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, messages.speech.MOUTH_LINES())

    def add(self, phonemes: Iterable[Mark], mouth: MouthTrack, start: float) -> None:
        """Append a piece of speech.

        Args:
            phonemes: Marks whose times count from `start`.
            mouth: How the mouth moves in its frames.
            start: Where in the video it begins, in seconds.
        """
        line = {
            "start": round(start, 3),
            "fps": round(mouth.fps, 3),
            "opening": [round(float(one), 2) for one in mouth.opening],
            "phonemes": [[one.text, round(start + one.start, 3), round(start + one.end, 3)] for one in phonemes],
        }
        self.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
