"""What opening the page costs: requests, bytes, seconds until it can be used, how much moves meanwhile, and rest.

    python -m benchmarks.page [--times 5] [--list] [--browser chromium]

Starts the server, and beside it a page of Gradio's that has nothing but a text field and a button: what that costs, no
page of Gradio's can save. Opens both in turn in a headless browser, with an empty cache first ("cold"), then with the
cache of that visit ("warm"). A page can be used as soon as its main button is there and the portraits have come.
Then each is left alone by a visitor who wants little motion: frames that it asks for, and CPU time of the browser.
``--list`` names the requests of a cold visit.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks.live import ARGUMENTS
from benchmarks.machine import chromium, describe_machine, load
from benchmarks.serving import PORT, URL, serving

EMPTY_PORT = PORT + 1
EMPTY_URL = f"http://127.0.0.1:{EMPTY_PORT}"
EMPTY = f"""
import gradio as gr
with gr.Blocks(analytics_enabled=False) as page:
    gr.Textbox(label="text")
    gr.Button("go", elem_id="go")
page.launch(server_port={EMPTY_PORT}, quiet=True, ssr_mode=False)
"""
WATCH = """
window.moved = 0;
window.moves = [];
new PerformanceObserver((list) => {
    for (const shift of list.getEntries()) {
        if (shift.hadRecentInput) continue;
        window.moved += shift.value;
        const names = shift.sources.map(({ node }) => node?.id || String(node?.className || node?.nodeName));
        window.moves.push([shift.value, ...names]);
    }
}).observe({ type: 'layout-shift', buffered: true });
"""
COUNT_FRAMES = """
window.frames_asked_for = 0;
const ask = window.requestAnimationFrame;
window.requestAnimationFrame = (act) => (window.frames_asked_for++, ask(act));
"""
SETTLED_MS, REST_MS = 4000, 5000
"""Milliseconds until all has come and faded in, and of the rest that is measured."""
PORTRAITS = "document.querySelector('#portraits img')?.complete"
USABLE = {
    "empty page of Gradio's": "document.querySelector('#go')",
    "page": f"{PORTRAITS} && document.querySelector('#live .live[data-state=ready]')",
    "page at /#speak": f"{PORTRAITS} && document.querySelector('#text textarea')?.offsetParent",
}
PAGES = {"empty page of Gradio's": EMPTY_URL, "page": URL, "page at /#speak": f"{URL}/#speak"}
WIDTHS = (390, 1280)
"""Of a phone and of a desk, pixels."""


@dataclass
class Visit:
    """What was seen of one visit: names of the requests, bytes received, seconds until usable, layout shift."""

    requests: list[str] = field(default_factory=list)
    received: int = 0
    usable: float = 0.0
    moved: float = 0.0
    moves: list[Any] = field(default_factory=list)


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--times", type=int, default=5)
    options.add_argument("--list", action="store_true")
    options.add_argument("--browser", default=chromium())
    given = options.parse_args()
    rows: dict[tuple[str, int], list[tuple[Visit, Visit]]] = {}
    at_rest: dict[str, list[tuple[float, float]]] = {}
    with serving(TTS_ENGINE="espeak"), _empty_page():
        for _ in range(given.times):
            for name in PAGES:
                at_rest.setdefault(name, []).append(_rest(name, given.browser))
                for width in WIDTHS:
                    rows.setdefault((name, width), []).append(_visits(name, width, given.browser))
    print(f"machine: {describe_machine()}; load {load():.1f}\n")
    print("| | width | requests cold, warm | KiB cold, warm | usable cold, warm (s) | layout shift, worst |")
    print("|---|---|---|---|---|---|")
    for (name, width), visits in rows.items():
        cold, warm = ([one[at] for one in visits] for at in (0, 1))
        cells = [
            ", ".join(f"{statistics.median(len(v.requests) for v in some):.0f}" for some in (cold, warm)),
            ", ".join(f"{statistics.median(v.received for v in some) / 1024:.0f}" for some in (cold, warm)),
            ", ".join(f"{statistics.median(v.usable for v in some):.2f}" for some in (cold, warm)),
            f"{max(v.moved for v in cold + warm):.3f}",
        ]
        print(f"| {name} | {width} | {' | '.join(cells)} |")
    print("\n| at rest | frames asked for, a second | browser, share of a core |")
    print("|---|---|---|")
    for name, rests in at_rest.items():
        frames, cores = (statistics.median(values) for values in zip(*rests, strict=True))
        print(f"| {name} | {frames:.0f} | {cores:.3f} |")
    if given.list:
        for (name, width), visits in rows.items():
            if width == WIDTHS[-1]:
                print(f"\n{name}:", *visits[0][0].requests, sep="\n  ")
            worst = max((visit for pair in visits for visit in pair), key=lambda visit: visit.moved)
            print(f"\n{name}, {width}: what moved:", *worst.moves, sep="\n  ")


@contextmanager
def _empty_page() -> Iterator[None]:
    gradio = subprocess.Popen([sys.executable, "-c", EMPTY], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                urlopen(EMPTY_URL).close()
                break
            except URLError:
                if gradio.poll() is not None or time.monotonic() > until:
                    raise SystemExit("the empty page did not start") from None
                time.sleep(0.2)
        yield
    finally:
        gradio.terminate()
        gradio.wait(30)


def _visits(name: str, width: int, executable: str) -> tuple[Visit, Visit]:
    """Open a page with an empty cache, and once more."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        context = browser.new_context(locale="ko-KR", viewport={"width": width, "height": 844})
        context.add_init_script(WATCH)
        seen = []
        for _ in ("cold", "warm"):
            page: Any = context.new_page()
            visit = Visit()
            devtools = context.new_cdp_session(page)
            devtools.send("Network.enable")
            devtools.on("Network.requestWillBeSent", lambda sent, visit=visit: _sent(visit, sent["request"]["url"]))
            devtools.on("Network.loadingFinished", lambda got, visit=visit: _received(visit, got["encodedDataLength"]))
            page.goto(PAGES[name], wait_until="commit")
            page.wait_for_function(f"!!({USABLE[name]})", timeout=60_000)
            visit.usable = page.evaluate("performance.now() / 1000")
            page.wait_for_timeout(1500)  # what still comes
            visit.moved, visit.moves = page.evaluate("[moved, moves]")
            seen.append(visit)
            page.close()
        browser.close()
    return seen[0], seen[1]


