"""What is sent as a file, finished: whole, in parts, or not again; to no stranger's script."""

from __future__ import annotations

import os
import struct
from email.utils import formatdate, parsedate_to_datetime
from io import BytesIO
from pathlib import Path

import av
import pytest
import requests
from starlette.requests import Request

from pipeline.server.rest.files import bytes_response
from tests.media import time_of
from tests.servers import Server

pytestmark = pytest.mark.slow  # real servers throughout

KINDS = ("video", "download", "captions", "mouth", "audio", "idle", "inspection")


@pytest.fixture(scope="module")
def addresses(fake_server: Server) -> dict[str, str]:
    done = fake_server.post("/api/v2/lipsync", {"text": "one two", "avatar": "solo"}).json()
    inspection = f"/api/v2/tasks/{done['task_id']}/inspect.png"
    video = done["video_url"]
    mouth = video.replace(".mp4", ".mouth.ndjson")
    urls = (video, f"{video}?download=1", done["captions_url"], mouth, done["audio_url"], "/assets/idle/solo_720p.mp4")
    return dict(zip(KINDS, (*urls, inspection), strict=True))


@pytest.mark.parametrize("kind", [*KINDS[:-1], pytest.param(KINDS[-1], marks=pytest.mark.slow)])
def test_what_a_client_has_is_not_sent_again(fake_server: Server, addresses: dict[str, str], kind: str) -> None:
    url = addresses[kind]
    whole = fake_server.get(url)
    tag, written = whole.headers["ETag"], whole.headers["Last-Modified"]
    later = formatdate(parsedate_to_datetime(written).timestamp() + 60, usegmt=True)
    for known in (
        {"If-None-Match": tag},
        {"If-None-Match": f"W/{tag}"},
        {"If-None-Match": f'"other", {tag}'},
        {"If-None-Match": "*"},
        {"If-None-Match": tag, "Range": "bytes=0-9"},
        {"If-None-Match": tag, "If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"If-Modified-Since": written},
        {"If-Modified-Since": later},
    ):
        for method in ("GET", "HEAD"):
            if (kind, method) == ("inspection", "HEAD"):
                continue
            answer = requests.request(method, fake_server.url + url, headers=known, timeout=30)
            assert (answer.status_code, answer.content) == (304, b""), (known, method)
            assert (answer.headers["ETag"], answer.headers["Last-Modified"]) == (tag, written)
    for changed in (
        {"If-None-Match": '"other"'},
        {"If-None-Match": tag.strip('"')},
        {"If-None-Match": '"other"', "If-Modified-Since": later},
        {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"If-Modified-Since": "yesterday"},
    ):
        answer = fake_server.get(url, headers=changed)
        assert (answer.status_code, answer.content) == (200, whole.content), changed


@pytest.mark.parametrize("kind", [*KINDS[:-1], pytest.param(KINDS[-1], marks=pytest.mark.slow)])
def test_a_part_is_sent(fake_server: Server, addresses: dict[str, str], kind: str) -> None:
    url = addresses[kind]
    whole = fake_server.get(url)
    size, tag = len(whole.content), whole.headers["ETag"]
    assert whole.headers["Accept-Ranges"] == "bytes" and whole.headers["Content-Length"] == str(size)
    for asked, first, last in (
        ("0-0", 0, 0),
        ("10-19", 10, 19),
        ("10-", 10, size - 1),
        ("-10", size - 10, size - 1),
        (f"-{size + 10}", 0, size - 1),
        (f"0-{size + 10}", 0, size - 1),
        (f"{size - 1}-", size - 1, size - 1),
    ):
        for more in ({}, {"If-Range": tag}, {"If-Range": whole.headers["Last-Modified"]}):
            part = fake_server.get(url, headers={"Range": f"bytes={asked}", **more})
            assert (part.status_code, part.content) == (206, whole.content[first : last + 1]), asked
            assert part.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
            assert (part.headers["ETag"], part.headers["Content-Type"]) == (tag, whole.headers["Content-Type"])
    for asked in (f"{size}-", f"{size + 5}-{size + 9}"):
        answer = fake_server.get(url, headers={"Range": f"bytes={asked}"})
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}"), asked
    other = fake_server.get(url, headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    assert (other.status_code, other.content) == (200, whole.content)


def test_of_an_idle_clip_what_is_no_range_is_passed_over(fake_server: Server) -> None:
    url = "/assets/idle/solo_720p.mp4"
    whole = fake_server.get(url).content
    for asked in ("bytes=9-5", "bytes=-", "bytes=a-b", "lines=0-5", "bytes=0-4,6-9", "bytes", ""):
        answer = fake_server.get(url, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (200, whole), asked
    assert fake_server.get(url, headers={"Range": "bytes=-0"}).status_code == 416
    head = requests.head(fake_server.url + url, timeout=30)
    assert head.headers["Content-Length"] == str(len(whole)) and head.headers["ETag"]


def boxes(content: bytes, *path: bytes) -> list[bytes]:
    """Return what the boxes of an mp4 hold that lie at PATH."""
    found, at = [], 0
    while at < len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        if path and kind == path[0]:
            inner = content[at + 8 : at + size]
            found += boxes(inner, *path[1:]) if path[1:] else [inner]
        at += size
    return found


def lengths(content: bytes) -> list[float]:
    """Return the seconds that an mp4 tells of itself: the whole, and each track's own."""

    def seconds(box: bytes) -> float:
        assert box[0] == 0  # a version of 32 bits
        scale, duration = struct.unpack(">II", box[12:20])
        return float(duration / scale)

    tracks = boxes(content, b"moov", b"trak", b"mdia", b"mdhd")
    return [seconds(box) for box in boxes(content, b"moov", b"mvhd") + tracks]


def packets(content: bytes) -> list[tuple[int, object, object, bool, bytes]]:
    with av.open(BytesIO(content), "r") as container:
        return sorted(
            (p.stream.index, time_of(p), p.dts * p.time_base, p.is_keyframe, bytes(p))
            for p in container.demux()
            if p.dts is not None
        )


@pytest.mark.parametrize("text", ["one", "one two three four five six seven"])
def test_a_download_is_the_same_video_in_one_piece_that_reports_its_length(fake_server: Server, text: str) -> None:
    done = fake_server.post("/api/v2/lipsync", {"text": text, "avatar": "solo"}).json()
    url, seconds = done["video_url"], done["audio_duration"]
    stream, kept = fake_server.get(url).content, fake_server.get(f"{url}?download=1")
    assert lengths(stream)[0] == 0  # it was unknown when these bytes were sent
    assert lengths(kept.content) == pytest.approx([seconds] * 3, abs=0.05) and seconds > 0.4
    kinds = [kept.content.find(kind) for kind in (b"ftyp", b"moov", b"mdat")]
    assert kinds == sorted(kinds) and b"moof" not in kept.content and min(kinds) == 4
    assert packets(kept.content) == packets(stream)  # nothing is lost, and nothing encoded again
    assert (
        kept.headers["Content-Disposition"] == "attachment"
        and kept.headers["ETag"] != fake_server.get(url).headers["ETag"]
    )
    assert fake_server.get(url).content == stream and fake_server.get(f"{url}?download=0").content == stream


def test_a_download_waits_for_the_end(fake_server: Server) -> None:
    with fake_server.stream({"text": "slow one two", "avatar": "solo"}) as events:
        url = next(event["video_url"] for event in events if "video_url" in event)
        assert lengths(fake_server.get(f"{url}?download=1").content)[0] > 1
        assert list(events)[-1]["type"] == "done"
    assert fake_server.get(f"/video/{'0' * 32}.mp4?download=1").status_code == 404
    with fake_server.stream({"text": "torn one two", "avatar": "solo"}) as events:
        url = next(event["video_url"] for event in events if "video_url" in event)
        assert fake_server.get(f"{url}?download=1").status_code == 404


def test_where_no_copy_can_be_written_the_stream_itself_is_sent(fake_server: Server) -> None:
    done = fake_server.post("/api/v2/lipsync", {"text": "one", "avatar": "solo"}).json()
    blocked = fake_server.results / f"{done['task_id']}.whole.mp4.part"
    blocked.mkdir()  # as good as a full disk
    try:
        kept = fake_server.get(f"{done['video_url']}?download=1")
        assert (kept.status_code, kept.content) == (200, fake_server.get(done["video_url"]).content)
    finally:
        blocked.rmdir()


def conditional(headers: dict[str, str]) -> Request:
    return Request(
        {"type": "http", "method": "GET", "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()]}
    )


def test_what_another_version_makes_of_the_same_file_is_sent_again(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.write_bytes(b"pack")
    os.utime(pack, (10**9, 10**9))  # long ago
    old = bytes_response(b"old", "video/mp4", conditional({}), pack)
    tag, written = old.headers["etag"], formatdate(10**9 + 60, usegmt=True)
    for known in ({"If-None-Match": tag}, {"If-Modified-Since": written}, {"Range": "bytes=1-", "If-Range": tag}):
        new = bytes_response(b"new", "video/mp4", conditional(known), pack)
        assert (new.status_code, new.body) == (200, b"new"), known
    assert bytes_response(b"old", "video/mp4", conditional({"If-None-Match": tag}), pack).status_code == 304


MADE = {
    "a clip": "/assets/idle/solo_720p.mp4",
    "a clip in front of a background": "/assets/idle/solo_720p.mp4?background=%23112233",
    "a picture": "/assets/idle/solo.jpg",
    "a picture in front of a background": "/assets/idle/solo.jpg?background=blur",
    "a transparent picture": "/assets/idle/solo.jpg?background=transparent",
    "the picture of a shared link": "/assets/card.jpg",
    "a voice": "{voice}",
    "the script of the tag": "/embed/v1.js",
    "subtitles": "{captions}",
}


@pytest.mark.parametrize("kind", MADE)
def test_browsers_ask_each_time_for_what_the_program_makes(
    fake_server: Server, addresses: dict[str, str], kind: str
) -> None:
    voices = [one["sample"] for one in fake_server.get("/api/voices").json()["voices"] if one["sample"]]
    url = MADE[kind].format(captions=addresses["captions"].replace(".vtt", ".srt"), voice=voices[0])
    whole = fake_server.get(url)
    assert whole.status_code == 200 and "no-cache" in whole.headers["cache-control"]
    known = {"If-None-Match": whole.headers["etag"]}
    assert fake_server.get(url, headers=known).status_code == 304
    assert parsedate_to_datetime(whole.headers["last-modified"]).timestamp() > 10**9
