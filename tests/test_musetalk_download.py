"""Fetching weights, from a hub that runs here: what comes is checked, and a broken-off download goes on."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.core.hub import WeightFile, download, fault
from pipeline.engines.musetalk.download import FILES
from pipeline.errors import Unavailable

CONTENT = bytes(range(256)) * 4096
"""1 MiB."""


class _Hub(ThreadingHTTPServer):
    """Answers as the hub does for one file. breaks_at: bytes after which it hangs up; sends: what it sends.

    goes_on: whether it sends only the rest on request.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.sends = CONTENT
        self.breaks_at: int | None = None
        self.goes_on = True
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: _Hub

    def do_GET(self) -> None:
        if not self.path.startswith("/cdn"):  # the hub keeps large files elsewhere
            self.send_response(302)
            self.send_header("Location", f"/cdn{self.path}")
            self.end_headers()
            return
        assert self.path == "/cdn/somebody/something/resolve/" + "0" * 40 + "/a.bin"
        sends, given = self.server.sends, self.headers.get("Range")
        self.server.ranges.append(given)
        start = int(given.removeprefix("bytes=").split("-")[0]) if given and self.server.goes_on else 0
        self._head(206 if start else 200, len(sends) - start, start)
        stop = self.server.breaks_at
        self.wfile.write(sends[start:stop])
        self.close_connection = True

    def _head(self, status: int, length: int, start: int = 0) -> None:
        total = len(self.server.sends)
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[_Hub]:
    server = _Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


FILE = WeightFile(
    folder="sd-vae",
    repository="somebody/something",
    revision="0" * 40,
    name="a.bin",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)


def test_a_file_is_fetched_once(hub: _Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    download(tmp_path, (FILE,), hub.url)
    assert re.search(r"a\.bin: 100%.* 1\.05M/1\.05M", capsys.readouterr().err)
    assert (tmp_path / "sd-vae" / "a.bin").read_bytes() == CONTENT
    assert len(hub.ranges) == 1
    download(tmp_path, (FILE,), hub.url)
    assert len(hub.ranges) == 1


def test_a_file_cut_short_is_fetched_again(hub: _Hub, tmp_path: Path) -> None:
    path = tmp_path / "sd-vae" / "a.bin"
    path.parent.mkdir()
    path.write_bytes(CONTENT[:1000])
    assert fault(path, FILE) == "1,000 of 1,048,576 bytes"
    download(tmp_path, (FILE,), hub.url)
    assert path.read_bytes() == CONTENT


def test_something_else_than_the_file_is_removed(hub: _Hub, tmp_path: Path) -> None:
    hub.sends = CONTENT[::-1]
    with pytest.raises(Unavailable, match="is not valid and was removed"):
        download(tmp_path, (FILE,), hub.url)
    assert not (tmp_path / "sd-vae" / "a.bin").exists()


@pytest.mark.parametrize("goes_on", [True, False], ids=["the rest", "all again"])
def test_a_download_that_broke_off_goes_on_where_it_stopped(hub: _Hub, tmp_path: Path, goes_on: bool) -> None:
    hub.goes_on = goes_on
    hub.breaks_at = 700_000
    with pytest.raises(Unavailable, match="goes on"):
        download(tmp_path, (FILE,), hub.url)
    assert not (tmp_path / "sd-vae" / "a.bin").exists()
    hub.breaks_at = None
    hub.ranges.clear()
    download(tmp_path, (FILE,), hub.url)
    assert (tmp_path / "sd-vae" / "a.bin").read_bytes() == CONTENT
    assert [given and int(given.removeprefix("bytes=").split("-")[0]) for given in hub.ranges] == [700_000]


def test_no_connection_is_reported(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be fetched"):
        download(tmp_path, (FILE,), "http://127.0.0.1:9")


def test_every_part_of_the_model_is_listed() -> None:
    names = {f"{file.folder}/{file.name}".lstrip("/") for file in FILES}
    assert {"musetalkV15/unet.pth", "sd-vae/diffusion_pytorch_model.safetensors", "whisper/model.safetensors"} < names
    assert all(len(file.sha256) == 64 and len(file.revision) == 40 for file in FILES)
