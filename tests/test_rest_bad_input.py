"""Bad input gets a clear answer before any work is done, and the server goes on."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import requests

from pipeline.errors import CODES, KINDS
from tests.servers import ROOT, Server

GOOD = {"text": "one", "avatar": "solo"}
ENDPOINTS = ("/api/v2/lipsync", "/api/v2/lipsync/stream")


class Touch:
    """A pickle that creates a file where it is loaded carelessly."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def refused(server: Server, body: object, status: int, *words: str) -> None:
    """Assert that both endpoints refuse BODY as documented, with WORDS in the message in both languages."""
    for endpoint in ENDPOINTS:
        for language in ("ko", "en"):
            answer = server.post(endpoint, body, headers={"Accept-Language": language})
            assert answer.status_code == status, answer.text
            assert answer.headers["Content-Type"] == "application/json"
            assert answer.json().keys() == {"success", "error", "code"} and answer.json()["success"] is False
            for word in words:
                assert word in answer.json()["error"], answer.text


@pytest.mark.parametrize("text", [None, "", "  \n\t", 7, ["one"], {"a": 1}, True, "x" * 5001, "\ud800"])
def test_text_must_be_a_string_of_bearable_length(fake_server: Server, text: object) -> None:
    refused(fake_server, {**GOOD, "text": text}, 400, "text")


@pytest.mark.parametrize("language", ["klingon", "", 7, "../ko"])
def test_a_language_must_be_one_that_is_known(fake_server: Server, language: object) -> None:
    refused(fake_server, {**GOOD, "language": language}, 400, "language")


@pytest.mark.parametrize("language", ["ko", "en", "PT-br", "zh_CN", None])
def test_a_language_may_be_written_as_people_do(fake_server: Server, language: str | None) -> None:
    assert fake_server.post(ENDPOINTS[0], {**GOOD, "language": language}).status_code == 200


def test_what_is_only_to_be_seen_is_nothing_to_say(fake_server: Server) -> None:
    for text in ("👍🏽 🎉", "***", "→ ⇒", "---\n***", "|---|"):
        refused(fake_server, {**GOOD, "text": text}, 400, "text")


def test_line_ends_stay_in_a_text_and_other_control_characters_become_blanks(fake_server: Server) -> None:
    text = " one\r\ntwo\n\nthree\rfour\vfive\x85six\u2028seven\teight\x01nine\0\n"
    done = fake_server.post(ENDPOINTS[0], {**GOOD, "text": text}).json()
    assert done["text"] == "one\ntwo\n\nthree\nfour\nfive\nsix\u2028seven eight nine"


ODD = [
    "\ud800",
    "a\udfffb",
    "\0",
    "solo\0",
    "\u2028",
    "so\u2029lo",
    "\x85",
    "\u3164",
    "\u202esolo",
    "\ufdd0",
    "\U0010ffff",
    "é" * 9999,
]


@pytest.mark.parametrize("value", ODD, ids=ascii)
@pytest.mark.parametrize(
    "field",
    ["avatar", "avatar_path", "resolution", "engine", "tts_engine", "tts_voice", "language", "frame_skip", "mood"],
)
def test_odd_letters_in_any_field_are_refused_in_one_line(fake_server: Server, field: str, value: str) -> None:
    body = {**GOOD, field: value} if field != "avatar_path" else {"text": "one", field: value}
    for endpoint in ENDPOINTS:
        answer = fake_server.post(endpoint, body)
        assert answer.status_code in (400, 404), answer.text
        message = answer.json()["error"]
        assert len(message) < 1000 and len(message.splitlines()) == 1 and message.encode() and "\0" not in message


def test_odd_letters_in_unused_fields_are_no_matter(fake_server: Server) -> None:
    body = {**GOOD, "\ud800": "\ud800", "\0": {"\u2028": ["\udfff"]}}
    assert fake_server.post(ENDPOINTS[0], body, headers={"Idempotency-Key": "odd-letters"}).status_code == 200


