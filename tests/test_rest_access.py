"""Access to REST: keys, web sites, and what stays secret."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from gradio_client import Client
from itsdangerous import TimestampSigner

from pipeline.errors import NotAllowed
from pipeline.server.access import check_key
from pipeline.server.serve import CannotServe, check_address
from pipeline.settings import Settings
from tests.servers import Server, free_port, running, wait_for

QUICK = {"text": "Zebra crossing", "avatar": "solo"}
KEY, OTHER = "first-key", "second-key"
SITE, STRANGER = "https://example.com", "https://stranger.example"
HOST = "avatar.example:5000"
"""A name other than localhost, by which Gradio itself lets every site read every answer."""
GUARDED = (
    ("GET", "/api/v2/status"),
    ("POST", "/api/v2/lipsync"),
    ("POST", "/api/v2/lipsync/stream"),
    ("GET", "/api/v2/tasks/" + "0" * 32),
    ("GET", "/api/v2/tasks/" + "0" * 32 + "/events"),
    ("GET", "/api/avatars"),
    ("GET", "/api/queue_status"),
    ("POST", "/api/cancel/" + "0" * 32),
    ("GET", "/api/openapi.json"),
    ("GET", "/openapi.json"),
    ("GET", "/api/asyncapi.json"),
    ("GET", "/metrics"),
)
GRADIOS_READ = ("/", "/config", "/gradio_api/info", "/gradio_api/openapi.json", "/theme.css", "/gradio_api/app_id")
GRADIOS = (
    ("POST", "/gradio_api/upload"),
    ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/run/predict"),
    ("POST", "/gradio_api/run/generate"),
    ("POST", "/gradio_api/call/generate"),
    ("POST", "/gradio_api/call/rest"),
    ("POST", "/gradio_api/cancel"),
    ("POST", "/gradio_api/reset"),
    ("POST", "/gradio_api/component_server"),
)
"""What Gradio itself answers."""
READABLE = ("access-control-allow-origin", "access-control-allow-credentials")
"""Headers by which a browser lets another site read an answer."""


@pytest.fixture(scope="module")
def guarded(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("guarded")
    command = ["-m", "tests.fakes", str(fake_packs)]
    with running(command, folder, API_KEYS=f"{KEY}, {OTHER},", ALLOWED_ORIGINS=f"{SITE},") as s:
        yield s


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize(
    "sent", [None, "", KEY, f"Basic {KEY}", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}"]
)
def test_without_a_key_nothing_is_answered(guarded: Server, method: str, path: str, sent: str | None) -> None:
    headers = {} if sent is None else {"Authorization": sent}
    answer = requests.request(method, guarded.url + path, json=QUICK, headers=headers, timeout=30)
    assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json().keys() == {"success", "error", "code"} and "Authorization" in answer.json()["error"]


@pytest.mark.slow
@pytest.mark.parametrize("key", [KEY, OTHER])
def test_with_any_of_the_keys_everything_works(guarded: Server, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    reply = guarded.post("/api/v2/lipsync", QUICK, headers=headers).json()
    assert reply["success"] is True
    for method, path in GUARDED:
        answer = requests.request(method, guarded.url + path, json=QUICK, headers=headers, timeout=60)
        assert answer.status_code in (200, 404), path
    assert guarded.get(reply["video_url"]).status_code == 200  # its name cannot be guessed


def test_the_page_asks_for_a_key_once(guarded: Server) -> None:
    with requests.Session() as visitor:
        asked = visitor.get(guarded.url, headers={"Accept": "text/html", "Accept-Language": "ko"}, timeout=30)
        assert asked.status_code == 401 and "API 키를 입력하세요" in asked.text and "gradio" not in asked.text
        for wrong in ("", "wrong", KEY[:-1], KEY + "x", "k" * 10_000):
            again = visitor.post(
                guarded.url + "/key", data={"key": wrong}, headers={"Accept-Language": "en"}, timeout=30
            )
            assert again.status_code == 401 and "That key is not valid." in again.text and not visitor.cookies
        entered = visitor.post(guarded.url + "/key", data={"key": f" {OTHER} "}, timeout=30, allow_redirects=False)
        assert (entered.status_code, entered.headers["Location"]) == (303, "/")
        attributes = entered.headers["Set-Cookie"].lower()
        assert all(one in attributes for one in ("httponly", "samesite=lax", "path=/", "max-age="))
        assert OTHER not in attributes and "secure" not in attributes  # it is http
        page = visitor.get(guarded.url, headers={"Accept": "text/html"}, timeout=30)
        assert page.status_code == 200 and "gradio" in page.text
        for path in (*GRADIOS_READ, "/api/avatars"):
            assert visitor.get(guarded.url + path, timeout=30).status_code == 200, path


@pytest.mark.parametrize("path", GRADIOS_READ)
def test_without_a_key_gradio_reports_nothing(guarded: Server, path: str) -> None:
    signed = TimestampSigner("another-key", salt="the page's cookie").sign("page").decode()
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Cookie": f"avatar_key={signed}"},
        {"Cookie": "avatar_key=page"},
        {"Cookie": "avatar_key"},
        {"Cookie": "avatar_key=\xff.\xff.\xff"},
    ):
        answer = guarded.get(path, headers=headers)
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer", (path, headers)
        assert answer.json().keys() == {"success", "error", "code"}
    assert guarded.get(path, headers={"Authorization": f"Bearer {KEY}"}).status_code == 200


@pytest.mark.parametrize(("method", "path"), GRADIOS)
def test_without_a_key_gradio_does_nothing(guarded: Server, method: str, path: str) -> None:
    answer = requests.request(method, guarded.url + path, json={}, timeout=30)
    assert answer.status_code == 401, path


@pytest.mark.slow
def test_gradio_client_brings_its_key_in_a_header(guarded: Server) -> None:
    with pytest.raises(Exception, match="credentials"):
        Client(guarded.url, verbose=False)
    headers = {"Authorization": f"Bearer {KEY}"}
    client = Client(guarded.url, headers=headers, verbose=False)
    video, done, _ = client.predict(text="one", avatar="solo", api_name="/generate")
    assert done["type"] == "done" and Path(video["video"] if isinstance(video, dict) else video).stat().st_size > 1000
    client.close()


@pytest.mark.slow
def test_the_page_may_stay_open(fake_packs: Path, tmp_path: Path) -> None:
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, API_KEYS=KEY, PAGE="open") as server:
        assert server.get("/").status_code == 200 and server.get("/api/avatars").status_code == 401
        assert server.get("/openapi.json").status_code == 401
        client = Client(server.url, verbose=False, download_files=False)
        assert client.predict(text="one", avatar="solo", api_name="/generate")[1]["type"] == "done"
        client.close()


def test_the_description_names_the_key(guarded: Server) -> None:
    described = guarded.get("/api/openapi.json", headers={"Authorization": f"Bearer {KEY}"}).json()
    assert described["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert "401" in described["paths"]["/api/v2/lipsync"]["post"]["responses"]
    assert "401" not in described["paths"]["/video/{task_id}.mp4"]["get"]["responses"]


def test_keys_of_any_script_are_compared_without_a_fault() -> None:
    check_key(None, [])
    sent = "열쇠".encode().decode("latin-1")  # what a header is read as
    check_key(f"bearer {sent}", ["다른", "열쇠"])
    for wrong in ("Bearer \xff", "Bearer ", sent, f"Bearer{sent}"):
        with pytest.raises(NotAllowed):
            check_key(wrong, ["열쇠"])


@pytest.mark.parametrize("host", [None, HOST])
def test_only_allowed_sites_may_read_answers(guarded: Server, host: str | None) -> None:
    named = {"Host": host} if host else {}
    for method, path in (*GUARDED, ("GET", "/video/" + "0" * 32 + ".mp4"), ("GET", "/api/nothing")):
        for origin in (SITE, STRANGER, "null"):
            headers = {**named, "Origin": origin, "Authorization": f"Bearer {KEY}"}
            answer = requests.request(method, guarded.url + path, json={}, headers=headers, timeout=30)
            allowed = answer.headers.get("Access-Control-Allow-Origin")
            assert allowed == (SITE if origin == SITE else None), (path, origin)
            assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("host", [None, HOST])
def test_only_allowed_sites_may_ask(guarded: Server, host: str | None) -> None:
    for origin in (SITE, STRANGER, "null"):
        headers = {
            **({"Host": host} if host else {}),
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
        }
        answer = requests.options(guarded.url + "/api/v2/lipsync/stream", headers=headers, timeout=30)
        assert answer.headers.get("Access-Control-Allow-Origin") == (SITE if origin == SITE else None)
        assert answer.ok == (origin == SITE)


def test_no_site_is_allowed_unless_one_is_named(fake_server: Server) -> None:
    for host in (f"127.0.0.1:{fake_server.port}", HOST):
        answer = fake_server.get("/api/avatars", headers={"Host": host, "Origin": SITE})
        assert answer.status_code == 200 and "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("host", [None, HOST])
@pytest.mark.parametrize(("method", "path"), GRADIOS)
def test_no_other_site_drives_the_page(
    fake_server: Server, guarded: Server, host: str | None, method: str, path: str
) -> None:
    named = {"Host": host} if host else {}
    for server, key in ((fake_server, {}), (guarded, {"Authorization": f"Bearer {KEY}"})):
        for strange in (
            {"Origin": STRANGER},
            {"Origin": "null"},
            {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
            {"Origin": STRANGER, "Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Origin": f"http://127.0.0.1:{server.port + 1}"},
        ):
            asked = {**named, **strange, "Access-Control-Request-Method": method}
            preflight = requests.options(server.url + path, headers=asked, timeout=30)
            answer = requests.request(
                method, server.url + path, json={}, headers={**named, **key, **strange}, timeout=30
            )
            assert answer.status_code == 403 and "ALLOWED_ORIGINS" in answer.json()["error"], strange
            for one in (preflight, answer):
                assert not [name for name in one.headers if name.lower() in READABLE], (strange, one.headers)
    answer = requests.request(method, guarded.url + path, json={}, headers={**named, **key, "Origin": SITE}, timeout=30)
    assert answer.status_code != 403 and answer.headers["Access-Control-Allow-Origin"] == SITE


@pytest.mark.parametrize("host", [None, HOST])
@pytest.mark.parametrize("path", [*GRADIOS_READ, "/assets/idle/solo_720p.mp4"])
def test_no_other_site_reads_the_page(fake_server: Server, host: str | None, path: str) -> None:
    answer = fake_server.get(path, headers={"Origin": STRANGER, **({"Host": host} if host else {})})
    assert answer.status_code == 200 and not [name for name in answer.headers if name.lower() in READABLE]


def test_what_another_site_sends_blindly_is_refused(guarded: Server) -> None:
    for origin, site, allowed in (
        (STRANGER, "cross-site", False),
        ("null", "cross-site", False),
        (SITE, "cross-site", True),
        (STRANGER, "same-origin", True),  # what a proxy calls the server is not what the browser calls it
    ):
        headers = {"Origin": origin, "Sec-Fetch-Site": site, "Authorization": f"Bearer {KEY}"}
        for method, path in (("POST", "/api/v2/lipsync"), ("POST", "/api/avatars"), ("DELETE", "/api/avatars/nobody")):
            answer = requests.request(method, guarded.url + path, json={}, headers=headers, timeout=30)
            assert (answer.status_code == 403) is not allowed, (origin, site, path)
            assert answer.json()["success"] is False and ("ALLOWED_ORIGINS" in answer.json()["error"]) is not allowed
        answer = requests.get(guarded.url + "/api/avatars", headers=headers, timeout=30)
        assert answer.status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("host", ["::1", "[::1]", "::"])
def test_it_listens_where_ipv6_addresses_say(fake_packs: Path, tmp_path: Path, host: str) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, GRADIO_SERVER_NAME=host) as server:
        server.url = f"http://[::1]:{server.port}"
        assert server.get("/").status_code == 200
        assert f'"root":"{server.url}"' in server.get("/config").text
        assert server.post("/api/v2/lipsync", QUICK, headers={"Origin": server.url}).json()["success"] is True
        assert server.post("/api/v2/lipsync", QUICK, headers={"Origin": STRANGER}).status_code == 403


@pytest.mark.parametrize("host", ["::1:5000", "2001:db8::1", "nowhere.invalid", "::ffff:256.0.0.1"])
def test_where_it_cannot_listen_it_states_so_in_one_sentence(host: str) -> None:
    with pytest.raises(CannotServe, match="Cannot listen on"):
        check_address(Settings(host=host, port=free_port()))


def test_results_are_not_listed(guarded: Server) -> None:
    for path in ("/video", "/video/", "/assets/audio", "/assets/audio/", "/video/*.mp4", "/video/.mp4"):
        assert guarded.get(path).status_code in (404, 405), path


@pytest.mark.slow
def test_the_log_reports_each_stage_with_its_task_and_no_secrets(guarded: Server) -> None:
    before = len(guarded.log)
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "secret-order"}
    with requests.post(
        guarded.url + "/api/v2/lipsync/stream", json=QUICK, headers=headers, stream=True, timeout=60
    ) as response:
        task_id = response.text.split('"task_id": "')[1][:32]

    def lines_of() -> list[str]:
        return [line for line in guarded.log[before:].splitlines() if task_id in line]

    wait_for(lambda: any(" ends" in line for line in lines_of()))
    lines = lines_of()
    assert [line.split()[2].rstrip(":") for line in lines] == ["waits", "starts", "TtsStarted", "is", "Lipsync", "ends"]
    requests.post(guarded.url + "/api/v2/lipsync", json={**QUICK, "text": "dropped Zebra"}, headers=headers, timeout=60)
    for secret in ("Zebra", KEY, OTHER, "secret-order"):
        assert secret not in guarded.log


def test_a_key_that_another_client_uses_too_is_another_task(guarded: Server) -> None:
    def task_of(key: str) -> str:
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "order-1"}
        return str(guarded.post("/api/v2/lipsync", QUICK, headers=headers).json()["task_id"])

    assert task_of(KEY) == task_of(KEY) != task_of(OTHER)
