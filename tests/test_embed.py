"""The script of <talking-avatar>: what is checked in is what its sources make, and every web site may include it."""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.server.rest.component import SCRIPT, script_version
from tests.servers import ROOT, Server

BUILT = ROOT / "pipeline" / "server" / "embed" / "v1.js"
SOURCES = ROOT / "embed" / "src"
MOST = 40_000
"""Bytes that it may weigh, compressed."""


def digest() -> str:
    """Return what embed/build.mjs notes of the sources."""
    found = hashlib.sha256()
    for path in sorted(SOURCES.iterdir()):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def test_the_script_was_made_of_these_sources() -> None:
    noted = re.match(r"/\* <talking-avatar> v1, .*? ([0-9a-f]{64}) \*/", BUILT.read_text("utf-8"))
    assert noted and noted[1] == digest(), "run: cd embed && npm ci && npm run build"


@pytest.mark.skipif(not (ROOT / "embed" / "node_modules").is_dir(), reason="embed/node_modules is not installed")
@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_building_it_again_makes_the_same(tmp_path: Path) -> None:
    again = tmp_path / "v1.js"
    subprocess.run(["node", ROOT / "embed" / "build.mjs", again], check=True, capture_output=True, timeout=60)
    assert again.read_bytes() == BUILT.read_bytes()


def test_it_is_small() -> None:
    assert len(gzip.compress(BUILT.read_bytes())) <= MOST


def test_it_asks_no_other_host() -> None:
    found = set(re.findall(r"https?://[\w.-]+", BUILT.read_text("utf-8")))
    assert found == {"https://..."}  # in a sentence that says how the tag is written


def test_every_web_site_may_include_it_and_browsers_keep_it(fake_server: Server) -> None:
    answer = fake_server.get(SCRIPT, headers={"Origin": "https://site.example", "Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200 and answer.content == BUILT.read_bytes()
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["content-encoding"] == "gzip" and int(answer.headers["content-length"]) <= MOST
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["cache-control"] == "public, no-cache"
    again = fake_server.get(SCRIPT, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304 and again.content == b""
    for_good = fake_server.get(f"{SCRIPT}?v={script_version()}")
    assert "immutable" in for_good.headers["cache-control"]
    plain = fake_server.get(SCRIPT, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.headers["etag"] != answer.headers["etag"]
    assert plain.content == answer.content
