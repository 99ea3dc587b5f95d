"""Avatars through REST: a clip is uploaded, becomes an avatar that speaks, and is deleted; what is wrong is refused."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from pipeline.avatars.pack import load
from pipeline.server.rest.schema import AvatarEvent
from tests.fakes import make_pack
from tests.media import image
from tests.servers import ROOT, Server, events_of, running, wait_for

MAX_UPLOAD = 2


@pytest.fixture(scope="module")
def store(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(fake_packs, tmp_path_factory.mktemp("uploading") / "precomputed"))


@pytest.fixture(scope="module")
def uploading(store: Path) -> Iterator[Server]:
    left = store / "uploads" / ".killed"
    left.mkdir(parents=True)
    with running(["-m", "tests.fakes", str(store)], store.parent, MAX_UPLOAD=str(MAX_UPLOAD)) as server:
        assert not left.exists()  # of a program that was killed
        yield server


@pytest.fixture(scope="module")
def quick(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that makes tiny avatars at once."""
    store = Path(shutil.copytree(fake_packs, tmp_path_factory.mktemp("quick") / "precomputed"))
    with running(["-m", "tests.fakes", str(store)], store.parent, FAKE_PREPARING="1") as server:
        yield server


def send(server: Server, content: bytes, file_name: str = "me.mp4", key: str | None = None, **fields: str) -> Any:
    """Ask for an avatar, with an Idempotency-KEY or without; gives the answer, which may be a stream."""
    form = {"consent": "true", "resolutions": "360p", **fields}
    files = {"file": (file_name, content)}
    headers = {"Accept-Language": "en"} if key is None else {"Accept-Language": "en", "Idempotency-Key": key}
    return server.post("/api/avatars", data=form, files=files, stream=True, headers=headers)


def made(server: Server, content: bytes, file_name: str = "me.mp4", **fields: str) -> list[dict[str, Any]]:
    """Request an avatar; return all its events."""
    with send(server, content, file_name, **fields) as answer:
        assert answer.status_code == 200, answer.text
        events = list(events_of(answer))
    for event in events:
        TypeAdapter(AvatarEvent).validate_python(event, strict=True)
    return events


def listed(server: Server) -> dict[str, bool]:
    return {avatar["id"]: avatar["uploaded"] for avatar in server.get("/api/avatars").json()["avatars"]}


def measured(server: Server) -> dict[str, float]:
    """Return every sample of the metrics by its name and labels, as they are written."""
    lines = [line for line in server.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def working(store: Path) -> list[Path]:
    """Return what preparations keep on the disk while they are at work."""
    return list((store / "uploads").glob(".*"))


def jpeg(picture: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".jpg", picture)[1])


