"""Two web servers that share their tasks in a real Redis, and nginx, which sends every request to any of them.

First they make videos themselves, on stand-ins; then the program itself has two nodes of a real Ray cluster make them.
Skipped where Redis, nginx or Ray is not installed.
"""

from __future__ import annotations

import json
import random
import shutil
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from pipeline.messages.live import SESSION_FAILED
from pipeline.shared.servers import MARK_LENGTH
from tests import servers
from tests.fakes import FPS
from tests.nginx import NGINX
from tests.ray_nodes import START_SECONDS, Nodes, processes_of, tasks_done_at, title_of, two_nodes, wait_for_slots
from tests.redis_server import NEEDED, Redis
from tests.servers import ROOT, Server, events_of, wait_for
from tests.sites import TIMES, Program, Site, many, site
from tests.watching import SPEECH, Watched, check_unbroken, frames_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt-get install nginx-light"),
    *NEEDED,
]
KEY, SITE = "a-key-for-tests", "https://example.com"
HERE, ON_NODES = "here", "on nodes"
SESSIONS = 5
KILLED, STOPPED = "killed", "stopped"


@pytest.fixture(scope="module", params=[HERE, ON_NODES])
def nodes(request: pytest.FixtureRequest) -> Iterator[Nodes | None]:
    """The nodes that make videos; None where the web servers do."""
    if request.param == HERE:
        yield None
        return
    with two_nodes() as nodes:
        yield nodes


