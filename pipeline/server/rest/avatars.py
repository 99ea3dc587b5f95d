"""Avatars through REST: a clip or photo is uploaded, prepared while its stages are told, and can be deleted again."""

from __future__ import annotations

import asyncio
import base64
import math
import re
import shutil
import unicodedata
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Message as Received

from pipeline.avatars.store import RESOLUTIONS
from pipeline.core.cancel import CancelToken
from pipeline.core.disk import restore_temporary, temporary_folder, writing
from pipeline.errors import BadBody, BadRequest, Cancelled, Language, Message, NoConsent, PipelineError
from pipeline.face.finder import FaceChoice
from pipeline.jobs.uploads import Made, Order, Stage, Step, Uploads, Waiting, said
from pipeline.preparing.photo import BACKGROUND, Color, color_of
from pipeline.server.connections import Stream, while_there
from pipeline.server.reply_language import language_of
from pipeline.server.rest.event_stream import PING, event_text
from pipeline.server.visitors import Visitors

PING_SECONDS = 15.0
"""A stream that has nothing to tell for this long sends a comment, so that proxies keep it open."""
CONSENT = Message(
    "consent: 이 영상이나 사진의 인물이 아바타로 말하게 되는 것에 동의했음을 consent=true로 확인해 주세요.",
    "consent: confirm with consent=true that the person shown agreed to be made to speak as an avatar.",
)
STAGES = {
    "reading": Message("파일을 읽는 중...", "Reading the file..."),
    "faces": Message("얼굴을 찾는 중...", "Finding the face..."),
    "measuring": Message("얼굴을 재는 중...", "Measuring the face..."),
    "mouth": Message("입을 다무는 중...", "Closing the mouth..."),
    "writing": Message("아바타를 쓰는 중...", "Writing the avatar..."),
}
_FORM_FIELDS = 16
_MIB = 1 << 20


def describe(step: Step) -> Message:
    """Return the sentence that tells people about STEP."""
    match step:
        case Waiting(position):
            return Message(f"대기 중... ({position}번째)", f"Waiting... (number {position} in the queue)")
        case Stage(name, _, resolution):
            message = STAGES[name]
            return Message(f"{message.ko} {resolution}".rstrip(), f"{message.en} {resolution}".rstrip())
        case Made(name):
            return Message(f"아바타 '{name}'을(를) 만들었습니다.", f"The avatar '{name}' is ready.")


def to_json(step: Step, language: Language) -> dict[str, Any]:
    """Return STEP as clients get it, in the shape of a task's events."""
    message = describe(step).in_language(language)
    match step:
        case Waiting(position):
            return {"type": "status", "stage": "queued", "message": message, "position": position}
        case Stage(name, progress):
            return {"type": "status", "stage": name, "message": message, "progress": progress}
        case Made(name, ids, report):
            words = [one.in_language(language) for one in said(report)]
            return {"type": "done", "message": message, "avatar": name, "ids": list(ids), "report": words}


@dataclass(frozen=True)
class Sent:
    """A form that came with a file."""

    form: FormData
    file: UploadFile

    def text(self, field: str) -> str | None:
        """Return the text in FIELD, without blanks around it; None where there is none. Raises BadRequest."""
        values = [value for value in self.form.getlist(field) if value != ""]
        if len(values) > 1 or any(not isinstance(value, str) for value in values):
            raise BadRequest(f"{field}: 글자 값 하나만 보내 주세요.", f"{field}: send one text.")
        return str(values[0]).strip() if values else None

    def seconds(self, field: str) -> float | None:
        """Return the seconds in FIELD. Raises BadRequest."""
        text = self.text(field)
        try:
            value = None if text is None else float(text)
        except ValueError:
            value = math.nan
        if value is not None and not 0 <= value < math.inf:
            raise BadRequest(f"{field}: 0 이상의 초를 보내 주세요.", f"{field}: send seconds, 0 or more.")
        return value

    def face(self) -> FaceChoice:
        """Return which face speaks. Raises BadRequest."""
        text = self.text("face") or "center"
        if text == "center" or text == "largest":
            return text  # type: ignore[return-value]  # mypy does not narrow to a Literal here
        if not re.fullmatch("[1-9][0-9]?", text):
            raise BadRequest(
                "face: center, largest, 또는 왼쪽부터 센 번호를 보내 주세요.",
                "face: send center, largest, or a number counted from the left.",
            )
        return int(text)

    def background(self) -> Color:
        """Return what shows where the picture is transparent. Raises BadRequest."""
        text = self.text("background")
        try:
            return BACKGROUND if text is None else color_of(text)
        except ValueError:
            raise BadRequest(
                "background: ffffff와 같은 RRGGBB 색을 보내 주세요.",
                "background: send a colour as RRGGBB, such as ffffff.",
            ) from None

    def order(self) -> Order:
        """Return what is asked for. Raises BadRequest."""
        name = unicodedata.normalize("NFC", self.text("name") or "")
        listed = re.split("[, ]+", self.text("resolutions") or "all")
        resolutions = RESOLUTIONS if "all" in listed else tuple(dict.fromkeys(listed))
        part = self.seconds("start"), self.seconds("end")
        return Order(name, self.face(), *part, resolutions, self.background())

    def save(self, folder: Path) -> Path:
        """Write the file into FOLDER; return its path. What it is its content says, not what the client calls it.

        Raises Unavailable where the disk has no room.
        """
        path = folder / "file"
        with writing(), path.open("wb") as out:
            shutil.copyfileobj(self.file.file, out)
        return path