@pytest.mark.parametrize("odd", ["%ED%A0%80", "%00", "%E2%80%A8", "%C2%85", "%FF", "%E3%85%A4", "%0d%0a", "x" * 5000])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/video/{}.mp4"),
        ("GET", "/video/{}.vtt"),
        ("GET", "/video/{}.mouth.ndjson"),
        ("GET", "/assets/audio/{}.wav"),
        ("GET", "/assets/idle/{}.mp4"),
        ("GET", "/assets/idle/solo_{}.mp4"),
        ("GET", "/assets/idle/{}.json"),
        ("GET", "/api/v2/tasks/{}"),
        ("GET", "/api/v2/tasks/{}/events"),
        ("GET", "/api/v2/tasks/{}/inspect.png"),
        ("POST", "/api/cancel/{}"),
        ("DELETE", "/api/avatars/{}"),
    ],
)
def test_odd_letters_in_a_path_are_not_found(fake_server: Server, method: str, path: str, odd: str) -> None:
    answer = requests.request(method, fake_server.url + path.format(odd), timeout=30)
    assert answer.status_code == 404 and answer.json()["success"] is False, answer.text
    assert len(answer.json()["error"]) < 1000 and len(answer.json()["error"].splitlines()) == 1


@pytest.mark.parametrize("value", [b"\xed\xa0\x80", b"\xff", b"\xe2\x80\xa8", b"\xc2\x85", b"x" * 5000], ids=repr)
@pytest.mark.parametrize("header", ["Idempotency-Key", "Last-Event-ID", "Accept-Language", "Authorization"])
def test_odd_letters_in_a_header_are_no_fault_of_the_server(fake_server: Server, header: str, value: bytes) -> None:
    for path in ENDPOINTS:
        answer = fake_server.post(path, {**GOOD, "frame_skip": 0}, headers={header: value})
        assert answer.status_code == 400, answer.text
        answer = fake_server.post(path, GOOD, headers={header: value})
        assert answer.status_code == (400 if header == "Idempotency-Key" else 200), answer.text


@pytest.mark.parametrize("separator", list("\v\f\x1c\x1d\x1e\x85\u2028\u2029\x7f\x9f"), ids=ascii)
def test_no_clients_line_splitter_breaks_an_event(fake_server: Server, separator: str) -> None:
    text = f"one{separator}two"
    answer = fake_server.post(ENDPOINTS[1], {**GOOD, "text": text})
    lines = answer.content.decode().splitlines()  # at whatever may end a line
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert all(line.startswith(("data: ", "id: ")) for line in lines if line)
    assert events[-1]["type"] == "done" and events[-1]["text"].split() == ["one", "two"]
    assert separator not in "\u2028\u2029" or events[-1]["text"] == text


def test_text_is_required(fake_server: Server) -> None:
    refused(fake_server, {"avatar": "solo"}, 400, "text")


@pytest.mark.parametrize("text", ["...", "🙂🙂", "?!", "—", "♥"])
def test_text_must_hold_something_to_say(fake_server: Server, text: str) -> None:
    refused(fake_server, {**GOOD, "text": text}, 400, "text")


def test_an_avatar_is_required(fake_server: Server) -> None:
    refused(fake_server, {"text": "one"}, 400, "avatar", "avatar_path")


@pytest.mark.parametrize("avatar", [7, "", " ", ["solo"], {}])
def test_an_avatar_must_be_a_name(fake_server: Server, avatar: object) -> None:
    refused(fake_server, {**GOOD, "avatar": avatar}, 400, "avatar")
    refused(fake_server, {"text": "one", "avatar_path": avatar}, 400, "avatar_path")


def test_an_unknown_avatar_is_answered_with_those_that_exist(fake_server: Server) -> None:
    refused(fake_server, {**GOOD, "avatar": "nobody"}, 404, "solo", "duet")
    refused(fake_server, {**GOOD, "avatar": "../../etc/passwd"}, 404, "solo")


def test_a_resolution_that_the_avatar_lacks_is_answered_with_those_it_has(fake_server: Server) -> None:
    refused(fake_server, {**GOOD, "resolution": "360p"}, 404, "720p", "480p")
    path = "precomputed/480p/solo_480p_precomputed.pkl"
    refused(fake_server, {"text": "one", "avatar_path": path, "resolution": "720p"}, 404, "resolution", "480p")


