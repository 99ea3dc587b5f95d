"""Whose avatars are whose: by key, by cookie, and for all visitors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import requests
from gradio_client import Client

from tests.fakes import make_pack
from tests.servers import Server, events_of, running

KEYS = {"A": "key-of-a", "B": "key-of-b"}
SHIPPED = {"solo_720p", "solo_480p", "duet_720p"}


def made(server: Server, clip: bytes, name: str, client: requests.Session) -> None:
    form = {"consent": "true", "resolutions": "360p", "name": name}
    url = f"{server.url}/api/avatars"
    with client.post(url, data=form, files={"file": ("me.mp4", clip)}, stream=True, timeout=120) as answer:
        assert list(events_of(answer))[-1]["type"] == "done"


def listed(server: Server, client: requests.Session) -> set[str]:
    ids = {one["id"] for one in client.get(f"{server.url}/api/avatars", timeout=30).json()["avatars"]}
    assert ids == set(client.get(f"{server.url}/api/v2/status", timeout=30).json()["available_avatars"])
    return ids


def reached(server: Server, client: requests.Session, name: str) -> dict[str, int]:
    """Return what CLIENT is answered that has the avatar NAME speak, shows it, and (last) deletes it."""
    body = {"text": "one", "resolution": "360p"}
    path = f"precomputed/360p/{name}_360p_precomputed.pkl"
    tried = {
        "name": client.post(f"{server.url}/api/v2/lipsync", json={**body, "avatar": name}, timeout=60),
        "path": client.post(f"{server.url}/api/v2/lipsync", json={**body, "avatar_path": path}, timeout=60),
        "idle": client.get(f"{server.url}/assets/idle/{name}_360p.mp4", timeout=30),
        "delete": client.delete(f"{server.url}/api/avatars/{name}", timeout=30),
    }
    for answer in tried.values():
        assert answer.ok or name not in answer.text.replace(f"'{name}'", "").replace(path, ""), "others are not listed"
    return {what: answer.status_code for what, answer in tried.items()}


ALL = {"name": 200, "path": 200, "idle": 200, "delete": 200}
NONE = {"name": 404, "path": 404, "idle": 404, "delete": 404}


def with_key(key: str) -> requests.Session:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {key}"
    return session


@pytest.fixture
def store(fake_packs: Path, tmp_path: Path) -> Path:
    """Avatars that ship, and one that was uploaded before owners were kept."""
    shipped = shutil.ignore_patterns("uploads", "second*")  # other tests make avatars there
    store = Path(shutil.copytree(fake_packs, tmp_path / "precomputed", ignore=shipped))
    make_pack(store, "early", "360p")
    (store / "uploads").mkdir(exist_ok=True)
    (store / "uploads" / "early.json").write_text("{}")
    return store


@pytest.mark.slow
def test_with_keys_an_avatar_belongs_to_the_key_that_made_it(store: Path, tmp_path: Path, clip: bytes) -> None:
    command = ["-m", "tests.fakes", str(store)]
    a, b = (with_key(key) for key in KEYS.values())
    with running(command, tmp_path, FAKE_PREPARING="1", API_KEYS=",".join(KEYS.values())) as server:
        made(server, clip, "민수", a)
        assert listed(server, a) == SHIPPED | {"early_360p", "민수_360p"}
        assert listed(server, b) == SHIPPED | {"early_360p"}
        assert reached(server, b, "민수") == NONE
        assert server.get("/assets/idle/민수_360p.mp4").status_code == 404  # a stranger, who has the name alone
        page = requests.Session()
        page.post(f"{server.url}/key", data={"key": KEYS["A"]}, timeout=30)
        assert page.get(f"{server.url}/assets/idle/민수_360p.mp4", timeout=30).status_code == 200
        for key, fails in ((KEYS["A"], False), (KEYS["B"], True)):
            client = Client(server.url, headers={"Authorization": f"Bearer {key}"}, verbose=False, download_files=False)
            job = client.submit(text="one", avatar="민수", resolution="360p", api_name="/generate")
            assert (job.exception(60) is not None) is fails
            client.close()
    note = json.loads((store / "uploads" / "민수.json").read_text("utf-8"))
    assert len(note["owner"]) == 32 and not any(key in note["owner"] for key in KEYS.values())
    with running(command, tmp_path, API_KEYS=KEYS["A"]) as server:  # after a restart it is still theirs
        assert reached(server, a, "민수") == ALL


@pytest.mark.slow
def test_without_keys_rest_may_be_closed(store: Path, tmp_path: Path, clip: bytes) -> None:
    with running(["-m", "tests.fakes", str(store)], tmp_path, FAKE_PREPARING="1", REST_AVATARS="own") as server:
        own, stranger = requests.Session(), requests.Session()
        made(server, clip, "민수", own)
        assert listed(server, own) == SHIPPED | {"민수_360p"} and listed(server, stranger) == SHIPPED
        mine = own.cookies["avatar_visitor"]
        assert mine
        for cookie in (None, "0" * 32, mine[:-1], mine + "0", "x;y"):
            stranger.headers["Cookie"] = f"avatar_visitor={cookie}"
            assert reached(server, stranger, "민수") == NONE, cookie
        assert reached(server, own, "early") == NONE
        assert reached(server, own, "민수") == ALL


def gallery(server: Server, visitor: requests.Session) -> dict[str, Any]:
    """Return what the page shows VISITOR to choose from, when it is loaded."""
    config = visitor.get(f"{server.url}/config", timeout=30).json()
    number = next(one["id"] for one in config["dependencies"] if one["api_name"] == "gallery")
    avatar = next(one["props"] for one in config["components"] if one["props"].get("elem_id") == "avatar")
    assert avatar["value"] == "duet"  # whatever was uploaded
    asked = {"data": ["민수"], "fn_index": number, "session_hash": "s", "trigger_id": None, "event_data": None}
    answer = visitor.post(f"{server.url}/gradio_api/run/predict", json=asked, timeout=60).json()
    shown: dict[str, Any] = answer["data"][0]
    return shown


@pytest.mark.slow
def test_without_keys_the_page_shows_only_ones_own(store: Path, tmp_path: Path, clip: bytes) -> None:
    command = ["-m", "tests.fakes", str(store)]
    own, stranger = requests.Session(), requests.Session()
    with running(command, tmp_path, FAKE_PREPARING="1") as server:
        for visitor in (own, stranger):
            cookie = visitor.get(server.url, timeout=30).headers["Set-Cookie"].lower()
            assert "avatar_visitor=" in cookie and "httponly" in cookie and "samesite=lax" in cookie
        assert own.cookies["avatar_visitor"] != stranger.cookies["avatar_visitor"]
        made(server, clip, "민수", own)
        assert [one["name"] for one in gallery(server, own)["avatars"]] == ["민수", "duet", "solo"]  # own ones first
    with running(command, tmp_path, FAKE_PREPARING="1") as server:
        assert gallery(server, own)["chosen"] == "민수"
        shown = gallery(server, stranger)
        assert [one["name"] for one in shown["avatars"]] == ["duet", "solo"] and shown["chosen"] == "duet"
        client = Client(server.url, verbose=False, download_files=False)
        job = client.submit(text="one", avatar="민수", resolution="360p", api_name="/generate")
        assert "민수" not in str(job.exception(60)).replace("'민수'", "", 1)
        client.close()
        rest = requests.Session()
        made(server, clip, "영희", rest)  # nobody's
        assert listed(server, rest) == SHIPPED | {"early_360p", "민수_360p", "영희_360p"} and not rest.cookies
        assert [one["name"] for one in gallery(server, own)["avatars"]] == ["민수", "duet", "solo"]
        assert reached(server, rest, "민수") == reached(server, stranger, "영희") == ALL
        assert gallery(server, own)["chosen"] == "duet"
