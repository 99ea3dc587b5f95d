"""How soon <talking-avatar> moves and stops, on a web site of another origin that has nothing but the tag.

    python -m benchmarks.embed [--times 20] [--resolution 720p] [--browser chromium]

Starts the server and the site, and opens the site in a headless browser. For the modes "speak" and "live" it measures
from the press of the tag's own button to the first picture of the answer that moves, and from a call of ``interrupt()``
to the frame in which the player has left the answer.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.live import ARGUMENTS, TEXT
from benchmarks.machine import chromium, describe_machine, load
from benchmarks.serving import URL, serving

SITE = "http://127.0.0.1:{port}"
PAGE = """<!doctype html><html lang="ko"><meta charset="utf-8"><title>site</title>
<script src="{url}/embed/v1.js" async></script>
<talking-avatar server="{url}" avatar="talk_long" mode="{mode}" resolution="{resolution}">{text}</talking-avatar>"""
WATCH = """() => {
    window.avatar = document.querySelector('talking-avatar');
    const video = avatar.video;
    window.pressed = window.shown = window.stopped = window.asked = null;
    addEventListener('click', () => { window.pressed = performance.now(); }, true);
    avatar.addEventListener('turn-started', () => (window.began = true));
    const look = (now) => {
        if (window.pressed !== null && window.shown === null && window.began) window.shown = now;
        video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
    avatar.addEventListener('interrupted', () => requestAnimationFrame((now) => (window.stopped = now)));
}"""
"""`began` is set when the first picture of the answer is shown; the one after it is the first that moved.

It is silent as soon as ``interrupt()`` is called; at `interrupted` the player has left what was still to be said.
"""
BARS = {"first moving picture": 0.6, "stopped after interrupt()": 0.3}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--times", type=int, default=20)
    options.add_argument("--text", default=TEXT)
    options.add_argument("--resolution", default="720p")
    options.add_argument("--browser", default=chromium())
    given = options.parse_args()
    rows: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        _site(Path(folder)) as origin,
        serving(ALLOWED_ORIGINS=origin, TTS_ENGINE="espeak"),
    ):
        for mode in ("speak", "live"):
            page = PAGE.format(url=URL, mode=mode, resolution=given.resolution, text=given.text)
            (Path(folder) / "index.html").write_text(page, "utf-8")
            for name, seconds in _watch(origin, given, mode).items():
                rows[f"{mode}: {name}"] = seconds
    print(f"machine: {describe_machine()}; load {load():.1f}\n{given.resolution}, {len(given.text)} letters\n")
    print("| seconds | median | worst | times | bar |\n|---|---|---|---|---|")
    for name, seconds in rows.items():
        bar = next(most for what, most in BARS.items() if what in name)
        print(f"| {name} | {statistics.median(seconds):.2f} | {max(seconds):.2f} | {len(seconds)} | {bar} |")


@contextmanager
def _site(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        yield SITE.format(port=pages.server_port)
        pages.shutdown()


def _watch(origin: str, given: argparse.Namespace, mode: str) -> dict[str, list[float]]:
    """Return the seconds of each time; the first is warming up, and not among them."""
    from playwright.sync_api import sync_playwright

    shown, stopped = [], []
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=given.browser, args=list(ARGUMENTS))
        page: Any = browser.new_page(locale="ko-KR")
        page.set_default_timeout(60_000)
        page.goto(origin)
        page.wait_for_selector("talking-avatar[alive]")
        page.evaluate(WATCH)
        if mode == "live":  # somebody is there already when the visitor presses
            page.evaluate("avatar.start()")
            page.wait_for_function("avatar.state === 'ready'")
            page.evaluate("""() => {
                const button = Object.assign(document.createElement('button'), { id: 'say', textContent: 'say' });
                button.addEventListener('click', () => avatar.say());
                document.body.append(button);
            }""")
        for _ in range(given.times + 1):
            page.evaluate("window.pressed = window.shown = window.stopped = window.asked = null; window.began = false")
            page.click("#say" if mode == "live" else "talking-avatar .main")
            page.wait_for_function("window.shown !== null")
            shown.append(page.evaluate("(window.shown - window.pressed) / 1000"))
            page.wait_for_timeout(400)
            page.evaluate("() => { window.asked = performance.now(); avatar.interrupt(); }")
            page.wait_for_function("window.stopped !== null")
            stopped.append(page.evaluate("(window.stopped - window.asked) / 1000"))
            page.wait_for_function("avatar.state === 'ready'")
            page.wait_for_timeout(1200)
            if mode == "speak":
                page.evaluate("avatar.close()")
        browser.close()
    return {"first moving picture": shown[1:], "stopped after interrupt()": stopped[1:]}


if __name__ == "__main__":
    main()
