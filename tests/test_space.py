"""As a Hugging Face Space starts it: by its environment, at the Space's own address and port."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest
import requests

from pipeline.settings import ROOT, Settings
from tests.servers import Server, running

SPACE = {
    "SYSTEM": "spaces",
    "SPACE_ID": "somebody/avatar",
    "SPACE_HOST": "somebody-avatar.hf.space",
    "GRADIO_SERVER_NAME": "0.0.0.0",
    "GRADIO_SSR_MODE": "True",
}
DOCUMENTED = ("/api/v2/status", "/api/avatars", "/api/queue_status", "/api/openapi.json", "/metrics")


def test_the_front_matter_names_what_is_there() -> None:
    front = (ROOT / "README.md").read_text("utf-8").split("---\n")[1]
    card = dict(re.findall(r"^(\w+): \"?([^\"\n]+)\"?$", front, re.MULTILINE))
    assert (ROOT / card["app_file"]).is_file() and card["sdk"] == "gradio" and card["python_version"] == "3.11"
    pinned = re.search(r"^gradio>=(\d+\.\d+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned is not None and card["sdk_version"].startswith(f"{pinned[1]}.")
    assert 10 <= len(card["short_description"]) <= 60  # a Space refuses a longer one


def test_a_space_finds_the_server_at_its_port() -> None:
    assert Settings.from_environment({"SYSTEM": "spaces"}).port == 7860
    assert Settings.from_environment({"SYSTEM": "spaces"}).host == "0.0.0.0"
    assert Settings.from_environment({"SYSTEM": "spaces", "GRADIO_SERVER_PORT": "7000"}).port == 7000
    assert Settings.from_environment({}) == Settings()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The program as a Space starts it."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 7860)) == 0:
            pytest.skip("port 7860 is taken")
    with running(["app.py"], tmp_path_factory.mktemp("space"), **SPACE, GRADIO_SERVER_PORT="7860") as started:
        started.url = "http://127.0.0.1:7860"
        yield started


@pytest.mark.slow
def test_a_space_serves_the_page_through_its_proxy(server: Server) -> None:
    page = server.get("/", headers={"Host": SPACE["SPACE_HOST"], "X-Forwarded-Proto": "https"})
    assert page.status_code == 200 and "gradio" in page.text


@pytest.mark.slow
def test_a_space_serves_rest(server: Server) -> None:
    for path in DOCUMENTED:  # and not a page of Gradio's own front, which a Space would put before it
        answer = server.get(path)
        assert answer.status_code == 200 and "<html" not in answer.text, path
    assert server.get("/api/v2/status").json()["status"] == "ok"
    body = {"text": "안녕", "avatar": "talk_long", "resolution": "360p"}
    done = server.events(body)[-1]
    assert done["type"] == "done"
    assert requests.get(server.url + done["video_url"], timeout=30).content[4:8] == b"ftyp"
    assert server.post("/api/v2/lipsync", body).json()["success"] is True
