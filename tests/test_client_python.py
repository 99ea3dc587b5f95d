"""The Python client against a real server: videos, recordings, sessions, retries, and connections that break."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

import pytest
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from realtime_avatar_client import (
    AsyncClient,
    Client,
    Closed,
    ConnectionLost,
    Event,
    Interrupted,
    Other,
    ServerError,
    Status,
    TurnEnded,
    TurnStarted,
    VideoDone,
    Word,
)
from realtime_avatar_client.events import session_event, task_event
from realtime_avatar_client.media import Playback, media_of
from realtime_avatar_client.protocol import Lines

from tests.recordings import record
from tests.servers import ROOT, Server, free_port, wait_for

pytestmark = pytest.mark.slow  # real servers throughout

SLOW = "slow " * 8
CLIENT = ROOT / "clients" / "python"
SNIPPETS = CLIENT / "README.md"


@pytest.fixture
def client(fake_server: Server) -> Iterator[Client]:
    with Client(fake_server.url) as made:
        yield made


class Breaking:
    """A proxy in front of a server that breaks connections: the first ones after some bytes of their reply."""

    def __init__(self, server: Server, *after: int) -> None:
        self.after = list(after)
        self.connections = 0
        self._target = server.port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Breaking:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self.connections += 1
                limit = self.after.pop(0) if self.after else None
                threading.Thread(target=self._relay, args=(near, limit), daemon=True).start()

    def _relay(self, near: socket.socket, limit: int | None) -> None:
        far = socket.create_connection(("127.0.0.1", self._target))
        threading.Thread(target=_copy, args=(near, far, None), daemon=True).start()
        _copy(far, near, limit)


def _copy(source: socket.socket, target: socket.socket, limit: int | None) -> None:
    with contextlib.suppress(OSError):
        while limit is None or limit > 0:
            data = source.recv(65536)
            if not data:
                break
            target.sendall(data if limit is None else data[:limit])
            limit = None if limit is None else limit - len(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


def test_a_video_is_made_and_saved(client: Client, tmp_path: Path) -> None:
    stages: list[Event] = []
    done = client.video("one two", avatar="solo", on_event=stages.append)
    assert isinstance(done, VideoDone) and done.text == "one two" and done.audio_duration > 0.8
    assert [one.stage for one in stages if isinstance(one, Status)][:3] == ["queued", "tts", "tts_done"]
    assert client.save(done.video_url, tmp_path / "video.mp4").read_bytes()[4:8] == b"ftyp"
    assert done.captions_url and "two" in client.save(done.captions_url, tmp_path / "words.vtt").read_text()
    assert client.task(done.task_id)["state"] == "done"
    assert [event.id for event in client.follow(done.task_id)][-1] == done.id
    assert list(client.follow(done.task_id, after=done.id)) == []


def test_a_recording_is_sent_with_progress(client: Client, tmp_path: Path) -> None:
    record(tmp_path / "speech.wav", "one two three")
    sent: list[tuple[int, int]] = []
    size = (tmp_path / "speech.wav").stat().st_size
    report: Callable[[int, int], None] = lambda done, of: sent.append((done, of))  # noqa: E731
    files: tuple[Any, ...] = (tmp_path / "speech.wav", (tmp_path / "speech.wav").read_bytes())
    for file in files:
        sent.clear()
        *_, last = client.events(audio=file, avatar="solo", on_progress=report, liveliness=0.2)
        assert isinstance(last, VideoDone) and last.audio_duration > 0.5
        assert sent == sorted(sent) and sent[-1] == (size, size)


def test_what_the_server_refuses_is_an_error_with_its_code(client: Client, fake_server: Server) -> None:
    for call, code, status in (
        (lambda: client.video("one", avatar="nobody"), "avatar_not_found", 404),
        (lambda: client.video("crash", avatar="solo"), "internal_error", 500),
        (lambda: client.delete_avatar("solo"), "avatar_protected", 403),
        (lambda: client.make_avatar("x", b"nothing", consent=False), "consent_required", 400),
        (lambda: client.make_avatar("x", b"nothing", consent=True), "clip_unusable", 400),
        (lambda: client.task("../../etc"), "address_not_found", 404),
        (lambda: client.save("/video/x.mp4", "never"), "result_not_found", 404),
        (lambda: client.session(avatar="nobody"), "avatar_not_found", 404),
    ):
        with pytest.raises(ServerError) as refused:
            call()
        assert (refused.value.code, refused.value.status) == (code, status) and refused.value.message
    with Client(fake_server.url, language="ko") as korean, pytest.raises(ServerError, match=r"[가-힣]"):
        korean.video("one", avatar="nobody")


def test_a_stream_that_breaks_goes_on_where_it_broke(fake_server: Server) -> None:
    with Breaking(fake_server, 900, 0, 700) as proxy, Client(proxy.url) as client:
        events = list(client.events("slow one two", avatar="solo"))
    numbers = [event.id for event in events]
    assert numbers == sorted(set(numbers)) and isinstance(events[-1], VideoDone) and proxy.connections > 3


def test_an_upload_that_breaks_is_sent_again_and_is_one_task(fake_server: Server, tmp_path: Path) -> None:
    record(tmp_path / "speech.wav", "one two three")
    before = fake_server.log.count(" starts\n")
    with Breaking(fake_server, 0, 0) as proxy, Client(proxy.url) as client:
        assert client.video(audio=tmp_path / "speech.wav", avatar="solo").audio_duration > 0.5
    assert fake_server.log.count(" starts\n") - before == 2  # "task ... starts" and "render starts"


def test_a_server_that_is_away_is_an_error_after_some_tries() -> None:
    with Client(f"http://127.0.0.1:{free_port()}", retries=1) as client:
        for call in (client.status, lambda: client.video("one", avatar="solo"), lambda: client.session(avatar="solo")):
            with pytest.raises(ConnectionLost):
                call()


def test_who_leaves_early_cancels_the_task(client: Client, fake_server: Server) -> None:
    with closing(client.events(SLOW, avatar="solo")) as events:  # type: ignore[type-var]  # it is a generator
        event = next(events)
        assert isinstance(event, Status)
    wait_for(lambda: client.task(event.task_id)["state"] == "cancelled")


def test_a_session_speaks_and_is_interrupted(client: Client, fake_server: Server) -> None:
    with client.session(avatar="solo") as session:
        session.say("one two ", more=True, tag="first")
        session.say("three.", more=True, tag="first")
        session.flush()
        words, events = "", session.events()
        for event in events:
            words += event.text if isinstance(event, Word) else ""
            if isinstance(event, TurnEnded):
                break
        assert isinstance(event, TurnEnded) and event.tag == "first" and words == event.said == "one two three. "
        session.say("one two three four five six seven eight nine ten.")
        assert isinstance(next(one for one in events if isinstance(one, TurnStarted)), TurnStarted)
        cut = session.interrupt()
        assert isinstance(cut, Interrupted) and cut.said in "one two three four five six seven eight nine ten. "
        assert session.state()["state"] == "open"
    assert all(isinstance(one, Interrupted | Closed | Word) for one in events)  # and it ends
    with pytest.raises(ServerError) as ended:
        session.listen()
    assert ended.value.code == "session_closed"


def test_a_session_speaks_sound_and_shows_its_video(client: Client) -> None:
    with client.session(avatar="solo", video=True) as session:
        session.push_audio(b"\x00\x10\x00\xf0" * 8000, 16_000)
        session.flush()
        pieces, kinds = [], []
        for one in session:
            pieces += [one] if isinstance(one, bytes) else []
            kinds += [type(one)] if isinstance(one, Event) else []
            if TurnEnded in kinds:
                break
    assert pieces[0][4:8] == b"ftyp" and b"moof" in pieces[-1] and kinds[0] is TurnStarted


def test_pictures_and_sound_of_a_session_come_in_the_order_of_their_times(fake_server: Server) -> None:
    """A piece of the stream holds all of its pictures first: played in that order, sound would be late by a piece."""

    async def check() -> list[tuple[str, float]]:
        seen: list[tuple[str, float]] = []
        async with (
            AsyncClient(fake_server.url) as client,
            await client.session(avatar="solo", video=True) as session,
            aclosing(media_of(session)) as media,
        ):
            async for one in media:
                if isinstance(one, VideoFrame | AudioFrame):
                    seen.append((type(one).__name__, float(one.time or 0.0)))
                if len(seen) == 150:
                    return seen
        raise AssertionError("the stream has ended")

    seen = asyncio.run(check())
    times = [moment for _, moment in seen]
    assert times == sorted(times) and {kind for kind, _ in seen} == {"VideoFrame", "AudioFrame"}


def test_what_is_played_is_heard_only_while_the_avatar_speaks(fake_server: Server) -> None:
    async def check() -> list[Any]:
        seen: list[Any] = []
        async with (
            AsyncClient(fake_server.url) as client,
            await client.session(avatar="solo", video=True) as session,
            aclosing(Playback(session).__aiter__()) as played,
        ):
            async for one in played:
                seen.append(one)
                if len(seen) == 30:  # it plays
                    await session.say("one two three")
                    await session.flush()
                if isinstance(one, TurnEnded):
                    return seen
        raise AssertionError("the turn has not ended")

    seen = asyncio.run(check())
    (begun,) = (one.stream for one in seen if isinstance(one, TurnStarted))
    heard = [one for one in seen if isinstance(one, AudioFrame)]
    assert sum(one.samples / one.sample_rate for one in heard) == pytest.approx(seen[-1].stream - begun, abs=0.1)
    assert all(begun <= float(one.time or 0.0) < seen[-1].stream for one in heard)
    assert any(isinstance(one, VideoFrame) and float(one.time or 0.0) < begun for one in seen)


def test_a_session_is_resumed_without_missing_an_event(fake_server: Server) -> None:
    with Breaking(fake_server) as proxy, Client(proxy.url) as client, client.session(avatar="solo") as session:
        proxy.after = [300]  # the first socket
        session.say("one two three four five six.")
        events = []
        for event in session.events():
            events.append(event)
            if isinstance(event, TurnEnded):
                break
    numbers = [event.id for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) and proxy.connections >= 3


def test_the_asynchronous_client_does_the_same(fake_server: Server, tmp_path: Path) -> None:
    record(tmp_path / "speech.wav", "one two three")

    async def check() -> None:
        sent: list[int] = []
        async with AsyncClient(fake_server.url) as client:
            assert (await client.avatars())[0]["name"] and (await client.status())["status"] == "ok"
            report: Callable[[int, int], None] = lambda done, of: sent.append(done)  # noqa: E731
            async with aclosing(
                client.events(audio=tmp_path / "speech.wav", avatar="solo", on_progress=report)
            ) as every:
                events = [event async for event in every]
            done = events[-1]
            assert isinstance(done, VideoDone) and sent[-1] == (tmp_path / "speech.wav").stat().st_size
            await client.save(done.video_url, tmp_path / "async.mp4")
            with pytest.raises(ServerError, match="nobody"):
                await client.video("one", avatar="nobody")
            async with aclosing(client.events(SLOW, avatar="solo")) as slow:
                event = await anext(slow)
            assert isinstance(event, Status)
            while (await client.task(event.task_id))["state"] != "cancelled":
                await asyncio.sleep(0.05)
            async with await client.session(avatar="solo") as session:
                await session.push_audio(b"\x00\x10\x00\xf0" * 8000)
                await session.flush()
                await session.say("one two three four five six seven.")
                async with aclosing(session.events()) as heard:
                    turns = 0
                    async for event in heard:
                        turns += isinstance(event, TurnStarted)
                        if turns == 2:
                            break
                    assert isinstance(await session.interrupt(), Interrupted)
        with Breaking(fake_server, 900, 0) as proxy:
            async with AsyncClient(proxy.url) as client:
                assert (await client.video("slow one two", avatar="solo")).text == "slow one two"
            assert proxy.connections > 2

    asyncio.run(check())
    assert (tmp_path / "async.mp4").stat().st_size > 500


def test_what_is_unknown_is_kept() -> None:
    for event in (task_event({"type": "news", "id": 3, "x": 1}), session_event({"type": "word", "id": 3})):
        assert isinstance(event, Other) and event.id == 3 and event.raw["id"] == 3
    word = session_event({"type": "word", "id": 1, "turn": 1, "text": "a", "stream": 0.1, "end": 0.2, "new": []})
    assert isinstance(word, Word) and word.raw["new"] == []
    lines = Lines()
    assert [lines.feed(line) for line in (": ping", "", "id: 1", "data: {", 'data:"a": 1}', "")][-1] == {"a": 1}


def test_the_package_needs_nothing_of_the_server() -> None:
    code = "import sys, realtime_avatar_client; print([name for name in sys.modules if name.startswith('pipeline')])"
    where = str(ROOT / "clients" / "python")
    done = subprocess.run([sys.executable, "-c", code], cwd=where, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- two clients, one behaviour

NAMES = {
    **{"AsyncClient": "Client", "AsyncSession": "Session", "AsyncGenerator": "Iterator", "AsyncExitStack": "ExitStack"},
    **{"aread": "read", "aclose": "close", "aiter_bytes": "iter_bytes", "aiter_lines": "iter_lines"},
    **{"enter_async_context": "enter_context", "__aenter__": "__enter__", "__aexit__": "__exit__"},
    **{"__aiter__": "__iter__", "asyncio": "time"},
}
"""What the blocking client calls by another name."""
DIFFERENT = {
    *("Client.events", "Client._json", "Client._tell", "Session.events", "Session._sound"),
    *("Session.__init__", "Session.close", "Session._send", "Session._send_now", "Session._connected", "Session._drop"),
}
"""Methods that are written differently: with locks of threads, or because a loop needs no closing where it blocks."""


class Blocking(ast.NodeTransformer):
    """Turns code for asyncio into code that blocks."""

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        plain = ast.FunctionDef(node.name, node.args, node.body, node.decorator_list, node.returns)
        return self.visit_FunctionDef(plain)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name = NAMES.get(node.name, node.name)
        return self.generic_visit(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        loop = ast.For(node.target, node.iter, node.body, node.orelse)
        return self.generic_visit(ast.copy_location(loop, node))

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        self.generic_visit(node)
        call, loop = node.items[0].context_expr, node.body[0]
        closes = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "aclosing"
        if not closes:
            return ast.copy_location(ast.With(node.items, node.body), node)
        assert isinstance(call, ast.Call) and isinstance(loop, ast.For)
        first = loop.body[0]
        if len(loop.body) == 1 and isinstance(first, ast.Expr) and isinstance(first.value, ast.Yield):
            return ast.Expr(ast.YieldFrom(call.args[0]))
        loop.iter = call.args[0]
        return loop

    def visit_Await(self, node: ast.Await) -> Any:
        return self.visit(node.value)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(NAMES.get(node.id, node.id), node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        return ast.Attribute(node.value, NAMES.get(node.attr, node.attr), node.ctx)


def methods(name: str, *, blocking: bool) -> dict[str, tuple[str, str, str]]:
    """Return signature, description and body of each method of a module of the client."""
    tree = ast.parse((CLIENT / "realtime_avatar_client" / f"{name}.py").read_text("utf-8"))
    tree = ast.fix_missing_locations(tree if blocking else Blocking().visit(tree))
    found = {}
    for owner in (one for one in tree.body if isinstance(one, ast.ClassDef)):
        for method in (one for one in owner.body if isinstance(one, ast.FunctionDef)):
            signature = f"{ast.unparse(method.args)} -> {method.returns and ast.unparse(method.returns)}"
            body = method.body[1:] if ast.get_docstring(method) else method.body
            of = NAMES.get(owner.name, owner.name)
            found[f"{of}.{method.name}"] = (
                signature, ast.get_docstring(method) or "", "\n".join(map(ast.unparse, body)))  # fmt: skip
    return found


def test_both_clients_do_the_same() -> None:
    for_asyncio, blocking = methods("aio", blocking=False), methods("sync", blocking=True)
    assert len(blocking) > 40
    public = {name for name in blocking if not name.split(".")[1].startswith("_")}
    for name in public:
        assert for_asyncio[name][:2] == blocking[name][:2], name
    names = for_asyncio.keys() | blocking.keys()
    assert {name for name in names if for_asyncio.get(name) != blocking.get(name)} == DIFFERENT
