"""How soon a live session answers, stops and gives way to a voice, measured in Chromium by what can be heard there."""

from __future__ import annotations

import functools
import http.server
import statistics
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks.machine import chromium
from benchmarks.serving import URL, serving
from pipeline.core.cancel import CancelToken
from pipeline.settings import ROOT
from pipeline.tts.espeak import EspeakEngine

LONG = 8
"""How many times the avatar says its text where it is interrupted."""
WORDS = "잠깐만요, 질문이 있습니다."
"""What the visitor says over and over."""
QUIET_SECONDS = 5.0
"""Between two times: the avatar begins anew meanwhile."""

EARS = """() => {
    // notes when something can be heard of the avatar and of the visitor, on one clock (s)
    const source = URL.createObjectURL(new Blob([`registerProcessor('ears', class extends AudioWorkletProcessor {
        process(inputs) {
            const loud = inputs.map(([sound]) => (sound ?? []).some((sample) => Math.abs(sample) > 0.005));
            if (loud.some(Boolean)) this.port.postMessage([currentTime, ...loud]);
            return true;
        }
    })`], { type: 'text/javascript' }));
    const { video } = window.avatar;
    window.heard = { avatar: [], visitor: [], now: () => context.currentTime };
    const context = new AudioContext({ sampleRate: 48000, latencyHint: 'interactive' });
    const microphone = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    return context.audioWorklet.addModule(source).then(() => {
        const ears = new AudioWorkletNode(context, 'ears', { numberOfInputs: 2, numberOfOutputs: 0 });
        ears.port.onmessage = ({ data: [time, avatar, visitor] }) => {
            if (avatar) window.heard.avatar.push(time);
            if (visitor) window.heard.visitor.push(time);
        };
        context.createMediaElementSource(video).connect(ears, 0, 0);
        navigator.mediaDevices.getUserMedia = async (wanted) => {
            const stream = await microphone(wanted);
            context.createMediaStreamSource(stream).connect(ears, 0, 1);
            return stream;
        };
        return context.resume();
    });
}"""
WATCH = """([resolution, engine]) => {
    window.avatar = document.querySelector('talking-avatar');
    window.events = [];
    window.waits = 0;
    avatar.addEventListener('session-event', ({ detail }) => events.push(detail));
    avatar.video.addEventListener('waiting', () => window.waits++);
    avatar.setAttribute('resolution', resolution);
    avatar.options = { tts_engine: engine };
    avatar.start();
}"""
ASK = """async () => {
    const { video } = window.avatar, asked = performance.now();
    document.getElementById('go').click();
    let event;
    while (!(event = window.events.find((one) => one.type === 'turn_started')))
        await new Promise((go) => setTimeout(go, 5));
    while (video.currentTime < event.stream) await new Promise(requestAnimationFrame);
    return (performance.now() - asked) / 1000;
}"""
STOP = """async () => {
    const asked = window.heard.now();
    document.getElementById('stop').click();
    await new Promise((go) => setTimeout(go, 900));
    return Math.max(0, (window.heard.avatar.at(-1) ?? 0) - asked);
}"""


def run(folder: Path, options: dict[str, str], text: str, turns: int) -> None:
    """Print how soon a session answers and stops, and how soon it gives way to a visitor's voice.

    Args:
        folder: A folder for the visitor's voice.
        options: "avatar", "resolution" and "tts_engine" of the session.
        text: What the avatar answers.
        turns: How many answers are asked for, and how many times the visitor speaks.
    """
    voice = folder / "visitor.wav"
    _record(voice)
    flags = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
    flags += ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    flags += [f"--use-file-for-fake-audio-capture={voice}"]
    with _site() as site, serving(ALLOWED_ORIGINS=site), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=flags)
        page = browser.new_page()
        page.goto(f"{site}/client_javascript.html?mode=live&avatar={options['avatar']}&server={URL}")
        page.wait_for_function("!!customElements.get('talking-avatar')")
        page.evaluate(WATCH, [options["resolution"], options["tts_engine"]])
        page.wait_for_function("window.avatar.state === 'ready' && window.avatar.video.currentTime > 3", timeout=60_000)
        page.evaluate(EARS)
        page.fill("#text", text)
        answers, stops = [], []
        for _ in range(turns):
            page.evaluate("window.events.length = 0")
            answers.append(float(page.evaluate(ASK)))
            time.sleep(1.2)
            stops.append(float(page.evaluate(STOP)))
            time.sleep(0.1)
        quality: Any = page.evaluate(
            "(() => { const q = window.avatar.video.getVideoPlaybackQuality();"
            " return [q.totalVideoFrames, q.droppedVideoFrames, window.waits]; })()"
        )
        given_way = _speak_over(page, f"{text} " * LONG, turns)
        browser.close()
    print("| from | to | times | median s | worst s |")
    print("|---" * 5 + "|")
    for begin, end, seconds in (
        ("text", "picture in which speech begins", answers),
        ("press of a button", "last sound of the avatar", stops),
        ("first sound of the visitor", "last sound of the avatar", given_way),
    ):
        print(f"| {begin} | {end} | {len(seconds)} | {statistics.median(seconds):.2f} | {max(seconds):.2f} |")
    frames, dropped, waits = quality
    print(f"\nof {frames} frames {dropped} were dropped; the video halted {waits} times")
    for name, seconds in (("answers", answers), ("stops", stops), ("gives way", given_way)):
        print(f"{name}: {' '.join(f'{value:.2f}' for value in seconds)}")


def _speak_over(page: Page, text: str, times: int) -> list[float]:
    """Return the seconds from the visitor's first sound to the avatar's last one, each time both spoke."""
    page.fill("#text", text)
    page.evaluate("window.avatar.listen(true)")
    page.wait_for_function("window.heard.visitor.length > 0", timeout=30_000)
    found: list[float] = []
    for _ in range(2 * times):
        page.wait_for_function("window.heard.now() - window.heard.visitor.at(-1) > 1")  # the visitor is silent
        page.evaluate("document.getElementById('go').click()")
        page.wait_for_function("window.avatar.state === 'speaking'", timeout=30_000)
        begun = float(page.evaluate("window.heard.now()"))
        page.wait_for_function(f"window.heard.visitor.at(-1) > {begun}", timeout=30_000)
        page.wait_for_timeout(1500)  # bound: what is heard after this did not give way
        onset, last = page.evaluate(
            f"[window.heard.visitor.find((time) => time > {begun}), window.heard.avatar.at(-1)]"
        )
        if onset - begun > 0.2:  # the avatar spoke before the visitor did
            found.append(last - onset)
        if len(found) == times:
            break
    return found


def _record(path: Path) -> None:
    """Write the visitor's voice, and the silence after it, as a WAV file."""
    espeak = EspeakEngine()
    speech = next(iter(espeak.stream(WORDS, espeak.voices()[0].id, CancelToken(), "ko")))
    loud = np.flatnonzero(np.abs(speech.samples) > 0.01)
    samples = speech.samples[loud[0] :]
    sound = np.concatenate([samples, np.zeros(round(QUIET_SECONDS * speech.rate), np.float32)])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(speech.rate)
        file.writeframes((32767 * sound).astype("<i2").tobytes())


@contextmanager
def _site() -> Iterator[str]:
    """Serve the examples while the block lasts."""
    handler = functools.partial(_Quiet, directory=str(ROOT / "examples"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass
