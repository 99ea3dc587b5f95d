"""Other backgrounds: mattes of clips, people in front of colours and pictures, and what clients may send."""

from __future__ import annotations

import fcntl
import io
import itertools
import pickle
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from subprocess import PIPE

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline import messages
from pipeline.avatars.avatar import Avatar, Matte
from pipeline.avatars.background import AS_FILMED, Background
from pipeline.avatars.eye_contact import with_eye_contact
from pipeline.avatars.pack import save
from pipeline.avatars.store import AvatarStore
from pipeline.core.cancel import CancelToken
from pipeline.core.lock_file import locked
from pipeline.engines.mesh.mesh_engine import MeshEngine
from pipeline.errors import BadRequest, Cancelled, RenderFailed
from pipeline.face.networks import PersonSegmenter
from pipeline.jobs import backdrops
from pipeline.jobs.backdrops import Backdrops
from pipeline.jobs.events import Done
from pipeline.jobs.generate import generate
from pipeline.jobs.look import Look
from pipeline.jobs.request import parse
from pipeline.jobs.studio import make_studio
from pipeline.jobs.tasks import TaskBook
from pipeline.live import pictures as live_pictures
from pipeline.live.pictures import Pictures, drawn_by
from pipeline.live.pipe_messages import Kind, of_json, read
from pipeline.live.session import Session
from pipeline.live.turn import Voice
from pipeline.live.worker import Worker
from pipeline.preparing.clip_matte import ClipMatte, clip_matte
from pipeline.preparing.compose import composed_video
from pipeline.preparing.encode_clip import MATTE, encode
from pipeline.settings import Settings
from pipeline.speech.articulate import UNITS
from pipeline.tts.espeak import EspeakEngine
from pipeline.video import growing_clip
from pipeline.video.crop import Box
from pipeline.video.frame import Frame, parts_of
from pipeline.video.reader import ClipReader, ColorTags
from pipeline.video.webm import transparent_copy
from pipeline.video.writer import Mp4Writer
from tests.fakes import FakeTTS, make_fake_studio
from tests.servers import Server, wait_for

ROOT = Path(__file__).parents[1]
FRAMES = 8
BT709 = ColorTags(1, 1, 1, 1)


def planes_of(reader: ClipReader, count: int) -> list[np.ndarray]:
    return [frame.planes for frame in itertools.islice(reader.once(), count)]


@pytest.fixture(scope="module")
def woman() -> Avatar:
    """The beginning of a bundled clip, whose matte was rendered: it is exact."""
    store = AvatarStore(ROOT / "precomputed")
    return beginning(store.load(store.find("woman", "360p")), FRAMES)


def beginning(avatar: Avatar, frames: int) -> Avatar:
    """Return an avatar with the beginning of its clip, and without further clips."""
    assert avatar.matte is not None
    size = avatar.width, avatar.height
    video, matte = (
        encode(map(Frame, planes_of(reader, frames)), *size, avatar.fps, tags)
        for reader, tags in ((avatar.clip, BT709), (avatar.matte.clip, ColorTags()))
    )
    cut = {name: getattr(avatar, name)[:frames] for name in ("landmarks", "rest", "usable")}
    return replace(avatar, video=video, matte=Matte(matte), gaze=None, clips={}, **cut)


def exact(avatar: Avatar) -> np.ndarray:
    """Return its matte, (frames, height, width) 0..1."""
    assert avatar.matte is not None
    return np.stack([frame.y for frame in avatar.matte.clip.once()]).astype(np.float32) / 255


def found(avatar: Avatar) -> ClipMatte:
    frames = np.stack([frame.planes for frame in avatar.clip.once()])
    out = np.empty((len(frames), avatar.height, avatar.width), np.uint8)
    return clip_matte(frames, avatar.landmarks, out)


def at_edge(shares: np.ndarray, reach: int) -> np.ndarray:
    """Return which pixels are within some pixels of the edges of mattes."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    hard = (shares > 0.5).astype(np.uint8)
    return np.stack([cv2.dilate(one, disc) != cv2.erode(one, disc, borderValue=1) for one in hard])


def error(shares: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return how wrong mattes are near the edge, and how much that changes from frame to frame."""
    edge, wrong = at_edge(truth, 5), shares - truth
    return float(np.abs(wrong)[edge].mean()), float(np.abs(np.diff(wrong, axis=0))[edge[1:] | edge[:-1]].mean())


def test_mattes_are_nearer_to_exact_ones_and_steadier_than_the_network_alone(woman: Avatar) -> None:
    network, truth = PersonSegmenter(), exact(woman)
    alone = np.stack([network.find(cv2.cvtColor(frame.planes, cv2.COLOR_YUV2RGB_I420)) for frame in woman.clip.once()])
    matte = found(woman)
    ours, theirs = error(matte.shares / np.float32(255), truth), error(alone, truth)
    assert matte.key is None
    assert ours[0] < 0.75 * theirs[0] and ours[0] < 0.1
    assert ours[1] < theirs[1]


def in_front_of(avatar: Avatar, color: tuple[int, int, int]) -> Avatar:
    """Return an avatar filmed in front of a screen."""
    video = composed_video(avatar, Background("color", color), CancelToken())
    return replace(avatar, video=video)


