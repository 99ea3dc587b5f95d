"""The record of a task's speech beside its video: phonemes, words, and how long the stages took."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.growing_file import part_of
from pipeline.speech_types import Mark


@dataclass(frozen=True)
class SpeechRecord:
    """Timing of a video's speech.

    Attributes:
        phonemes, words: Marks in seconds from the beginning of the video.
        seconds: Time by stage ("tts", "first_byte", "lipsync", "total"); empty if it was not measured.
        made: What made the video: "avatar", "engine", and "at" (ISO 8601, UTC).
        known: Whether the phonemes are those that were spoken, not only detected in the sound.
    """

    phonemes: tuple[Mark, ...]
    words: tuple[Mark, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)
    known: bool = False


def write_record(record: SpeechRecord, path: Path) -> None:
    """Write a record, completely or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    content = {
        "phonemes": [[mark.text, round(mark.start, 4), round(mark.end, 4)] for mark in record.phonemes],
        "words": [[mark.text, round(mark.start, 4), round(mark.end, 4)] for mark in record.words],
        "seconds": {stage: round(seconds, 4) for stage, seconds in record.seconds.items()},
        "made": dict(record.made),
    }
    part = part_of(path)
    try:
        part.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def read_record(path: Path) -> SpeechRecord | None:
    """Return the record in a file; None if there is none, or the file is something else."""
    try:
        content = json.loads(path.read_text("utf-8"))
        phonemes = tuple(Mark("phoneme", *mark) for mark in content["phonemes"])
        words = tuple(Mark("word", *mark) for mark in content["words"])
        return SpeechRecord(phonemes, words, content["seconds"], content.get("made", {}), known=True)
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return None
