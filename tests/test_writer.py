"""The mp4 that is written, decoded again."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.core.growing_file import part_of
from pipeline.errors import RenderFailed
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags
from pipeline.video.writer import Mp4Writer
from tests.media import time_of

WIDTH, HEIGHT = 320, 180
RATE = 22_050


def picture(number: int) -> Frame:
    planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    planes[:HEIGHT] = (np.arange(WIDTH)[None] + 3 * number) % 200 + 20
    return Frame(planes)


def chirps(seconds: float) -> np.ndarray:
    """Return noise bursts: sound whose place in time shows to the sample."""
    noise = np.random.default_rng(7).standard_normal(round(seconds * RATE)) * 0.2
    gate = (np.arange(len(noise)) // (RATE // 10)) % 3 == 1
    return np.asarray(noise * gate, np.float32)


def write(path: Path, frames: int, fps: Fraction, sound: np.ndarray) -> None:
    with Mp4Writer(path, WIDTH, HEIGHT, fps, ColorTags()) as writer:
        writer.add_sound(sound, RATE)
        for number in range(frames):
            writer.write_frame(picture(number))


def frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def decoded_sound(path: Path) -> tuple[np.ndarray, int, Fraction]:
    """Return the decoded sound, its rate and the time at which it starts."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        frames = list(container.decode(audio=0))
        return np.concatenate([f.to_ndarray()[0] for f in frames]), stream.rate, time_of(frames[0])


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30_000, 1001), Fraction(15)])
def test_frames_and_times_are_exact(tmp_path: Path, fps: Fraction) -> None:
    path = tmp_path / "a.mp4"
    write(path, 47, fps, chirps(float(47 / fps)))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(video=0))
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", WIDTH, HEIGHT)
        assert stream.codec_context.pix_fmt == "yuv420p"
        times = [time_of(f) for f in frames]
    assert len(frames) == 47
    assert times[0] == 0
    assert all(abs(t - n / fps) < Fraction(1, 10_000) for n, t in enumerate(times))
    assert not part_of(path).exists()


def test_sound_is_neither_cut_nor_shifted(tmp_path: Path) -> None:
    sound = chirps(2.0)
    write(tmp_path / "a.mp4", 50, Fraction(25), sound)
    samples, rate, start = decoded_sound(tmp_path / "a.mp4")
    assert start == 0
    assert 2.0 <= len(samples) / rate < 2.0 + 2 * 1024 / rate  # AAC comes in packets of 1,024 samples
    wanted = np.interp(np.arange(2 * rate) / rate, np.arange(len(sound)) / RATE, sound)
    lags = np.arange(-600, 601)
    middle = wanted[4800:-4800]
    scores = [np.corrcoef(middle, samples[4800 + lag : 4800 + lag + len(middle)])[0, 1] for lag in lags]
    assert abs(lags[int(np.argmax(scores))]) <= 3
    assert max(scores) > 0.85  # linear interpolation of noise loses its highest part


def test_the_file_plays_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with Mp4Writer(path, WIDTH, HEIGHT, Fraction(25), ColorTags()) as writer:
        writer.add_sound(chirps(4.0), RATE)
        for number in range(100):
            writer.write_frame(picture(number))
            if number == 50:
                early = part_of(path).read_bytes()
    assert path.read_bytes().startswith(early)
    (tmp_path / "early.mp4").write_bytes(early)
    assert frames_in(tmp_path / "early.mp4") >= 25


def test_the_first_pictures_can_be_played_very_soon(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with Mp4Writer(path, WIDTH, HEIGHT, Fraction(25), ColorTags()) as writer:
        writer.add_sound(chirps(1.0), RATE)
        for number in range(5):
            writer.write_frame(picture(number))
        early = part_of(path).read_bytes()
    (tmp_path / "early.mp4").write_bytes(early)
    assert frames_in(tmp_path / "early.mp4") == 3


@pytest.mark.parametrize("fps", [Fraction(60), Fraction(25), Fraction(15)])
def test_no_early_fragment_is_longer_than_all_before_it(tmp_path: Path, fps: Fraction) -> None:
    write(tmp_path / "a.mp4", 3 * round(fps), fps, chirps(3.0))
    with av.open(str(tmp_path / "a.mp4")) as container:
        starts = [n for n, frame in enumerate(container.decode(video=0)) if frame.key_frame]
    lengths = np.diff(starts)
    assert all(length <= start + 1 for start, length in zip(starts[1:], lengths[1:], strict=False))  # whole frames
    assert starts[0] == 0 and starts[1] / fps < 0.15 and set(lengths[5:]) == {round(fps / 2)}


def test_nothing_remains_when_rendering_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with (
        pytest.raises(ZeroDivisionError),
        Mp4Writer(path, WIDTH, HEIGHT, Fraction(25), ColorTags()) as writer,
    ):
        writer.write_frame(picture(0))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_an_impossible_place_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RenderFailed, match="could not be made"):
        write(tmp_path / "file" / "a.mp4", 1, Fraction(25), chirps(0.1))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to play a full disk")
def test_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    part_of(path).symlink_to("/dev/full")
    with pytest.raises(RenderFailed, match="free disk space"):
        write(path, 100, Fraction(25), chirps(4.0))
    assert not path.exists()


def test_sound_of_another_rate_is_not_taken_for_that_of_the_first(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="sound at 44100 Hz after sound at"),
        Mp4Writer(tmp_path / "a.mp4", WIDTH, HEIGHT, Fraction(25), ColorTags()) as writer,
    ):
        writer.add_sound(chirps(0.2), RATE)
        writer.add_sound(chirps(0.2), 44_100)
    assert list(tmp_path.iterdir()) == []