@pytest.fixture(scope="module", autouse=True)
def patience() -> Iterator[None]:
    """Wait longer for servers: the machine is also their nodes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(servers, "START_SECONDS", START_SECONDS)
        yield


@pytest.fixture(scope="module")
def program(nodes: Nodes | None, fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Program:
    if nodes is None:
        body = {"text": "one two", "avatar": "solo"}
        return Program(("-m", "tests.fakes", "{packs}"), fake_packs, body, "slow " * 40)
    packs = tmp_path_factory.mktemp("packs")
    (packs / "360p").mkdir()
    shutil.copy(ROOT / "precomputed" / "360p" / "talk_short_360p_precomputed.pkl", packs / "360p")
    body = {"text": "One two.", "avatar": "talk_short", "resolution": "360p"}
    store = tmp_path_factory.mktemp("store").as_uri()
    environ = {**nodes.environ, "STORE_URL": store}
    del environ["PYTHONPATH"]  # so that the servers can be forked
    return Program(("app.py",), packs, body, "Well, this takes a while. " * 40, environ)


@pytest.fixture(scope="module")
def two(
    nodes: Nodes | None, program: Program, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site"), program, redis_server, MAX_QUEUE="100") as both:
        if nodes is not None:
            for server in both.servers:
                wait_for_slots(server, 2)
        yield both


def test_any_server_gives_state_events_and_files_of_any_task(two: Site, program: Program) -> None:
    def one(number: int) -> str:
        task_id = two.started(program.body)
        video = two.get(f"/video/{task_id}.mp4").content  # while it is made, or just after
        states = [two.get(f"/api/v2/tasks/{task_id}").json() for _ in range(4)]
        assert states[0]["task_id"] == task_id and states[0]["kind"] == "video"
        with two.get(f"/api/v2/tasks/{task_id}/events", stream=True) as answer:
            events = list(events_of(answer))
        assert events[-1]["type"] == "done", events
        numbers = [event["id"] for event in events]
        assert numbers == sorted(set(numbers))
        for after in random.sample(numbers[:-1], 2):
            resumed = {"Last-Event-ID": str(after)}
            with two.get(f"/api/v2/tasks/{task_id}/events", stream=True, headers=resumed) as answer:
                assert list(events_of(answer)) == [event for event in events if event["id"] > after]
        assert two.get(f"/api/v2/tasks/{task_id}").json()["state"] == "done"
        finished = [two.get(f"/video/{task_id}.mp4") for _ in range(4)]
        assert all(answer.content == video and answer.status_code == 200 for answer in finished)
        part = two.get(f"/video/{task_id}.mp4", headers={"Range": "bytes=10-99"})
        assert (part.status_code, part.content) == (206, video[10:100])
        assert part.headers["Content-Range"] == f"bytes 10-99/{len(video)}"
        for path in (f"/assets/audio/{task_id}.wav", f"/video/{task_id}.vtt", f"/video/{task_id}.mouth.ndjson"):
            bodies = {two.get(path).content for _ in range(3)}
            assert len(bodies) == 1 and b"" not in bodies
        assert video.count(b"mdat") >= 1
        return task_id

    assert len({*many(one)}) == TIMES


def test_any_server_cancels_any_task(two: Site, program: Program) -> None:
    def one(number: int) -> None:
        task_id = two.started({**program.body, "text": program.long})
        answer = two.post(f"/api/cancel/{task_id}")
        assert answer.status_code == 200 and answer.json()["state"] in ("queued", "running"), answer.text
        last = wait_for(lambda: (state := two.get(f"/api/v2/tasks/{task_id}").json())["state"] == "cancelled" and state)
        assert last["code"] == "cancelled"
        assert two.post(f"/api/cancel/{task_id}").status_code == 404

    many(one)
    two.wait_idle()
    assert not any(server.half_made() for server in two.servers)


def test_a_repeated_request_is_one_task_at_whichever_server(two: Site, program: Program) -> None:
    def one(number: int) -> None:
        key = {"Idempotency-Key": uuid.uuid4().hex}
        with ThreadPoolExecutor(3) as pool:
            sent = [pool.submit(two.post, "/api/v2/lipsync", program.body, headers=key) for _ in range(3)]
            replies = [one.result() for one in sent]
        assert [reply.status_code for reply in replies] == [200] * 3, [reply.text for reply in replies]
        assert len({reply.json()["task_id"] for reply in replies}) == 1
        other = two.post("/api/v2/lipsync", {**program.body, "text": "three"}, headers=key)
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")

    many(one)


def test_a_token_is_one_account_at_all_servers(
    nodes: Nodes | None, program: Program, redis_server: Redis, tmp_path: Path
) -> None:
    """Each server sees what the token did at the other one, and its seconds are spent once."""
    keys, key = {"API_KEYS": KEY, "ALLOWED_ORIGINS": SITE, "MAX_QUEUE": "100"}, {"Authorization": f"Bearer {KEY}"}
    with site(tmp_path, program, redis_server, **keys) as two:
        for server in two.servers if nodes else ():
            wait_for_slots(server, 2)

        def token(**body: Any) -> dict[str, str]:
            made = two.post("/api/v2/tokens", {"avatar": program.body["avatar"], **body}, headers=key)
            assert made.status_code == 201, made.text
            return {"Authorization": f"Bearer {made.json()['token']}"}

        def one(number: int) -> None:
            mine, other = token(seconds=60), token(seconds=60)
            task_id = two.started(program.body, **mine)
            for path in (f"/api/v2/tasks/{task_id}", f"/api/v2/tasks/{task_id}/events"):
                assert two.get(path, headers=mine).status_code == 200
                assert two.get(path, headers=other).status_code == 404
            assert two.post(f"/api/cancel/{task_id}", headers=other).status_code == 404

        many(one)
        asked = {"avatar": program.body["avatar"], "resolution": "360p"} if nodes else {"avatar": "solo"}
        for _ in range(4):  # whichever server has the session
            opened = two.post("/api/v2/sessions", asked, headers=key).json()
            path, mine, other = (
                f"/api/v2/sessions/{opened['session_id']}",
                token(session_id=opened["session_id"]),
                token(),
            )
            assert two.get(path, headers=mine).status_code == 200
            assert two.get(path, headers=other).status_code == 404
            assert two.get(path).status_code == 401
            assert requests.delete(two.url + path, headers=mine, timeout=60).status_code == 200
        length = two.post("/api/v2/lipsync", program.body, headers=key).json()["audio_duration"]
        spent = token(seconds=2.5 * length)
        replies = [two.post("/api/v2/lipsync", program.body, headers=spent) for _ in range(8)]
        codes = [reply.json().get("code", "done") for reply in replies]
        assert codes[:2] == ["done", "done"] and set(codes[3:]) == {"token_spent"}, codes


def check_session(two: Site | Server, asked: Mapping[str, str]) -> str:
    """Open a session, use it in every way, and end it; return its address."""
    session = Watched(two, asked)
    try:
        wait_for(session.stream.tell, START_SECONDS)
        session.say()
        [ended] = wait_for(lambda: session.of("turn_ended"), START_SECONDS)
        assert ended["said"].split() == SPEECH.split() and ended["tag"] == "count"
        with connect(two.url.replace("http", "ws") + session.opened["socket_url"]) as socket:
            socket.send(json.dumps({"type": "say", "text": "One two."}))
            told = [json.loads(socket.recv(120))]
            while told[-1]["type"] != "turn_ended":
                told.append(json.loads(socket.recv(120)))
            assert told[-1]["said"].split() == ["One", "two."]
        assert {two.get(session.path).json()["state"] for _ in range(4)} == {"open"}
        interrupted = two.post(f"{session.path}/interrupt", {})
        assert interrupted.status_code == 200, interrupted.text
    finally:
        session.close()
    assert session.of("closed")
    assert {two.get(session.path).json()["code"] for _ in range(4)} == {"session_closed"}
    return session.path


def test_any_server_has_any_session(two: Site, program: Program) -> None:
    asked = {name: value for name, value in program.body.items() if name != "text"}
    paths = [check_session(two, asked) for _ in range(SESSIONS)]
    unknown = f"{paths[0][:-32]}{uuid.uuid4().hex[:-8]}{paths[0][-8:]}"  # of the same server
    assert {two.get(unknown).json()["code"] for _ in range(4)} == {"session_not_found"}
    with pytest.raises(InvalidStatus) as refused, connect(f"{two.url.replace('http', 'ws')}{unknown}/socket"):
        pass
    assert refused.value.response.status_code == 404


# --- sessions of a server that goes away


@pytest.mark.parametrize("how", [KILLED, STOPPED])
def test_a_session_ends_with_its_server_and_the_other_opens_new_ones(
    nodes: Nodes | None, program: Program, redis_server: Redis, tmp_path: Path, how: str
) -> None:
    asked = {name: value for name, value in program.body.items() if name != "text"}
    with site(tmp_path, program, redis_server) as two, ThreadPoolExecutor(4) as pool:
        for server in two.servers if nodes else ():
            wait_for_slots(server, 2)
        lost, left = two.servers
        opened = lost.post("/api/v2/sessions", asked).json()
        path, seen = f"/api/v2/sessions/{opened['session_id']}", list[bytes]()
        told, at_its_own, heard = (list[Any]() for _ in range(3))
        clients = [pool.submit(watch, left.url + opened["video_url"], seen)]
        clients += [pool.submit(follow, server.url + path, to) for server, to in ((left, told), (lost, at_its_own))]
        listening = pool.submit(listen, left.url.replace("http", "ws") + opened["socket_url"], heard)
        wait_for(lambda: len(seen) > 1 and told and at_its_own and heard, START_SECONDS)
        processes = processes_of_sessions(lost, nodes)
        assert processes and connections_to(lost.port)

        lost.process.kill() if how == KILLED else lost.process.terminate()
        code = listening.result(timeout=60)
        for client in clients:
            client.result(timeout=60)
        if how == KILLED:
            failed = {"type": "error", "success": False, "code": "session_failed", "error": SESSION_FAILED().ko}
            assert told[-2:] == heard[-2:] == [failed, {"type": "closed", "reason": "failed"}]
            assert code == 1012
        else:
            ended = [(events[-1]["type"], events[-1]["reason"]) for events in (told, heard, at_its_own)]
            assert ended == [("closed", "server_ends")] * 3
            assert code == 1000
        assert left.get(path).json()["code"] in ("tasks_unavailable", "session_not_found")
        check_session(two if how == KILLED else left, asked)  # a server that ends refuses them until it is gone

        wait_for(lambda: {two.get(path).json()["code"] for _ in range(4)} == {"session_not_found"})
        wait_for(lambda: not any(Path(f"/proc/{one}").exists() for one in processes))
        wait_for(lambda: not connections_to(lost.port))
        marks = f":{lost.port}", path[-MARK_LENGTH:]
        kept = [name for name in redis_server.names() if name.endswith(marks)]
        assert all(redis_server.seconds_left(name) != -1 for name in kept), kept  # nothing for ever


def watch(url: str, seen: list[bytes]) -> None:
    """Take a stream until it ends or breaks off."""
    with requests.get(url, stream=True, timeout=300) as answer, suppress(requests.RequestException):
        for piece in answer.iter_content(None):
            seen.append(piece)


def follow(url: str, told: list[Any]) -> None:
    """Take the events of a session until they end or break off."""
    with requests.get(f"{url}/events", stream=True, timeout=300) as answer, suppress(requests.RequestException):
        for event in events_of(answer):
            told.append(event)


def listen(url: str, heard: list[Any]) -> int | None:
    """Have an avatar speak, take the events of its session from a socket, and return the code that closes it."""
    with connect(url) as socket:
        socket.send(json.dumps({"type": "say", "text": SPEECH}))
        with suppress(ConnectionClosed):
            while True:
                heard.append(json.loads(socket.recv()))
        return socket.close_code


def processes_of_sessions(server: Server, nodes: Nodes | None) -> set[int]:
    """Return the processes that run the sessions of a server: its children, or some on nodes, where only it has any."""
    if nodes is not None:
        return {one for node in nodes.slots for one in processes_of(node) if runs(one, "pipeline.live.worker")}
    return server.children("fake_worker")


def runs(process: int, module: str) -> bool:
    """Return whether a process runs a module."""
    with suppress(OSError):  # it may have ended
        return module in title_of(process)
    return False


def connections_to(port: int) -> int:
    """Return how many connections this machine has to a port, those that the other end has closed included."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    return sum(one[2].endswith(f":{port:04X}") and one[3] in ("01", "08") for one in fields)