class AvatarApi:
    """The endpoints that make and delete avatars. LIMIT: MiB that a request may bring; CLIPS: where it lies."""

    def __init__(self, uploads: Uploads, visitors: Visitors, limit: int, clips: Path) -> None:
        self._uploads = uploads
        self._visitors = visitors
        self._limit = limit
        self._clips = clips
        self._open: dict[str, CancelToken] = {}

    async def make(self, request: Request) -> Response:
        """Make an avatar of a clip or photo, telling each stage as a server-sent event."""
        sent = await self._form(request)
        if (sent.text("consent") or "").lower() not in ("true", "1", "yes", "on"):
            raise NoConsent(CONSENT.ko, CONSENT.en)
        order = replace(sent.order(), owner=self._visitors.owner(request))
        await run_in_threadpool(self._uploads.check, order)
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        # what fails before the stream begins has a status of its own
        folder = await run_in_threadpool(temporary_folder, self._clips)
        clip = await run_in_threadpool(sent.save, Path(folder.name))
        await sent.form.close()
        text = self._tell(folder, clip, order, language_of(request.headers.get("accept-language")))
        return Stream(text, media_type="text/event-stream", headers=headers)

    async def faces(self, request: Request) -> dict[str, Any]:
        """Tell which faces a clip or photo shows, numbered from the left, with a picture; nothing is made or kept."""
        sent = await self._form(request)
        order = Order("", start=sent.seconds("start"), end=sent.seconds("end"), background=sent.background())
        with await run_in_threadpool(temporary_folder, self._clips) as folder:
            clip = await run_in_threadpool(sent.save, Path(folder))
            await sent.form.close()
            found = await while_there(request, self._uploads.faces(clip, order, CancelToken()))
        boxes = [dict(zip(("x", "y", "width", "height"), map(round, box), strict=True)) for box in found.boxes]
        return {
            "success": True,
            "faces": [{"number": number, **box} for number, box in enumerate(boxes, 1)],
            "picture": f"data:image/jpeg;base64,{base64.b64encode(found.picture).decode()}",
        }

    def delete(self, avatar: str, request: Request) -> dict[str, Any]:
        """Delete an avatar that was uploaded: by its name in every resolution, by an id in one."""
        seen = self._visitors.for_rest(request)
        return {"success": True, "deleted": self._uploads.delete(unicodedata.normalize("NFC", avatar), seen)}

    def cancel(self, task_id: str) -> bool:
        """Stop a preparation; return whether there was such a one."""
        cancel = self._open.get(task_id)
        if cancel is not None:
            cancel.cancel()
        return cancel is not None

    async def _form(self, request: Request) -> Sent:
        """Return the form that REQUEST brings. Raises BadRequest; too large a one is not read to its end."""
        limit = self._limit * _MIB
        length = request.headers.get("content-length", "0")
        received = int(length) if length.isdecimal() and int(length) > limit else 0

        async def receive() -> Received:
            nonlocal received
            if received > limit:
                raise BadBody(
                    f"파일이 너무 큽니다 (최대 {self._limit} MiB).",
                    f"The file is too large (at most {self._limit} MiB).",
                )
            message = await request.receive()
            received += len(message.get("body", b""))
            return message

        try:
            with writing():
                restore_temporary()  # where the form's file goes
                form = await Request(request.scope, receive).form(max_files=1, max_fields=_FORM_FIELDS)
        except (HTTPException, ValueError, LookupError):  # the latter: of letters, where a charset is none
            raise BadBody(
                "요청 본문이 올바른 multipart/form-data가 아닙니다.", "The body is not valid multipart/form-data."
            ) from None
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadRequest("file: 영상이나 사진 파일을 보내 주세요.", "file: send a clip or a photo.")
        return Sent(form, file)

    async def _tell(
        self, folder: TemporaryDirectory[str], clip: Path, order: Order, language: Language
    ) -> AsyncIterator[str]:
        """Yield the text of a server-sent stream; closed early it stops the preparation. CLIP lies in FOLDER."""
        task_id = uuid.uuid4().hex
        cancel = self._open[task_id] = CancelToken()
        try:
            with folder:
                async with aclosing(with_pings(self._uploads.make(clip, order, cancel))) as told:
                    async for step in told:
                        yield event_text({**to_json(step, language), "task_id": task_id}) if step else PING
        except PipelineError as error:
            message = error.message.in_language(language)
            event: dict[str, Any]
            event = {"type": "error", **error.to_json(language), "message": message, "status": error.status}
            event |= {"retryable": error.retryable, "cancelled": isinstance(error, Cancelled), "task_id": task_id}
            yield event_text(event)
        finally:
            del self._open[task_id]


async def with_pings(steps: AsyncGenerator[Step]) -> AsyncGenerator[Step | None]:
    """Yield STEPS, and None where none came for PING_SECONDS; closed early, it closes them."""
    coming = asyncio.ensure_future(anext(steps, None))
    try:
        while True:
            done, _ = await asyncio.wait([coming], timeout=PING_SECONDS)
            if not done:
                yield None
            elif (step := coming.result()) is not None:
                yield step
                coming = asyncio.ensure_future(anext(steps, None))
            else:
                return
    finally:
        with anyio.CancelScope(shield=True):  # a server cancels again and again, also who is closing something
            coming.cancel()
            await asyncio.wait([coming])
            await steps.aclose()