@pytest.mark.parametrize("resolution", ["1440p", "", "720", 720, None.__class__.__name__, ["720p"]])
def test_a_resolution_is_one_of_four(fake_server: Server, resolution: object) -> None:
    refused(fake_server, {**GOOD, "resolution": resolution}, 400, "resolution", "1080p", "720p", "480p", "360p")


@pytest.mark.parametrize("mood", ["happy", "Smile", "nod", "", 1, True, ["smile"]])
def test_an_unknown_mood_is_refused_with_the_list(fake_server: Server, mood: object) -> None:
    refused(fake_server, {**GOOD, "mood": mood}, 400, "mood", "neutral, smile, thinking, serious")


@pytest.mark.parametrize("liveliness", [-0.1, 1.01, "0.5", True, [0], 1e300])
def test_liveliness_is_a_number_from_0_to_1(fake_server: Server, liveliness: object) -> None:
    refused(fake_server, {**GOOD, "liveliness": liveliness}, 400, "liveliness", "0", "1")


@pytest.mark.parametrize("value", ["true", 1, 0, [True], {}])
def test_eye_contact_is_true_or_false(fake_server: Server, value: object) -> None:
    refused(fake_server, {**GOOD, "eye_contact": value}, 400, "eye_contact", "true", "false")
    reply = fake_server.post("/api/v2/sessions", {"avatar": "solo", "eye_contact": value})
    assert reply.status_code == 400 and "eye_contact" in reply.json()["error"]


@pytest.mark.parametrize(
    ("field", "value", "choices"),
    [
        *(("aspect", value, "16:9, 9:16, 1:1, 4:5, source") for value in ("16:10", "", 1, True, ["1:1"], "1:1 ")),
        *(("fps", value, "24, 25, 30") for value in (0, 23, 60, 29.97, "25", True, [25], 10**30)),
        *(("captions", value, "file, burn") for value in ("on", "", True, 1)),
        *(("label", value, "off, AI 생성, AI") for value in ("ai", "<b>", "", True, 0)),
    ],
)
def test_what_is_asked_of_the_pictures_is_one_of_a_list(
    fake_server: Server, field: str, value: object, choices: str
) -> None:
    refused(fake_server, {**GOOD, field: value}, 400, field, choices)
    reply = fake_server.post("/api/v2/sessions", {"avatar": "solo", field: value})
    assert reply.status_code == (400 if field != "captions" or value == "" else reply.status_code)


@pytest.mark.parametrize("value", [[], 1, "SQL", {"SQL": 1}, {"SQL": ""}, {"klingon": {"SQL": "a"}}])
def test_pronunciations_are_words_and_what_is_spoken_for_them(fake_server: Server, value: object) -> None:
    refused(fake_server, {**GOOD, "pronunciations": value}, 400, "pronunciations", "SQL")


@pytest.mark.parametrize(
    ("text", "named"),
    [("<speak>a<voice/><audio/></speak>", "<voice>, <audio>"), ("<speak>a", "1"), ("<speak>a & b</speak>", "&amp;")],
)
def test_ssml_that_cannot_be_read_is_refused_with_what_it_is(fake_server: Server, text: str, named: str) -> None:
    refused(fake_server, {**GOOD, "text": text}, 400, "text", named)
    refused(fake_server, {**GOOD, "text": "<speak> <break time='1s'/> </speak>"}, 400)


@pytest.mark.parametrize("frame_skip", [0, 11, -1, 1.5, 2.0, "2", True, False, [1], 10**30])
def test_frame_skip_is_a_whole_number_from_1_to_10(fake_server: Server, frame_skip: object) -> None:
    refused(fake_server, {**GOOD, "frame_skip": frame_skip}, 400, "frame_skip", "1", "10")


@pytest.mark.parametrize("engine", ["siri", "", 3, ["fake"], {}])
def test_an_unknown_engine_is_answered_with_those_that_exist(fake_server: Server, engine: object) -> None:
    refused(fake_server, {**GOOD, "tts_engine": engine}, 400, "tts_engine", "fake")


