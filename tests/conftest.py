"""Fixtures that several files share: servers, avatars, a clip, a browser."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import requests

from pipeline.preparing import mouth_scale
from pipeline.preparing.encode_clip import CLIP
from tests.fakes import make_pack
from tests.footage import first_second
from tests.pages import FAILED, Kept, chromium
from tests.redis_server import Redis
from tests.servers import QUEUE_LIMIT, Server, free_port, running, wait_for


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a server or a browser, and put files first that take long, so that none is left alone."""
    long: Counter[Path] = Counter()
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
        if _starts_a_server(item):
            item.add_marker(pytest.mark.server)
        long[item.path] += any(item.iter_markers("slow")) or any(item.iter_markers("browser"))
    items.sort(key=lambda item: -long[item.path])


def _starts_a_server(item: pytest.Item) -> bool:
    """Return whether one of the fixtures of a test gives a ``Server``, as its annotation says."""
    known: dict[str, Any] = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    fixtures = [fixture for alike in known.values() for fixture in alike]
    return any("Server" in str(fixture.func.__annotations__.get("return")) for fixture in fixtures)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collect no garbage while tests are imported: there is none, and each worker looks for it for two seconds."""
    gc.disable()
    try:
        _import_a_share(session)
        return (yield)
    finally:
        gc.enable()


def _import_a_share(session: pytest.Session) -> None:
    """Have each worker import a share of the files first: what pytest makes of their assertions all others then find.

    They would otherwise all do the same work for the same file at the same time.
    """
    worker, workers = (os.environ.get(f"PYTEST_XDIST_{name}", "") for name in ("WORKER", "WORKER_COUNT"))
    if worker and session.config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        for path in sorted(Path(__file__).parent.glob("test_*.py"))[int(worker.lstrip("gw")) :: int(workers)]:
            with suppress(Exception, pytest.skip.Exception):  # reported when it is collected
                import_module(f"{__package__}.{path.stem}")


def pytest_collection_finish() -> None:
    """Have garbage collections pass over what was imported: half a second each time, for tests that collect."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def quick_preparing() -> Iterator[None]:
    """Has packs made in less time: larger ones, of people whose mouth's width is measured in fewer frames."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CLIP, "preset", "ultrafast")
        patch.setattr(mouth_scale, "FRAMES", 1)
        yield


@pytest.fixture
def small_pictures(quick_preparing: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has packs in 360p made from pictures of that size, in less time still."""
    monkeypatch.setattr("pipeline.preparing.prepare.WORK_SIDE", 360)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Has torch use one thread: the order of sums, and with it their last digits, depends on how many there are."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny MuseTalk network with random weights."""
    from tests.tiny_musetalk import save_models  # loads torch

    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def fake_packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two tiny avatars: "solo" in 720p and 480p, "duet" in 720p only and without a matte."""
    root = tmp_path_factory.mktemp("store") / "precomputed"
    for name, resolution in (("solo", "720p"), ("solo", "480p"), ("duet", "720p")):
        make_pack(root, name, resolution, matte=name == "solo")
    return root


@pytest.fixture(scope="session")
def clip() -> bytes:
    """The first 15 frames (0.6 s) of the bundled clip, in 360p: little more than an avatar needs at least."""
    return first_second((640, 360), 15)


@pytest.fixture(scope="session")
def fake_server(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server on stand-ins that fail when the text says so."""
    with running(
        ["-m", "tests.fakes", str(fake_packs)], tmp_path_factory.mktemp("fake"), MAX_QUEUE=str(QUEUE_LIMIT)
    ) as s:
        wait_for(lambda: "warm after" in s.log)  # what it does to warm up must not be taken for what a test asked for
        yield s


@pytest.fixture(scope="session")
def short_grace(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server on stand-ins, with little patience."""
    folder = tmp_path_factory.mktemp("impatient")
    with running(["-m", "tests.fakes", str(fake_packs)], folder, RESUME_SECONDS="1", MAX_SECONDS="2.5") as s:
        yield s


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The program itself, as ``python app.py`` starts it, without an ElevenLabs key."""
    with running(["app.py"], tmp_path_factory.mktemp("real")) as s:
        yield s


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, without a window."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def kept(browser: Any) -> Kept:
    """Pages that the tests of a file use one after the other."""
    return Kept(browser)


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A Redis of its own."""
    redis = Redis(tmp_path_factory.mktemp("redis"))
    redis.start()
    yield redis
    redis.stop()


@pytest.fixture(params=["folder", "s3"])
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a store: a folder, then a bucket."""
    if request.param == "folder":
        yield (tmp_path / "a store").as_uri()
        return
    pytest.importorskip("obstore", reason="obstore is not installed: pip install -r requirements-cluster.txt")
    moto = pytest.importorskip("moto.server", reason="S3 is not played: pip install 'moto[s3,server]'")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        own = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_REGION": "us-east-1"}
        for name, value in {**own, "AWS_ENDPOINT": endpoint, "AWS_ALLOW_HTTP": "true"}.items():
            monkeypatch.setenv(name, value)
        assert requests.put(f"{endpoint}/bucket", timeout=10).status_code == 200
        yield "s3://bucket/a store"
    finally:
        server.stop()
