"""Who may use REST: keys, web sites, and what is told to nobody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from gradio_client import Client

from pipeline.errors import NotAllowed
from pipeline.server.access import check_key
from tests.conftest import Server, running

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
    ("GET", "/metrics"),
)


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
    assert answer.json().keys() == {"success", "error"} and "Authorization" in answer.json()["error"]


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_with_any_of_the_keys_everything_works(guarded: Server, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    reply = guarded.post("/api/v2/lipsync", QUICK, headers=headers).json()
    assert reply["success"] is True
    for method, path in GUARDED:
        answer = requests.request(method, guarded.url + path, json=QUICK, headers=headers, timeout=60)
        assert answer.status_code in (200, 404), path
    assert guarded.get(reply["video_url"]).status_code == 200  # nobody can guess its name


def test_the_page_stays_open(guarded: Server) -> None:
    assert guarded.get("/").status_code == 200
    client = Client(guarded.url, verbose=False, download_files=False)
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


def test_results_are_not_listed(guarded: Server) -> None:
    for path in ("/video", "/video/", "/assets/audio", "/assets/audio/", "/video/*.mp4", "/video/.mp4"):
        assert guarded.get(path).status_code in (404, 405), path


def test_the_log_tells_each_stage_with_its_task_and_no_secrets(guarded: Server) -> None:
    before = len(guarded.log)
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "secret-order"}
    with requests.post(
        guarded.url + "/api/v2/lipsync/stream", json=QUICK, headers=headers, stream=True, timeout=60
    ) as response:
        task_id = response.text.split('"task_id": "')[1][:32]
    lines: list[str] = []
    while not any(" ends" in line for line in lines):  # the answer is whole a moment before its slot is free
        time.sleep(0.02)
        lines = [line for line in guarded.log[before:].splitlines() if task_id in line]
    assert [line.split()[2].rstrip(":") for line in lines] == ["waits", "starts", "TtsStarted", "is", "Lipsync", "ends"]
    requests.post(guarded.url + "/api/v2/lipsync", json={**QUICK, "text": "dropped Zebra"}, headers=headers, timeout=60)
    for secret in ("Zebra", KEY, OTHER, "secret-order"):
        assert secret not in guarded.log
