"""Avatars through REST: upload a clip or photo, follow its preparation, and delete the avatar again."""

from __future__ import annotations

import base64
import re
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import Response

from pipeline import messages
from pipeline.avatars.avatar import CLIPS, GENDERS
from pipeline.avatars.store import RESOLUTIONS
from pipeline.core.cancel import CancelToken
from pipeline.core.disk import temporary_folder
from pipeline.errors import BadRequest, NoConsent
from pipeline.face.finder import FaceChoice
from pipeline.jobs.avatar_maker import AvatarMaker
from pipeline.jobs.supervisor import Supervisor
from pipeline.jobs.tasks import Job
from pipeline.jobs.uploads import AvatarRequest, Uploads
from pipeline.preparing.further_clip import check_clips
from pipeline.preparing.photo import BACKGROUND, Color, color_of
from pipeline.server.connections import while_there
from pipeline.server.rest.event_stream import event_stream
from pipeline.server.rest.forms import Form, digest_of, save
from pipeline.server.rest.idempotency import Repeats
from pipeline.server.rest.receivers import receiver_of
from pipeline.server.visitors import Visitors
from pipeline.server.webhooks import Webhooks
from pipeline.settings import Settings

CLIP_FIELDS = {f"clip_{name}": name for name in CLIPS}
"""The fields of further clips, and what each shows."""


