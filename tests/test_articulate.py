"""The mouth that speaks a list of phonemes."""

import numpy as np
import pytest
from scipy.signal import butter, filtfilt

from pipeline.core.cancel import CancelToken
from pipeline.face.basis import LOWER_LIP, UPPER_LIP, neutral, unit
from pipeline.speech.articulate import BEYOND, UNITS, WIDE, Viseme, articulate, viseme_of
from pipeline.speech.mouth_track import parted_by
from pipeline.speech_types import Mark, Speech
from pipeline.tts.espeak import EspeakEngine

RATE = 16_000


def speak(*sounds: tuple[str, float]) -> tuple[tuple[Mark, ...], Speech]:
    """Return marks and a steady hum for (phoneme, seconds) pairs."""
    marks, at = [], 0.0
    for text, seconds in sounds:
        marks.append(Mark("phoneme", text, at, at + seconds))
        at += seconds
    samples = np.sin(np.arange(round(at * RATE)) * 0.06).astype(np.float32) * 0.3
    return tuple(marks), Speech(samples=samples, rate=RATE, text="", language="ko", marks=tuple(marks))


def track(*sounds: tuple[str, float], fps: float = 25.0, skip: int = 1) -> dict[str, np.ndarray]:
    marks, speech = speak(*sounds)
    mouth = articulate(marks, speech, round(speech.duration * fps), fps, skip)
    assert mouth.weights.dtype == np.float32
    assert mouth.weights.min() >= 0
    assert mouth.weights.max() <= 1
    return dict(zip(mouth.units, mouth.weights.T, strict=True))


def gap(mouth: dict[str, np.ndarray]) -> np.ndarray:
    """Return how far the lips of a track are apart, (frames,) eye distances."""
    return np.asarray(parted_by(tuple(mouth)) @ np.stack(list(mouth.values())))


def test_open_vowels_open_further_than_close_ones() -> None:
    open_, close = track(("a", 0.3)), track(("i", 0.3))
    assert open_["jawOpen"].max() > 2.5 * close["jawOpen"].max()


@pytest.mark.parametrize(
    ("sounds", "unit"),
    [("t d n l ɾ s z tʰ", "tongueOut"), ("k ɡ ŋ kʰ x", "tongueBack"), ("θ ð", "tongueThrough")],
)
def test_the_tongue_goes_where_each_sound_is_made_and_lies_low_in_vowels(sounds: str, unit: str) -> None:
    for sound in sounds.split():
        mouth = track(("a", 0.3), (sound, 0.15), ("a", 0.3))
        middle = round(0.375 * 25)
        assert mouth[unit][middle] > 0.5
        assert all(mouth[other][middle] == 0 for other in UNITS if other.startswith("tongue") and other != unit)
        assert mouth[unit][2] == 0


@pytest.mark.parametrize("bilabial", ["p", "b", "m", "pʰ"])
@pytest.mark.parametrize("seconds", [0.03, 0.06, 0.12])
@pytest.mark.parametrize("fps", [15.0, 25.0, 30.0, 60.0])
def test_lips_meet_at_every_bilabial_however_short(bilabial: str, seconds: float, fps: float) -> None:
    mouth = track(("a", 0.25), (bilabial, seconds), ("a", 0.25), fps=fps)
    times = np.arange(len(mouth["jawOpen"])) / fps
    near = (times > 0.2) & (times < 0.3 + seconds)
    assert mouth["jawOpen"][near].min() < 0.03 * mouth["jawOpen"].max()


@pytest.mark.parametrize("fps", [25.0, 30.0])
@pytest.mark.parametrize("late", [0.0, 0.008, 0.016, 0.024, 0.032])
def test_a_short_closure_is_left_as_fast_as_it_is_reached_wherever_it_lies_between_frames(
    late: float, fps: float
) -> None:
    lips = gap(track(("a", 0.25 + late), ("p", 0.033), ("a", 0.25), fps=fps))
    shut = 5 + int(lips[5:-5].argmin())
    assert lips[shut - 1] == pytest.approx(lips[shut + 1], abs=0.1 * float(lips.max()))


