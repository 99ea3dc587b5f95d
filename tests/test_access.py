"""The door of the server: names, web sites and proxies, in front of an application that returns what it was asked."""

from __future__ import annotations

import time
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from pipeline.server.access import KEY_COOKIE, KEY_COOKIE_SECONDS, guarded, key_of, path_of
from pipeline.settings import Settings

SITE, STRANGER = "https://example.com", "https://stranger.example"


async def _tell(request: Request) -> JSONResponse:
    headers = {name: value for name, value in request.headers.items() if name.startswith("x-") or name == "origin"}
    seen = {"url": str(request.url), "base": str(request.base_url), "path": path_of(request.scope), "headers": headers}
    return JSONResponse({**seen, "client": request.client and request.client.host})


async def _talk(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")


APP = Starlette(
    routes=[Route("/{path:path}", _tell, methods=["GET", "POST", "DELETE"]), WebSocketRoute("/{path:path}", _talk)]
)


def client(
    reached: str = "127.0.0.1:5000", peer: str = "203.0.113.9", scheme: str = "http", **settings: Any
) -> TestClient:
    """Return a client at the address PEER, which has REACHED the application behind the door by that name."""
    app = guarded(APP, Settings(**settings))
    return TestClient(app, base_url=f"{scheme}://{reached}", client=(peer, 50_000))


SENT = [
    # host, headers, whether it may have something done
    ("127.0.0.1:5000", {}, True),  # no browser
    ("127.0.0.1:5000", {"Origin": "http://127.0.0.1:5000"}, True),
    ("127.0.0.1:5000", {"Origin": "http://127.0.0.1:8000"}, False),
    ("127.0.0.1:5000", {"Origin": "http://127.0.0.1"}, False),
    ("127.0.0.1:5000", {"Origin": "http://localhost:5000"}, False),
    ("127.0.0.1:5000", {"Origin": STRANGER}, False),
    ("127.0.0.1:5000", {"Origin": SITE}, True),
    ("127.0.0.1:5000", {"Origin": SITE + ".evil.example"}, False),
    ("127.0.0.1:5000", {"Origin": "http://example.com"}, False),
    ("127.0.0.1:5000", {"Origin": "null"}, False),
    ("127.0.0.1:5000", {"Origin": "null", "Sec-Fetch-Site": "same-origin"}, False),
    ("127.0.0.1:5000", {"Origin": ""}, False),
    ("127.0.0.1:5000", {"Origin": "file://"}, False),
    ("127.0.0.1:5000", {"Sec-Fetch-Site": "same-origin", "Origin": "https://what.a.proxy.hides"}, True),
    ("127.0.0.1:5000", {"Sec-Fetch-Site": "none"}, True),
    ("127.0.0.1:5000", {"Sec-Fetch-Site": "same-site"}, False),
    ("127.0.0.1:5000", {"Sec-Fetch-Site": "cross-site"}, False),
    ("127.0.0.1:5000", {"Sec-Fetch-Site": "cross-site", "Origin": SITE}, True),
    ("127.0.0.1:5000", {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:5000"}, False),
    ("127.0.0.1:5000", {"Sec-Fetch-Site": "nonsense"}, False),
    ("[::1]:5000", {"Origin": "http://[::1]:5000"}, True),
    ("192.168.0.7", {"Origin": "http://192.168.0.7"}, True),
    ("192.168.0.7:80", {"Origin": "http://192.168.0.7"}, True),
    ("avatar.example", {"Origin": "https://avatar.example"}, True),  # a proxy speaks https
    ("avatar.example", {"Origin": "https://Avatar.Example:443"}, True),
    ("avatar.example", {"Origin": "https://avatar.example:8443"}, False),
    ("avatar.example", {"Origin": "https://evil.example"}, False),
]


@pytest.mark.parametrize(("host", "headers", "allowed"), SENT)
@pytest.mark.parametrize("path", ["/gradio_api/queue/join", "/api/avatars", "/", "/anything"])
def test_who_may_have_something_done(host: str, headers: dict[str, str], allowed: bool, path: str) -> None:
    door = client(host, allowed_origins=f"{SITE},", allowed_hosts="avatar.example, 192.168.0.7")
    for method in ("POST", "DELETE"):
        answer = door.request(method, path, headers=headers)
        assert answer.status_code == (200 if allowed else 403), method
        assert answer.headers.get("access-control-allow-origin") == (SITE if headers.get("Origin") == SITE else None)
    assert door.get(path, headers=headers).status_code == 200  # which no other site can read
    if allowed:
        with door.websocket_connect(path, headers={"Host": host, **headers}) as socket:
            assert socket.receive_text() == "hello"
    else:
        with pytest.raises(WebSocketDisconnect), door.websocket_connect(path, headers={"Host": host, **headers}):
            pass


def test_two_origins_are_a_stranger() -> None:
    for number in range(8):  # of which one is a set's first, as chance will have it
        origins = [("Origin", "http://127.0.0.1:5000"), ("Origin", f"https://stranger{number}.example")]
        for headers in (origins, origins[::-1]):
            assert client().post("/", headers=headers).status_code == 403


def test_https_takes_no_page_of_http_for_its_own() -> None:
    for origin, status in (("http://127.0.0.1:5000", 403), ("https://127.0.0.1:5000", 200)):
        assert client(scheme="https").post("/", headers={"Origin": origin}).status_code == status


NAMES = [
    # host, whether it is known by itself, with ALLOWED_HOSTS=avatar.example,*.example.org:80, and with keys
    ("localhost:5000", True, True, True),
    ("LOCALHOST", True, True, True),
    ("avatar.localhost", True, True, True),
    ("127.0.0.1", True, True, True),
    ("127.8.8.8", True, True, True),
    ("[::1]:5000", True, True, True),
    ("listens.example", True, True, True),
    ("avatar.example", False, True, True),
    ("Avatar.Example.:8080", False, True, True),
    ("a.example.org", False, True, True),
    ("a.b.example.org", False, True, True),
    ("example.org", False, False, True),
    ("evil.example", False, False, True),
    ("evil-avatar.example", False, False, True),
    ("avatar.example.evil.example", False, False, True),
    ("localhost.evil.example", False, False, True),
    ("127.0.0.1.evil.example", False, False, True),
    ("192.168.0.7:5000", True, False, True),
    ("compose-service:5000", True, False, True),
    ("somebody-avatar.hf.space", True, True, True),
]


@pytest.mark.parametrize(("host", "guessed", "listed", "locked"), NAMES)
def test_names(host: str, guessed: bool, listed: bool, locked: bool) -> None:
    own = {"host": "listens.example", "space_host": "somebody-avatar.hf.space"}
    hosts = "avatar.example, *.example.org:80"
    for known, settings in (
        (guessed, {}),
        (listed, {"allowed_hosts": hosts}),
        (listed, {"allowed_hosts": hosts, "api_keys": "k"}),
        (guessed, {"api_keys": "k", "page": "open"}),
        (True, {"allowed_hosts": "*"}),
    ):
        for headers in (
            {},
            {"Origin": f"http://{host}"},
            {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"},
        ):
            door = client("x", **own, **settings)
            for answer in (
                door.get("/api/avatars", headers={"Host": host, **headers}),
                door.post("/api/avatars", headers={"Host": host, **headers}),
            ):
                assert answer.status_code == (200 if known else 403), (settings, headers)
                assert known or "ALLOWED_HOSTS" in answer.json()["error"]
    door = client("x", **own, api_keys="k")
    assert (door.get("/", headers={"Host": host, "Authorization": "Bearer k"}).status_code == 200) is locked


def test_a_name_that_is_none_is_refused_where_names_are_listed() -> None:
    for host in ("", "[", "a b", "::::", "@", "[::1"):
        assert client("x", allowed_hosts="avatar.example").get("/", headers={"Host": host}).status_code == 403


PROXY = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "avatar.example, inner"}


def test_a_trusted_proxy_is_believed() -> None:
    door = client("inner:5000", peer="127.0.0.1", allowed_hosts="avatar.example")
    seen = door.get("/api/x?y=1", headers={**PROXY, "X-Forwarded-Prefix": "/avatar/"}).json()
    assert seen["url"] == "https://avatar.example/avatar/api/x?y=1" and seen["base"] == "https://avatar.example/avatar/"
    assert seen["path"] == "/api/x" and seen["client"] == "198.51.100.7"
    assert [name for name in seen["headers"] if name != "x-forwarded-for"] == []
    ours, theirs = "https://avatar.example", "https://inner:5000"
    for origin, status in ((ours, 200), (theirs, 403)):
        assert door.post("/", headers={**PROXY, "Origin": origin}).status_code == status
    door = client("inner", peer="10.1.2.3", forwarded_allow_ips="10.0.0.0/8", allowed_hosts="avatar.example")
    assert door.get("/", headers=PROXY).json()["url"] == "https://avatar.example/"


def test_anybody_else_is_not() -> None:
    door = client("127.0.0.1:5000", forwarded_allow_ips="10.0.0.1")
    sent = {**PROXY, "X-Forwarded-Prefix": "/evil", "X-Gradio-Server": "https://evil.example"}
    seen = door.get("/api/x", headers=sent).json()
    assert seen["url"] == "http://127.0.0.1:5000/api/x" and seen["client"] == "203.0.113.9"
    assert [name for name in seen["headers"] if name != "x-forwarded-for"] == []
    assert door.post("/", headers={**PROXY, "Origin": "https://avatar.example"}).status_code == 403


@pytest.mark.parametrize("prefix", ["avatar", "//evil.example", "/a b", "/<script>", "/a\\b", "/", ""])
def test_a_prefix_that_is_none_is_passed_over(prefix: str) -> None:
    seen = client(peer="127.0.0.1").get("/api/x", headers={"X-Forwarded-Prefix": prefix}).json()
    assert seen["url"] == "http://127.0.0.1:5000/api/x"


@pytest.mark.parametrize("root", ["/avatar", "/avatar/", "https://127.0.0.1/avatar"])
@pytest.mark.parametrize("path", ["/api/x", "/avatar/api/x"])
def test_a_prefix_is_there_once_whether_it_was_stripped_or_not(root: str, path: str) -> None:
    seen = client("127.0.0.1", root_path=root).get(path).json()
    assert (seen["url"], seen["path"]) == ("http://127.0.0.1/avatar/api/x", "/api/x")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALLOWED_ORIGINS", "example.com"),
        ("ALLOWED_ORIGINS", "https://example.com/"),
        ("ALLOWED_ORIGINS", "https://ok.example, *"),
        ("ALLOWED_ORIGINS", "https://*.example.com"),
        ("PAGE", "closed"),
        ("REST_AVATARS", "mine"),
        ("GRADIO_ROOT_PATH", "avatar"),
        ("GRADIO_ROOT_PATH", "/a b"),
    ],
)
def test_what_cannot_be_meant_ends_the_start(variable: str, value: str) -> None:
    with pytest.raises(ValueError, match=variable):
        Settings.from_environment({variable: value})


def test_the_pages_cookie_ends_with_its_time_and_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(key: str) -> bool:
        return key_of(Headers({"cookie": f"{KEY_COOKIE}={made}"}), [key]) == key

    now, later = time.time(), 0
    monkeypatch.setattr(time, "time", lambda: now + later)
    with client(api_keys="secret") as door:
        made = door.post("/key", data={"key": "secret"}, follow_redirects=False).cookies[KEY_COOKIE]
    for seconds, valid in ((0, True), (KEY_COOKIE_SECONDS - 60, True), (KEY_COOKIE_SECONDS + 60, False)):
        later = seconds
        assert taken("secret") is valid and not taken("another")
