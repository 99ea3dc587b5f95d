"""What recordings people have: stereo, damaged, joined, of several tracks, of phones, and misread ones."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.core.cancel import CancelToken
from pipeline.errors import BadRequest
from pipeline.jobs.events import Done, TtsDone, describe, to_json
from pipeline.speech.recording import load_audio, load_recording
from pipeline.tts.espeak import EspeakEngine
from tests.media import add_audio, encode_audio
from tests.recordings import write_wav

RATE = 22050
TEXT = "The quick brown fox jumps over the lazy dog, and then it sleeps for an hour."
ENCODERS = {
    "mp3": "libmp3lame",
    "aac": "aac",
    "m4a": "aac",
    "ogg": "libopus",
    "opus": "libopus",
    "flac": "flac",
    "ts": "mp2",
    "wma": "wmav2",
    "mka": "aac",
    "webm": "libopus",
    "amr": "libopencore_amrnb",
    "3gp": "libopencore_amrnb",
}


def spoken(text: str, voice: str = "") -> np.ndarray:
    """TEXT, (n,) in -0.9..0.9 at RATE."""
    samples = EspeakEngine(170, 50, voice).render(text, "en-us", CancelToken()).samples.astype(np.float32)
    return samples * np.float32(0.9 / np.abs(samples).max())


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    return spoken(TEXT)


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    """A tune over chords, as loud as a voice."""
    rng, times = np.random.default_rng(2), np.arange(5 * RATE) / RATE
    sound = np.zeros(len(times))
    for begin, length, notes in [(i * 0.25, 0.4, 1) for i in range(19)] + [(i * 1.25, 1.4, 3) for i in range(4)]:
        at = slice(round(begin * RATE), min(len(times), round((begin + length) * RATE)))
        now = times[at] - begin
        for pitch in 220 * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 12], notes) / 12):
            tone = sum(np.sin(2 * np.pi * pitch * (k + 1) * now) / (k + 1) for k in range(6))
            sound[at] += tone * np.exp(-2 * now) * np.minimum(1, now / 0.01)
    return np.asarray(0.9 * sound / np.abs(sound).max(), np.float32)


def fit(sound: np.ndarray, length: int) -> np.ndarray:
    return np.resize(sound, length).astype(np.float32)


Track = tuple[Sequence[np.ndarray], str]
"""Channels, each (n,), and their layout."""


def write(path: Path, *tracks: Track, codec: str = "", rate: int = RATE, format: str | None = None) -> Path:
    """Write TRACKS at RATE to PATH, by default with the codec that its name asks for."""
    codec = codec or ENCODERS.get(path.suffix[1:], "pcm_s16le")
    with av.open(str(path), "w", format=format or ("ogg" if path.suffix == ".opus" else None)) as container:
        to = 48000 if codec == "libopus" else 8000 if "amr" in codec else rate
        streams = [add_audio(container, codec, to, layout) for _, layout in tracks]
        for stream in streams:
            stream.bit_rate = 12200 if "amr" in codec else 64000
        for stream, (channels, layout) in zip(streams, tracks, strict=True):
            data = np.ascontiguousarray(np.stack(channels).T.reshape(1, -1), np.float32)
            frame = av.AudioFrame.from_ndarray(data, "flt", layout)
            frame.sample_rate = rate
            encode_audio(container, stream, [frame])
    return path


def envelope(samples: np.ndarray, rate: int) -> np.ndarray:
    """Loudness, 50 times a second."""
    step = rate // 50
    return np.asarray(np.sqrt(np.square(samples[: len(samples) // step * step].reshape(-1, step)).mean(axis=1)))


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """How well two envelopes agree, up to the 60 ms that encoders begin late."""
    length = min(len(one), len(other)) - 3
    return max(float(np.corrcoef(one[k : length + k], other[:length])[0, 1]) for k in range(4))


# --- channels


def _hiss(length: int, level: float) -> np.ndarray:
    return (np.random.default_rng(5).standard_normal(length) * level).astype(np.float32)


CHANNELS: dict[str, tuple[str, float, Callable[[np.ndarray, np.ndarray], list[np.ndarray]]]] = {
    "both alike": ("stereo", 1.0, lambda v, m: [v, v]),
    "opposite": ("stereo", 1.0, lambda v, m: [v, -v]),
    "opposite, a little softer": ("stereo", 1.0, lambda v, m: [v, -0.9 * v]),
    "left alone": ("stereo", 1.0, lambda v, m: [v, 0 * v]),
    "right alone": ("stereo", 1.0, lambda v, m: [0 * v, v]),
    "to the right": ("stereo", 1.0, lambda v, m: [0.3 * v, v]),
    "late on the right": ("stereo", 1.0, lambda v, m: [v, np.roll(v, 9)]),
    "noise on the left": ("stereo", 0.3, lambda v, m: [_hiss(len(v), 0.3), 0.3 * v]),
    "hum on the right": ("stereo", 0.5, lambda v, m: [0.5 * v, 0.6 * np.sin(np.arange(len(v)) * 0.0142)]),
    "music on the left": ("stereo", 1.0, lambda v, m: [m, v]),
    "loud music on the right": ("stereo", 0.2, lambda v, m: [0.2 * v, m]),
    "music under the left": ("stereo", 0.5, lambda v, m: [0.4 * v + 0.4 * m, 0.5 * v]),
    "centre": ("5.1", 1.0, lambda v, m: [0 * v, 0 * v, v, 0 * v, 0 * v, 0 * v]),
    "film": ("5.1", 0.7, lambda v, m: [0.5 * m, 0.4 * m, 0.7 * v, _hiss(len(v), 0.1), 0.3 * m, 0.3 * m]),
    "film for eight": ("7.1", 0.8, lambda v, m: [0.3 * m, 0.3 * m, 0.8 * v, *[0 * v] * 5]),
    "front of six": ("5.1", 1.0, lambda v, m: [v, v, *[0 * v] * 4]),
    "one flagged as bass": ("5.1", 1.0, lambda v, m: [*[0 * v] * 3, v, 0 * v, 0 * v]),
    "four alike": ("quad", 0.6, lambda v, m: [0.6 * v] * 4),
    "behind": ("quad", 1.0, lambda v, m: [0 * v, 0 * v, v, 0 * v]),
    "mono, flagged as left": ("FL", 1.0, lambda v, m: [v]),
    "mono, flagged as bass": ("LFE", 1.0, lambda v, m: [v]),
    "two, flagged as mono and bass": ("FC+LFE", 1.0, lambda v, m: [0 * v, v]),
}


@pytest.mark.parametrize("case", CHANNELS)
def test_the_channel_with_the_voice_is_taken_at_its_own_level(
    voice: np.ndarray, music: np.ndarray, case: str, tmp_path: Path
) -> None:
    layout, level, make = CHANNELS[case]
    channels = make(voice, fit(music, len(voice)))
    samples, rate = load_audio(write(tmp_path / "a.wav", (channels, layout)))
    assert rate == RATE and len(samples) == len(voice)
    if case == "late on the right" and np.abs(samples - voice).max() > 0.02:
        samples = np.roll(samples, -9)
    gain = float(samples @ voice / (voice @ voice))
    assert abs(20 * np.log10(abs(gain) / level)) < 0.2
    assert np.abs(samples - gain * voice).max() < 0.02


@pytest.mark.parametrize(
    ("name", "codec", "layout"),
    [("a.m4a", "aac", "7.1"), ("a.mka", "libopus", "7.1"), ("a.mka", "ac3", "5.1"), ("a.flac", "flac", "stereo")],
)
def test_channels_that_lie_each_for_itself_are_read_too(
    voice: np.ndarray, name: str, codec: str, layout: str, tmp_path: Path
) -> None:
    """As lossy codecs decode them: from eight on, PyAV's own way to arrays ends the process."""
    channels = [0 * voice for _ in range(av.AudioLayout(layout).nb_channels)]
    channels[min(2, len(channels) - 1)] = voice
    rate = 48000 if codec in ("libopus", "ac3") else RATE  # said twice as fast
    samples, loaded = load_audio(write(tmp_path / name, (channels, layout), codec=codec, rate=rate))
    assert len(samples) / loaded == pytest.approx(len(voice) / rate, abs=0.1)
    assert samples.std() == pytest.approx(voice.std(), rel=0.25)


