"""Makes videos as the pipeline does: of a request, and of speech that is given."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.background import AS_FILMED, TRANSPARENT, Background
from pipeline.avatars.framing import SOURCE, box_of
from pipeline.jobs.generate import generate, render_video, saying
from pipeline.jobs.look import BurntCaptions, Look
from pipeline.jobs.request import GenerateRequest
from pipeline.jobs.studio import Studio
from pipeline.jobs.tasks import Task, TaskBook
from pipeline.speech_types import Speech
from pipeline.video.encoder import X264


def filmed(request: GenerateRequest, studio: Studio, book: TaskBook) -> Task:
    """Make the video of a request, and return where it is."""
    task = book.open(uuid.uuid4().hex)
    for _ in generate(request, task, studio):
        pass
    return task


def film(  # noqa: PLR0913 - all that benchmarks change in a video
    avatar: Avatar,
    pieces: Iterable[Speech],
    task: Task,
    studio: Studio,
    frame_skip: int = 1,
    background: Background = AS_FILMED,
    aspect: str = SOURCE,
) -> None:
    """Make the video of AVATAR saying PIECES, one after the other, at ``task.video``."""
    request = GenerateRequest(
        text="",
        language="",
        avatar=avatar,
        frame_skip=frame_skip,
        engine=studio.engine.name,
        background=background,
        look=Look(box_of(avatar, aspect), parted=background.kind == TRANSPARENT),
    )
    with saying(lambda _: (piece for piece in pieces), request, task, studio) as speaker:
        for _ in render_video(request, speaker, task, studio, BurntCaptions(), X264):
            pass
