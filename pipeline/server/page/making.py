"""The tab on which avatars are made, tried out and deleted."""

from __future__ import annotations

import asyncio
import base64
import json
import unicodedata
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np

from pipeline import messages
from pipeline.core.cancel import CancelToken
from pipeline.errors import BadRequest, Cancelled, NoConsent, PipelineError
from pipeline.jobs.avatar_maker import AvatarMaker
from pipeline.jobs.events import Failed, Made, Preparing, describe, report_sentences
from pipeline.jobs.supervisor import Supervisor
from pipeline.jobs.uploads import LONGEST_CONSENT_BY, AvatarRequest, Uploads
from pipeline.server.gradio.queue import RenderQueue
from pipeline.server.page import bar
from pipeline.server.page.parts import make_part
from pipeline.server.page.words import (
    GENDERS,
    GUIDE,
    KEEP_RECORD,
    TEST_SENTENCE,
    shown,
    visitors_language,
)
from pipeline.server.visitors import Visitors


@dataclass(frozen=True, kw_only=True)
class Making:
    """The components of the tab. The webcam puts what it films into the files; `faces` is a picture of the first."""

    file: gr.File
    listening: gr.File
    nod: gr.File
    faces: gr.Image
    face: gr.Radio
    name: gr.Textbox
    gender: gr.Radio
    find_clips: gr.Checkbox
    consent: gr.Checkbox
    consent_by: gr.Textbox
    make: gr.Button
    status: gr.HTML
    report: gr.Markdown
    sentence: gr.Textbox
    uploaded: gr.Dropdown
    record: gr.HTML
    delete: gr.Button
    sure: gr.Column
    question: gr.Markdown
    really: gr.Button
    keep: gr.Button


def lay_out() -> Making:
    """Lay out the tab."""
    gr.Markdown(shown("make_help"))
    # any name: the contents decide what a file is
    file = gr.File(label=shown("clip"), height=170, elem_id="clip", type="filepath")
    gr.Markdown(shown("accepted"), elem_classes="fine")
    with gr.Accordion(shown("webcam"), open=False, elem_id="webcam"):
        make_part("guide", GUIDE, elem_id="guide")
        with gr.Row():
            more: dict[str, Any] = {"height": 150, "type": "filepath", "min_width": 140}
            listening = gr.File(label=shown("clip_listening"), elem_id="clip_listening", **more)
            nod = gr.File(label=shown("clip_nod"), elem_id="clip_nod", **more)
    faces = gr.Image(
        label=shown("faces"),
        show_label=False,
        interactive=False,
        visible=False,
        buttons=[],
        height=240,
        elem_id="faces",
        format="jpeg",
    )
    face = gr.Radio([], label=shown("face"), info=shown("face_help"), visible=False, elem_id="face")
    name = gr.Textbox(label=shown("name"), info=shown("name_help"), max_length=64, elem_id="name")
    gender = gr.Radio(
        [(GENDERS[one].en, one) for one in GENDERS],
        label=shown("gender"),
        info=shown("gender_help"),
        elem_id="gender",
    )
    find_clips = gr.Checkbox(label=shown("find_clips"), info=shown("find_clips_help"), elem_id="find_clips")
    sentence = gr.Textbox(label=shown("try"), elem_id="sentence")
    consent = gr.Checkbox(label=shown("consent"), elem_id="consent")
    consent_by = gr.Textbox(
        label=shown("consent_by"), info=shown("consent_by_help"), max_length=LONGEST_CONSENT_BY, elem_id="consent-by"
    )
    make = gr.Button(shown("make"), variant="primary", elem_id="make")
    status = bar.make_bar("making", visible=False)
    report = gr.Markdown(elem_id="report", visible=False)
    with gr.Column():
        uploaded = gr.Dropdown([], label=shown("uploaded"), visible=False, elem_id="uploaded")
        record = gr.HTML(visible=False, elem_id="consent-record")
        delete = gr.Button(shown("delete"), variant="stop", size="sm", visible=False, elem_id="delete")
        with gr.Column(visible=False, elem_id="sure") as sure:
            question = gr.Markdown(elem_id="question")
            with gr.Row():
                really = gr.Button(shown("really_delete"), variant="stop", size="sm", elem_id="really-delete")
                keep = gr.Button(shown("keep"), size="sm", elem_id="keep")
    return Making(
        file=file,
        listening=listening,
        nod=nod,
        faces=faces,
        face=face,
        name=name,
        gender=gender,
        find_clips=find_clips,
        consent=consent,
        consent_by=consent_by,
        make=make,
        status=status,
        report=report,
        sentence=sentence,
        uploaded=uploaded,
        record=record,
        delete=delete,
        sure=sure,
        question=question,
        really=really,
        keep=keep,
    )


