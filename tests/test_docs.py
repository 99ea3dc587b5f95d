"""What the documents say is so: settings, endpoints, commands and links."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from pipeline.preparing.file_kinds import PICTURES, VIDEOS
from pipeline.preparing.prepare import main as prepare_main
from pipeline.settings import ROOT, Settings
from tests.footage import first_second
from tests.servers import Server, running, wait_for
from tests.stub_openai import OpenAIStub
from tests.voices import quiet, speak, spoken

PAGES = [
    *(ROOT / name for name in ("README.md", "README.ko.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("**/*.md")),
]
LANGUAGES = ("docs", "docs/ko")
TRANSLATED = [
    (ROOT / "README.md", ROOT / "README.ko.md"),
    *((page, page.parent / "ko" / page.name) for page in sorted((ROOT / "docs").glob("*.md"))),
]
"""Each page in English, and in Korean."""
OTHERS_SETTINGS = {"SYSTEM", "NUMBA_CACHE_DIR", "HF_ENDPOINT", "HF_HUB_OFFLINE", "OMP_NUM_THREADS"}
BODY = {"text": "안녕하세요.", "avatar": "talk_long", "resolution": "360p"}
CODE = {".py", ".typed", ".md", ".txt", ".js", ".css", ".html", ".sh"}
ADDRESS = "http://localhost:5000"


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of code in PAGE that are marked as LANGUAGE."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return what a link can name in PAGE after "#", as GitHub makes it of headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: there is no {target}"
        assert target.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(target), f"{link}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_lines_are_short(page: Path) -> None:
    code = False
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        code ^= line.lstrip().startswith("```")
        # a table's row cannot be broken, neither can an event or an address
        assert len(line) <= 120 or code or line.startswith("|") or "](" in line, f"line {number}"


@pytest.mark.parametrize("folder", LANGUAGES)
def test_every_file_that_is_no_code_has_its_licence(folder: str) -> None:
    text = (ROOT / folder / "licences.md").read_text("utf-8")
    rows = re.findall(r"^\| (`[^|]*/[^|]*) \|.*\| [A-Z][^|]* \|$", text, re.MULTILINE)
    listed = {pattern: set(ROOT.glob(pattern)) for row in rows for pattern in re.findall("`(.*?)`", row)}
    assert all(listed.values()), [pattern for pattern, found in listed.items() if not found]
    found = set().union(*listed.values())
    for place in ("docs", "examples", "pipeline", "tests"):
        for path in (ROOT / place).rglob("*"):
            kept = path.is_file() and "__pycache__" not in path.parts and path.suffix not in CODE
            assert not kept or path in found, f"{name_of(path)} has no row in {folder}/licences.md"


def test_every_page_has_its_translation() -> None:
    english, korean = ({page.name for page in (ROOT / folder).glob("*.md")} for folder in LANGUAGES)
    assert english == korean
    for name in english:
        there, here = ((ROOT / folder / name).read_text("utf-8") for folder in LANGUAGES)
        assert f"](ko/{name})" in there and f"](../{name})" in here


@pytest.mark.parametrize(("english", "korean"), TRANSLATED, ids=name_of)
def test_both_languages_have_the_same_chapters_tables_and_code(english: Path, korean: Path) -> None:
    there, here = (page.read_text("utf-8") for page in (english, korean))
    chapters, tables = "^#+(?= )", r"^\|[-|]+\|$"
    # figures are kept in one place only
    for what in [chapters] if english.name == "benchmarks.md" else [chapters, tables]:
        assert re.findall(what, there, re.MULTILINE) == re.findall(what, here, re.MULTILINE), what
    for language in ("bash", "json", "python", "javascript", "html"):
        assert blocks(english, language) == blocks(korean, language), language


@pytest.mark.parametrize("folder", LANGUAGES)
def test_every_setting_is_described_with_its_default(folder: str) -> None:
    variables = {"host": "GRADIO_SERVER_NAME", "port": "GRADIO_SERVER_PORT", "root_path": "GRADIO_ROOT_PATH"}
    expected = {variables.get(one.name, one.name.upper()): one.default for one in fields(Settings)}
    text = (ROOT / folder / "settings.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (.*?) \|", text, re.MULTILINE))
    assert rows.keys() == expected.keys()
    for variable, default in expected.items():
        cell = re.match("`(.*?)`", rows[variable])
        if default == "":
            assert cell is None, variable
        elif isinstance(default, Path):
            assert cell is not None and ROOT / cell[1] == default, variable
        else:
            assert cell is not None and cell[1] == (f"{default:g}" if isinstance(default, float) else str(default))
    assert set(re.findall(r"`([A-Z]{2,}_[A-Z_]+)", text)) <= expected.keys() | OTHERS_SETTINGS


@pytest.mark.parametrize("folder", LANGUAGES)
def test_every_route_is_described(fake_server: Server, folder: str) -> None:
    text = "".join((ROOT / folder / page).read_text("utf-8") for page in ("api.md", "live.md"))
    documented = set(re.findall(r"`(GET|POST|DELETE) (/[^`]*)`", text))
    described = fake_server.get("/api/openapi.json").json()["paths"]
    routes = {(method.upper(), path) for path, methods in described.items() for method in methods}
    assert documented == routes | {("GET", "/api/openapi.json"), ("GET", "/api/asyncapi.json")}
    asked = re.findall(r"curl\b(?:[^\n]|\\\n)*?http://localhost:5000(/\S*)", text)
    for _, path in documented:
        pattern = re.sub(r"\\\{\w+\\\}", r"[^/\\s]+", re.escape(path))
        assert any(re.fullmatch(pattern, one) for one in asked), f"{path}: no example"


@pytest.mark.parametrize("folder", LANGUAGES)
def test_every_json_of_the_api_is_json(folder: str) -> None:
    page = ROOT / folder / "api.md"
    replies = [json.loads(block) for block in blocks(page, "json")]
    events = [json.loads(line) for line in re.findall(r"^data: (.*)$", page.read_text("utf-8"), re.MULTILINE)]
    assert len(replies) >= 9 and len(events) >= 10
    assert all("task_id" in event for event in events)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The program itself, on packs that may be added to, in less time."""
    packs = tmp_path_factory.mktemp("store") / "precomputed"
    shutil.copytree(ROOT / "precomputed", packs)
    with OpenAIStub() as model:
        environ = {"PRECOMPUTED": str(packs), "LLM_BASE_URL": model.url, "LLM_MODEL": "stub"}
        with running(["-m", "tests.quick_app"], tmp_path_factory.mktemp("docs"), **environ) as started:
            yield started