def test_both_sides_of_a_conversation_are_kept(voice: np.ndarray, tmp_path: Path) -> None:
    other = fit(spoken("Nobody knows what it dreams of, but it smiles.", "f3"), len(voice))
    half = np.arange(len(voice)) < len(voice) // 2
    asks, answers = np.where(half, voice, 0), np.where(half, 0, other)
    samples, _ = load_audio(write(tmp_path / "a.wav", ([asks, answers], "stereo")))
    assert np.abs(samples - (asks + answers)).max() < 0.01


def test_a_tone_on_both_sides_does_not_clip(tmp_path: Path) -> None:
    tone = (0.9 * np.sin(np.arange(2 * RATE) * 0.125)).astype(np.float32)
    samples, _ = load_audio(write(tmp_path / "a.wav", ([tone, tone], "stereo")))
    assert np.abs(samples - tone).max() < 1e-3


# --- damage


def damaged(path: Path, begin: float, share: float, cut: bool = False) -> Path:
    """PATH again, with SHARE of its bytes from BEGIN (a share, too) on zero, or gone."""
    data = path.read_bytes()
    start, stop = round(len(data) * begin), round(len(data) * (begin + share))
    other = path.with_name("damaged" + path.suffix)
    other.write_bytes(data[:start] + (b"" if cut else bytes(stop - start)) + data[stop:])
    return other


