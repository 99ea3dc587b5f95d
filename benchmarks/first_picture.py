"""How soon a video or session begins that shows an avatar as nobody has before, beside the next one.

    python -m benchmarks.first_picture [--avatar talk_long] [--resolution 720p] [--rounds 3] [--sessions]

Counted is the time from the request to the first picture in the growing file, by the events of the pipeline. Each
background is composed anew in each round; the second video follows when the whole clip is composed. Between them, the
whole clip is composed for nobody, as it would be if a first video had to wait for it.

With `--sessions`, live sessions of a server are opened instead, and counted is the time from ``POST /api/v2/sessions``
to the first fragment that arrives, and until the avatar's own clip is whole.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
import uuid
from dataclasses import replace
from pathlib import Path

import requests

from benchmarks.machine import describe_machine, load
from benchmarks.serving import URL, serving
from pipeline.core.cancel import CancelToken
from pipeline.jobs.generate import generate
from pipeline.jobs.request import parse
from pipeline.jobs.studio import Studio, make_studio
from pipeline.jobs.tasks import TaskBook
from pipeline.settings import Settings

TEXT = "안녕하세요. 면접에 오신 것을 환영합니다. 먼저 자기소개를 부탁드립니다."
OPTIONS: dict[str, dict[str, object]] = {
    "background, a colour": {"background": ""},
    "background, `transparent`": {"background": "transparent"},
    "background, `blur`": {"background": "blur"},
    "`aspect` 9:16": {"aspect": "9:16"},
    "`fps` 24": {"fps": 24},
    "`resolution` 360p": {"resolution": "360p"},
}


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--avatar", default="talk_long")
    options.add_argument("--resolution", default="720p")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--sessions", action="store_true")
    given = options.parse_args()
    body = {"text": TEXT, "avatar": given.avatar, "resolution": given.resolution, "tts_engine": "espeak"}
    print(f"machine: {describe_machine()}; load {load():.1f}")
    print(f"{given.avatar} {given.resolution}\n")
    if given.sessions:
        _sessions(given.avatar, given.resolution, given.rounds)
        return
    print(
        "| option | first video, s | second, s | first / second | composing the whole clip, s |\n|---|---|---|---|---|"
    )
    for name, option in OPTIONS.items():
        rounds = [measure({**body, **option}, number) for number in range(given.rounds + 1)][1:]  # the first warms up
        first, second, whole = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(one / other for one, other, _ in rounds)
        print(f"| {name} | {first:.2f} | {second:.2f} | {ratio:.2f} | {whole:.1f} |", flush=True)


def measure(body: dict[str, object], number: int) -> tuple[float, float, float]:
    """Return the seconds until the first picture of a first video and of a second one, and those of composing."""
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(Settings.from_environment(), results=Path(folder))
        studio = make_studio(settings)
        if body.get("background") == "":
            body["background"] = f"#{number:02x}90ff"
        asked = parse(body, studio)
        first_picture({**body, "background": "source"}, studio)  # loads the avatar and the voice
        first = first_picture(body, studio)
        studio.backdrops.composed(asked.avatar, asked.background, CancelToken())  # waits for the rest
        second = first_picture(body, studio)
        return first, second, composing(studio, asked.avatar.id, body)


def first_picture(body: dict[str, object], studio: Studio) -> float:
    """Return the seconds until the first picture of a video is in its file; make the whole video."""
    task = TaskBook(studio.settings.results, 0).open(uuid.uuid4().hex)
    done = list(generate(parse(body, studio), task, studio))[-1]
    return float(getattr(done, "first_byte"))  # noqa: B009 - the last event of a video has it


def composing(studio: Studio, avatar: str, body: dict[str, object]) -> float:
    """Return the seconds in which the whole clip is composed while nothing else is done; 0 without a background."""
    studio.backdrops.forget([avatar])
    asked = parse(body, studio)
    begin = time.perf_counter()
    studio.backdrops.composed(asked.avatar, asked.background, CancelToken())
    return time.perf_counter() - begin


def _sessions(avatar: str, resolution: str, rounds: int) -> None:
    """Open sessions with new backgrounds, and print their table."""
    body = {"avatar": avatar, "resolution": resolution, "tts_engine": "espeak"}
    colors = (f"#{number:02x}90ff" for number in itertools.count())
    print("| background | first session, s | its clip is whole, s | second session, s |\n|---|---|---|---|")
    with serving(TTS_ENGINE="espeak"):
        for _ in range(2):  # each of its processes loads the avatar
            first_fragment(body)
        for _ in range(rounds):
            first, whole, second = _round({**body, "background": next(colors)})
            print(f"| a colour | {first:.2f} | {whole:.2f} | {second:.2f} |", flush=True)


def _round(body: dict[str, str]) -> tuple[float, float, float]:
    """Return the seconds until a session begins, until its clip is whole, and until another session begins then."""
    begin = time.perf_counter()
    first = first_fragment(body)
    idle = f"{URL}/assets/idle/{body['avatar']}_{body['resolution']}.mp4"
    requests.get(idle, params={"background": body["background"]}, timeout=300).raise_for_status()
    return first, time.perf_counter() - begin, first_fragment(body)


def first_fragment(body: dict[str, str]) -> float:
    """Return the seconds from the request for a session to its first fragment; end the session."""
    begin = time.perf_counter()
    opened = requests.post(f"{URL}/api/v2/sessions", json=body, timeout=60)
    opened.raise_for_status()
    session, received = opened.json(), b""
    try:
        with requests.get(URL + session["video_url"], stream=True, timeout=300) as video:
            video.raise_for_status()
            for part in video.iter_content(None):
                received += part
                if b"moof" in received:
                    return time.perf_counter() - begin
        raise SystemExit("The session ended before its first fragment.")
    finally:
        requests.delete(f"{URL}/api/v2/sessions/{session['session_id']}", timeout=60)


if __name__ == "__main__":
    main()
