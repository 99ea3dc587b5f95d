"""The webcam in "Be the avatar": it guides into the oval and the light, films, and hands over what it filmed."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import requests

from tests.accessibility import findings
from tests.pages import ADVICE, SHIFTS, at_the_webcam, chromium, opened
from tests.servers import ROOT, Server

CLIP = ROOT / "tests" / "clips" / "webcam_woman.mp4"
SIDE = 192


def person() -> np.ndarray:
    """Return a picture of somebody at a webcam, (height, width, 3) RGB."""
    return np.asarray(cv2.cvtColor(cv2.VideoCapture(str(CLIP)).read()[1], cv2.COLOR_BGR2RGB))


def square(picture: np.ndarray, left: float) -> np.ndarray:
    """Return a square of a picture that begins at a share of its width."""
    height, width = picture.shape[:2]
    begin = round(left * (width - height))
    return np.asarray(cv2.resize(picture[:, begin : begin + height], (SIDE, SIDE), interpolation=cv2.INTER_AREA))


def test_the_server_says_where_the_face_is_and_takes_nothing_else(fake_server: Server) -> None:
    def asked(body: bytes) -> requests.Response:
        return requests.post(f"{fake_server.url}/page/face", data=body, timeout=60)

    places = []
    for left in (0.2, 0.6):
        x, y, width, height = asked(square(person(), left).tobytes()).json()["face"]
        assert 0.2 < width < 0.7 and 0.2 < height < 0.7 and 0 < y < 0.6
        places.append(x + width / 2)
    assert places[0] - places[1] > 0.1  # it moves to the left in the picture
    assert asked(np.full((SIDE, SIDE, 3), 128, np.uint8).tobytes()).json() == {"face": None, "busy": False}
    for wrong in (b"", b"short", bytes(SIDE * SIDE * 3 + 1)):
        answer = asked(wrong)
        assert answer.status_code == 400 and "RGB" in answer.json()["error"]


def camera(folder: Path, *scenes: tuple[float, float]) -> str:
    """Write what a camera shows as Chromium wants it, which begins again at its end; return the path.

    A scene is where the picture begins, and how light it is; each lasts four seconds.
    """
    path = folder / "camera.mjpeg"
    with av.open(str(path), "w", format="mjpeg") as out:
        stream = out.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 480, 480, "yuvj420p"
        for left, light in scenes:
            picture = np.clip(square(person(), left).astype(float) * light, 0, 255).astype(np.uint8)
            big = cv2.resize(picture, (480, 480), interpolation=cv2.INTER_CUBIC)
            for _ in range(40):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(big, format="rgb24")))
        out.mux(stream.encode(None))
    return str(path)


@pytest.mark.browser
@pytest.mark.slow
def test_it_guides_into_the_oval_and_the_light(fake_server: Server, tmp_path: Path) -> None:
    scenes = {"가운데로": (0.2, 1.0), "너무 어둡습니다": (0.45, 0.15), "너무 밝습니다": (0.45, 60.0)}
    fake = f"--use-file-for-fake-video-capture={camera(tmp_path, *scenes.values())}"
    with chromium("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", fake) as browser:
        page = at_the_webcam(opened(browser, fake_server, "ko"))
        for sentence in scenes:
            page.locator(ADVICE).filter(has_text=sentence).wait_for()
        assert page.locator("#guide .guide").get_attribute("data-state") == "on" and page.faults == []
        assert findings(page) == [] and page.evaluate(SHIFTS) <= 0.02
        page.context.close()


@pytest.mark.browser
@pytest.mark.slow
def test_what_it_films_becomes_the_clip_and_further_ones(fake_server: Server, tmp_path: Path) -> None:
    fake = f"--use-file-for-fake-video-capture={camera(tmp_path, (0.45, 1.0))}"
    with chromium("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", fake) as browser:
        page = at_the_webcam(opened(browser, fake_server, "en", 390), "en")
        page.click("#guide .film")
        page.locator("#guide .count").filter(has_text="3").wait_for()
        page.locator(ADVICE).filter(has_text="mouth closed").wait_for()
        page.wait_for_selector("#faces img")  # it was uploaded, and has a face
        page.locator("#clip").filter(has_text="webcam_own").wait_for()
        page.locator("#guide .more").last.click()
        page.locator(ADVICE).filter(has_text="nod once or twice").wait_for()
        page.locator("#clip_nod").filter(has_text="webcam_nod").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.click("#guide .close")
        assert page.locator("#guide .open").is_visible() and page.faults == []
        page.context.close()
