"""A real browser and real clients behind a real proxy, which puts the server under a path and speaks HTTPS."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from gradio_client import Client

from tests.nginx import NGINX, nginx
from tests.pages import FINISHED, MOVED, SPEAK, VIDEO, new_page, write
from tests.servers import Server, events_of, free_port, running

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt-get install nginx-light")
SERVER = """
server {{
  listen 127.0.0.1:{port} {ssl};
  location /avatar/ {{
    proxy_pass http://127.0.0.1:{behind}/;
    proxy_buffering off; proxy_read_timeout 1h; proxy_http_version 1.1;
    {headers}
  }}
}}
"""
FORWARDED = """
proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;
proxy_set_header X-Forwarded-Prefix /avatar; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
"""
"""What a proxy sends to a server that does not know its path; its Host is the one behind."""
BODY = {"text": "one two", "avatar": "solo"}


@contextmanager
def proxied(folder: Path, behind: int, headers: str, tls: bool) -> Iterator[str]:
    """Run a proxy that strips /avatar before the server at port BEHIND; gives the address under which people see it."""
    port, ssl = free_port(), ""
    if tls:
        pem = folder / "server.pem"
        command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout {pem} -out {pem}.crt"
        subprocess.run(command.split(), check=True, capture_output=True)
        ssl = f"ssl; ssl_certificate {pem}.crt; ssl_certificate_key {pem}"
    url = f"http{'s' if tls else ''}://127.0.0.1:{port}/avatar"
    server = SERVER.format(port=port, behind=behind, headers=headers, ssl=ssl)
    with nginx(folder, server, lambda: answers(f"{url}/api/v2/status")):
        yield url


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=30, verify=False).ok
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="module")
def with_headers(fake_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Behind a proxy that says where the server is, over HTTPS."""
    with proxied(tmp_path_factory.mktemp("with_headers"), fake_server.port, FORWARDED, tls=True) as url:
        yield url


@pytest.fixture(scope="module")
def without_headers(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Behind a proxy that hands on the name alone, so that the path must be set."""
    folder = tmp_path_factory.mktemp("without_headers")
    with (
        running(["-m", "tests.fakes", str(fake_packs)], folder, GRADIO_ROOT_PATH="/avatar") as server,
        proxied(folder, server.port, "proxy_set_header Host $http_host;", tls=False) as url,
    ):
        yield url


@pytest.fixture(params=["with_headers", "without_headers"])
def seen(request: pytest.FixtureRequest) -> str:
    """The address under which people see the server."""
    return str(request.getfixturevalue(request.param))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_rest_reports_addresses_that_work_from_outside(seen: str) -> None:
    host = seen.removesuffix("/avatar")

    def get(path: str) -> requests.Response:
        return requests.get(host + path, timeout=60, verify=False)

    done = requests.post(f"{seen}/api/v2/lipsync", json=BODY, timeout=60, verify=False).json()
    state = get(f"/avatar/api/v2/tasks/{done['task_id']}").json()
    addresses = [done[key] for key in ("video_url", "audio_url", "captions_url")]
    addresses += [state[key] for key in ("video_url", "audio_url", "captions_url", "events_url")]
    with requests.post(f"{seen}/api/v2/lipsync/stream", json=BODY, stream=True, timeout=60, verify=False) as answer:
        for event in events_of(answer):
            addresses += [url for key, url in event.items() if key.endswith("_url")]
    assert len(addresses) > 12
    for address in set(addresses):
        assert address.startswith("/avatar/") and get(address).status_code == 200, address
    assert get("/avatar/gradio_api/info").status_code == 200
    strange = requests.post(
        f"{seen}/gradio_api/call/generate", json={"data": []}, headers={"Origin": "https://evil.example"}, verify=False
    )
    own = requests.post(f"{seen}/api/v2/lipsync", json={}, headers={"Origin": host}, timeout=30, verify=False)
    assert (strange.status_code, own.status_code) == (403, 400)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_gradio_client_works_from_outside(seen: str) -> None:
    client = Client(f"{seen}/", verbose=False, ssl_verify=False)
    video, done, _ = client.predict(text="one", avatar="solo", api_name="/generate")
    assert done["video_url"].startswith("/avatar/video/")
    assert Path(video["video"] if isinstance(video, dict) else video).stat().st_size > 1000
    client.close()


def test_the_page_works_under_its_path(browser: Any, seen: str) -> None:
    context = browser.new_context(locale="en-US", ignore_https_errors=True)
    page = new_page(context)
    asked: list[tuple[str, int]] = []
    page.on("response", lambda answer: asked.append((answer.url, answer.status)))
    with page.expect_response(f"{seen}/assets/idle/*.mp4") as idle:
        page.goto(f"{seen}{SPEAK}")
    assert idle.value.status == 200
    page.wait_for_selector("#video .alive")
    write(page, "one two three")
    page.wait_for_function(MOVED)
    page.wait_for_function(FINISHED)
    assert page.evaluate(f"{VIDEO}.currentSrc").startswith(f"{seen}/video/")
    with page.expect_download() as download:
        page.click("#video .download")
    assert download.value.url.startswith(f"{seen}/video/") and download.value.path().stat().st_size > 1000
    page.get_by_role("tab", name="Build").click()
    page.wait_for_function(f"() => document.querySelector('#curl')?.innerText.includes('{seen}/api/v2/lipsync')")
    described = page.get_by_role("link", name="/api/openapi.json").evaluate("link => link.href")
    assert described == f"{seen}/api/openapi.json"
    assert [one for one in asked if not one[0].startswith((seen, "blob:", "data:")) or one[1] >= 400] == []
    assert page.faults == []
    context.close()