class Maker:
    """Handlers that make avatars of visitors' clips."""

    def __init__(
        self, uploads: Uploads, maker: AvatarMaker, supervisor: Supervisor, visitors: Visitors, queue: RenderQueue
    ) -> None:
        """Create the handlers; `queue` knows which clients are still connected."""
        self._uploads = uploads
        self._maker = maker
        self._supervisor = supervisor
        self._visitors = visitors
        self._queue = queue

    def on_load(self, request: gr.Request, sentence: str | None) -> tuple[Any, Any, Any]:
        """Fill the fields that depend on the visitor: the uploaded avatars, the test sentence, the kinds of voices."""
        language = visitors_language(request)
        genders = [(name.in_language(language), gender) for gender, name in GENDERS.items()]
        return self.uploaded(request), sentence or TEST_SENTENCE.in_language(language), gr.update(choices=genders)

    def uploaded(self, request: gr.Request, chosen: str | None = None) -> Any:
        """Offer the avatars that the visitor may delete: their own, if there are any."""
        assert request.request is not None, "Gradio gives it to whatever it runs"
        seen = {pack.name for pack in self._visitors.on_page(request.request).list()}
        own = sorted(seen & self._uploads.names())
        return gr.update(choices=own, value=chosen if chosen in own else None, visible=bool(own))

    async def look(self, request: gr.Request, path: str | None) -> tuple[Any, Any]:
        """Show the faces of a clip, to choose from if there are several."""
        if path is None:  # cleared
            return gr.skip(), gr.skip()
        try:
            cancel = CancelToken()
            async with self._queue.stopped_with_caller(cancel.cancel):
                found = await self._uploads.faces(Path(path), AvatarRequest(name=""), cancel)
        except Cancelled:
            return gr.skip(), gr.skip()
        except PipelineError as error:
            raise gr.Error(error.message.in_language(visitors_language(request)), print_exception=False) from None
        numbers = [str(number) for number in range(1, len(found.boxes) + 1)]
        picture = cv2.cvtColor(
            cv2.imdecode(np.frombuffer(found.picture, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB
        )
        face = gr.update(choices=numbers, value=None, visible=len(numbers) > 1)
        return gr.update(value=picture, visible=True), face

    async def make(  # noqa: PLR0913 - Gradio passes each field by its position
        self,
        request: gr.Request,
        file: str | None,
        listens: str | None,
        nods: str | None,
        face: str | None,
        name: str,
        gender: str | None,
        find_clips: bool,
        consent: bool,
        consent_by: str,
    ) -> AsyncIterator[tuple[Any, Any, Any]]:
        """Make an avatar of a clip, and perhaps of further ones; yield bar, report and avatar for each step."""
        language = visitors_language(request)
        name = "_".join(unicodedata.normalize("NFC", name).split())
        try:
            if file is None:
                raise BadRequest(messages.server.NO_FILE_CHOSEN())
            if not consent:
                raise NoConsent(messages.server.CONSENT_NOT_TICKED())
            assert request.request is not None, "Gradio gives it to whatever it runs"
            owner = self._visitors.owner_on_page(request.request)
            further = {"listening": listens, "nod": nods}
            asked = AvatarRequest(
                name=name,
                face=int(face) if face else "center",
                gender=gender or "",
                owner=owner,
                consent_by=" ".join(consent_by.split()),
                find_clips=find_clips,
                clips={shows: Path(clip) for shows, clip in further.items() if clip},
            )
            await asyncio.to_thread(self._uploads.check, asked)
            job = self._maker.start(Path(file), asked, 0.0, lambda: None)  # Gradio's own file, which it removes
            listening = self._supervisor.listen(job, 0)
            async with self._queue.stopped_with_caller(job.cancel.cancel), aclosing(listening) as events:
                async for one in events:
                    if one is None:
                        continue
                    step = one.event
                    if isinstance(step, Failed):
                        raise step.error.afresh()
                    share = step.progress if isinstance(step, Preparing) else float(isinstance(step, Made))
                    state = "done" if isinstance(step, Made) else "running"
                    status = bar.at(describe(step).in_language(language), share, state)
                    report = gr.update(visible=False)
                    if isinstance(step, Made):
                        sentences = report_sentences(step.report)
                        words = "\n".join(f"- {one.in_language(language)}" for one in sentences)
                        report = gr.update(value=words, visible=True)
                    yield gr.update(value=status, visible=True), report, name if isinstance(step, Made) else gr.skip()
        except PipelineError as error:
            message = error.message.in_language(language)
            yield gr.update(value=bar.at(message, 1.0, "failed"), visible=True), gr.skip(), gr.skip()
            raise gr.Error(message, visible=False, print_exception=False) from None  # the bar has it

    def record(self, request: gr.Request, name: str | None) -> tuple[Any, Any]:
        """Show who confirmed the consent to an avatar of the visitor, and when, and the button that deletes it.

        The record can be kept as a file.
        """
        if name is None:
            return gr.update(visible=False), gr.update(visible=False)
        assert request.request is not None, "Gradio gives it to whatever it runs"
        language = visitors_language(request)
        try:
            found = self._uploads.consent(name, self._visitors.on_page(request.request))
        except PipelineError as error:
            value = f"<p>{escape(error.message.in_language(language))}</p>"
            return gr.update(value=value, visible=True), gr.update(visible=True)
        by, at = found.get("confirmed_by"), str(found.get("confirmed_at"))
        sentence = messages.server.CONSENT_BY(by=by, at=at) if by else messages.server.CONSENT_AT(at=at)
        file = base64.b64encode(json.dumps({"avatar": name, **found}, ensure_ascii=False, indent=2).encode()).decode()
        keep = escape(KEEP_RECORD.in_language(language))
        link = f'<a href="data:application/json;base64,{file}" download="{escape(name)}_consent.json">{keep}</a>'
        value = f"<p>{escape(sentence.in_language(language))} {link}</p>"
        return gr.update(value=value, visible=True), gr.update(visible=True)

    def ask(self, request: gr.Request, name: str | None) -> tuple[Any, Any]:
        """Ask for confirmation before an avatar is deleted."""
        question = messages.server.DELETE_AVATAR(name=name).in_language(visitors_language(request))
        return gr.update(visible=name is not None), question

    def delete(self, request: gr.Request, name: str | None) -> Any:
        """Delete an avatar of the visitor."""
        if name is None:
            return gr.skip()
        assert request.request is not None, "Gradio gives it to whatever it runs"
        try:
            self._uploads.delete(name, self._visitors.on_page(request.request))
        except PipelineError as error:
            raise gr.Error(error.message.in_language(visitors_language(request)), print_exception=False) from None
        return self.uploaded(request)
