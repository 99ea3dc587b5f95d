"""What the page is made of, read from the configuration that the server gives to browsers."""

from __future__ import annotations

import ast
import base64
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import gradio as gr
import pytest

from pipeline.avatars.pack import load
from pipeline.avatars.store import AvatarStore
from pipeline.errors import Unavailable
from pipeline.jobs.events import Done, Event, Failed, Lipsync, Queued, TtsDone, TtsStarted
from pipeline.messages import Message
from pipeline.preparing.prepare import preview_faces
from pipeline.server.page import words
from pipeline.server.page.bar import at_event
from pipeline.server.page.portraits import Portraits, portrait
from pipeline.server.page.snippets import frame, snippets, tag
from pipeline.server.page.speaking import _Fields
from pipeline.server.page.words import EXAMPLES
from pipeline.server.reply_language import language_of
from pipeline.server.rest.embed_page import ATTRIBUTES
from pipeline.text.language import LANGUAGES
from tests.fakes import make_pack
from tests.servers import ROOT, Server


@pytest.fixture(scope="module")
def config(fake_server: Server) -> dict[str, Any]:
    answer: dict[str, Any] = fake_server.get("/config").json()
    return answer


def parts(config: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [part["props"] for part in config["components"] if part["type"] == kind]


def test_every_text_comes_in_both_languages(config: dict[str, Any]) -> None:
    ko, en = (config["i18n_translations"][language] for language in ("ko", "en"))
    assert ko.keys() == en.keys()
    for key, text in en.items():
        assert text.isascii() and (re.search("[가-힣]", ko[key])), key
    kinds = (
        "textbox",
        "dropdown",
        "slider",
        "radio",
        "checkbox",
        "image",
        "file",
        "html",
        "audio",
        "accordion",
        "tabitem",
    )
    labels = [props["label"] for kind in kinds for props in parts(config, kind) if "label" in props]
    labels = [label for label in labels if label not in ("avatar", "video", "task", "sample", "warming")]  # never seen
    assert len(labels) > 30
    for label in labels:
        assert json.loads(label.removeprefix("__i18n__"))["key"] in en, label


def test_every_text_is_used() -> None:
    folder = Path(words.__file__).parent
    code = "".join(path.read_text("utf-8") for path in folder.glob("*.py"))
    assert [key for key in words.WORDS if f'shown("{key}")' not in code] == []


def test_the_lists_hold_what_there_is(config: dict[str, Any]) -> None:
    lists = parts(config, "dropdown")
    assert {props["elem_id"]: [value for _, value in props["choices"]] for props in lists} == {
        "uploaded": [],
        "resolution": ["720p"],  # of the first avatar; choosing another offers its own
        "tts_engine": ["auto", "fake"],
        "voice": ["Custom"],
        "aspect": ["source", "16:9", "9:16", "1:1", "4:5"],
        "fps": ["source", "24", "25", "30"],
        "captions_in": ["file", "burn"],
        "label": ["off", "AI 생성", "AI"],
        "behind": ["source", "blur", "transparent", "white", "black", "#e8eaed"],
        "mood": ["neutral", "smile", "thinking", "serious"],
        "engine": ["auto"],
        "language": ["", *LANGUAGES],
    }


def test_there_are_examples_in_korean_and_english(config: dict[str, Any]) -> None:
    assert set(EXAMPLES) <= {props["value"] for props in parts(config, "button")}
    assert any(re.search("[가-힣]", text) for text in EXAMPLES) and any(text.isascii() for text in EXAMPLES)


def test_one_function_is_public_and_shares_the_queue_with_rest(fake_server: Server, config: dict[str, Any]) -> None:
    endpoints = fake_server.get("/gradio_api/info").json()["named_endpoints"]
    assert list(endpoints) == ["/generate"]
    names = [parameter["parameter_name"] for parameter in endpoints["/generate"]["parameters"]]
    settings = ["avatar", "resolution", "tts_engine", "tts_voice", "frame_skip"]
    more = ["engine", "language", "tts_speed", "tts_pitch", "mood", "liveliness", "pronunciations"]
    more += ["aspect", "fps", "captions", "label", "eye_contact", "background"]
    assert names == ["text", *settings, "audio", *more]
    assert len(endpoints["/generate"]["returns"]) == 3


def test_a_text_is_sent_with_every_field_but_the_recording(config: dict[str, Any]) -> None:
    types = {component["id"]: component["type"] for component in config["components"]}
    scripts = [one for one in config["dependencies"] if one["js"] and "audio" in map(types.get, one["inputs"])]
    assert len(scripts) == 2  # the text's own button, and the sentence that a new avatar says
    for script in scripts:
        sent = list(range(len(script["inputs"])))
        program = f"console.log(JSON.stringify(({script['js']})(...{sent})))"
        done = subprocess.run(["node", "-e", program], capture_output=True, text=True, timeout=60, check=True)
        recording = [types[one] for one in script["inputs"]].index("audio")
        assert json.loads(done.stdout) == [None if at == recording else at for at in sent]


def test_clients_get_the_types_of_what_they_send_and_receive(fake_server: Server) -> None:
    endpoint = fake_server.get("/gradio_api/info").json()["named_endpoints"]["/generate"]
    types = {one["parameter_name"]: one["python_type"]["type"] for one in endpoint["parameters"]}
    assert types["avatar"] == types["tts_voice"] == "str"  # there may be more by the time they ask
    assert types["engine"] == "Literal['auto', 'fake']"
    assert [one["python_type"]["type"] for one in endpoint["returns"]] == ["filepath", "dict(str, Any)", "str"]


DONE = Done(
    text="text",
    video_url="/v",
    video_path="v",
    audio_url="/a",
    captions_url="/c",
    audio_duration=1.0,
    tts=0.1,
    lipsync=0.2,
    total=0.3,
    first_byte=0.2,
)


def test_the_bar_moves_forward_only() -> None:
    spoken = TtsDone(audio_url="/a", captions_url="/c", duration=1.0, elapsed=0.1)
    speech: list[Event] = [Queued(2), TtsStarted("/v", "/c"), spoken]
    frames: list[Event] = [Lipsync("/v", 0.0), Lipsync("/v", 0.5)]
    percents = [at_event(event, "ko")["percent"] for event in [*speech, *frames, DONE]]
    assert percents == sorted(percents) and percents[-1] == 100


def test_the_bar_reports_the_end_in_the_clients_language() -> None:
    assert at_event(DONE, "ko")["message"] == "완료 (0.3초)"
    failed = at_event(Failed(Unavailable(Message("바쁩니다.", "Busy."))), "en")
    assert failed["state"] == "failed" and failed["message"] == "Busy."


@pytest.mark.parametrize(
    ("header", "language"),
    [(None, "en"), ("ko-KR,ko;q=0.9", "ko"), ("en-US,ko;q=0.5", "en"), ("fr", "en"), ("fr,ko", "ko")],
)
def test_other_languages_are_shown_english(header: str | None, language: str) -> None:
    assert language_of(header, "en") == language


def test_what_is_chosen_automatically_is_left_out_of_the_request() -> None:
    fields = _Fields(
        text="hello",
        avatar="solo",
        resolution="720p",
        tts_engine="fake",
        tts_voice="Custom",
        frame_skip=2.0,
        engine="auto",
        language="",
        tts_speed=1,
        tts_pitch=0,
    )
    body = fields.body()
    assert not {"tts_voice", "language"} & body.keys()
    assert body["frame_skip"] == 2 and isinstance(body["frame_skip"], int)
    assert replace(fields, tts_voice="alto").body()["tts_voice"] == "alto"


def test_the_javascript_snippet_states_what_another_site_needs() -> None:
    assert "ALLOWED_ORIGINS" in snippets("http://here:1", BODY, "")[1]


BODY = {"text": 'it\'s "said"\n안녕', "avatar": "solo", "frame_skip": 1}


def test_the_python_snippet_is_python_that_asks_for_the_same() -> None:
    _, _, code = snippets("http://here:1", BODY, "secret")
    call = next(node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    assert ast.literal_eval(given["json"]) == BODY and "Authorization" in ast.unparse(given["headers"])
    assert "secret" not in code


def test_the_tag_to_copy_has_the_same_avatar_say_the_same() -> None:
    body = {"text": 'a <b> & "c"', "avatar": "solo", "resolution": "480p", "tts_voice": "alto", "tts_engine": "auto"}
    shown = tag("http://here:1", body | {"engine": "auto", "frame_skip": 1, "mood": "smile"}, "secret")
    parser = Reader()
    parser.feed(shown)
    assert parser.tags["talking-avatar"] == {
        **{"server": "http://here:1", "avatar": "solo", "resolution": "480p", "voice": "alto", "token": "..."},
    }
    assert parser.tags["script"].keys() <= {"src", "async"} and "http://here:1/embed/v1.js" in shown
    assert 'a <b> & "c"' in parser.texts and '.options = {"mood": "smile"};' in shown and "secret" not in shown
    assert "options" not in tag("http://here:1", body, "") and "token" not in tag("http://here:1", body, "")


def test_the_frame_to_copy_has_the_same_avatar_say_the_same() -> None:
    body = {"text": 'a <b> & "c" 안녕', "avatar": "so lo", "resolution": "480p", "tts_voice": "alto", "engine": "auto"}
    parser = Reader()
    parser.feed(frame("http://here:1", body | {"mood": "smile"}, "secret"))
    address = urlsplit(parser.tags["iframe"]["src"] or "")
    assert address.netloc == "here:1" and unquote(address.path) == "/embed/so lo"
    expected = {"text": body["text"], "resolution": "480p", "voice": "alto", "token": "..."}
    assert dict(parse_qsl(address.query)) == expected and expected.keys() - {"text"} <= {*ATTRIBUTES}
    assert "mood" in frame("http://here:1", body | {"mood": "smile"}, "") and "these" not in frame("", body, "")
    parser = Reader()
    parser.feed(frame("http://here:1", body | {"background": "#00ff00"}, ""))
    assert dict(parse_qsl(urlsplit(parser.tags["iframe"]["src"] or "").query))["background"] == "#00ff00"


class Reader(HTMLParser):
    """Keeps the attributes of each tag, and the texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, dict[str, str | None]] = {}
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.setdefault(tag, dict(attrs))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_curl_snippet_asks_for_the_same() -> None:
    curl, _, _ = snippets("http://here:1", BODY, "")
    shown = subprocess.run(
        ["bash", "-c", "curl() { printf '%s\\0' \"$@\"; }; " + curl], capture_output=True, check=True
    )
    sent = shown.stdout.decode().split("\0")
    assert json.loads(sent[sent.index("-d") + 1]) == BODY and "http://here:1/api/v2/lipsync/stream" in sent
    assert "Authorization" not in curl


@pytest.mark.parametrize(("language", "label"), [("ko", "서연"), ("en", "Seoyeon")])
def test_avatars_that_ship_have_labels_and_others_their_names(tmp_path: Path, language: str, label: str) -> None:
    for name in ("woman", "나"):
        make_pack(tmp_path, name, "360p")
    gallery = Portraits(AvatarStore(tmp_path)).gallery(gr.Request(headers={"accept-language": language}), None)
    assert {one["name"]: one["label"] for one in gallery["avatars"]} == {"woman": label, "나": "나"}


def test_a_portrait_shows_the_face(tmp_path: Path) -> None:
    avatar = load(ROOT / "precomputed" / "360p" / "talk_short_360p_precomputed.pkl")
    picture = base64.b64decode(portrait(avatar).removeprefix("data:image/jpeg;base64,"))
    (tmp_path / "portrait.jpg").write_bytes(picture)
    _, (face,) = preview_faces(tmp_path / "portrait.jpg")
    across, down = face.center
    assert 0.4 < across / 720 < 0.6 and 0.35 < down / 720 < 0.7  # as large as preparing shows it