@pytest.mark.parametrize("kind", ["mp3", "aac", "m4a", "ogg", "opus", "flac", "ts", "wma"])
def test_a_hole_becomes_silence_and_what_follows_keeps_its_time(
    voice: np.ndarray, music: np.ndarray, kind: str, tmp_path: Path
) -> None:
    # bare AAC tells no times: how long a hole lasts is estimated by its bytes, and those of a voice differ from process
    # to process, since eSpeak NG's flutter goes on from text to text
    whole = write(tmp_path / f"a.{kind}", ([music if kind == "aac" else voice], "mono"))
    before = load_recording(whole)
    assert before.lost == 0
    after = load_recording(damaged(whole, 0.5, 0.08))
    assert after.rate == before.rate
    assert len(after.samples) / after.rate == pytest.approx(len(before.samples) / before.rate, abs=0.12)
    assert 0.05 * 4 < after.lost < 0.25 * 4 + 1.0  # pages of ogg are long
    last = slice(-round(1.2 * 50), None)
    assert alike(envelope(after.samples, after.rate)[last], envelope(before.samples, before.rate)[last]) > 0.8


@pytest.mark.parametrize("kind", ["ogg", "opus", "flac", "ts"])
def test_where_the_file_has_times_what_was_cut_out_keeps_its_time(voice: np.ndarray, kind: str, tmp_path: Path) -> None:
    whole = write(tmp_path / f"a.{kind}", ([voice], "mono"))
    before, after = load_recording(whole), load_recording(damaged(whole, 0.4, 0.1, cut=True))
    assert len(after.samples) / after.rate == pytest.approx(len(before.samples) / before.rate, abs=0.12)
    assert after.lost > 0.2


def packets(path: Path) -> list[tuple[int, int]]:
    """Where in the file PATH its packets are, and how long: bytes."""
    with av.open(str(path), options={"fflags": "+noparse"} if path.suffix == ".aac" else {}) as container:
        return [(one.pos, one.size) for one in container.demux(audio=0) if one.pos is not None]