@pytest.mark.parametrize("fps", [25.0, 30.0, 60.0])
def test_lips_meet_and_part_without_a_jerk(fps: float) -> None:
    sounds = [("a", 0.2), ("p", 0.05)] * 6
    lips = gap(track(*sounds, fps=fps))
    trembling = filtfilt(*butter(3, 10 / (fps / 2), "high"), lips)
    assert trembling.std() < 0.021 * np.ptp(lips)


def test_units_part_the_lips_as_far_as_the_face_basis_says() -> None:
    eyes = np.linalg.norm(neutral()[[33, 133]].mean(0) - neutral()[[362, 263]].mean(0))
    for name, parted in zip(UNITS, parted_by(UNITS), strict=True):
        if parted:
            moved = unit(name)
            apart = (moved[LOWER_LIP[0]] - moved[UPPER_LIP[0]])[3:6, 1].mean() / eyes
            assert parted == pytest.approx(apart, rel=0.1), name


def test_lips_part_by_themselves_and_the_jaw_opens_them_wide() -> None:
    def share(sound: str, lip: str) -> float:
        """Return the share of the opening in the middle of a sound that a lip takes."""
        mouth = track(("n", 0.1), (sound, 0.3), ("n", 0.1))
        units = [name for name in mouth if name.startswith(lip)]
        parts = parted_by(tuple(units)) @ np.stack([mouth[name] for name in units])
        return float(parts[6] / gap(mouth)[6])

    for lip in ("mouthUpperUp", "mouthLowerDown"):
        assert 0.2 < share("n", lip) < 0.45
        assert share("a", lip) < 0.12
    assert share("u", "mouthUpperUp") < 0.15  # lips that are round stay so


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
def test_a_track_may_be_a_few_frames_short(frames: int) -> None:
    marks, speech = speak(("a", 0.3))
    assert articulate(marks, speech, frames, 25.0).weights[:, UNITS.index("jawOpen")].any()


def test_rounding_begins_before_its_vowel_and_reaches_across_consonants() -> None:
    mouth = track(("s", 0.1), ("t", 0.1), ("u", 0.25), fps=50.0)
    assert mouth["mouthPucker"][8] > 0.3 * mouth["mouthPucker"].max()  # at 0.16 s, inside the t


def test_a_short_rounded_sound_stays_round_between_spread_ones() -> None:
    mouth = track(("i", 0.2), ("w", 0.07), ("i", 0.2), fps=50.0)
    assert mouth["mouthPucker"].max() > 0.5 * track(("u", 0.4), fps=50.0)["mouthPucker"].max()


def test_silence_returns_to_rest_within_150_ms_and_stays_there() -> None:
    mouth = track(("a", 0.3), ("", 1.0), ("a", 0.3), fps=50.0)
    weights = np.stack(list(mouth.values()))
    assert not weights[:, round(0.45 * 50) : round(1.18 * 50)].any()
    assert weights[:, 10].any()


def test_nothing_spoken_is_a_still_mouth() -> None:
    assert not np.stack(list(track(("", 0.5)).values())).any()


@pytest.mark.parametrize("vowel", ["ä", "ˈä", "ɑ̃", "ã", "ɒ", "ɚ", "ɝ", "ᵻ", "ᵿ", "ˈʉ", "ɥ", "ɨ", "ø", "ε"])
def test_no_vowel_of_any_language_leaves_the_mouth_at_rest(vowel: str) -> None:
    mouth = track(("n", 0.1), (vowel, 0.3), ("n", 0.1))
    at = slice(7, 9)  # the middle of the vowel
    assert mouth["jawOpen"][at].min() > 0.03
    assert (mouth["mouthPucker"][at].min() > 0.15) == (vowel in ("ɒ", "ᵿ", "ˈʉ", "ɥ", "ø"))