@pytest.mark.parametrize("voice", ["nobody", 3, "", ["alto"]])
def test_an_unknown_voice_is_refused(fake_server: Server, voice: object) -> None:
    refused(fake_server, {**GOOD, "tts_voice": voice}, 400, "tts_voice")


def test_an_unknown_voice_is_answered_with_those_that_exist(fake_server: Server) -> None:
    refused(fake_server, {**GOOD, "tts_voice": "nobody"}, 400, "Custom", "alto", "bass")
    assert fake_server.post("/api/v2/lipsync", {**GOOD, "tts_voice": "alto"}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "precomputed/../app.py",
        "../precomputed/720p/solo_720p_precomputed.pkl",
        "precomputed/720p/../../../secret.pkl",
        "precomputed/720p/none.pkl",
        "precomputed/720p",
        "app.py",
        "precomputed/720p/solo_720p_precomputed.pkl\0",
        "x" * 5000 + ".pkl",
        "file:///etc/passwd",
    ],
)
def test_a_path_outside_the_store_is_not_found(fake_server: Server, path: str) -> None:
    refused(fake_server, {"text": "one", "avatar_path": path}, 404)


def test_a_link_out_of_the_store_is_not_found(fake_server: Server, fake_packs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.pkl"
    outside.write_bytes((fake_packs / "720p/solo_720p_precomputed.pkl").read_bytes())
    link = fake_packs / "720p" / "link.pkl"
    link.symlink_to(outside)
    try:
        refused(fake_server, {"text": "one", "avatar_path": "precomputed/720p/link.pkl"}, 404)
    finally:
        link.unlink()


def test_a_pack_that_is_broken_foreign_or_armed_is_refused(
    fake_server: Server, fake_packs: Path, tmp_path: Path
) -> None:
    whole = (fake_packs / "720p/solo_720p_precomputed.pkl").read_bytes()
    proof = tmp_path / "code ran"
    pack = fake_packs / "720p" / "strange.pkl"
    contents = {
        "cut short": whole[: len(whole) // 2],
        "empty": b"",
        "no pickle": b"hello",
        "foreign": pickle.dumps({"a": 1}),
        "armed": pickle.dumps(Touch(proof)),
    }
    try:
        for what, content in contents.items():
            pack.write_bytes(content)
            answer = fake_server.post("/api/v2/lipsync", {"text": "one", "avatar_path": "precomputed/720p/strange.pkl"})
            assert answer.status_code == 400, what
            assert answer.json()["success"] is False and "strange.pkl" in answer.json()["error"]
    finally:
        pack.unlink()
    assert not proof.exists()


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"not json", b'"text"', b"[]", b"null", b"7", b"\xff\xfe", b"[" * 100_000, b'{"text": "one"'],
)
def test_the_body_must_be_a_json_object(fake_server: Server, body: bytes) -> None:
    for endpoint in ENDPOINTS:
        answer = requests.post(fake_server.url + endpoint, data=body, timeout=30)
        assert answer.status_code == 400
        assert answer.json()["success"] is False and "JSON" in answer.json()["error"]


def test_a_body_may_not_be_endless(fake_server: Server) -> None:
    body = json.dumps({**GOOD, "more": "x" * 2_000_000})
    answer = requests.post(fake_server.url + ENDPOINTS[0], data=body, timeout=30)
    assert answer.status_code == 400 and "1024 KiB" in answer.json()["error"]


def test_a_body_needs_no_content_type_and_may_hold_more_than_is_known(fake_server: Server) -> None:
    answer = requests.post(
        fake_server.url + ENDPOINTS[0], data=json.dumps({**GOOD, "output_format": "mp4"}), timeout=60
    )
    assert answer.status_code == 200


def test_what_is_refused_never_reaches_the_queue(fake_server: Server) -> None:
    fake_server.wait_idle()
    before = len(fake_server.log)
    refused(fake_server, {**GOOD, "frame_skip": 0}, 400)
    assert "starts" not in fake_server.log[before:]