def traces(folder: Path, *words: str) -> list[str]:
    """Return the files in FOLDER that have one of WORDS in their path or contents."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".log"]
    return [
        str(path)
        for path in files
        if any(word in str(path.relative_to(folder)) or word.encode() in path.read_bytes() for word in words)
    ]


def test_deleting_an_avatar_leaves_nothing_of_it(uploading: Server, store: Path) -> None:
    film = b"the clip of which it was made"
    record = {"confirmed_by": "Kim", "confirmed_at": "2026-01-02T03:04:05+00:00"}
    for name, more in (("mine", {"consent": {**record, "file_sha256": hashlib.sha256(film).hexdigest()}}), ("old", {})):
        for resolution in ("480p", "360p"):
            make_pack(store, name, resolution)
        (store / "uploads" / f"{name}.json").write_text(json.dumps({"owner": "", **more}))
    make_pack(store, "mine_too", "480p")
    try:
        lists = {one["id"]: one["consent"] for one in uploading.get("/api/avatars").json()["avatars"]}
        assert lists["mine_480p"] is lists["mine_360p"] is True and lists["old_480p"] is False
        assert lists["solo_480p"] is lists["mine_too_480p"] is None
        assert "Kim" not in uploading.get("/api/avatars").text  # who it was, only the record tells
        sent = uploading.post("/gradio_api/upload", files={"files": ("film.mp4", film)}).json()
        other = uploading.post("/gradio_api/upload", files={"files": ("film.mp4", film + b"!")}).json()
        assert uploading.get("/assets/idle/mine.jpg").status_code == 200
        sessions = [
            uploading.post("/api/v2/sessions", {"avatar": name, "resolution": "480p"}).json()
            for name in ("mine", "mine_too")
        ]
        cache = uploading.results / "live"
        wait_for(lambda: len(list(cache.glob("*.yuv"))) == 2)
        uploading.delete(f"/api/v2/sessions/{sessions[0]['session_id']}")
        assert traces(store.parent, "mine_480p") and Path(sent[0]).is_file()

        assert uploading.delete("/api/avatars/mine_480p").json()["deleted"] == ["mine_480p"]
        assert not traces(store.parent, "mine_480p-", "mine_480p_") and Path(sent[0]).is_file()
        assert uploading.get("/api/avatars/mine/consent").json()["confirmed_by"] == "Kim"
        assert uploading.delete("/api/avatars/mine").json()["deleted"] == ["mine_360p"]
        assert not traces(store.parent, "mine_480p", "mine_360p", "Kim", "mine.json")
        assert not Path(sent[0]).exists() and Path(other[0]).is_file()
        assert [path.name.split("-")[0] for path in cache.glob("*.yuv")] == ["mine_too_480p"]
        for path in ("/assets/idle/mine.jpg", "/assets/idle/mine_360p.mp4", "/api/avatars/mine/consent"):
            assert uploading.get(path).status_code == 404
        uploading.delete(f"/api/v2/sessions/{sessions[1]['session_id']}")
    finally:
        for name in ("mine_too", "old", "mine"):
            for left in (*store.glob(f"*/{name}_*p_precomputed.pkl"), store / "uploads" / f"{name}.json"):
                left.unlink(missing_ok=True)


@pytest.mark.slow
def test_a_clip_becomes_an_avatar_that_speaks_and_is_deleted(uploading: Server, store: Path, clip: bytes) -> None:
    before = listed(uploading)
    events = made(uploading, clip, name="민수", resolutions="480p,360p", gender="male", consent_by=" 김민수 ")
    stages = list(dict.fromkeys(event.get("stage", event["type"]) for event in events))
    assert stages == ["reading", "faces", "measuring", "mouth", "matte", "writing", "done"]
    progress = [event["progress"] for event in events[:-1]]
    assert progress == sorted(progress) and 0 <= progress[0] < progress[-1] < 1
    done = events[-1]
    assert done["avatar"] == "민수" and done["ids"] == ["민수_480p", "민수_360p"]
    filmed, teeth = done["report"][:2]
    assert filmed.startswith("The mouth can be moved in 100 % of 0.6 s") and "teeth" in teeth
    assert listed(uploading) == {**before, "민수_480p": True, "민수_360p": True} and not any(before.values())
    assert working(store) == []

    record = uploading.get("/api/avatars/민수_480p/consent").json()
    assert record["confirmed_by"] == "김민수" and record["file_sha256"] == hashlib.sha256(clip).hexdigest()
    assert abs(datetime.fromisoformat(record["confirmed_at"]).timestamp() - time.time()) < 300
    assert uploading.get("/api/avatars/solo/consent").status_code == 404
    assert send(uploading, clip, name="other", consent_by="a" * 201).status_code == 400

    genders = {one["id"]: one["gender"] for one in uploading.get("/api/avatars").json()["avatars"]}
    assert genders["민수_480p"] == genders["민수_360p"] == "male" and genders["solo_480p"] is None

    again = send(uploading, clip, name="민수")
    assert again.status_code == 409 and "Choose another" in again.json()["error"]
    reply = uploading.post("/api/v2/lipsync", {"text": "one two", "avatar": "민수", "resolution": "360p"}).json()
    assert reply["success"] is True

    assert uploading.delete("/api/avatars/민수_480p").json()["deleted"] == ["민수_480p"]
    assert listed(uploading) == {**before, "민수_360p": True}
    assert uploading.delete("/api/avatars/민수").json()["deleted"] == ["민수_360p"]
    assert listed(uploading) == before and list((store / "uploads").iterdir()) == []
    assert uploading.delete("/api/avatars/민수").status_code == 404
    assert uploading.get("/api/avatars/민수/consent").status_code == 404
    gone = uploading.post("/api/v2/lipsync", {"text": "one two", "avatar": "민수", "resolution": "360p"})
    assert gone.status_code == 404


@pytest.mark.slow
def test_further_clips_are_sent_as_files(uploading: Server, store: Path, clip: bytes) -> None:
    form = {"consent": "true", "resolutions": "360p", "name": "moves"}
    for files in ([("clip_nod", clip)] * 2, [("clip_nod", b"no clip")]):
        sent = [("file", ("me.mp4", clip)), *((field, ("nod.mp4", one)) for field, one in files)]
        with uploading.post("/api/avatars", data=form, files=sent, stream=True) as answer:
            refused = answer.json() if answer.status_code == 400 else list(events_of(answer))[-1]
        assert "clip_nod" in refused["error"] and "moves_360p" not in listed(uploading)
    sent = [("file", ("me.mp4", clip)), ("clip_nod", ("nod.mp4", clip)), ("clip_thinking", ("think.mp4", clip))]
    with uploading.post("/api/avatars", data=form, files=sent, stream=True) as answer:
        assert list(events_of(answer))[-1]["ids"] == ["moves_360p"]
    pack = load(store / "360p" / "moves_360p_precomputed.pkl")
    assert sorted(pack.clips) == ["nod", "thinking"] and pack.clips["nod"].clip.count == pack.clip.count
    uploading.delete("/api/avatars/moves")


def test_what_came_with_the_program_is_not_deleted(uploading: Server) -> None:
    before = listed(uploading)
    for avatar in ("solo", "solo_720p"):
        answer = uploading.delete(f"/api/avatars/{avatar}")
        assert answer.status_code == 403 and "지울 수 없습니다" in answer.json()["error"]
    assert uploading.delete("/api/avatars/..%2Fsolo").status_code == 404
    assert listed(uploading) == before


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ({"name": "x" * 65}, 400, "name"),
        ({"name": "../x"}, 400, "name"),
        ({"name": "x_720p"}, 400, "name"),
        ({"name": ""}, 400, "name"),
        ({"name": "SOLO"}, 409, "name"),
        ({"consent": "false"}, 400, "consent"),
        ({"consent": ""}, 400, "consent"),
        ({"face": "left"}, 400, "face"),
        ({"start": "soon"}, 400, "start"),
        ({"end": "inf"}, 400, "end"),
        ({"resolutions": "360p,1440p"}, 400, "1440p"),
        ({"background": "grey"}, 400, "background"),
        ({"gender": "man"}, 400, "female, male"),
        ({"clip_nod": "no file"}, 400, "clip_nod"),
        ({"clip_dance": "no clip"}, 400, "listening, speaking, nod"),
    ],
)
def test_wrong_fields_are_refused(
    uploading: Server, clip: bytes, fields: dict[str, str], status: int, word: str
) -> None:
    answer = send(uploading, clip, **{"name": "x", **fields})
    assert (answer.status_code, answer.json()["success"]) == (status, False)
    assert word in answer.json()["error"]


@pytest.mark.parametrize(
    "value", ["\0", "x\u2028x", "\u3164", "\U0010ffff", "x\u202e", "𠀀" * 64, "é" * 9999], ids=ascii
)
@pytest.mark.parametrize("field", ["name", "consent", "face", "start", "end", "resolutions", "background"])
def test_odd_letters_in_a_form_are_refused(uploading: Server, field: str, value: str) -> None:
    answer = send(uploading, b"never opened", **{"name": "x", field: value})
    assert answer.status_code == 400 and field.rstrip("s") in answer.json()["error"], answer.text
    assert len(answer.json()["error"]) < 1000 and len(answer.json()["error"].splitlines()) == 1


@pytest.mark.parametrize("charset", ["unicode_escape", "utf-7", "utf-16", "utf-32", "idna", "hex", "\x01", "x" * 999])
def test_a_form_in_odd_letters_is_refused(uploading: Server, charset: str) -> None:
    parts = [("name", b"\\ud800+2AA-"), ("consent", b"true"), ('file"; filename="\\ud800\xff', b"x")]
    body = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode("latin1"), value)
        for name, value in parts
    )
    headers = {"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"}
    answer = uploading.post("/api/avatars", data=body + b"--b--\r\n", headers=headers)
    assert answer.status_code == 400 and answer.json()["success"] is False, answer.text


def test_bodies_that_are_no_form_are_refused(uploading: Server) -> None:
    for more in (
        {"json": {"name": "x"}},
        {"data": b"--x", "headers": {"Content-Type": "multipart/form-data; boundary=y"}},
        {"data": b"--x", "headers": {"Content-Type": "multipart/form-data; charset=nonsense; boundary=x"}},
        {"data": {"name": "x", "consent": "true", "file": "text"}},
    ):
        answer = uploading.post("/api/avatars", **more)
        assert (answer.status_code, answer.json()["success"]) == (400, False)


def test_too_large_a_file_is_refused(uploading: Server, store: Path) -> None:
    large = bytes(MAX_UPLOAD + 1 << 20)
    reply = send(uploading, large, name="x")
    assert reply.status_code == 400 and f"at most {MAX_UPLOAD} MiB" in reply.json()["error"]

    def unsaid() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(MAX_UPLOAD + 1):
            yield large[: 1 << 20]

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert uploading.post("/api/avatars", data=unsaid(), headers=headers).status_code == 400
    assert working(store) == []


PLAYLIST = f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{ROOT}/examples/talk_short.mp4\n#EXT-X-ENDLIST\n".encode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "file_name", "why"),
    [
        (b"hello", "me.mp4", "cannot be read"),
        (jpeg(np.random.default_rng(1).integers(0, 255, (300, 300, 3), np.uint8)), "cat.jpg", "No person's face"),
        (PLAYLIST, "../../list.m3u8", "cannot be read"),
    ],
)
def test_files_that_show_no_face_leave_nothing(
    uploading: Server, store: Path, content: bytes, file_name: str, why: str
) -> None:
    before = listed(uploading)
    last = made(uploading, content, file_name, name="x")[-1]
    assert last["type"] == "error" and last["status"] == 400 and why in last["error"]
    assert str(store) not in last["error"]
    assert working(store) == [] and listed(uploading) == before


@pytest.mark.slow
def test_a_picture_is_known_by_its_content(uploading: Server, clip: bytes, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip)
    with av.open(str(tmp_path / "clip.mp4")) as source:
        pictures = [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in source.decode(video=0)]
    photo, animation = io.BytesIO(), io.BytesIO()
    pictures[0].save(photo, "JPEG")
    pictures[0].save(animation, "WEBP", save_all=True, append_images=pictures[1:], duration=40)
    for content, file_name, kind in (
        (photo, "face.jfif", "application/octet-stream"),
        (photo, "face", "text/plain"),
        (animation, "me.mp4", "video/mp4"),
    ):
        files = {"file": (file_name, content.getvalue(), kind)}
        assert len(uploading.post("/api/avatars/faces", files=files).json()["faces"]) == 1
    done = made(uploading, animation.getvalue(), "me.webp", name="webp")[-1]
    uploading.delete("/api/avatars/webp")
    assert "of 0.6 s" in done["report"][0]  # a photo would have been given 8 s


@pytest.mark.slow
@pytest.mark.parametrize("how", ["leaves", "cancels"])
def test_a_client_that_stops_leaves_nothing(uploading: Server, store: Path, clip: bytes, how: str) -> None:
    before = listed(uploading)
    with send(uploading, clip, name="left") as answer:
        events = events_of(answer)
        task_id = next(events)["task_id"]
        assert working(store)
        if how == "cancels":
            assert uploading.post(f"/api/cancel/{task_id}").json()["state"] == "running"
            last = list(events)[-1]
            assert last["cancelled"] is True and last["code"] == "cancelled"
    wait_for(lambda: not working(store))
    assert listed(uploading) == before
    wait_for(lambda: uploading.get(f"/api/v2/tasks/{task_id}").json()["state"] == "cancelled")
    assert uploading.post(f"/api/cancel/{task_id}").json()["code"] == "task_not_found"


@pytest.mark.slow
def test_the_faces_of_a_photo_are_numbered(uploading: Server, store: Path, clip: bytes, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip)
    with av.open(str(tmp_path / "clip.mp4")) as source:
        picture = next(source.decode(video=0)).to_ndarray(format="bgr24")
    two = jpeg(np.hstack([picture, picture]))
    found = uploading.post("/api/avatars/faces", files={"file": ("two.jpg", two)}).json()
    assert [face["number"] for face in found["faces"]] == [1, 2]
    shown = image(base64.b64decode(found["picture"].split(",")[1]))
    assert found["faces"][0]["x"] < shown.shape[1] / 2 < found["faces"][1]["x"]
    nobody = uploading.post("/api/avatars/faces", files={"file": ("text.mp4", b"hello")})
    assert (nobody.status_code, nobody.json()["success"]) == (400, False)
    assert working(store) == []


@pytest.mark.slow
def test_waiting_clients_get_their_place(uploading: Server, store: Path, clip: bytes) -> None:
    with send(uploading, clip, name="first") as first, send(uploading, clip, name="second") as second:
        made, events = events_of(first), events_of(second)  # a stream that is dropped closes its connection
        making = next(made)["task_id"]
        waiting = next(events)
        assert (waiting["stage"], waiting["position"]) == ("queued", 1)
        states = [uploading.get(f"/api/v2/tasks/{one}").json() for one in (making, waiting["task_id"])]
        assert [(one["kind"], one["state"], one["position"]) for one in states] == [
            ("avatar", "running", None),
            ("avatar", "queued", 1),
        ]
        counts = measured(uploading)
        assert [counts[f'avatar_tasks_{what}{{kind="avatar"}}'] for what in ("running", "waiting")] == [1, 1]
        assert uploading.post(f"/api/cancel/{waiting['task_id']}").json()["state"] == "queued"
        assert uploading.get(f"/api/v2/tasks/{waiting['task_id']}").json()["state"] == "cancelled"
        assert list(events)[-1]["cancelled"] is True
        assert uploading.get(f"/api/v2/tasks/{making}").json()["state"] == "running"
    wait_for(lambda: not working(store))
    now = wait_for(lambda: (m := measured(uploading))['avatar_tasks_running{kind="avatar"}'] == 0 and m)
    ended = 'avatar_tasks_total{kind="avatar",state="cancelled"}'
    assert now[ended] == counts[ended] + 2


@pytest.mark.slow
def test_a_broken_connection_loses_no_avatar(quick: Server, clip: bytes) -> None:
    """With a key the making goes on, is followed from where it broke, and sent again it is the same."""
    with send(quick, clip, key="me", name="kept") as answer:
        first = next(events_of(answer))
    assert (first["id"], first["stage"]) == (1, "reading")
    address = f"/api/v2/tasks/{first['task_id']}"
    with quick.get(f"{address}/events", headers={"Last-Event-ID": "1"}, stream=True) as answer:
        rest = list(events_of(answer))
    assert rest[-1]["avatar"] == "kept" and {event["task_id"] for event in rest} == {first["task_id"]}
    numbers = [event["id"] for event in rest]
    assert numbers == sorted(set(numbers)) and numbers[0] > 1
    again = events_of(send(quick, clip, key="me", name="kept"))
    assert list(again)[-1]["id"] == rest[-1]["id"]
    assert {avatar for avatar in listed(quick) if avatar.startswith("kept")} == {"kept_360p"}
    for changed in (send(quick, clip, key="me", name="other"), send(quick, clip + b"x", key="me", name="kept")):
        assert (changed.status_code, changed.json()["code"]) == (409, "idempotency_key_reused")
    state = quick.get(address).json()
    assert (state["state"], state["avatar"], state["ids"], state["video_url"]) == ("done", "kept", ["kept_360p"], None)
    stages = [stage["stage"] for stage in state["stages"]]
    assert stages == ["reading", "faces", "measuring", "mouth", "matte", "writing", "done"]
    assert quick.get(f"{address}/events", headers={"Last-Event-ID": str(rest[-1]["id"])}).status_code == 204
    assert quick.get(f"/video/{first['task_id']}.mp4").json()["code"] == "result_not_found"
    quick.delete("/api/avatars/kept")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the files of another process")
@pytest.mark.parametrize(("limit", "status"), [(4096, 503), (1 << 20, 200)], ids=["of the upload", "while it is made"])
def test_a_disk_without_room_is_no_fault_of_the_file(
    limit: int, status: int, fake_packs: Path, clip: bytes, tmp_path: Path
) -> None:
    import resource

    store = Path(shutil.copytree(fake_packs, tmp_path / "precomputed"))
    with running(["-m", "tests.fakes", str(store)], tmp_path) as server:
        # a disk says the same where it is full
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        answer = send(server, clip, name="crowded")
        assert answer.status_code == status
        reply = list(events_of(answer))[-1] if status == 200 else answer.json()
        assert reply.get("status", 503) == 503 and "disk" in reply["error"] and "mp4" not in reply["error"]
        assert str(tmp_path) not in reply["error"] and "/tmp" not in reply["error"]
        assert "crowded" not in str(listed(server)) and not working(store)


@pytest.mark.slow
def test_a_temporary_folder_that_was_deleted_is_made_again(fake_packs: Path, clip: bytes, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with running(["-m", "tests.fakes", str(fake_packs)], tmp_path, TMPDIR=str(temporary)) as server:
        shutil.rmtree(temporary)
        faces = server.post("/api/avatars/faces", files={"file": ("me.mp4", clip)})
        assert faces.status_code == 200, faces.text
        shutil.rmtree(temporary)
        assert made(server, b"no clip at all", name="me")[-1]["status"] == 400
        shutil.rmtree(temporary)
        temporary.write_text("in its place")
        for path in ("/api/avatars/faces", "/api/avatars"):
            form = {"name": "me", "consent": "true"}
            answer = server.post(path, data=form, files={"file": ("me.mp4", clip)}, headers={"Accept-Language": "en"})
            assert answer.status_code == 503, answer.text
            assert "disk" in answer.json()["error"] and str(tmp_path) not in answer.json()["error"]