@pytest.mark.parametrize("screen", [(20, 180, 60), (20, 60, 200)])
def test_a_screen_is_keyed_and_leaves_no_light_on_the_person(woman: Avatar, screen: tuple[int, int, int]) -> None:
    filmed = in_front_of(woman, screen)
    matte, truth = found(filmed), exact(woman)
    assert matte.key is not None
    assert error(matte.shares / np.float32(255), truth)[0] < 0.05
    grey = np.full((woman.height // 2, woman.width), 128, np.uint8)
    frames = [Frame(np.concatenate([share, grey])) for share in matte.shares]
    keyed = Matte(encode(frames, woman.width, woman.height, woman.fps, ColorTags(), MATTE), matte.key)
    shown = composed_video(replace(filmed, matte=keyed), Background("color", (128, 128, 128)), CancelToken())
    toward = np.array(matte.key, np.float32) - 128
    for frame, share in zip(ClipReader(shown).once(), truth, strict=True):
        chroma = np.stack(frame.uv, axis=-1).astype(np.float32) - 128
        edge = at_edge(cv2.resize(share, frame.uv[0].shape[::-1], interpolation=cv2.INTER_AREA)[None], 4)[0]
        of_screen = (chroma[edge] @ toward) / float(toward @ toward)
        assert np.percentile(of_screen, 99) < 0.15 and of_screen.mean() < 0.03


def test_a_room_is_no_screen(woman: Avatar) -> None:
    assert found(in_front_of(woman, (180, 170, 160))).key is None


def bt709(color: tuple[int, int, int]) -> np.ndarray:
    """Return Y, U and V of a colour in a video that is tagged as BT.709, limited range."""
    r, g, b = (part / 255 for part in color)
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    return np.array([16 + 219 * y, 128 + 224 * (b - y) / 1.8556, 128 + 224 * (r - y) / 1.5748])


@pytest.mark.parametrize("color", [(255, 255, 255), (0, 0, 0), (30, 144, 255)])
def test_a_colour_is_that_colour_and_the_person_stays(woman: Avatar, color: tuple[int, int, int]) -> None:
    video = composed_video(woman, Background("color", color), CancelToken())
    reader = ClipReader(video)
    assert (reader.count, reader.width, reader.height, reader.fps) == (FRAMES, woman.width, woman.height, woman.fps)
    assert reader.colors == woman.clip.colors
    for frame, own, share in zip(reader.once(), woman.clip.once(), exact(woman), strict=True):
        away = cv2.dilate(share, np.ones((9, 9))) < 0.01
        y, u, v = bt709(color)
        assert np.abs(frame.y[away] - y).max() < 6 and abs(frame.y[away].mean() - y) < 1
        halved = away[::2, ::2] & away[1::2, 1::2]
        assert abs(frame.uv[0][halved].mean() - u) < 1.5 and abs(frame.uv[1][halved].mean() - v) < 1.5
        within = cv2.erode(share, np.ones((9, 9)), borderValue=1) > 0.99
        assert np.abs(frame.y[within].astype(int) - own.y[within]).mean() < 2


def soft(width: int, height: int) -> tuple[Frame, np.ndarray]:
    """Return a dark person with soft edges in front of white, and their matte."""
    x = np.arange(width) - width / 2
    share = np.clip((60 - np.abs(x)) / 6 + 0.5, 0, 1).astype(np.float32) * np.ones((height, 1), np.float32)
    frame = Frame(np.full((height * 3 // 2, width), 128, np.uint8))
    frame.y[:] = np.rint(40 * share + 235 * (1 - share))
    return frame, share


@pytest.mark.parametrize("kind", ["color", "picture"])
def test_nothing_of_the_old_background_is_left_at_the_edge(woman: Avatar, kind: str, tmp_path: Path) -> None:
    frame, share = soft(320, 240)
    grey = np.full((120, 320), 128, np.uint8)
    matte = encode(
        [Frame(np.concatenate([np.rint(255 * share).astype(np.uint8), grey]))] * 2, 320, 240, Fraction(25), BT709
    )
    avatar = replace(
        woman, width=320, height=240, video=encode([frame] * 2, 320, 240, Fraction(25), BT709), matte=Matte(matte)
    )
    Image.new("RGB", (50, 90), "black").save(tmp_path / "black.png")
    behind = Background("picture", picture=tmp_path / "black.png") if kind == "picture" else Background("color")
    shown = next(ClipReader(composed_video(avatar, behind, CancelToken())).once())
    assert shown.y.max() < 40 + 12  # a halo of the white wall would have 100 and more
    assert shown.y[:, 150:170].mean() == pytest.approx(40, abs=2)


def test_a_blurred_background_is_soft_and_the_person_is_not(woman: Avatar) -> None:
    shown = next(ClipReader(composed_video(woman, Background("blur"), CancelToken())).once())
    own, share = next(woman.clip.once()), exact(woman)[0]
    away, within = (
        cv2.dilate(share, np.ones((15, 15))) < 0.01,
        cv2.erode(share, np.ones((15, 15)), borderValue=1) > 0.99,
    )

    def detail(frame: Frame, where: np.ndarray) -> float:
        return float(np.percentile(np.abs(cv2.Sobel(frame.y, cv2.CV_32F, 1, 0))[where], 99))

    assert detail(shown, away) < 0.5 * detail(own, away)
    assert detail(shown, within) > 0.8 * detail(own, within)
    assert abs(float(shown.y[away].mean()) - float(own.y[away].mean())) < 6


def test_a_picture_fills_the_frame_whatever_its_shape(woman: Avatar, tmp_path: Path) -> None:
    halves = np.zeros((400, 100, 3), np.uint8)
    halves[:200] = 255
    Image.fromarray(halves).save(tmp_path / "tall.png")
    behind = Background("picture", picture=tmp_path / "tall.png")
    shown = next(ClipReader(composed_video(woman, behind, CancelToken())).once())
    assert shown.y[:150, :40].mean() > 225 and shown.y[-150:, :40].mean() < 25


def test_composing_can_be_cancelled(woman: Avatar) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        composed_video(woman, Background("blur"), cancel)


# --- what is kept


def test_a_background_is_composed_once(woman: Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Background] = []

    def compose(avatar: Avatar, background: Background, *_: object) -> bytes:
        made.append(background)
        return b"video" + repr(background).encode()

    monkeypatch.setattr(backdrops, "composed_video", compose)
    red, blue = Background("color", (255, 0, 0)), Background("color", (0, 0, 255))
    nod = replace(woman, video=woman.video + b"\0\0\0\x08free")
    whole = replace(woman, clips={"nod": nod, "idle": replace(woman, matte=None)})
    ours = Backdrops(tmp_path)
    assert ours.composed(whole, AS_FILMED, CancelToken()) is whole
    first = ours.composed(whole, red, CancelToken())
    assert ours.composed(whole, red, CancelToken()) is first  # engines keep what they know of an avatar
    assert first.video.startswith(b"video") and first.clips == {} and first.landmarks is whole.landmarks
    nods = ours.composed(nod, red, CancelToken())
    ours.composed(whole, blue, CancelToken())
    assert made == [red, red, blue]
    another = Backdrops(tmp_path)  # as a process of sessions has it
    assert another.composed(whole, red, CancelToken()).video == first.video
    assert another.composed(nod, red, CancelToken()).video == nods.video
    assert len(made) == 3
    ours.forget(["woman_720p"])
    assert len(list(tmp_path.iterdir())) == 3
    ours.forget([woman.id])
    assert not list(tmp_path.iterdir())
    ours.composed(whole, red, CancelToken())
    assert len(made) == 4


def test_composing_tells_how_far_it_is_to_all_that_wait_and_keeps_nobody_else(
    woman: Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    red, blue = Background("color", (255, 0, 0)), Background("color", (0, 0, 255))
    half_way, go_on = threading.Event(), threading.Event()

    def compose(
        _: Avatar, background: Background, __: CancelToken, told: Callable[[float], object], *___: object
    ) -> bytes:
        told(0.5)
        if background == red:
            half_way.set()
            assert go_on.wait(60)
        return b"video"

    monkeypatch.setattr(backdrops, "composed_video", compose)
    monkeypatch.setattr(growing_clip, "LOOKING", 0.01)
    ours = Backdrops(tmp_path)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(ours.composed, woman, red, CancelToken())
        assert half_way.wait(60)
        waits, waiting = [], threading.Event()

        def report(done: float) -> None:
            waits.append(done)
            waiting.set()

        second = pool.submit(ours.composed, woman, red, CancelToken(), report=report)
        assert waiting.wait(60) and waits[0] == 0.5
        assert ours.composed(woman, blue, CancelToken()).video == b"video"  # while red still waits
        left = CancelToken()
        third = pool.submit(ours.composed, woman, red, left)
        left.cancel()
        with pytest.raises(Cancelled):  # it need not wait for the end
            third.result(60)
        go_on.set()
        assert first.result(60) is second.result(60)
    with ours.composing(woman, AS_FILMED, CancelToken()) as told_first:
        assert list(told_first) == []
    monkeypatch.setattr(backdrops, "composed_video", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ours.composed(woman, Background("color", (1, 2, 3)), CancelToken())


class Composer:
    """Composes clips, each up to its first packet, or a later one, and on when it may.

    Attributes:
        made: What was begun.
        held_at: The last packet that comes before it may go on.
        stopped: Set when one was cancelled.
    """

    def __init__(self) -> None:
        self.made: list[Background] = []
        self.held_at = 1
        self.go_on, self.stopped, self.fail = threading.Event(), threading.Event(), False

    def compose(
        self,
        avatar: Avatar,
        background: Background,
        cancel: CancelToken,
        told: Callable[[float], object],
        grown: Callable[[bytes, bytes], object],
    ) -> bytes:
        """Stand in for ``composed_video``."""
        self.made.append(background)
        count = 0

        def hold(header: bytes, packet: bytes) -> None:
            nonlocal count
            grown(header, packet)
            count += 1
            if count == self.held_at:
                wait_for(lambda: self.go_on.is_set() or cancel.cancelled)
                cancel.check()  # so short a clip is in the encoder already
                if self.fail:
                    raise RenderFailed(messages.video.AVATAR_VIDEO_BROKEN(reason="half"))

        try:
            return composed_video(avatar, background, cancel, told, hold)
        except Cancelled:
            self.stopped.set()
            raise


@pytest.fixture
def composer(monkeypatch: pytest.MonkeyPatch) -> Composer:
    composer = Composer()
    monkeypatch.setattr(backdrops, "composed_video", composer.compose)
    return composer


GREEN = Background("color", (0, 90, 0))
ASKED: dict[str, object] = {
    **{"engine": "mesh", "tts_engine": "", "tts_voice": "Custom", "paces": {}, "language": "en", "pronunciations": {}},
    **{"speed": 1.0, "pitch": 0.0, "mood": "neutral", "liveliness": 0.5, "eye_contact": False, "fps": None},
    **{"box": None, "label": "", "max_text": 100, "frame": 0, "turns": 0},
}
"""What the server asks of a process of sessions, but for the avatar and what is behind it."""


def test_a_clip_is_read_while_it_is_composed(woman: Avatar, tmp_path: Path, composer: Composer) -> None:
    ours = Backdrops(tmp_path)
    with (
        ours.composing(woman, GREEN, CancelToken()) as composing,
        ours.in_front(woman, GREEN, CancelToken()) as one,
        ours.in_front(woman, GREEN, CancelToken()) as other,
    ):
        list(composing)
        assert one is other and not one.clip.finished and one.video == woman.video
        assert not list(tmp_path.glob("*.mp4"))
        with ThreadPoolExecutor(2) as pool:
            reading = [pool.submit(lambda avatar: list(avatar.clip.once()), avatar) for avatar in (one, other)]
            composer.go_on.set()
            grown = [future.result(60) for future in reading]
    whole = ours.composed(woman, GREEN, CancelToken())
    for first, second, finished in zip(*grown, whole.clip.once(), strict=True):
        assert (first.planes == finished.planes).all() and (second.planes == finished.planes).all()
    assert composer.made == [GREEN]
    with ours.in_front(woman, GREEN, CancelToken()) as later:  # of the same object, of which engines know something
        assert later is one and (next(later.clip.frames(FRAMES + 3)).planes == grown[0][3].planes).all()
    assert (next(pickle.loads(pickle.dumps(one.clip)).once()).planes == grown[0][0].planes).all()


def test_a_clip_is_finished_for_the_next_when_a_video_is_shorter(
    woman: Avatar, tmp_path: Path, composer: Composer
) -> None:
    ours = Backdrops(tmp_path)
    with ours.in_front(woman, GREEN, CancelToken()):
        pass
    with suppress(KeyError), ours.in_front(woman, GREEN, CancelToken()):
        raise KeyError  # this one gives up, and takes nothing from the others
    composer.go_on.set()
    wait_for(lambda: list(tmp_path.glob("*.mp4")) and not list(tmp_path.glob("*.lock")))
    assert composer.made == [GREEN] and not composer.stopped.is_set()


def test_composing_stops_with_the_last_that_wants_it(woman: Avatar, tmp_path: Path, composer: Composer) -> None:
    ours = Backdrops(tmp_path)
    with suppress(KeyError), ours.in_front(woman, GREEN, CancelToken()):
        with suppress(KeyError), ours.in_front(woman, GREEN, CancelToken()):
            raise KeyError
        assert not composer.stopped.is_set()
        raise KeyError
    assert composer.stopped.wait(60)
    composer.go_on.set()
    with ours.in_front(woman, GREEN, CancelToken()) as avatar:  # anew
        assert len(list(avatar.clip.once())) == FRAMES
    assert composer.made == [GREEN, GREEN]


def test_who_reads_a_clip_that_fails_is_told(woman: Avatar, tmp_path: Path, composer: Composer) -> None:
    ours = Backdrops(tmp_path)
    with pytest.raises(RenderFailed, match="half"), ours.in_front(woman, GREEN, CancelToken()) as avatar:
        composer.fail = True
        composer.go_on.set()
        list(avatar.clip.once())
    with pytest.raises(RenderFailed, match="half"):
        ours.composed(woman, GREEN, CancelToken())
    composer.fail = False
    assert ClipReader(ours.composed(woman, GREEN, CancelToken()).video).count == FRAMES


def test_a_task_that_is_cancelled_does_not_wait_for_a_clip(woman: Avatar, tmp_path: Path, composer: Composer) -> None:
    ours, cancel = Backdrops(tmp_path), CancelToken()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ours.composed, woman, GREEN, cancel)
        wait_for(lambda: composer.made)
        cancel.cancel()
        with pytest.raises(Cancelled):
            waiting.result(60)
    assert composer.stopped.wait(60)


def test_what_is_composed_of_an_avatar_that_is_deleted_meanwhile_is_not_kept(
    woman: Avatar, tmp_path: Path, composer: Composer
) -> None:
    ours = Backdrops(tmp_path)
    with ours.in_front(woman, GREEN, CancelToken()) as avatar:
        ours.forget([woman.id])
        composer.go_on.set()
        assert len(list(avatar.clip.once())) == FRAMES  # its video is made still
        wait_for(lambda: avatar.clip.finished)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_takes_no_video_with_it(
    woman: Avatar, tmp_path: Path, composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    composer.go_on.set()
    nowhere = tmp_path / "file"
    nowhere.write_text("no folder")
    ours = Backdrops(nowhere)
    assert ClipReader(ours.composed(woman, GREEN, CancelToken()).video).count == FRAMES


def test_two_processes_compose_a_clip_once(woman: Avatar, tmp_path: Path, composer: Composer) -> None:
    ours, another = Backdrops(tmp_path), Backdrops(tmp_path)  # a lock is of an opened file, as that of a process
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ours.composed, woman, GREEN, CancelToken())
        wait_for(lambda: composer.made)
        second, left = pool.submit(another.composed, woman, GREEN, CancelToken()), CancelToken()
        with pytest.raises(Cancelled), another.composing(woman, GREEN, left) as composing:
            for _ in composing:
                left.cancel()  # of those that wait for another process
        composer.go_on.set()
        assert first.result(60).video == second.result(60).video
    assert composer.made == [GREEN] and [path.suffix for path in tmp_path.iterdir()] == [".mp4"]


HOLDS = """
import sys
from pathlib import Path
from pipeline.core.cancel import CancelToken
from pipeline.core.lock_file import locked
from pipeline.core.lock_file import locked
with locked(Path(sys.argv[1]), CancelToken()):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_process_that_dies_holds_no_lock(tmp_path: Path) -> None:
    path, cancel, entered = tmp_path / "a.lock", CancelToken(), threading.Event()

    def hold() -> None:
        with locked(path, cancel):
            entered.set()

    with (
        subprocess.Popen([sys.executable, "-c", HOLDS, path], stdin=PIPE, stdout=PIPE, cwd=ROOT) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        waiting = pool.submit(hold)
        with pytest.raises(BlockingIOError), path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert not entered.is_set()
        other.kill()
        waiting.result(60)
    assert entered.is_set() and not path.exists()


def test_frames_are_composed_in_order_and_counted(woman: Avatar) -> None:
    told: list[float] = []
    video = composed_video(woman, Background("color"), CancelToken(), told.append)
    assert told == [number / FRAMES for number in range(FRAMES)]
    for shown, own, share in zip(ClipReader(video).once(), woman.clip.once(), exact(woman), strict=True):
        within = share > 0.99
        assert np.abs(shown.y[within].astype(int) - own.y[within]).mean() < 2


@pytest.mark.parametrize("color", [(255, 255, 255), (30, 144, 255)])
def test_a_first_picture_has_the_background(woman: Avatar, tmp_path: Path, color: tuple[int, int, int]) -> None:
    content, kind = Backdrops(tmp_path).first_picture(woman, Background("color", color))
    assert kind == "image/jpeg"
    with Image.open(io.BytesIO(content)) as image:
        assert image.size == (480, 270)
        assert np.abs(np.array(image.getpixel((4, 4))) - color).max() <= 4


def test_a_transparent_first_picture_has_alpha(woman: Avatar, tmp_path: Path) -> None:
    content, kind = Backdrops(tmp_path).first_picture(woman, Background("transparent"))
    assert kind == "image/webp"
    with Image.open(io.BytesIO(content)) as image:
        alpha = np.asarray(image.getchannel("A")) / 255
    truth = cv2.resize(exact(woman)[0], alpha.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(alpha - truth).mean() < 0.01


def test_eyes_are_turned_in_front_of_another_background(woman: Avatar, tmp_path: Path) -> None:
    looking = replace(woman, gaze=np.tile(np.array([12, 0, 1], np.float32), (FRAMES, 1)))
    ours, behind = Backdrops(tmp_path), Background("color", (0, 0, 0))
    plain = next(ours.composed(looking, behind, CancelToken()).clip.once())
    turned = next(ours.composed(with_eye_contact(looking), behind, CancelToken()).clip.once())
    moved = np.abs(turned.y.astype(int) - plain.y) > 8
    assert moved.any() and len(list(tmp_path.iterdir())) == 1
    rows, columns = np.nonzero(moved)
    eyes = woman.landmarks[0, 468:478, :2]
    assert eyes[:, 1].min() - 20 < rows.min() and rows.max() < eyes[:, 1].max() + 20
    assert eyes[:, 0].min() - 20 < columns.min() and columns.max() < eyes[:, 0].max() + 20


def test_few_composed_clips_stay_on_the_disk(woman: Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backdrops, "composed_video", lambda *_: b"video")
    monkeypatch.setattr(backdrops, "KEPT_CLIPS", 3)
    ours = Backdrops(tmp_path)
    for red in range(6):
        ours.composed(woman, Background("color", (red, 0, 0)), CancelToken())
    assert len(list(tmp_path.iterdir())) == 3


# --- what clients send


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, AS_FILMED),
        ("source", AS_FILMED),
        ("blur", Background("blur")),
        ("#1e90ff", Background("color", (30, 144, 255))),
        ("#1E90FF", Background("color", (30, 144, 255))),
        ("dodgerblue", Background("color", (30, 144, 255))),
        ("White", Background("color", (255, 255, 255))),
        ("transparent", Background("transparent")),
    ],
)
def test_backgrounds_have_names(woman: Avatar, tmp_path: Path, value: str | None, wanted: Background) -> None:
    assert Backdrops(tmp_path).parse(value, woman) == wanted


BAD = ("", "sauce", "#fff", "#12345g", "1e90ff", "rgb(1,2,3)", "hsl(0,0%,0%)", 7, True, ["blur"], "../x", "0" * 32)


@pytest.mark.parametrize("value", BAD)
def test_other_backgrounds_are_refused(woman: Avatar, tmp_path: Path, value: object) -> None:
    with pytest.raises(BadRequest, match="background"):
        Backdrops(tmp_path).parse(value, woman)


def test_an_avatar_without_a_matte_is_as_it_was_filmed(woman: Avatar, tmp_path: Path) -> None:
    older = replace(woman, matte=None)
    assert Backdrops(tmp_path).parse("source", older) == AS_FILMED
    with pytest.raises(BadRequest, match="Make it again"):
        Backdrops(tmp_path).parse("blur", older)


def stored(**options: object) -> bytes:
    file = io.BytesIO()
    image = Image.new(str(options.pop("mode", "RGB")), (40, 30), "red")
    image.save(file, **{"format": "PNG", **options})  # type: ignore[arg-type]  # Pillow's own
    return file.getvalue()


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.width, image.height


def dot() -> bytes:
    """Return a PNG of one pixel."""
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    return file.getvalue()


def claiming(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes that claims to be large."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(1 << 16))), (b"IEND", b""))
    packed = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read"),
        (b"no picture", "cannot be read"),
        (b"GIF89a", "cannot be read"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "cannot be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "cannot be read"),
        (b"%PDF-1.7", "cannot be read"),
        (stored()[:-40], "damaged or incomplete"),
        (stored(format="JPEG")[:-200], "damaged or incomplete"),
        (claiming(7200, 7200), "too large"),
        (claiming(60_000, 60_000), "too large"),
        (claiming(2**31 - 1, 2**31 - 1), "too large"),
        (claiming(9000, 20), "too long and narrow"),
        (stored(mode="L")[:60], "damaged or incomplete"),
        (dot(), "too small .1x1.*#1e90ff"),
    ],
)
def test_what_is_no_picture_or_too_large_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "sent").write_bytes(content)
    with pytest.raises(BadRequest, match=f"background: .*{said}"):
        Backdrops(tmp_path / "kept").keep(tmp_path / "sent")
    assert not list(tmp_path.glob("kept/*"))


@pytest.mark.parametrize(
    "content",
    [
        stored(),
        stored(format="JPEG"),
        stored(format="WEBP"),
        stored(format="GIF"),
        stored(format="BMP"),
        stored(mode="RGBA"),
        stored(mode="CMYK", format="JPEG"),
        stored(mode="P"),
        stored(mode="1"),
        stored(mode="L"),
    ],
)
def test_pictures_of_any_kind_are_kept_and_used(woman: Avatar, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sent").write_bytes(content)
    ours = Backdrops(tmp_path / "kept")
    id = ours.keep(tmp_path / "sent")
    for named in (id, f"/api/v2/backgrounds/{id}"):
        background = ours.parse(named, woman)
        assert background.kind == "picture" and background.picture is not None
        assert size_of(background.picture) == (40, 30)
    assert ours.remove(id) and not ours.remove(id)
    with pytest.raises(BadRequest, match="no picture"):
        ours.parse(id, woman)


def test_large_pictures_are_kept_small_and_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (4000, 1000), "white")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "sent", "JPEG", exif=exif.tobytes())
    Backdrops(tmp_path / "kept").keep(tmp_path / "sent")
    (kept,) = (tmp_path / "kept").iterdir()
    assert size_of(kept) == (640, 2560)


# --- REST


def upload(server: Server, content: bytes, field: str = "picture") -> dict[str, object]:
    reply = server.post("/api/v2/backgrounds", files=[(field, ("b.png", content))], headers={"Accept-Language": "en"})
    return {"status": reply.status_code, **reply.json()}


def test_a_picture_is_uploaded_used_and_removed(fake_server: Server) -> None:
    kept = upload(fake_server, stored())
    assert kept["status"] == 201 and kept["url"] == f"/api/v2/backgrounds/{kept['background']}"
    for value in (kept["background"], kept["url"], "blur", "white", "source"):
        body = {"text": "one", "avatar": "solo", "background": value}
        assert fake_server.post("/api/v2/lipsync", body).json()["success"] is True, value
    assert fake_server.delete(str(kept["url"])).json() == {"success": True, "background": kept["background"]}
    gone = fake_server.delete(str(kept["url"]))
    assert gone.status_code == 404 and gone.json()["code"] == "background_not_found"
    body = {"text": "one", "avatar": "solo", "background": kept["background"]}
    assert fake_server.post("/api/v2/lipsync", body).status_code == 400


def test_a_form_brings_a_picture(fake_server: Server) -> None:
    def send(*parts: tuple[str, object]) -> tuple[int, str]:
        form = [("avatar", (None, "solo")), ("text", (None, "one")), *parts]
        reply = fake_server.post("/api/v2/lipsync", files=form, headers={"Accept-Language": "en"})
        return reply.status_code, reply.json().get("error", "")

    assert send(("background", ("b.png", stored())))[0] == 200
    assert send(("background", (None, "blur")))[0] == 200
    assert send(("background", ("", b"")))[0] == 200  # a browser's field in which no file was chosen
    for parts, said in (
        ([("background", ("b.png", b"no picture"))], "cannot be read"),
        ([("background", ("b.png", claiming(60_000, 60_000)))], "too large"),
        ([("background", (None, "sauce"))], "source, blur"),
        ([("background", ("b.png", stored())), ("background", (None, "blur"))], "background"),
    ):
        status, error = send(*parts)
        assert status == 400 and said in error and "background" in error, (parts, error)


@pytest.mark.parametrize("value", [one for one in BAD if one != ""])
def test_videos_and_sessions_refuse_the_same_backgrounds(fake_server: Server, value: object) -> None:
    for path, body in (("/api/v2/lipsync", {"text": "one"}), ("/api/v2/sessions", {})):
        reply = fake_server.post(path, {**body, "avatar": "solo", "background": value})
        assert reply.status_code == 400 and "background" in reply.json()["error"], (path, reply.text)


def test_avatars_from_before_mattes_say_so(fake_server: Server) -> None:
    for path, body in (("/api/v2/lipsync", {"text": "one"}), ("/api/v2/sessions", {})):
        reply = fake_server.post(
            path, {**body, "avatar": "duet", "background": "blur"}, headers={"Accept-Language": "en"}
        )
        assert reply.status_code == 400 and "Make it again" in reply.json()["error"]
    assert fake_server.post("/api/v2/lipsync", {"text": "one", "avatar": "duet", "background": "source"}).ok


def test_uploads_that_are_no_background_are_refused(fake_server: Server) -> None:
    assert upload(fake_server, b"no picture")["status"] == 400
    missing = upload(fake_server, stored(), field="file")
    assert missing["status"] == 400 and "picture" in str(missing["error"])
    assert fake_server.post("/api/v2/backgrounds", {"picture": "x"}).status_code == 400


def test_a_silent_avatar_stands_before_the_same_backgrounds(fake_server: Server) -> None:
    kept = str(upload(fake_server, stored())["background"])
    plain = fake_server.get("/assets/idle/solo_720p.mp4").content
    for value in ("#00ff00", "green", "blur", kept, "transparent", "source"):
        clip = fake_server.get("/assets/idle/solo_720p.mp4", params={"background": value})
        assert clip.status_code == 200 and clip.headers["content-type"] == "video/mp4"
        assert (clip.content == plain) is (value == "source")
        shown, own = ClipReader(clip.content), ClipReader(plain)
        parts = 2 if value == "transparent" else 1
        assert (shown.count, shown.width, shown.height) == (own.count, own.width, parts * own.height)
        part = fake_server.get(
            "/assets/idle/solo_720p.mp4", params={"background": value}, headers={"Range": "bytes=0-9"}
        )
        assert part.status_code == 206 and part.content == clip.content[:10]
        picture = fake_server.get("/assets/idle/solo.jpg", params={"background": value})
        kind = "webp" if value == "transparent" else "jpeg"
        assert picture.status_code == 200 and picture.headers["content-type"] == f"image/{kind}"
        with Image.open(io.BytesIO(picture.content)) as image:
            assert image.size == (own.width, own.height)
            red, green, blue = image.convert("RGB").getpixel((own.width - 4, 4))
            assert value != "#00ff00" or (red < 8 and green > 247 and blue < 8)


@pytest.mark.parametrize("value", [one for one in BAD if one not in ("", 7, True, ["blur"])])
def test_a_silent_avatar_refuses_what_its_videos_refuse(fake_server: Server, value: object) -> None:
    for path in ("/assets/idle/solo_720p.mp4", "/assets/idle/solo.jpg"):
        reply = fake_server.get(path, params={"background": value})
        assert reply.status_code == 400 and "background" in reply.json()["error"], (path, reply.text)


def test_a_silent_avatar_from_before_mattes_says_so(fake_server: Server) -> None:
    for path in ("/assets/idle/duet_720p.mp4", "/assets/idle/duet.jpg"):
        reply = fake_server.get(path, params={"background": "blur"}, headers={"Accept-Language": "en"})
        assert reply.status_code == 400 and "Make it again" in reply.json()["error"]
        assert fake_server.get(path, params={"background": ""}).status_code == 200


def test_a_video_tells_how_far_its_background_is_and_that_it_is_transparent(fake_server: Server) -> None:
    body = {"text": "one", "avatar": "solo", "aspect": "source"}
    events = fake_server.events({**body, "background": "#123456"}, **{"Accept-Language": "en"})
    stages = [event.get("stage") for event in events]
    told = events[stages.index("background")]
    assert stages.index("tts") < stages.index("background") < stages.index("tts_done")
    assert "background" in told["message"] and 0 <= told["progress"] < 1
    assert not any("background" in event for event in events)
    again = fake_server.events({**body, "background": "#123456"})
    assert "background" not in [event.get("stage") for event in again]
    clear = fake_server.events({**body, "background": "transparent"})
    assert [event.get("background") for event in clear if event.get("stage") == "tts" or event["type"] == "done"] == [
        "transparent"
    ] * 2


def test_captions_cannot_be_burnt_into_a_session(fake_server: Server) -> None:
    for language, said in (("en", "videos only"), ("ko", "영상에서만")):
        body = {"avatar": "solo", "captions": "burn"}
        reply = fake_server.post("/api/v2/sessions", body, headers={"Accept-Language": language})
        assert reply.status_code == 400 and said in reply.json()["error"]
    reply = fake_server.post("/api/v2/sessions", {"avatar": "solo", "captions": "file"})
    assert reply.status_code == 201
    fake_server.delete(f"/api/v2/sessions/{reply.json()['session_id']}")


def test_a_session_has_a_background(fake_server: Server) -> None:
    reply = fake_server.post("/api/v2/sessions", {"avatar": "solo", "background": "#0000ff"})
    assert reply.status_code == 201
    session = reply.json()
    with fake_server.get(session["video_url"], stream=True) as stream:
        assert next(stream.iter_content(4096))[4:8] == b"ftyp"
    fake_server.delete(f"/api/v2/sessions/{session['session_id']}")


def test_sessions_load_while_the_background_of_another_is_composed(
    woman: Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = tmp_path / "360p" / "woman_360p_precomputed.pkl"
    pack.parent.mkdir()
    save(woman, pack)
    red: list[object] = ["color", [255, 0, 0], ""]
    composing, go_on = threading.Event(), threading.Event()

    def compose(avatar: Avatar, _: object, __: object, told: Callable[[float], object], *___: object) -> bytes:
        told(0.25)
        composing.set()
        assert go_on.wait(60)
        return avatar.video

    monkeypatch.setattr(backdrops, "composed_video", compose)
    asked = {**ASKED, "pack": str(pack)}
    settings = replace(Settings(), precomputed=tmp_path, results=tmp_path / "results")
    studio, out = make_fake_studio(settings), io.BytesIO()
    worker = Worker(replace(studio, engines={"mesh": MeshEngine()}), out)

    def begin(key: str, behind: list[object]) -> None:
        decoded = str(tmp_path / f"{key}.yuv")
        worker.handle(of_json(Kind.OPEN, key, {**asked, "background": behind, "decoded": decoded}))

    waits, goes = "a" * 32, "b" * 32
    begin(waits, red)
    assert composing.wait(60)
    wait_for(lambda: b"0.25" in out.getvalue())
    begin(goes, ["source", [0, 0, 0], ""])
    wait_for(lambda: goes in worker._sessions)
    assert waits not in worker._sessions
    go_on.set()
    wait_for(lambda: waits in worker._sessions)
    told = read(io.BytesIO(out.getvalue()))
    assert told is not None and told.session == waits
    assert told.json() in [{"type": "composing", "progress": done} for done in (0.0, 0.25)]  # 0.25 may be there at once


@pytest.fixture(scope="module")
def lively() -> Avatar:
    """An avatar with three seconds of its clip, and a nod."""
    store = AvatarStore(ROOT / "precomputed")
    avatar = store.load(store.find("woman", "360p"))
    return replace(beginning(avatar, 75), clips={"nod": beginning(avatar.clips["nod"], 20)})


SHOWN_FIRST = 40
"""Pictures that are composed when a session begins."""


@pytest.fixture
def growing(lively: Avatar, tmp_path: Path, composer: Composer) -> Iterator[Pictures]:
    """The pictures of an avatar whose background is composed up to some of them."""
    composer.held_at = SHOWN_FIRST
    with Backdrops(tmp_path).in_front(lively, GREEN, CancelToken()) as shown:
        pictures = Pictures(shown, MeshEngine(), tmp_path / "decoded.yuv")
    wait_for(lambda: pictures._own.there == SHOWN_FIRST)
    yield pictures
    composer.go_on.set()
    wait_for(lambda: pictures._own.finished or pictures.failed)


def live(pictures: Pictures) -> Session:
    voice = Voice(choose=lambda language: FakeTTS(), name="Custom", language="en-us", espeak=EspeakEngine())
    return Session(pictures, voice, lambda event: None)


def shown_by(session: Session, seconds: float) -> set[int]:
    """Return the groups that a session shows in some seconds."""
    seen, until = set(), session.time + seconds
    while session.time < until:
        seen.add(session._gop)
        assert len(session.advance().data) > 100
    return seen


@pytest.mark.slow
def test_a_session_shows_what_is_composed_until_the_rest_is(
    growing: Pictures, composer: Composer, tmp_path: Path
) -> None:
    session = live(growing)
    there = SHOWN_FIRST // 5
    assert len(growing.clips[""]) == 15
    assert shown_by(session, 6) == set(range(there - 2)) and not growing._own.finished  # no thread has waited
    assert live(growing)._gop == 0 and Session(growing, session._voice, print, frame=70)._gop == 0
    assert growing.entry(3, "") < there - 2
    composer.go_on.set()
    wait_for(lambda: growing._own.finished)
    assert shown_by(session, 6) == set(range(15))
    assert (tmp_path / "decoded.yuv").is_file() and not list(tmp_path.glob("decoded.yuv*part*"))
    whole = np.stack([frame.planes for frame in itertools.islice(growing.avatar.clip.frames(), 75)])
    composed = Backdrops(tmp_path / "anew").composed(replace(growing.avatar), GREEN, CancelToken())
    assert (whole == np.stack(planes_of(composed.clip, 75))).all()


@pytest.mark.slow
def test_a_session_lives_on_with_what_was_composed_before_an_error(growing: Pictures, composer: Composer) -> None:
    session = live(growing)
    composer.fail = True
    composer.go_on.set()
    wait_for(lambda: growing.failed)
    assert max(shown_by(session, 4)) < SHOWN_FIRST // 5
    assert list(growing.beginning()) == []  # another one that has the same pictures begins, too


def test_a_session_fails_with_a_background_that_fails_at_its_beginning(
    lively: Avatar, tmp_path: Path, composer: Composer
) -> None:
    composer.held_at, composer.fail = 7, True
    with Backdrops(tmp_path).in_front(lively, GREEN, CancelToken()) as shown:
        pictures = Pictures(shown, MeshEngine(), tmp_path / "decoded.yuv")
    composer.go_on.set()
    with pytest.raises(RenderFailed, match="half"):
        list(pictures.beginning())


def test_a_session_begins_when_composing_will_stay_ahead(
    growing: Pictures, composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_pictures, "LOOKING", 0.01)
    monkeypatch.setattr(live_pictures, "PACE", 0.0)  # however quick it was
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(list, growing.beginning())
        told = growing.beginning()
        assert [next(told) for _ in range(3)] == [SHOWN_FIRST / 75] * 3 and not waits.done()
        composer.go_on.set()
        assert set(waits.result(60)) >= {SHOWN_FIRST / 75}
    assert list(told) == [] and growing._own.finished


@pytest.mark.slow
def test_further_clips_follow_while_sessions_run(
    lively: Avatar, tmp_path: Path, composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    composer.held_at = SHOWN_FIRST
    monkeypatch.setattr(live_pictures, "PACE", 1e9)  # however slow it is
    packs, behind = tmp_path / "packs", ["color", list(GREEN.color), ""]
    pack = packs / "360p" / "woman_360p_precomputed.pkl"
    pack.parent.mkdir(parents=True)
    save(lively, pack)

    def serving() -> Worker:
        studio = make_fake_studio(replace(Settings(), precomputed=packs, results=tmp_path / "results"))
        return Worker(replace(studio, engines={"mesh": MeshEngine()}), io.BytesIO())

    def begin(worker: Worker, key: str) -> Session:
        asked = {**ASKED, "pack": str(pack), "background": behind, "decoded": str(tmp_path / "decoded.yuv")}
        worker.handle(of_json(Kind.OPEN, key, asked))
        wait_for(lambda: key in worker._sessions)
        return worker._sessions[key]

    worker = serving()
    first, second = begin(worker, "a" * 32), begin(worker, "b" * 32)
    pictures = first.pictures
    assert second.pictures is pictures and not pictures._own.finished and [*pictures.clips] == [""]
    composer.go_on.set()
    wait_for(lambda: "nod" in pictures.clips)
    first.listen()
    assert shown_by(first, 8) & set(pictures.clips["nod"])
    assert composer.made == [GREEN, GREEN]
    wait_for(lambda: len(list(tmp_path.rglob("*.mp4"))) == 2)
    assert [*begin(serving(), "c" * 32).pictures.clips] == ["", "nod"]  # another process has them from the first on


# --- nothing behind the person


def parted(avatar: Avatar) -> list[tuple[Frame, Frame]]:
    video = composed_video(avatar, Background("transparent"), CancelToken())
    return [parts_of(frame) for frame in ClipReader(video).once()]


def test_a_transparent_clip_has_the_person_above_their_matte(woman: Avatar) -> None:
    for (person, matte), own, share in zip(parted(woman), woman.clip.once(), exact(woman), strict=True):
        assert np.abs((matte.y.astype(np.float32) - 16) / 219 - share).mean() < 0.01
        within = share > 0.99
        assert np.abs(person.y[within].astype(int) - own.y[within]).mean() < 2
        over = person.y * share + 235 * (1 - share)  # in front of white, as a player mixes it
        assert over[cv2.dilate(share, np.ones((9, 9))) < 0.01].min() > 230


def test_players_find_no_halo_where_they_mix_colour_and_matte(woman: Avatar) -> None:
    frame, share = soft(320, 240)
    grey = np.full((120, 320), 128, np.uint8)
    matte = encode(
        [Frame(np.concatenate([np.rint(255 * share).astype(np.uint8), grey]))] * 2, 320, 240, Fraction(25), BT709
    )
    avatar = replace(
        woman, width=320, height=240, video=encode([frame] * 2, 320, 240, Fraction(25), BT709), matte=Matte(matte)
    )
    person, shares = parted(avatar)[0]
    alpha = (shares.y.astype(np.float32) - 16).clip(0, 219) / 219
    over_black = 16 * (1 - alpha) + person.y * alpha
    over_white = 235 * (1 - alpha) + person.y * alpha
    assert over_black.max() < 52
    assert (over_white - (235 * (1 - share) + 40 * share)).min() > -20  # nor a dark one


def test_a_look_of_two_parts_crops_both_and_its_letters_are_seen(woman: Avatar) -> None:
    look = Look(Box(100, 20, 200, 300), "AI", parted=True)
    assert look.size(woman) == (200, 600) and look.shown_size(woman) == (200, 300)
    planes = np.full((woman.height * 3, woman.width), 128, np.uint8)
    whole = Frame(planes)
    whole.y[: woman.height], whole.y[woman.height :] = 90, 16
    person, matte = parts_of(look.of(whole))
    assert (person.width, person.height) == (200, 300) and (person.y[150:] == 90).all()
    assert (matte.y[150:] == 16).all() and matte.y.max() > 200  # where the mark stands
    assert (whole.y[: woman.height] == 90).all()  # an engine may use its pictures again


def test_a_transparent_video_is_webm_with_alpha(woman: Avatar, tmp_path: Path) -> None:
    video = composed_video(woman, Background("transparent"), CancelToken())
    look = Look(parted=True)
    with Mp4Writer(tmp_path / "a.mp4", *look.size(woman), woman.fps, woman.clip.colors) as writer:
        writer.add_sound(np.sin(np.arange(16_000) / 20).astype(np.float32), 16_000)
        for frame in ClipReader(video).once():
            writer.write_frame(look.of(frame))
    path = transparent_copy(tmp_path / "a.mp4", tmp_path / "a.webm")
    assert path.stat().st_mtime_ns == (tmp_path / "a.mp4").stat().st_mtime_ns
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.metadata["alpha_mode"] == "1" and (stream.width, stream.height) == (woman.width, woman.height)
        assert container.streams.audio[0].codec_context.name in ("opus", "libopus")
        decoder = av.VideoCodecContext.create("libvpx-vp9", "r")
        pictures = [picture for packet in container.demux(stream) for picture in decoder.decode(packet)]
    assert len(pictures) == FRAMES
    for picture, share, own in zip(pictures, exact(woman), woman.clip.once(), strict=True):
        assert picture.format.name == "yuva420p"
        y, alpha = (
            np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)[: woman.height, : woman.width]
            for plane in (picture.planes[0], picture.planes[3])
        )
        assert np.abs(alpha / 255 - share).mean() < 0.02 and alpha.max() > 250 and alpha.min() < 5
        assert np.abs(y[share > 0.99].astype(int) - own.y[share > 0.99]).mean() < 5
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(RenderFailed):
        transparent_copy(tmp_path / "broken.mp4", tmp_path / "broken.webm")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.mp4", "a.webm", "broken.mp4"]


@pytest.mark.slow
def test_a_transparent_person_speaks(tmp_path: Path) -> None:
    studio = make_studio(replace(Settings(), precomputed=ROOT / "precomputed", results=tmp_path))
    body = {"text": "wow", "avatar": "talk_short", "resolution": "360p", "tts_engine": "espeak", "aspect": "1:1"}
    request = parse({**body, "background": "transparent", "label": "AI"}, studio)
    task = TaskBook(tmp_path, 0).files_of("0" * 32)
    assert isinstance(list(generate(request, task, studio))[-1], Done)
    with av.open(str(task.video)) as container:
        pictures = [parts_of(Frame(one.to_ndarray(format="yuv420p"))) for one in container.decode(video=0)]
    assert (pictures[0][0].width, pictures[0][0].height) == (360, 360)
    persons, mattes = (np.stack([pair[part].y for pair in pictures]).astype(int) for part in (0, 1))
    mouth = np.s_[:, 85:125, 150:210]
    assert np.ptp(persons[mouth], axis=0).max() > 60
    assert np.ptp(mattes[mouth], axis=0).max() < 8 and mattes[mouth].min() > 225
    assert mattes[:, :40, :40].max() < 30 and mattes[:, :40, -60:].max() > 200  # the wall, and the mark
    assert transparent_copy(task.video, task.transparent).stat().st_size > 10_000


def test_a_session_shows_both_parts(woman: Avatar, tmp_path: Path) -> None:
    avatar = Backdrops(tmp_path).composed(woman, Background("transparent"), CancelToken())
    pictures = Pictures(avatar, MeshEngine(), tmp_path / "decoded.yuv", Look(parted=True))
    drawn = drawn_by(pictures.engine, [pictures.frames(0, np.zeros((5, len(UNITS)), np.float32), np.zeros(9600))])[0]
    assert (drawn[0].width, drawn[0].height) == (woman.width, 2 * woman.height)
    matte = parts_of(drawn[0])[1].y.astype(np.float32)
    assert np.abs((matte - 16) / 219 - exact(woman)[0]).mean() < 0.01
    assert len(pictures.encoded(drawn).sizes) == len(drawn)


def test_only_transparent_videos_come_as_webm(fake_server: Server) -> None:
    body = {"text": "one", "avatar": "solo", "aspect": "source", "background": "transparent"}
    done = fake_server.post("/api/v2/lipsync", {**body, "background": "white"}).json()
    assert fake_server.get(done["video_url"].replace("mp4", "webm")).status_code == 404
    assert fake_server.get(f"/video/{'0' * 32}.webm").status_code == 404
