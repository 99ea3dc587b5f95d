"""As a Hugging Face Space starts it: told so by its environment, at the Space's own address."""

from __future__ import annotations

import re

import pytest
import requests

from pipeline.settings import ROOT
from tests.conftest import running


def test_the_front_matter_names_what_is_there() -> None:
    front = (ROOT / "README.md").read_text("utf-8").split("---\n")[1]
    told = dict(re.findall(r"^(\w+): \"?([^\"\n]+)\"?$", front, re.MULTILINE))
    assert (ROOT / told["app_file"]).is_file() and told["sdk"] == "gradio" and told["python_version"] == "3.11"
    pinned = re.search(r"^gradio>=(\d+\.\d+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned is not None and told["sdk_version"].startswith(f"{pinned[1]}.")
    assert (ROOT / "packages.txt").read_text().split() == ["libgl1", "libglib2.0-0"]


@pytest.mark.slow
def test_a_space_serves_page_and_rest(tmp_path_factory: pytest.TempPathFactory) -> None:
    spaces = {
        "SYSTEM": "spaces",
        "SPACE_ID": "somebody/avatar",
        "SPACE_HOST": "somebody-avatar.hf.space",
        "GRADIO_SERVER_NAME": "0.0.0.0",
        "GRADIO_SSR_MODE": "True",
    }
    with running(["app.py"], tmp_path_factory.mktemp("space"), **spaces) as server:
        page = server.get("/", headers={"Host": spaces["SPACE_HOST"], "X-Forwarded-Proto": "https"})
        assert page.status_code == 200 and "gradio" in page.text
        assert server.get("/api/v2/status").json()["status"] == "ok"  # and not a page of Gradio's own front
        body = {"text": "안녕", "avatar": "talk_long", "resolution": "360p"}
        done = server.events(body)[-1]
        assert done["type"] == "done"
        assert requests.get(server.url + done["video_url"], timeout=30).content[4:8] == b"ftyp"