class AvatarForm(Form):
    """An uploaded form with a clip or photo, and perhaps further clips."""

    def clips(self) -> dict[str, UploadFile]:
        """Return the further clips by what they show.

        Raises:
            BadRequest: There is no such clip, or a field is no single file.
        """
        check_clips({field.removeprefix("clip_"): Path() for field in self.fields if field.startswith("clip_")})
        return {CLIP_FIELDS[field]: clip for field, clip in self.files(CLIP_FIELDS).items()}

    def face(self) -> FaceChoice:
        """Return which face speaks.

        Raises:
            BadRequest: The field is no choice of a face.
        """
        text = self.text("face") or "center"
        if text == "center" or text == "largest":
            return text  # type: ignore[return-value]  # mypy does not narrow to a Literal here
        if not re.fullmatch("[1-9][0-9]?", text):
            raise BadRequest(messages.server.FACE_INVALID())
        return int(text)

    def gender(self) -> str:
        """Return the gender of the person; "" if it is left open.

        Raises:
            BadRequest: The field is something else.
        """
        text = self.text("gender") or ""
        if text not in ("", *GENDERS):
            raise BadRequest(messages.server.GENDER_INVALID(choices=", ".join(GENDERS)))
        return text

    def background(self) -> Color:
        """Return the colour behind transparent parts.

        Raises:
            BadRequest: The field is no colour.
        """
        text = self.text("background")
        try:
            return BACKGROUND if text is None else color_of(text)
        except ValueError:
            raise BadRequest(messages.server.BACKGROUND_INVALID()) from None

    def asked(self) -> AvatarRequest:
        """Return what to make of the clip.

        Raises:
            BadRequest: A field is invalid.
        """
        name = unicodedata.normalize("NFC", self.text("name") or "")
        listed = re.split("[, ]+", self.text("resolutions") or "all")
        resolutions = RESOLUTIONS if "all" in listed else tuple(dict.fromkeys(listed))
        return AvatarRequest(
            name=name,
            face=self.face(),
            gender=self.gender(),
            start=self.seconds("start"),
            end=self.seconds("end"),
            resolutions=resolutions,
            background=self.background(),
            find_clips=self.find_clips(),
            consent_by=" ".join((self.text("consent_by") or "").split()),
        )

    def find_clips(self) -> bool:
        """Return whether further clips are found in the recording.

        Raises:
            BadRequest: The field is not true or false.
        """
        text = self.text("find_clips")
        if text not in (None, "true", "false"):
            raise BadRequest(messages.jobs.FLAG_INVALID(field="find_clips"))
        return text == "true"

    def content(self) -> dict[str, Any]:
        """Return the contents of the form, with digests of its files, to recognise the same form."""
        clips = {name: digest_of(clip) for name, clip in self.clips().items()}
        return {**super().content(), **({"clips": clips} if clips else {})}

    def save_clips(self, folder: Path) -> dict[str, Path]:
        """Write the further clips into a folder; return their paths by what they show.

        Raises:
            Unavailable: The disk is full.
        """
        return {name: save(clip, folder / f"clip_{name}") for name, clip in self.clips().items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class AvatarApi:
    """The endpoints that make and delete avatars.

    Attributes:
        uploads: Avatars that were uploaded.
        maker: Makes them.
        supervisor: Follows their jobs.
        repeats: Requests that may be repeated.
        visitors: Owners of avatars.
        settings: Limits.
        webhooks: Told of what has ended.
        clips: Folder of the files that were sent.
    """

    uploads: Uploads
    maker: AvatarMaker
    supervisor: Supervisor
    repeats: Repeats
    visitors: Visitors
    settings: Settings
    webhooks: Webhooks
    clips: Path

    async def make(self, request: Request) -> Response:
        """Make an avatar of a clip or photo, telling each stage as a server-sent event."""
        key = request.headers.get("idempotency-key")
        sent = await self._form(request)
        if (sent.text("consent") or "").lower() not in ("true", "1", "yes", "on"):
            raise NoConsent(messages.server.CONSENT_MISSING())
        asked = replace(sent.asked(), owner=self.visitors.owner(request))
        receiver = receiver_of(self.webhooks, sent.text("webhook_url"), request)

        async def start() -> Job:
            self.supervisor.admit()
            await run_in_threadpool(self.uploads.check, asked)
            folder = await run_in_threadpool(temporary_folder, self.clips)
            try:
                clip = await run_in_threadpool(sent.save, Path(folder.name))
                whole = replace(asked, clips=await run_in_threadpool(sent.save_clips, Path(folder.name)))
            except BaseException:
                folder.cleanup()
                raise
            grace = 0.0 if key is None else self.settings.resume_seconds
            job = self.maker.start(clip, whole, grace, folder.cleanup)
            self.webhooks.follow(job, receiver)
            return job

        try:
            job = await self.repeats.join(request.headers.get("authorization", ""), key, sent.content, start)
        finally:
            await sent.fields.close()
        return event_stream(self.supervisor, job, 0, request)

    async def faces(self, request: Request) -> dict[str, Any]:
        """Return which faces a clip or photo shows, numbered from the left, with a picture; nothing is made or kept."""
        sent = await self._form(request)
        asked = AvatarRequest(
            name="", start=sent.seconds("start"), end=sent.seconds("end"), background=sent.background()
        )
        with await run_in_threadpool(temporary_folder, self.clips) as folder:
            clip = await run_in_threadpool(sent.save, Path(folder))
            await sent.fields.close()
            found = await while_there(request, self.uploads.faces(clip, asked, CancelToken()))
        boxes = [dict(zip(("x", "y", "width", "height"), map(round, box), strict=True)) for box in found.boxes]
        return {
            "success": True,
            "faces": [{"number": number, **box} for number, box in enumerate(boxes, 1)],
            "picture": f"data:image/jpeg;base64,{base64.b64encode(found.picture).decode()}",
        }

    def consent(self, avatar: str, request: Request) -> dict[str, Any]:
        """Return who confirmed the consent to an uploaded avatar, when, and from which file."""
        seen, name = self.visitors.for_rest(request), unicodedata.normalize("NFC", avatar)
        return {"success": True, "avatar": name, **self.uploads.consent(name, seen)}

    def delete(self, avatar: str, request: Request) -> dict[str, Any]:
        """Delete an avatar that was uploaded: by its name in every resolution, by an id in one."""
        seen = self.visitors.for_rest(request)
        return {"success": True, "deleted": self.uploads.delete(unicodedata.normalize("NFC", avatar), seen)}

    async def _form(self, request: Request) -> AvatarForm:
        """Return the form of a request.

        Raises:
            BadRequest: There is no valid form with a file.
        """
        sent = await AvatarForm.of(request, "file", self.settings.max_upload, most_files=1 + len(CLIPS))
        if sent.file is None:
            await sent.fields.close()
            raise BadRequest(messages.server.FILE_MISSING())
        sent.clips()
        return sent