@pytest.mark.parametrize("kind", ["mp3", "aac", "m4a"])
@pytest.mark.parametrize("bad", [1, 3])
def test_bad_frames_are_as_many_frames_of_silence(voice: np.ndarray, kind: str, bad: int, tmp_path: Path) -> None:
    whole = write(tmp_path / f"a.{kind}", ([voice], "mono"))
    data = bytearray(whole.read_bytes())
    places = packets(whole)
    for position, size in places[len(places) // 2 :][:bad]:
        data[position : position + size] = bytes(size)
    other = tmp_path / f"b.{kind}"
    other.write_bytes(data)
    before, after = load_recording(whole), load_recording(other)
    frame = (576 if kind == "mp3" else 1024) / RATE
    assert (bad - 0.6) * frame < after.lost < (bad + 1.6) * frame
    assert len(after.samples) == pytest.approx(len(before.samples), abs=1.6 * frame * RATE)


@pytest.mark.parametrize("kind", ["wav", "mp3", "mka", "webm", "flac"])
def test_a_file_cut_short_states_how_much_is_missing(voice: np.ndarray, kind: str, tmp_path: Path) -> None:
    whole = write(tmp_path / f"a.{kind}", ([voice], "mono"))
    before, after = load_recording(whole), load_recording(damaged(whole, 0.7, 0.3, cut=True))
    missing = (len(before.samples) - len(after.samples)) / after.rate
    assert missing > 0.5 and after.lost == pytest.approx(missing, abs=0.15)


def test_a_recorder_that_never_wrote_the_length_lost_nothing(voice: np.ndarray, tmp_path: Path) -> None:
    data = bytearray(write_wav(tmp_path / "a.wav", voice, RATE).read_bytes())
    for size in (0, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFDB):
        data[40:44] = struct.pack("<I", size)
        (tmp_path / "a.wav").write_bytes(data)
        recording = load_recording(tmp_path / "a.wav")
        assert recording.lost == 0 and len(recording.samples) == len(voice)


def test_other_rates_and_channels_on_the_way_are_followed(voice: np.ndarray, tmp_path: Path) -> None:
    """Joined as people join mp3 files: with the titles of each in between, and a cover that takes no time."""
    length = 2 * RATE
    first, second, third = (voice[i * 20000 : i * 20000 + length] for i in range(3))
    parts = [
        write(tmp_path / "1.mp3", ([first], "mono")),
        write(tmp_path / "2.mp3", ([second, -second], "stereo"), rate=RATE * 2),  # said twice as fast
        write(tmp_path / "3.mp3", ([third], "mono"), rate=16000),
    ]
    cover = b"ID3\x03\x00\x00\x00\x01\x7f\x76" + b"\0" * (127 * 128 + 118)
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(parts[0].read_bytes() + cover + parts[1].read_bytes() + parts[2].read_bytes())
    seconds = [2.0, 1.0, length / 16000]
    recording = load_recording(joined)
    assert recording.rate == 44100 and recording.lost < 0.2
    assert len(recording.samples) / recording.rate == pytest.approx(sum(seconds), abs=0.35)  # encoders pad each part
    level = [np.abs(part).mean() for part in np.split(recording.samples, [2 * 44100, 3 * 44100])]
    assert level == pytest.approx([np.abs(part).mean() for part in (first, second, third)], rel=0.15)


def test_joined_ogg_files_are_one(voice: np.ndarray, tmp_path: Path) -> None:
    one = write(tmp_path / "1.ogg", ([voice], "mono"))
    (tmp_path / "2.ogg").write_bytes(one.read_bytes() * 2)
    recording = load_recording(tmp_path / "2.ogg")
    seconds = len(recording.samples) / recording.rate
    assert seconds == pytest.approx(2 * len(voice) / RATE, abs=0.1) and recording.lost == 0


@pytest.mark.parametrize("kind", ["mp3", "aac", "m4a", "flac"])
def test_what_holds_no_sound_any_more_is_refused(voice: np.ndarray, kind: str, tmp_path: Path) -> None:
    whole = write(tmp_path / f"a.{kind}", ([voice], "mono"))
    data = bytearray(whole.read_bytes())
    for position, size in packets(whole):
        data[position : position + size] = bytes(size)
    whole.write_bytes(data)
    with pytest.raises(BadRequest, match="audio: "):
        load_recording(whole)


def test_what_is_lost_is_reported() -> None:
    done = Done(
        text="",
        video_url="/v",
        video_path="v",
        audio_url="/a",
        captions_url=None,
        audio_duration=6.0,
        tts=0.1,
        lipsync=0.2,
        total=0.3,
        first_byte=0.1,
        lost=0.026,
    )
    assert to_json(done, "id", "en")["audio_lost"] == 0.026
    assert "0.03 s" in describe(done).en and "0.03초" in describe(done).ko
    spoken = TtsDone(audio_url="/a", captions_url=None, duration=6.0, elapsed=0.1, lost=2.5)
    assert to_json(spoken, "id", "en")["audio_lost"] == 2.5 and "2.5 s" in describe(spoken).en
    whole = Done(
        text="",
        video_url="/v",
        video_path="v",
        audio_url="/a",
        captions_url=None,
        audio_duration=6.0,
        tts=0.1,
        lipsync=0.2,
        total=0.3,
        first_byte=0.1,
    )
    assert "audio_lost" not in to_json(whole, "id", "en") and describe(whole).en == "Done (0.3 s)"


# --- tracks, phones


@pytest.mark.slow
def test_of_several_tracks_the_one_with_speech_is_taken(voice: np.ndarray, music: np.ndarray, tmp_path: Path) -> None:
    soft, tune = 0.4 * voice, fit(music, len(voice))
    quiet, hiss = ([0 * voice] * 2, "stereo"), ([_hiss(len(voice), 0.2)], "mono")
    cases = {
        "silent.m4a": [quiet, ([voice], "mono")],
        "noise.m4a": [hiss, ([voice], "mono")],
        "music.mka": [([tune, tune], "stereo"), ([voice, voice], "stereo")],
        "third.mka": [quiet, hiss, ([voice], "mono")],
        "first.m4a": [([voice], "mono"), quiet],
        "both.m4a": [([voice], "mono"), ([soft], "mono")],
    }
    for name, tracks in cases.items():
        samples, rate = load_audio(write(tmp_path / name, *tracks))
        assert rate == RATE
        assert alike(envelope(samples, rate), envelope(voice, RATE)) > 0.9, name
        assert np.abs(samples).mean() == pytest.approx(np.abs(voice).mean(), rel=0.1), name


@pytest.mark.parametrize("kind", ["amr", "3gp"])
def test_what_phones_record_is_read(voice: np.ndarray, kind: str, tmp_path: Path) -> None:
    recording = load_recording(write(tmp_path / f"call.{kind}", ([voice], "mono")))
    assert recording.rate == 8000 and recording.lost == 0
    assert len(recording.samples) / 8000 == pytest.approx(len(voice) / RATE, abs=0.05)
    assert alike(envelope(recording.samples, 8000), envelope(voice, RATE)) > 0.9


def test_wideband_amr_is_read(tmp_path: Path) -> None:
    """Frames of any bits: what they sound like does not matter."""
    rng = np.random.default_rng(0)
    frames = [b"\x14" + rng.bytes(32) for _ in range(100)]  # mode 2, 12.65 kbit/s
    (tmp_path / "call.amr").write_bytes(b"#!AMR-WB\n" + b"".join(frames))
    recording = load_recording(tmp_path / "call.amr")
    assert recording.rate == 16000 and len(recording.samples) == 100 * 320


# --- floats beyond full scale


def floats(path: Path, samples: np.ndarray, code: str = "f") -> Path:
    """Write SAMPLES (n,) as they are: float32 ("f") or float64 ("d")."""
    data = samples.astype(f"<{code}{4 if code == 'f' else 8}" if code == "f" else "<f8").tobytes()
    width = 4 if code == "f" else 8
    head = struct.pack("<HHIIHH", 3, 1, RATE, RATE * width, width, 8 * width)
    chunks = b"fmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    return path


@pytest.mark.parametrize("code", ["f", "d"])
@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_integers_written_as_floats_are_scaled(voice: np.ndarray, bits: int, code: str, tmp_path: Path) -> None:
    scale = 2.0 ** (bits - 1)
    samples, _ = load_audio(floats(tmp_path / "a.wav", np.round(voice * scale), code))
    assert np.abs(samples - voice).max() < 1 / scale + 1e-6
    if bits < 32:
        unsigned, _ = load_audio(floats(tmp_path / "u.wav", np.round(voice * scale) + scale, code))
        assert np.abs(unsigned - voice).max() < 1 / scale + 1e-6


def test_floats_turned_up_too_far_keep_their_shape(voice: np.ndarray, tmp_path: Path) -> None:
    samples, _ = load_audio(floats(tmp_path / "a.wav", 3 * voice))
    assert np.abs(samples - voice / 0.9).max() < 1e-5


@pytest.mark.parametrize("level", [1e3, 1e6, 1e12])
def test_noise_beyond_full_scale_is_refused(level: float, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for noise in (rng.standard_normal(2 * RATE), rng.uniform(-1, 1, 2 * RATE).round(3)):
        with pytest.raises(BadRequest, match="noise"):
            load_audio(floats(tmp_path / "a.wav", noise * level))


def test_bytes_that_are_no_floats_are_refused(voice: np.ndarray, tmp_path: Path) -> None:
    for other in (np.random.default_rng(0).bytes(8 * RATE), (voice * 32767).astype("<i2").tobytes()):
        misread = np.frombuffer(other[: len(other) // 4 * 4], "<f4")
        with pytest.raises(BadRequest, match="audio: "):
            load_audio(floats(tmp_path / "a.wav", misread))


def test_what_is_no_number_is_silent_and_reported(voice: np.ndarray, tmp_path: Path) -> None:
    holes = voice.copy()
    holes[5000:5100], holes[9000], holes[9500], holes[20000] = np.nan, np.inf, -np.inf, 1e30
    recording = load_recording(floats(tmp_path / "a.wav", holes))
    expected = np.where(np.isfinite(holes) & (np.abs(holes) < 2), voice, 0)
    np.testing.assert_allclose(recording.samples, expected, atol=1e-6)
    assert recording.lost == pytest.approx(103 / RATE, rel=0.01)
    with pytest.raises(BadRequest, match="nothing can be heard"):
        load_audio(floats(tmp_path / "b.wav", np.full(RATE, np.nan)))


# --- what is no sound


def test_files_without_a_sound_that_can_be_decoded_are_refused(voice: np.ndarray, tmp_path: Path) -> None:
    unknown = bytearray(write_wav(tmp_path / "unknown.wav", voice, RATE).read_bytes())
    unknown[20:22] = b"\x34\x12"  # an unknown codec
    (tmp_path / "unknown.wav").write_bytes(unknown)
    foreign = write(tmp_path / "foreign.mka", ([voice], "mono")).read_bytes().replace(b"A_AAC", b"A_XYZ")
    (tmp_path / "foreign.mka").write_bytes(foreign)
    subtitles = tmp_path / "subtitles.mkv"
    with av.open(str(write(tmp_path / "a.mka", ([voice], "mono")))) as source, av.open(str(subtitles), "w") as target:
        del source
        stream = target.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(5):
            target.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        target.mux(stream.encode(None))
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nHello.\n")
    (tmp_path / "picture.mp3").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(3000))
    for name, reason in {
        "unknown.wav": "cannot be decoded",
        "foreign.mka": "cannot be decoded",
        "subtitles.mkv": "holds no sound",
        "words.srt": "cannot be read",
        "picture.mp3": "cannot be read",
    }.items():
        with pytest.raises(BadRequest, match=reason) as refused:
            load_audio(tmp_path / name)
        assert refused.value.message.ko.startswith("audio: ")


def test_a_track_that_cannot_be_decoded_leaves_the_others(voice: np.ndarray, tmp_path: Path) -> None:
    tracks = ([voice], "mono"), ([voice], "mono")
    data = write(tmp_path / "a.mka", *tracks).read_bytes().replace(b"A_AAC", b"A_XYZ", 1)
    (tmp_path / "b.mka").write_bytes(data)
    assert len(load_audio(tmp_path / "b.mka")[0]) / RATE == pytest.approx(len(voice) / RATE, abs=0.1)
