"""Reads forms with a file (multipart/form-data)."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.types import Message as Received

from pipeline import messages
from pipeline.core.disk import restore_temporary, writing
from pipeline.errors import BadBody, BadRequest

MAX_FIELDS = 32
"""Fields of a form, without its file."""
_MIB = 1 << 20


def is_form(request: Request) -> bool:
    """Return whether a request says that its body is a form with files."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


@dataclass(frozen=True)
class Form:
    """A form, and the file in one of its fields.

    Attributes:
        fields: All fields.
        name: The field of the file.
        file: The file; None if that field is missing or no file.
    """

    fields: FormData
    name: str
    file: UploadFile | None

    @classmethod
    async def of(cls, request: Request, name: str, limit: int, most_files: int = 1) -> Self:
        """Return the form of a request; one that is too large is not read to its end. Close its `fields` at the end.

        Args:
            request: The request.
            name: The field of the file.
            limit: Most MiB.
            most_files: How many files it may have.

        Raises:
            BadBody: There is no valid form, or it is too large.
            Unavailable: The disk cannot be written to.
        """
        most = limit * _MIB
        length = request.headers.get("content-length", "0")
        received = int(length) if length.isdecimal() and int(length) > most else 0

        async def receive() -> Received:
            nonlocal received
            if received > most:
                raise BadBody(messages.server.FILE_TOO_LARGE(limit=limit))
            message = await request.receive()
            received += len(message.get("body", b""))
            return message

        try:
            with writing():
                restore_temporary()  # for the form's file
                fields = await Request(request.scope, receive).form(max_files=most_files, max_fields=MAX_FIELDS)
        except (HTTPException, ValueError, LookupError):  # LookupError: an unknown charset
            raise BadBody(messages.server.BODY_NOT_FORM()) from None
        file = fields.get(name)
        # a browser sends an empty part without a name where nothing was chosen
        return cls(fields, name, file if isinstance(file, UploadFile) and (file.filename or file.size) else None)

    def text(self, field: str) -> str | None:
        """Return a text field, stripped; None if it is missing or empty.

        Raises:
            BadRequest: The field is no single text.
        """
        values = [value for value in self.fields.getlist(field) if value != ""]
        if len(values) > 1 or any(not isinstance(value, str) for value in values):
            raise BadRequest(messages.server.NOT_ONE_TEXT(field=field))
        return str(values[0]).strip() if values else None

    def seconds(self, field: str) -> float | None:
        """Return a field in seconds; None if it is missing.

        Raises:
            BadRequest: The field is no number of seconds.
        """
        text = self.text(field)
        try:
            value = None if text is None else float(text)
        except ValueError:
            value = math.nan
        if value is not None and not 0 <= value < math.inf:
            raise BadRequest(messages.server.NOT_SECONDS(field=field))
        return value

    def files(self, names: Iterable[str]) -> dict[str, UploadFile]:
        """Return further files, by their fields; those that are missing are left out.

        Raises:
            BadRequest: A field is no single file.
        """
        found = {}
        for name in names:
            match self.fields.getlist(name):
                case [] | [""]:
                    pass
                case [UploadFile() as file]:
                    found[name] = file
                case _:
                    raise BadRequest(messages.server.NOT_ONE_FILE(field=name))
        return found

    def content(self) -> dict[str, Any]:
        """Return the texts of the form, with a digest of the file, to recognise the same form."""
        fields = {name: self.fields.getlist(name) for name in self.fields}
        texts = {name: [value for value in values if isinstance(value, str)] for name, values in fields.items()}
        form = {"form": {name: values for name, values in texts.items() if values}}
        return form if self.file is None else {**form, "file": digest_of(self.file)}

    def save(self, folder: Path) -> Path:
        """Write the file into a folder; return its path. Its contents decide what it is, not its name.

        Raises:
            Unavailable: The disk is full.
        """
        assert self.file is not None, "checked before"
        return save(self.file, folder / "file")


def digest_of(file: UploadFile) -> str:
    """Return what tells the contents of a file from others."""
    digest = hashlib.file_digest(file.file, "sha256").hexdigest()  # type: ignore[arg-type]  # it is binary
    file.file.seek(0)
    return digest


def save(file: UploadFile, path: Path) -> Path:
    """Write an uploaded file; return its path.

    Raises:
        Unavailable: The disk is full.
    """
    with writing(), path.open("wb") as out:
        shutil.copyfileobj(file.file, out)
    return path
