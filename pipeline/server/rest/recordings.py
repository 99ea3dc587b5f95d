"""Requests for a video as a form, which may bring a recording of the speech."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile

from pipeline import messages
from pipeline.errors import BadRequest
from pipeline.jobs.backdrops import FIELD as BACKGROUND
from pipeline.server.rest.forms import Form, digest_of, save
from pipeline.speech.soundtrack import KINDS

FILE = "audio"
"""The field of the recording."""
NUMBERS = ("frame_skip", "tts_speed", "tts_pitch", "liveliness", "fps")
"""Fields that are numbers in JSON."""
FLAGS = ("eye_contact",)
"""Fields that are true or false."""
_FLAGS = {"true": True, "false": False}
_INTEGER, _DECIMAL = re.compile("[+-]?[0-9]{1,9}"), re.compile(r"[+-]?[0-9]{0,9}\.[0-9]{1,9}")


class RecordingForm(Form):
    """A form with the fields of a request for a video, a recording in ``audio``, and a picture in ``background``."""

    @property
    def background(self) -> UploadFile | None:
        """The picture; None if there is none, or the field is a text.

        Raises:
            BadRequest: The field is there more than once.
        """
        sent = [value for value in self.fields.getlist(BACKGROUND) if value != ""]
        if not any(isinstance(value, UploadFile) for value in sent):
            return None
        if not self.files([BACKGROUND])[BACKGROUND].filename and len(sent) == 1:  # a browser's field without a file
            return None
        return self.files([BACKGROUND])[BACKGROUND]

    def save_background(self, folder: Path) -> Path | None:
        """Write the picture into a folder; return its path, None without one.

        Raises:
            BadRequest: The field is there more than once.
            Unavailable: The disk is full.
        """
        file = self.background
        return None if file is None else save(file, folder / BACKGROUND)

    def content(self) -> dict[str, Any]:
        """Return the contents of the form, with digests of its files, to recognise the same form."""
        file = self.background
        return {**super().content(), **({BACKGROUND: digest_of(file)} if file else {})}

    def body(self) -> dict[str, Any]:
        """Return the fields as JSON has them; empty ones are left out.

        Raises:
            BadRequest: A field is no single text, or ``audio`` is no single file.
        """
        sent = [value for value in self.fields.getlist(FILE) if value != ""]
        if any(isinstance(value, str) for value in sent):
            raise BadRequest(messages.server.AUDIO_NOT_FILE(kinds=", ".join(KINDS)))
        self.files([FILE])
        files = {FILE, *([BACKGROUND] if self._has_file(BACKGROUND) else [])}
        texts = {name: self.text(name) for name in self.fields if name not in files}
        return {name: _value(name, text) for name, text in texts.items() if text is not None}

    def _has_file(self, field: str) -> bool:
        return any(isinstance(value, UploadFile) for value in self.fields.getlist(field))


def _value(name: str, text: str) -> object:
    """Return the value of a field as JSON has it; a text that is none of its kind as it is, which is refused later."""
    if name in FLAGS:
        return _FLAGS.get(text, text)
    return _number(text) if name in NUMBERS else text


def _number(text: str) -> object:
    """Return the number that a text is; any other text as it is, which is refused later as no number."""
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text