def run(command: str, server: Server, folder: Path, task_id: str) -> None:
    """Run COMMAND as a reader would, except that an error of the server is one of curl's, too."""
    failing = 'curl() { command curl -sS --fail-with-body -m 200 "$@"; }\n'
    script = failing + command.replace(ADDRESS, server.url)
    environ = {**os.environ, "TASK": task_id}
    body: dict[str, Any]
    if ".webm" in command:
        body = {"text": "하나.", "avatar": "talk_long", "resolution": "360p", "background": "transparent"}
        environ["TASK"] = server.post("/api/v2/lipsync", body).json()["task_id"]
    if "$BACKGROUND" in command:
        kept = server.post("/api/v2/backgrounds", files=[("picture", (folder / "office.jpg").read_bytes())])
        environ["BACKGROUND"] = kept.json()["background"]
    if "$SESSION" in command:
        body = {"avatar": "talk_long", "resolution": "360p"}
        if "/interview" in command or "/next" in command:
            body |= {"interview": {"questions": ["one?"], "silence": 0.5}, "record": True}
        opened = server.post("/api/v2/sessions", body).json()
        environ["SESSION"] = opened["session_id"]
        if ".wav" in command:
            answer_once(server, opened)
    if "$SESSION" in command and "DELETE" not in command:  # which also ends what is without an end
        threading.Timer(1, server.delete, [f"/api/v2/sessions/{opened['session_id']}"]).start()
    done = subprocess.run(["bash", "-euc", script], cwd=folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert '"type": "error"' not in done.stdout and '"success": false' not in done.stdout, done.stdout


def answer_once(server: Server, session: dict[str, Any]) -> None:
    """Answer the first question of an interview, and return when the answer was kept."""
    with connect(f"{server.url.replace('http', 'ws')}{session['socket_url']}?video=1", max_size=None) as socket:
        events = (json.loads(message) for message in socket if isinstance(message, str))
        next(event for event in events if event["type"] == "listening")
        socket.send('{"type": "microphone"}')
        speak(socket, spoken("저는 개발자입니다."), quiet(0.8))
        next(event for event in events if event["type"] == "answer")
    wait_for(lambda: list(server.results.glob(f"{session['session_id']}.answer-1.wav")))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("name", ["docs/api.md", "docs/live.md", "docs/embedding.md", "README.md"])
def test_every_curl_call_works(server: Server, name: str, tmp_path: Path) -> None:
    (tmp_path / "my_clip.mp4").write_bytes(first_second((640, 360), 15))
    done = server.post("/api/v2/lipsync", BODY).json()
    finished = done["task_id"]
    (tmp_path / "speech.wav").write_bytes(server.get(done["audio_url"]).content)
    (tmp_path / "office.jpg").write_bytes(server.get("/assets/idle/talk_long.jpg").content)
    ran = 0
    for command in blocks(ROOT / name, "bash"):
        if not command.startswith("curl"):
            continue
        if "/api/cancel/" in command:
            with server.stream({**BODY, "text": "하나 둘 셋 넷 다섯. " * 50}) as events:
                run(command, server, tmp_path, next(events)["task_id"])
                assert list(events)[-1]["cancelled"] is True
        else:
            run(command, server, tmp_path, finished)
        ran += 1
    assert ran >= {"docs/api.md": 15, "docs/live.md": 13, "docs/embedding.md": 1, "README.md": 2}[name]
    server.delete("/api/avatars/me")


@pytest.mark.slow
def test_every_python_snippet_works(server: Server, tmp_path: Path) -> None:
    speech = server.get(server.post("/api/v2/lipsync", BODY).json()["audio_url"]).content
    for name in ("speech.wav", "speech.ogg"):  # what it holds counts
        (tmp_path / name).write_bytes(speech)
    pages = "docs/api.md", "docs/live.md", "docs/embedding.md", "README.md", "clients/python/README.md"
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "clients" / "python")}
    for snippet in (snippet for page in pages for snippet in blocks(ROOT / page, "python")):
        code = snippet.replace(ADDRESS, server.url)
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_every_javascript_snippet_works(server: Server, tmp_path: Path) -> None:
    snippets = [snippet for page in ("api.md", "live.md") for snippet in blocks(ROOT / "docs" / page, "javascript")]
    for number, snippet in enumerate(snippets):
        file = tmp_path / f"{number}.mjs"
        file.write_text(snippet.replace(ADDRESS, server.url))
        done = subprocess.run(["node", "--experimental-websocket", file], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 and "done" in done.stdout, done.stderr


def test_the_page_rest_command_and_documents_list_the_same_kinds(
    fake_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        prepare_main(["--help"])
    described = fake_server.get("/api/openapi.json").json()["components"]["schemas"]
    lists = {
        "command": capsys.readouterr().out,
        "rest": described["AvatarForm"]["properties"]["file"]["description"],
        "page": str(fake_server.get("/").text),
        **{folder: (ROOT / folder / "avatars.md").read_text("utf-8") for folder in LANGUAGES},
    }
    for where, text in lists.items():
        words = " ".join(text.split())
        assert ", ".join(PICTURES) in words, where
        assert ", ".join(VIDEOS) in words, where
