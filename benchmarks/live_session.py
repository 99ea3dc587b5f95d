"""How many live sessions a machine carries, what each costs, and how soon one answers.

    python -m benchmarks.live_session [--resolution 720p] [--speaking 4 8 10 12] [--third 16 24 32] [--seconds 20]
    python -m benchmarks.live_session --engine hibari --text "Hello, and welcome to the interview."
    python -m benchmarks.live_session --browser [--turns 30]
    python -m benchmarks.live_session --hours 1 [--sessions 12] [--every 300]

Sessions run in worker processes as in the server, each with a viewer that reads its whole stream. "All" speak without
a pause, "a third" say 6 s every 20 s, each at its own time. A fragment is late if it comes after its time; what is sent
ahead of the clock hides 0.3 s of that from viewers. "Words" are those that a session says in a second: fewer than in a
row of fewer sessions means that the voice is too slow for so many, and they wait for it in silence. CPU is that of the
worker processes; "relay" is that of the process that reads and forwards their streams. The plain encode of the same
pictures by x264, one thread with the same options, is measured in the same run.

With --browser, Chromium plays `examples/client_javascript.html` from a server that is started for it: from the text to
the picture in which speech begins, from the press of a button to the avatar's last sound, and from the first sound of a
visitor, whose microphone is a recording, to the avatar's last one.

With --hours, visitors talk, interrupt, lose their connection, come back and leave, on a server that is started for
them. Every so many seconds: what the server and its worker processes hold, fragments that reached a visitor after their
time, and how far a stream has left the clock; in the end, which processes and files are left.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import tempfile
import time
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

import av

from benchmarks import live_hours
from benchmarks.machine import describe_machine, load
from benchmarks.serving import URL, serving
from pipeline.jobs.studio import make_studio
from pipeline.live.clock import Load
from pipeline.live.session_events import TurnEnded, TurnStarted, Word
from pipeline.live.session_parser import parse_session
from pipeline.live.session_request import SessionRequest
from pipeline.live.workers import RemoteSession, Workers
from pipeline.settings import Settings
from pipeline.video.encoder import X264

TEXT = "안녕하세요, 면접에 오신 것을 환영합니다. 먼저 간단한 자기소개를 부탁드립니다. "
"""6 s. Those who speak a third of the time say it every 20 s."""
REPEATS = 4
"""So many times those say it in one turn who speak all the time."""
BROWSER_TEXT = "안녕하세요, 면접에 오신 것을 환영합니다."
CYCLE_SECONDS = 20.0
SETTLE_SECONDS = 4.0
"""Seconds after which everything is loaded, idle pictures are encoded and what is late counts."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Row:
    """What was measured with a number of sessions."""

    sessions: int
    fragments: int
    late: int
    worst: float
    workers: float
    relay: float
    memory: float
    words: float


