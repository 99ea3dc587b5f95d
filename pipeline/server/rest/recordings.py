"""Requests for a video as a form, which may bring a recording of the speech."""

from __future__ import annotations

import re
from typing import Any

from pipeline import messages
from pipeline.errors import BadRequest
from pipeline.server.rest.forms import Form
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
    """A form with the fields of a request for a video, and a recording in ``audio``."""

    def body(self) -> dict[str, Any]:
        """Return the fields as JSON has them; empty ones are left out.

        Raises:
            BadRequest: A field is no single text, or ``audio`` is no file.
        """
        sent = [value for value in self.fields.getlist(FILE) if value != ""]
        if any(isinstance(value, str) for value in sent):
            raise BadRequest(messages.server.AUDIO_NOT_FILE(kinds=", ".join(KINDS)))
        texts = {name: self.text(name) for name in self.fields if name != FILE}
        return {name: _value(name, text) for name, text in texts.items() if text is not None}


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