def test_every_sound_of_these_languages_has_a_mouth() -> None:
    espeak = EspeakEngine()
    for language, text in {
        "ja": "さくらのはな、りょこう、しんぶん",
        "en-us": "The brothers' roses are near the beautiful houses.",
        "en-gb": "What did you want on Monday?",
        "fr-fr": "Un bon vin blanc, huit lunes, peu de montagne.",
        "cmn": "你好，女儿去学习，吃饭，四月。",
        "sv": "Hus, sju stjärnor.",
        "ru": "Здравствуйте, щука, жизнь, ещё рыба",
    }.items():
        rendering = espeak.render(text, language, CancelToken())
        unknown = {mark.text for mark in rendering.phonemes if mark.text and viseme_of(mark.text) == Viseme()}
        assert not unknown, language


def test_unknown_symbols_are_no_error() -> None:
    assert len(track(("ʘ", 0.2), ("a", 0.2))["jawOpen"]) == 10


@pytest.mark.parametrize("skip", [2, 3, 10])
def test_frame_skip_keeps_the_length_and_moves_smoothly_between(skip: int) -> None:
    sounds = (("a", 0.2), ("n", 0.1), ("i", 0.2), ("o", 0.3), ("", 0.2))
    full, skipped = track(*sounds), track(*sounds, skip=skip)
    assert skipped.keys() == set(UNITS)
    assert len(skipped["jawOpen"]) == len(full["jawOpen"])
    steps = np.abs(np.diff(skipped["jawOpen"]))
    assert (steps > 0).sum() > len(steps) // skip, "values are held, not interpolated"
    solved = slice(0, None, skip)
    np.testing.assert_allclose(skipped["mouthPucker"][solved], full["mouthPucker"][solved], atol=0.03)


@pytest.mark.parametrize("skip", [2, 3, 10])
def test_frame_skip_loses_no_closure_and_no_rest(skip: int) -> None:
    mouth = track(*[("a", 0.13), ("p", 0.06)] * 5, ("a", 0.2), ("", 0.6), ("a", 0.3), skip=skip)
    times = np.arange(len(mouth["jawOpen"])) / 25
    for start in 0.13 + 0.19 * np.arange(5):
        near = (times > start - 0.03) & (times < start + 0.09)
        assert mouth["jawOpen"][near].min() < 0.03 * mouth["jawOpen"].max()
    weights = np.stack(list(mouth.values()))
    assert not weights[:, (times > 1.15 + 0.15) & (times < 1.75 - 0.09)].any()


def test_louder_speech_opens_further() -> None:
    marks, speech = speak(("a", 0.4), ("n", 0.1), ("a", 0.4))
    samples = speech.samples.copy()
    samples[: round(0.45 * RATE)] *= 0.1
    mouth = articulate(marks, Speech(samples=samples, rate=RATE, text="", language="ko", marks=marks), 22, 25.0)
    jaw = mouth.weights[:, UNITS.index("jawOpen")]
    assert jaw[17] > 1.15 * jaw[5]


def test_speech_with_few_open_vowels_still_moves_the_mouth() -> None:
    many, few = track(("a", 0.3), ("n", 0.1), ("a", 0.3)), track(("ɛ", 0.3), ("n", 0.1), ("ɛ", 0.3))
    both = track(("a", 0.3), ("n", 0.1), ("ɛ", 0.3))["jawOpen"]
    between_sentences = few["jawOpen"].max() / many["jawOpen"].max()
    within_one = both[11:].max() / both[:9].max()
    assert within_one < 0.9 * between_sentences
    assert between_sentences < 0.9


def test_no_effort_makes_speech_a_shout() -> None:
    closed = (("p", 0.08), ("i", 0.1), ("m", 0.08), ("ɯ", 0.1)) * 3
    jaw = track(*closed, ("a", 0.25), *closed)["jawOpen"]
    assert WIDE < jaw.max() < WIDE + BEYOND / 2
