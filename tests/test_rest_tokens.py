"""Tokens: what a browser gets in place of a key does what it is for, and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from starlette.requests import HTTPConnection
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from pipeline.errors import PipelineError, TokenExpired, TokenInvalid
from pipeline.jobs.accounts import MemoryAccounts
from pipeline.jobs.supervisor import Supervisor
from pipeline.jobs.tasks import TaskBook
from pipeline.server.tokens import ALGORITHM, ENDPOINTS, ISSUER, Grant, Tokens
from pipeline.settings import Settings
from tests.servers import Server, events_of, running, wait_for

pytestmark = pytest.mark.slow  # real servers throughout

KEY, SITE, OTHER = "first-key", "https://example.com", "https://other.example"
SECRET = "a secret of this server that nobody can guess"
LIPSYNC, SESSIONS = "/api/v2/lipsync", "/api/v2/sessions"


@pytest.fixture(scope="module")
def guarded(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    command = ["-m", "tests.fakes", str(fake_packs)]
    environ = {"API_KEYS": f"{KEY},second-key", "ALLOWED_ORIGINS": f"{SITE},{OTHER}", "TOKEN_SECRET": SECRET}
    environ |= {"FAKE_UNSEEN": "600"}  # a busy machine may take long to begin a session
    with running(command, tmp_path_factory.mktemp("guarded"), **environ) as server:
        yield server


def make(server: Server, **body: Any) -> str:
    """Return a new token."""
    answer = server.post("/api/v2/tokens", body, headers={"Authorization": f"Bearer {KEY}"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def ask(server: Server, method: str, path: str, token: str, body: Any = None, **headers: str) -> requests.Response:
    sent = {"Authorization": f"Bearer {token}", "Accept-Language": "en", **headers}
    return requests.request(method, server.url + path, json=body, headers=sent, timeout=60)


def refused(answer: requests.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.json()["success"] is False and answer.json()["error"]


def test_a_token_makes_videos_and_sees_its_own_tasks_only(guarded: Server) -> None:
    token = make(guarded, endpoints=["lipsync"], avatar="solo", seconds=60)
    for path in ("/api/v2/status", "/api/avatars", "/api/voices"):
        assert ask(guarded, "GET", path, token).status_code == 200
    listed = ask(guarded, "GET", "/api/avatars", token).json()["avatars"]
    assert {one["name"] for one in listed} == {"solo_720p", "solo_480p"}
    mine = ask(guarded, "POST", LIPSYNC, token, {"text": "one two", "avatar": "solo"}).json()
    assert mine["success"] is True and guarded.get(mine["video_url"]).status_code == 200
    assert ask(guarded, "GET", f"/api/v2/tasks/{mine['task_id']}", token).json()["state"] == "done"
    assert guarded.get(f"/api/v2/tasks/{mine['task_id']}/events?token={token}").status_code == 200

    key = {"Authorization": f"Bearer {KEY}"}
    theirs = guarded.post(LIPSYNC, {"text": "one", "avatar": "solo"}, headers=key).json()["task_id"]
    another = make(guarded, endpoints=["lipsync"])
    for task, seen_by in ((theirs, token), (mine["task_id"], another)):
        address = f"/api/v2/tasks/{task}"
        cancel = "POST", f"/api/cancel/{task}"
        for method, path in (("GET", address), ("GET", f"{address}/events"), ("GET", f"{address}/inspect.png"), cancel):
            refused(ask(guarded, method, path, seen_by), 404, "task_not_found")
    assert guarded.get(f"/api/v2/tasks/{theirs}", headers=key).json()["state"] == "done"


def test_a_token_does_nothing_else(guarded: Server) -> None:
    token = make(guarded, endpoints=["lipsync"])
    for method, path in (
        ("POST", "/api/v2/tokens"),
        ("POST", "/api/avatars"),
        ("DELETE", "/api/avatars/solo"),
        ("GET", "/metrics"),
        ("GET", "/api/queue_status"),
        ("GET", "/api/openapi.json"),
        ("POST", "/api/voices/supertonic"),
        ("POST", SESSIONS),
    ):
        refused(ask(guarded, method, path, token, {}), 403, "token_wrong_endpoint")
    refused(ask(guarded, "POST", LIPSYNC, make(guarded, endpoints=["sessions"]), {}), 403, "token_wrong_endpoint")
    assert ask(guarded, "GET", "/config", token).status_code == 401  # the page is for keys
    wrong = make(guarded, avatar="duet")
    for body in ({"text": "one", "avatar": "solo"}, {"text": "one", "avatar": "solo_480p", "resolution": "480p"}):
        refused(ask(guarded, "POST", LIPSYNC, wrong, body), 403, "token_wrong_avatar")
        refused(ask(guarded, "POST", SESSIONS, wrong, body), 403, "token_wrong_avatar")


def test_a_token_is_for_its_site(guarded: Server) -> None:
    token = make(guarded, origin=SITE)
    body = {"text": "one", "avatar": "solo"}
    for headers in (
        {"Origin": SITE},
        {"Referer": f"{SITE}/page?x"},
        {"Origin": guarded.url},  # a frame that the server itself sent
        {"Sec-Fetch-Site": "same-origin"},
    ):
        assert ask(guarded, "POST", LIPSYNC, token, body, **headers).status_code == 200, headers
    for headers in ({}, {"Origin": OTHER}, {"Referer": f"{SITE}.evil.example/"}, {"Referer": "http://["}):
        refused(ask(guarded, "POST", LIPSYNC, token, body, **headers), 403, "token_wrong_origin")


def test_what_a_token_may_not_be(guarded: Server) -> None:
    key = {"Authorization": f"Bearer {KEY}", "Accept-Language": "en"}
    for body, status, word in (
        ({"origin": "https://stranger.example"}, 400, "ALLOWED_ORIGINS"),
        ({"origin": 5}, 400, "origin"),
        ({"endpoints": []}, 400, "endpoints"),
        ({"endpoints": ["avatars"]}, 400, "endpoints"),
        ({"endpoints": [[]]}, 400, "endpoints"),
        ({"endpoints": "lipsync"}, 400, "endpoints"),
        ({"seconds": -1}, 400, "seconds"),
        ({"expires_in": 0}, 400, "expires_in"),
        ({"expires_in": 1e9}, 400, "expires_in"),
        ({"avatar": "nobody"}, 404, "nobody"),
        ({"session_id": "0" * 32}, 404, "session"),
        ([], 400, ""),
    ):
        answer = guarded.post("/api/v2/tokens", body, headers=key)
        assert answer.status_code == status and word in answer.json()["error"], body
    assert guarded.post("/api/v2/tokens", {}).status_code == 401


def test_speech_is_counted(guarded: Server) -> None:
    say = {"text": "one two three", "avatar": "solo"}
    seconds = ask(guarded, "POST", LIPSYNC, KEY, say).json()["audio_duration"]
    token = make(guarded, seconds=1.5 * seconds)
    assert ask(guarded, "POST", LIPSYNC, token, say).status_code == 200
    overdrawn = ask(guarded, "POST", LIPSYNC, token, say)  # spoken, and then more than is left
    refused(overdrawn, 403, "token_spent")
    refused(ask(guarded, "POST", LIPSYNC, token, {"text": "one", "avatar": "solo"}), 403, "token_spent")
    refused(ask(guarded, "POST", SESSIONS, token, {"avatar": "solo"}), 403, "token_spent")
    long = {"text": "abcdefghij " * 40, "avatar": "solo"}  # cannot be said in this time, so it is not begun
    before = len(guarded.log)
    refused(ask(guarded, "POST", LIPSYNC, make(guarded, seconds=3), long), 403, "token_spent")
    assert "starts" not in guarded.log[before:]
    refused(ask(guarded, "POST", LIPSYNC, make(guarded, seconds=0), say), 403, "token_spent")


def test_what_fails_is_not_counted(guarded: Server) -> None:
    token = make(guarded, seconds=2)
    for _ in range(3):
        crashed = ask(guarded, "POST", LIPSYNC, token, {"text": "crash " + "a" * 50, "avatar": "solo"})
        assert crashed.json()["code"] == "internal_error"
    assert ask(guarded, "POST", LIPSYNC, token, {"text": "one", "avatar": "solo"}).status_code == 200


def test_a_token_opens_a_session_and_uses_no_other(guarded: Server) -> None:
    key = {"Authorization": f"Bearer {KEY}"}
    token = make(guarded, endpoints=["sessions"], seconds=1.5)
    mine = ask(guarded, "POST", SESSIONS, token, {"avatar": "solo"}).json()
    theirs = guarded.post(SESSIONS, {"avatar": "solo"}, headers=key).json()
    bound = make(guarded, session_id=theirs["session_id"], origin=SITE)
    path, other = (f"{SESSIONS}/{one['session_id']}" for one in (mine, theirs))
    assert ask(guarded, "GET", path, token).status_code == 200
    refused(ask(guarded, "GET", other, token), 404, "session_not_found")
    refused(ask(guarded, "POST", f"{other}/say", token, {"text": "one."}), 404, "session_not_found")
    refused(ask(guarded, "GET", path, bound, Origin=SITE), 404, "session_not_found")
    refused(ask(guarded, "POST", SESSIONS, bound, {"avatar": "solo"}, Origin=SITE), 403, "token_wrong_endpoint")
    refused(ask(guarded, "GET", other, bound), 403, "token_wrong_origin")
    refused(ask(guarded, "POST", LIPSYNC, bound, {}, Origin=SITE), 403, "token_wrong_endpoint")
    assert guarded.get(f"{other}?token={bound}", headers={"Origin": SITE}).status_code == 200
    ws = guarded.url.replace("http", "ws")
    for address, origin, status in (
        (f"{path}/socket?token={token[:-3]}AAA", None, 401),
        (f"{other}/socket?token={token}", None, 404),
        (f"{other}/socket?token={bound}", None, 403),
    ):
        with pytest.raises(InvalidStatus) as denied, connect(ws + address, origin=origin):
            pass
        assert denied.value.response.status_code == status
        assert json.loads(denied.value.response.body or b"")["code"]
    with connect(f"{ws}{other}/socket?token={bound}", origin=Origin(SITE)) as socket:
        socket.send('{"type": "listen"}')
        assert json.loads(socket.recv(120))["type"] == "listening"
    # the speech of the session is the token's, also with the address that the session has itself
    with guarded_events(guarded, mine) as events:
        assert guarded.post(f"{path}/say?token={mine['token']}", {"text": "one two three four five six."}).ok
        kinds = [next(events)]
        while kinds[-1]["type"] != "interrupted":
            kinds.append(next(events))
    assert any(one.get("code") == "token_spent" for one in kinds)
    refused(guarded.post(f"{path}/say?token={mine['token']}", {"text": "one."}), 403, "token_spent")
    for one in (path, other):
        requests.delete(guarded.url + one, headers=key, timeout=30)


class guarded_events:
    """The events of a session while the block lasts."""

    def __init__(self, server: Server, session: dict[str, Any]) -> None:
        self._response = requests.get(server.url + session["events_url"], stream=True, timeout=60)

    def __enter__(self) -> Iterator[dict[str, Any]]:
        return events_of(self._response)

    def __exit__(self, *_: object) -> None:
        self._response.close()


def test_the_same_order_with_a_token_is_one_task(guarded: Server) -> None:
    token, body = make(guarded, seconds=2), {"text": "one", "avatar": "solo"}
    replies = [ask(guarded, "POST", LIPSYNC, token, body, **{"Idempotency-Key": "x"}).json() for _ in range(5)]
    assert len({one["task_id"] for one in replies}) == 1
    assert ask(guarded, "POST", LIPSYNC, make(guarded), body, **{"Idempotency-Key": "x"}).json() not in replies


def test_a_frame_holds_the_tag_and_only_allowed_sites_may_frame_it(guarded: Server) -> None:
    token = make(guarded, origin=SITE)
    query = f"?token={token}&mode=live&onload=alert(1)&text=%3Cb%3E&voice=%22%3E%3Cscript%3E&captions"
    answer = guarded.get(f"/embed/solo{query}", headers={"Accept-Language": "ko", "Referer": SITE})
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/html")
    policy = answer.headers["Content-Security-Policy"]
    assert f"frame-ancestors 'self' {SITE} {OTHER}" in policy and "script-src 'self' blob:;" in policy
    assert "X-Frame-Options" not in answer.headers
    tag = f'<talking-avatar server="{guarded.url}" avatar="solo" voice="&quot;&gt;&lt;script&gt;" token="{token}" '
    assert tag + 'captions="" mode="live">&lt;b&gt;</talking-avatar>' in answer.text
    assert "onload" not in answer.text and f'<script src="{guarded.url}/embed/v1.js" async>' in answer.text
    assert "<script>" not in guarded.get("/embed/%22%3E%3Cscript%3E").text
    # a frame is the server's own page, so its token works from there
    body = {"text": "one", "avatar": "solo"}
    assert ask(guarded, "POST", LIPSYNC, token, body, Origin=guarded.url).status_code == 200


def test_no_token_is_logged(guarded: Server) -> None:
    token = make(guarded)
    ask(guarded, "POST", LIPSYNC, token, {"text": "crash", "avatar": "solo"})
    guarded.get(f"/api/v2/tasks/{'0' * 32}/events?token={token}")
    wait_for(lambda: "Failed" in guarded.log)
    assert token not in guarded.log and SECRET not in guarded.log


# --- without a server


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    supervisor = Supervisor(TaskBook(tmp_path, 60), lambda job, last: None)
    return Tokens(Settings(api_keys=f"{KEY},second-key", token_secret=SECRET), supervisor, MemoryAccounts(), "")


GRANT = Grant("1", KEY, ENDPOINTS, "", "", "", 60.0, time.time() + 80_000)


def connection(token: str, in_address: bool = False) -> HTTPConnection:
    header = [] if in_address else [(b"authorization", f"Bearer {token}".encode())]
    query = f"token={token}".encode() if in_address else b""
    return HTTPConnection({"type": "http", "headers": header, "query_string": query, "scheme": "http", "path": "/"})


@pytest.mark.parametrize("in_address", [False, True])
def test_a_token_that_was_made_is_read(tokens: Tokens, in_address: bool) -> None:
    for grant in (GRANT, replace(GRANT, key="second-key", origin=SITE, avatar="민수", session="s", seconds=0.5)):
        read = tokens.granted(connection(tokens.make(grant), in_address))
        assert read == replace(grant, expires=int(grant.expires))


def forged(tokens: Tokens) -> dict[str, str]:
    """Return tokens that this server did not make, or that were changed."""
    claims = {"iss": ISSUER, "jti": "1", "iat": int(time.time()), "exp": int(time.time()) + 600}
    claims |= {"ends": list(ENDPOINTS), "site": "", "avatar": "", "session": "", "seconds": 60}
    good = tokens.make(GRANT)
    head, body, sign = good.split(".")
    signer = tokens._signer(KEY)
    elsewhere = Tokens(Settings(api_keys=KEY), tokens._supervisor, MemoryAccounts(), "another secret")
    return {
        "no algorithm": jwt.encode(claims, "", "none"),
        "another algorithm": jwt.encode(claims, signer * 2, "HS512"),
        "another secret": jwt.encode(claims, b"x" * 32, ALGORITHM),
        "another server": elsewhere.make(GRANT),
        "removed key": tokens.make(replace(GRANT, key="removed")),
        "another issuer": jwt.encode({**claims, "iss": "x"}, signer, ALGORITHM),
        "no issuer": jwt.encode({k: v for k, v in claims.items() if k != "iss"}, signer, ALGORITHM),
        "no end": jwt.encode({k: v for k, v in claims.items() if k != "exp"}, signer, ALGORITHM),
        "other body": f"{head}.{body[:-2]}AA.{sign}",
        "no signature": f"{head}.{body}.",
        "no body": f"{head}..{sign}",
        "rubbish": "a.b.c",
        "dots": "..",
        "signs": "é.é.é",
    }


def test_a_forged_token_is_refused(tokens: Tokens) -> None:
    for name, token in forged(tokens).items():
        with pytest.raises(TokenInvalid):
            tokens.granted(connection(token.encode("utf-8").decode("latin-1"), in_address=True))
            pytest.fail(name)


def test_an_expired_token_is_refused(tokens: Tokens) -> None:
    token = tokens.make(replace(GRANT, expires=time.time() - 1))
    with pytest.raises(TokenExpired) as late:
        tokens.allowed(connection(token), "lipsync")
    assert (late.value.status, late.value.code) == (401, "token_expired")


def test_what_is_no_token_is_a_missing_key(tokens: Tokens) -> None:
    for sent in ("", "wrong", "a.b", "a.b.c.d"):
        with pytest.raises(PipelineError) as refusal:
            tokens.allowed(connection(sent), "lipsync")
        assert refusal.value.code == "key_required"
    assert tokens.allowed(connection(KEY), "lipsync") is None


def test_a_short_secret_ends_the_start() -> None:
    with pytest.raises(ValueError, match="TOKEN_SECRET"):
        Settings.from_environment({"TOKEN_SECRET": "short"})
