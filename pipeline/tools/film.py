"""Makes one film of several sentences, such as the questions of an interview, with time for the answers.

python -m pipeline.tools.film QUESTIONS.txt --out interview.mp4 [--avatar talk_long] [--resolution 720p] [--pause 5]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from pipeline import messages
from pipeline.avatars.store import RESOLUTIONS
from pipeline.core.growing_file import part_of
from pipeline.errors import BadRequest, PipelineError, RenderFailed
from pipeline.jobs.generate import generate
from pipeline.jobs.request import DEFAULT_RESOLUTION, parse
from pipeline.jobs.studio import Studio, make_studio
from pipeline.jobs.tasks import TaskBook
from pipeline.settings import Settings

CROSSFADE = 0.3
"""Seconds in which the idle person fades into the next sentence."""
MAX_PAUSE = 600.0
"""Seconds."""


def film(sentences: Sequence[str], avatar: str, resolution: str, pause: float, out: Path, studio: Studio) -> float:
    """Write one mp4 in which an avatar speaks sentences, and idles between and after them.

    Args:
        sentences: What the avatar speaks; at least one.
        avatar: Name of the avatar, as GET /api/avatars lists it.
        resolution: One of the avatar's resolutions.
        pause: Seconds after each sentence, 0 to 600; at least `CROSSFADE`.
        out: The mp4; it is written completely or not at all.
        studio: Voices and engines; the videos of the single sentences lie in its results meanwhile.

    Returns:
        Length of the film in seconds.

    Raises:
        PipelineError: As `generate` raises it.
        RenderFailed: The film cannot be written.
    """
    from moviepy import VideoClip, VideoFileClip, concatenate_videoclips
    from moviepy.video.fx import CrossFadeIn, Loop

    if not sentences or not 0 <= pause <= MAX_PAUSE:
        raise BadRequest(messages.tools.FILM_WITHOUT_SENTENCES(limit=MAX_PAUSE))
    folder, book = studio.settings.results, TaskBook(studio.settings.results, 0)
    body = {"avatar": avatar, "resolution": resolution}
    requests = [parse({**body, "text": sentence}, studio) for sentence in sentences]  # check all before any work
    idle = folder / "idle.mp4"
    part = part_of(out)
    with ExitStack() as stack:
        clips: list[VideoClip] = []
        for request in requests:
            task = book.files_of(uuid.uuid4().hex)
            for _ in generate(request, task, studio):
                pass
            spoken = stack.enter_context(VideoFileClip(str(task.video)))
            idle.write_bytes(request.avatar.video)
            rest = stack.enter_context(VideoFileClip(str(idle), audio=False))
            until = spoken.duration + max(pause, CROSSFADE) + CROSSFADE
            rest = rest.with_effects([Loop(duration=until)]).subclipped(spoken.duration)  # continues where speech ended
            turn = concatenate_videoclips([spoken, rest])
            clips.append(turn.with_effects([CrossFadeIn(CROSSFADE)]) if clips else turn)
        whole = stack.enter_context(concatenate_videoclips(clips, method="compose", padding=-CROSSFADE))
        try:
            whole.write_videofile(
                str(part),
                codec="libx264",
                audio_codec="aac",
                temp_audiofile_path=str(folder),
                ffmpeg_params=["-f", "mp4", "-movflags", "+faststart"],
                logger=None,
            )
            part.replace(out)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise RenderFailed(messages.tools.FILM_NOT_WRITTEN(path=out)) from error
        return float(whole.duration)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.tools.film", description="Make one film of several sentences, with pauses for answers."
    )
    parser.add_argument("sentences", type=Path, metavar="FILE", help="a text file (UTF-8) with a sentence a line")
    parser.add_argument("--out", type=Path, required=True, help="the mp4")
    parser.add_argument("--avatar", default="talk_long", help="default: talk_long")
    parser.add_argument("--resolution", choices=RESOLUTIONS, default=DEFAULT_RESOLUTION)
    parser.add_argument("--pause", type=float, default=5.0, help="seconds after each sentence; default: 5")
    given = parser.parse_args(arguments)
    try:
        lines = given.sentences.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        print(messages.tools.NOT_A_TEXT(file=given.sentences), file=sys.stderr)
        return 1
    sentences = [line.strip() for line in lines if line.strip()]
    try:
        with tempfile.TemporaryDirectory() as folder:
            studio = make_studio(replace(Settings.from_environment(), results=Path(folder)))
            seconds = film(sentences, given.avatar, given.resolution, given.pause, given.out, studio)
    except PipelineError as error:
        print(error.message, file=sys.stderr)
        return 1
    print(f"{given.out}: {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
