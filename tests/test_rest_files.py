"""What is sent as a file, finished: whole, in parts, or not again; to no stranger's script."""

from __future__ import annotations

from email.utils import formatdate, parsedate_to_datetime

import pytest
import requests

from tests.conftest import Server

KINDS = ("video", "captions", "audio", "idle", "inspection")


@pytest.fixture(scope="module")
def addresses(fake_server: Server) -> dict[str, str]:
    done = fake_server.post("/api/v2/lipsync", {"text": "one two", "avatar": "solo"}).json()
    inspection = f"/api/v2/tasks/{done['task_id']}/inspect.png"
    urls = (done["video_url"], done["captions_url"], done["audio_url"], "/assets/idle/solo_720p.mp4", inspection)
    return dict(zip(KINDS, urls, strict=True))


@pytest.mark.parametrize("kind", KINDS)
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


@pytest.mark.parametrize("kind", KINDS)
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
