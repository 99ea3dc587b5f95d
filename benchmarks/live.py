"""How soon something can be seen: first bytes of a video, its first picture in a browser, and the whole of it.

    python -m benchmarks.live [--requests 20] [--text TEXT] [--resolution 720p] [--engine auto] [--browser chromium]

Starts the server, sends one request to warm it up, and then one after the other: half of them measured from a client of
the REST interface (POST, then GET of the growing video), half in a headless browser (from the press of the button to
the first moving picture that is shown; needs playwright and a Chromium).
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from typing import Any

import requests

from benchmarks.machine import chromium, describe_machine, load
from benchmarks.serving import URL, serving
from pipeline.engines.select import AUTO

TEXT = "안녕하세요, 면접에 오신 것을 환영합니다."
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required")
WATCH = """() => {
    const video = document.querySelector('#video talking-avatar').video;
    window.pressed = null;
    window.shown = null;
    document.querySelector('#generate').addEventListener('click', () => { window.pressed = performance.now(); }, true);
    const look = (now, picture) => {
        if (window.pressed !== null && window.shown === null && picture.mediaTime > 0) window.shown = now;
        video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
}"""
"""The first picture stands while the video starts; the second one, of a time above 0, is the first that moves."""

STILL = """() => {
    const video = document.querySelector('#video talking-avatar').video;
    return video.ended || video.paused;
}"""


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--requests", type=int, default=20)
    options.add_argument("--text", default=TEXT)
    options.add_argument("--resolution", default="720p")
    options.add_argument("--engine", default=AUTO, help="speech engine")
    options.add_argument("--browser", default=chromium())
    given = options.parse_args()
    body = {"text": given.text, "avatar": "talk_long", "resolution": given.resolution}
    half = max(1, given.requests // 2)
    with serving(TTS_ENGINE=given.engine):
        _ask(body)
        asked = [_ask(body) for _ in range(half)]
        rows = {"REST: first bytes": [first for first, _ in asked], "REST: total": [total for _, total in asked]}
        rows |= _watch(given, half)
    print(f"machine: {describe_machine()}; load {load():.1f}")
    print(f"{given.resolution}, {len(given.text)} letters, speech by {given.engine}\n")
    print("| seconds from the request | median | worst | requests |\n|---|---|---|---|")
    for name, seconds in rows.items():
        print(f"| {name} | {statistics.median(seconds):.2f} | {max(seconds):.2f} | {len(seconds)} |")


def _ask(body: dict[str, str]) -> tuple[float, float]:
    """Return the seconds from a request to the first bytes of its video, and to its end."""
    start = time.perf_counter()
    first: list[float] = []

    def fetch(path: str) -> None:
        with requests.get(URL + path, stream=True, timeout=60) as video:
            received = 0
            for part in video.iter_content(None):
                received += len(part)
                if not first and received > 4096:  # more than the head, which holds no picture
                    first.append(time.perf_counter() - start)

    fetching = None
    with requests.post(f"{URL}/api/v2/lipsync/stream", json=body, stream=True, timeout=60) as response:
        for line in response.iter_lines():
            event: dict[str, Any] = json.loads(line[6:]) if line.startswith(b"data: ") else {}
            if "video_url" in event and fetching is None:
                fetching = threading.Thread(target=fetch, args=(event["video_url"],))
                fetching.start()
    total = time.perf_counter() - start
    assert fetching is not None
    fetching.join()
    return first[0], total


def _watch(given: argparse.Namespace, times: int) -> dict[str, list[float]]:
    """Return the seconds from the press of the button to the first moving picture, and to the finished video."""
    from playwright.sync_api import sync_playwright

    shown, done = [], []
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=given.browser, args=list(ARGUMENTS))
        page = browser.new_page(locale="ko-KR")
        page.goto(f"{URL}/#speak")
        page.wait_for_selector("#video .answer", state="attached")
        page.fill("#text textarea", given.text)
        page.evaluate(WATCH)
        for _ in range(times + 1):
            page.evaluate("() => { window.pressed = window.shown = null; }")
            page.click("#generate")
            page.wait_for_function("() => window.shown !== null", timeout=60_000)
            page.wait_for_function("() => document.querySelector('#status .done') !== null", timeout=60_000)
            shown.append(page.evaluate("() => (window.shown - window.pressed) / 1000"))
            done.append(page.evaluate("() => (performance.now() - window.pressed) / 1000"))
            page.wait_for_function(STILL, timeout=60_000)  # a picture of the last answer is none of the next
            page.wait_for_timeout(500)
        browser.close()
    return {"page: first moving picture": shown[1:], "page: finished": done[1:]}


if __name__ == "__main__":
    main()