# --- avatars on nodes


def make(server: Server, name: str, clip: bytes) -> None:
    """Have a server make an avatar."""
    form = {"name": name, "resolutions": "360p", "consent": "true"}
    made = server.post("/api/avatars", data=form, files={"file": ("me.mp4", clip)})
    assert made.status_code == 200, made.text


def speak(two: Site, body: Mapping[str, str], count: int = 4) -> None:
    """Have both servers make videos at a time, and check them."""
    with ThreadPoolExecutor(count) as pool:
        told = list(pool.map(lambda number: two.servers[number % 2].events(body), range(count)))
    for events in told:
        assert events[-1]["type"] == "done", events
        video = two.get(events[-1]["video_url"]).content
        assert frames_of(video) == pytest.approx(events[-1]["audio_duration"] * FPS, abs=1)
        check_unbroken(video)


def speak_on_both_nodes(two: Site, nodes: Nodes, body: Mapping[str, str]) -> None:
    """Have both servers make videos until both nodes have made some of them."""

    def made() -> list[int]:
        return [sum(tasks_done_at(server, nodes, node) for server in two.servers) for node in nodes.slots]

    before = made()

    def both() -> bool:
        speak(two, body)
        return all(now > then for now, then in zip(made(), before, strict=True))

    wait_for(both, 120)