def test_the_private_entry_makes_nothing_for_those_that_find_it(fake_server: Server) -> None:
    before = len(fake_server.log)
    tries: tuple[list[Any], ...] = ([], [GOOD], [GOOD, "en"])
    for data in tries:
        call = requests.post(fake_server.url + "/gradio_api/call/rest", json={"data": data}, timeout=30)
        if call.ok:
            stream = fake_server.get(f"/gradio_api/call/rest/{call.json()['event_id']}").text
            assert "video" not in stream
    assert "starts" not in fake_server.log[before:]
    assert "/rest" not in fake_server.get("/gradio_api/info").json()["named_endpoints"]


def test_every_code_is_documented_and_described(fake_server: Server) -> None:
    assert len(set(CODES)) == len(CODES) and all(re.fullmatch("[a-z]+(_[a-z]+)*", code) for code in CODES)
    for page in (ROOT / "docs" / "api.md", ROOT / "docs" / "ko" / "api.md"):
        listed = dict(re.findall(r"^\| `([a-z_]+)` \| ([45]\d\d) \|", page.read_text("utf-8"), re.M))
        assert {code: int(status) for code, status in listed.items()} == {kind.code: kind.status for kind in KINDS}
    schemas = fake_server.get("/api/openapi.json").json()["components"]["schemas"]
    for shape in ("Problem", "ErrorEvent"):
        assert "code" in schemas[shape]["required"] and schemas[shape]["properties"]["code"]["enum"] == sorted(CODES)


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", ENDPOINTS[0], {**GOOD, "text": 7}, "field_invalid"),
        ("POST", ENDPOINTS[1], {**GOOD, "text": "..."}, "nothing_to_say"),
        ("POST", ENDPOINTS[0], None, "body_invalid"),
        ("POST", ENDPOINTS[0], {"text": "one", "avatar": "nobody"}, "avatar_not_found"),
        ("POST", ENDPOINTS[0], {"text": "one", "avatar_path": "/etc/passwd"}, "avatar_not_found"),
        ("POST", ENDPOINTS[1], {**GOOD, "resolution": "360p"}, "resolution_not_found"),
        ("POST", ENDPOINTS[0], {"text": "crash", "avatar": "solo"}, "internal_error"),
        ("POST", ENDPOINTS[0], {"text": "dropped", "avatar": "solo"}, "speech_failed"),
        ("POST", ENDPOINTS[0], {"text": "busy", "avatar": "solo"}, "engine_unavailable"),
        ("GET", f"/api/v2/tasks/{'0' * 32}", None, "task_not_found"),
        ("POST", f"/api/cancel/{'0' * 32}", None, "task_not_found"),
        ("GET", f"/api/v2/tasks/{'0' * 32}/inspect.png", None, "task_not_found"),
        ("GET", f"/video/{'0' * 32}.mp4", None, "result_not_found"),
        ("GET", "/assets/audio/x.wav", None, "result_not_found"),
        ("GET", "/assets/idle/nobody_720p.mp4", None, "avatar_not_found"),
        ("DELETE", "/api/avatars/nobody", None, "avatar_not_found"),
        ("DELETE", "/api/avatars/solo", None, "avatar_protected"),
        ("POST", "/api/avatars", {"name": "x"}, "field_invalid"),
        ("GET", "/api/nothing", None, "address_not_found"),
        ("GET", ENDPOINTS[0], None, "method_not_allowed"),
    ],
)
def test_every_refusal_carries_its_code(fake_server: Server, method: str, path: str, body: Any, code: str) -> None:
    answer = requests.request(method, fake_server.url + path, json=body, timeout=60)
    assert answer.json()["code"] == code and answer.json()["success"] is False
    assert answer.status_code == next(kind.status for kind in KINDS if kind.code == code)


@pytest.mark.parametrize(("text", "code"), [("crash", "internal_error"), ("dropped", "speech_failed")])
def test_what_fails_in_a_stream_carries_its_code(fake_server: Server, text: str, code: str) -> None:
    last = fake_server.events({"text": text, "avatar": "solo"})[-1]
    assert (last["type"], last["code"]) == ("error", code)
    assert fake_server.get(f"/api/v2/tasks/{last['task_id']}").json()["code"] == code