def main() -> None:
    """Run the benchmark and print its tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--avatar", default="talk_long")
    options.add_argument("--resolution", default="720p")
    options.add_argument("--engine", default="espeak", help="speech engine")
    options.add_argument("--lipsync", default="mesh", help="lipsync engine; musetalk needs a GPU")
    options.add_argument("--speaking", type=int, nargs="*", default=[4, 8, 10, 12], help="sessions that all speak")
    options.add_argument("--third", type=int, nargs="*", default=[16, 24, 32], help="sessions that speak 30 %%")
    options.add_argument("--silent", type=int, nargs="*", default=[2, 22], help="sessions that only listen")
    options.add_argument("--seconds", type=float, default=20.0)
    options.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)), help="worker processes")
    options.add_argument("--browser", action="store_true")
    options.add_argument("--turns", type=int, default=30)
    options.add_argument("--text", help="what is said")
    options.add_argument("--hours", type=float)
    options.add_argument("--sessions", type=int, default=12, help="visitors at a time, with --hours")
    options.add_argument("--every", type=float, default=300, help="seconds between two looks, with --hours")
    given = options.parse_args()
    print(f"machine: {describe_machine()}; load {load():.1f} before the run\n")
    if given.browser:
        _browser(given)
        return
    if given.hours:
        _hours(given)
        return
    plain = _plain_encode(given)
    print(f"x264 alone, one thread: {plain:.3f} s of CPU per second of {given.resolution}\n")
    print(
        "| sessions | speak | fragments | late | worst s | words | workers' cores | per session / x264 | relay | MiB |"
    )
    print("|---" * 10 + "|")
    for share, counts in (("never", given.silent), ("all", given.speaking), ("a third", given.third)):
        rows = [asyncio.run(_carry(given, count, share)) for count in counts]
        for row in rows:
            each = row.workers / row.sessions
            print(
                f"| {row.sessions} | {share} | {row.fragments} | {row.late} | {row.worst:.2f} | {row.words:.2f} "
                f"| {row.workers:.2f} | {each:.4f} ({each / plain:.2f}) | {row.relay:.2f} | {row.memory:.0f} |",
                flush=True,
            )
        if share == "never" and len(rows) > 1:
            first, last = rows[0], rows[-1]
            more = last.sessions - first.sessions
            print(f"\nmemory of a further session: {(last.memory - first.memory) / more:.1f} MiB\n", flush=True)


def _plain_encode(given: argparse.Namespace) -> float:
    """Return the CPU seconds of x264 for a second of the clip."""
    request = _request(given, Settings())
    avatar = request.avatar
    frames = [frame.planes for _, frame in zip(range(150), avatar.clip.once(), strict=False)]
    with av.open(io.BytesIO(), "w", format="mp4") as container:
        one = replace(X264, threads=1)
        stream = one.add_stream(container, avatar.width, avatar.height, avatar.fps, 5, avatar.clip.colors)
        started = time.process_time()
        for number, planes in enumerate(frames):
            picture = av.VideoFrame.from_numpy_buffer(planes, format="yuv420p")
            picture.pts, picture.time_base = number, 1 / avatar.fps
            container.mux(stream.encode(picture))
        return (time.process_time() - started) / float(len(frames) / avatar.fps)


def _request(given: argparse.Namespace, settings: Settings) -> SessionRequest:
    body = {
        "avatar": given.avatar,
        "resolution": given.resolution,
        "engine": given.lipsync,
        "tts_engine": given.engine,
    }
    return parse_session(body, make_studio(settings))


async def _carry(given: argparse.Namespace, count: int, share: str) -> Row:
    """Run a number of sessions for some seconds."""
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(Settings(), results=Path(folder))
        workers = Workers(settings, cores=given.cores, full=float("inf"))
        request = _request(given, settings)
        sessions = [await workers.open(request) for _ in range(count)]
        text, words = given.text or TEXT, list[float]()
        chores = [asyncio.ensure_future(_watch(session)) for session in sessions]
        try:
            while any(session.state == "loading" for session in sessions):
                await asyncio.sleep(0.1)
            if share != "never":
                chores += [
                    asyncio.ensure_future(_talk(s, text, share, i / count, words)) for i, s in enumerate(sessions)
                ]
            loop = float(request.avatar.clip.count / request.avatar.fps)
            await asyncio.sleep(SETTLE_SECONDS + max(loop, CYCLE_SECONDS if share == "a third" else 0))
            before, cpu, own, started = dict(workers.loads), _cpu(workers), time.process_time(), time.monotonic()
            before = {pid: replace(one) for pid, one in before.items()}
            await asyncio.sleep(given.seconds)
            seconds = time.monotonic() - started
            after = workers.loads
            ended = [session.closed.reason for session in sessions if session.closed is not None]
            if ended:
                raise RuntimeError(f"{len(ended)} of {count} sessions have ended: {', '.join(ended)}")
            return Row(
                sessions=count,
                fragments=sum(one.fragments - before[pid].fragments for pid, one in after.items()),
                late=sum(one.late - before[pid].late for pid, one in after.items()),
                worst=_worst(before, after),
                workers=(_cpu(workers) - cpu) / seconds,
                relay=(time.process_time() - own) / seconds,
                memory=sum(_memory(pid) for pid in after),
                words=sum(said > started for said in words) / seconds / count,
            )
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            await workers.close()


def _worst(before: dict[int, Load], after: dict[int, Load]) -> float:
    """Return by how much the latest fragment of the run was late; 0 if none was later than before it."""
    return max((one.worst for pid, one in after.items() if one.worst > before[pid].worst), default=0.0)


async def _watch(session: RemoteSession) -> None:
    async with aclosing(session.video()) as stream:
        async for _ in stream:
            pass


async def _talk(session: RemoteSession, text: str, share: str, begin: float, words: list[float]) -> None:
    """Let a session speak all the time, or a third of it.

    Args:
        session: The session.
        text: What it says.
        share: "all" or "a third".
        begin: When it starts, as a part of a cycle in which each session has its own turn.
        words: Gets the time at which each word is said.
    """
    all_the_time = share == "all"
    await asyncio.sleep(begin * (10 if all_the_time else CYCLE_SECONDS))
    async with aclosing(session.follow()) as events:
        text = f"{text} " * REPEATS if all_the_time else text
        _say(session, text)
        due = time.monotonic() + CYCLE_SECONDS
        async for told in events:
            match told.event:
                case TurnStarted() if all_the_time:  # the next one is ready when this one ends
                    _say(session, text)
                case Word():
                    words.append(time.monotonic())
                case TurnEnded() if not all_the_time:
                    await asyncio.sleep(due - time.monotonic())
                    due += CYCLE_SECONDS
                    _say(session, text)


def _say(session: RemoteSession, text: str) -> None:
    session.say(text)
    session.flush()


def _cpu(workers: Workers) -> float:
    """Return the CPU seconds of all worker processes so far."""
    total = 0.0
    for pid in workers.loads:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def _memory(pid: int) -> float:
    """Return the memory of a process in MiB, its share of what others map as well."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _browser(given: argparse.Namespace) -> None:
    from benchmarks import live_browser  # it needs playwright

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        live_browser.run(folder, _options(given), given.text or BROWSER_TEXT, given.turns)


def _options(given: argparse.Namespace) -> dict[str, str]:
    return {"avatar": given.avatar, "resolution": given.resolution, "tts_engine": given.engine}


# --- for hours


def _hours(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(folder, LIVE_MAX_SECONDS="0") as server:
            seconds = 3600 * given.hours
            asyncio.run(live_hours.run(URL, server.pid, _options(given), given.sessions, seconds, given.every))
            print(f"processes of sessions that are left: {len(live_hours.workers_of(server.pid))}")
        log = server.log
        left = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.name != "log"]
        print(f"files that are left: {', '.join(map(str, left)) or 'none'}")
        print(f"log: {len(log) >> 10} KiB, {log.count('Traceback')} tracebacks, {log.count(' ERROR ')} errors")


if __name__ == "__main__":
    main()