@pytest.mark.parametrize("nodes", [ON_NODES], indirect=True)
def test_an_avatar_of_one_server_speaks_on_both_nodes_also_after_a_death(
    two: Site, nodes: Nodes, program: Program, clip: bytes
) -> None:
    one, other = two.servers
    make(one, "early", clip)
    speak_on_both_nodes(two, nodes, {**program.body, "avatar": "early"})

    make(other, "late", clip)
    late = {**program.body, "avatar": "late"}
    lost = nodes.slots[0]
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(speak, two, {**late, "text": "One two three. " * 8})
        wait_for(lambda: sum(len(server.half_made()) for server in two.servers) > 1)
        nodes.kill(lost)
        speak(two, late)
        running.result(timeout=300)
    nodes.slots[0] = nodes.start_slot(lost.number)
    for server in two.servers:
        wait_for_slots(server, 2)
    for name in ("early", "late"):
        speak_on_both_nodes(two, nodes, {**program.body, "avatar": name})

    for server, name in ((one, "late"), (other, "early")):
        assert server.delete(f"/api/avatars/{name}").status_code == 200
    for name in ("early", "late"):
        body = {**program.body, "avatar": name}
        assert {server.post("/api/v2/lipsync", body).json()["code"] for server in two.servers} == {"avatar_not_found"}
    wait_for(lambda: all(len([*node.temporary.glob("avatar-packs-*/*/*.pkl")]) <= 1 for node in nodes.slots))