def _rest(name: str, executable: str) -> tuple[float, float]:
    """Leave a page alone; return how many frames it asks for a second, and the browser's share of a core."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        page = browser.new_context(reduced_motion="reduce").new_page()
        page.add_init_script(COUNT_FRAMES)
        page.goto(PAGES[name], wait_until="commit")
        # with little motion a session begins when it is asked for; this does not ask for frames, as waiting does
        page.wait_for_function("!!document.querySelector('#go, #portraits img')", timeout=60_000, polling=100)
        page.wait_for_timeout(SETTLED_MS)
        devtools = browser.new_browser_cdp_session()

        def spent() -> float:
            return float(sum(one["cpuTime"] for one in devtools.send("SystemInfo.getProcessInfo")["processInfo"]))

        page.evaluate("frames_asked_for = 0")
        before = spent()
        page.wait_for_timeout(REST_MS)
        frames, seconds = page.evaluate("frames_asked_for"), spent() - before
        browser.close()
    return 1000 * frames / REST_MS, 1000 * seconds / REST_MS


def _sent(visit: Visit, address: str) -> None:
    if not address.startswith(("data:", "blob:")):
        visit.requests.append(address)


def _received(visit: Visit, size: float) -> None:
    visit.received += int(size)


if __name__ == "__main__":
    main()
