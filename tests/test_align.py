"""Phoneme times by alignment, on voices unlike the reference."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np
import pytest

from pipeline.core.cancel import CancelToken
from pipeline.errors import Cancelled
from pipeline.settings import ROOT
from pipeline.speech.align import align
from pipeline.speech.dtw import warp
from pipeline.speech.phonemes import phonemes_of
from pipeline.speech.recording import load_audio
from pipeline.speech_types import Mark, Speech
from pipeline.text.korean import read_aloud
from pipeline.text.reading import as_it_sounds
from pipeline.tts.espeak import EspeakEngine, Rendering

GRID = ROOT / "tests" / "clips" / "grid_swwp2s.mp4"
TEXTS = {
    "ko": "안녕하세요, 면접에 오신 것을 환영합니다. 자기소개를 부탁드립니다.",
    "en-us": "The quick brown fox jumps over the lazy dog, and then it sleeps for an hour.",
    "es": "Buenos días, me llamo María y vivo en Madrid.",
}
VOICES = [("f3", 130, 70), ("m7", 210, 30), ("whisper", 170, 50), ("Annie", 150, 60), ("f3", 90, 70), ("m3", 300, 30)]


@pytest.fixture(scope="module")
def espeak() -> EspeakEngine:
    return EspeakEngine()


def as_speech(rendering: Rendering, text: str, language: str, noise: float = 0.0) -> Speech:
    """Return SAID as a recording without times."""
    samples = rendering.samples.astype(np.float32) / 32768
    samples += noise * np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)
    return Speech(samples=samples, rate=rendering.rate, text=text, language=language)


def errors(found: tuple[Mark, ...], truth: tuple[Mark, ...]) -> np.ndarray:
    """Return how far (s) the starts of the phonemes that both have are apart."""
    one, two = ([mark for mark in marks if mark.text] for marks in (found, truth))
    blocks = SequenceMatcher(None, [m.text for m in one], [m.text for m in two], autojunk=False).get_matching_blocks()
    pairs = [(one[b.a + k], two[b.b + k]) for b in blocks for k in range(b.size)]
    assert len(pairs) > 0.7 * len(two)
    return np.array([abs(a.start - b.start) for a, b in pairs])


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize(("variant", "rate", "pitch"), VOICES)
def test_other_voices_at_other_speeds(espeak: EspeakEngine, variant: str, rate: int, pitch: int, language: str) -> None:
    text = TEXTS[language]
    voice = EspeakEngine(rate, pitch, variant)
    for noise in (0.0, 0.002):
        rendering = voice.render(text, language, CancelToken())
        off = errors(align(as_speech(rendering, text, language, noise), espeak, CancelToken()), rendering.phonemes)
        assert np.median(off) < 0.015
        assert np.percentile(off, 90) < 0.060
        assert off.max() < 0.25


def test_a_voice_that_is_built_differently_in_noise(espeak: EspeakEngine) -> None:
    text = "부모님과 함께 바닷가 마을에서 물고기를 잡으며 자랐습니다."
    for noise in (0.0, 0.02):
        rendering = EspeakEngine(variant="klatt2").render(read_aloud(text), "ko", CancelToken())
        off = errors(align(as_speech(rendering, text, "ko", noise), espeak, CancelToken()), rendering.phonemes)
        assert np.median(off) < 0.025
        assert np.percentile(off, 95) < 0.2


def test_a_real_man_with_known_word_times(espeak: EspeakEngine) -> None:
    samples, rate = load_audio(GRID)
    rows = [line.split() for line in GRID.with_suffix(".align").read_text().splitlines()]
    words = [(int(start) / 25000, word) for start, _, word in rows if word != "sil"]
    text = " ".join(word for _, word in words)
    marks = align(Speech(samples=samples, rate=rate, text=text, language="en-us"), espeak, CancelToken())
    rendering = espeak.render(text, "en-us", CancelToken())
    sounds = [mark for mark in rendering.phonemes if mark.text]
    firsts = [next(i for i, mark in enumerate(sounds) if mark.start >= start) for _, start in rendering.words]
    starts = np.array([[mark for mark in marks if mark.text][i].start for i in firsts])
    off = np.abs(starts - [start for start, _ in words])
    assert np.median(off) < 0.040
    assert off.max() < 0.120
    assert marks[-1].text == ""
    assert marks[-1].start == pytest.approx(2.21, abs=0.08)  # the noise after the last word is not speech


@pytest.mark.parametrize(
    "text",
    [
        "2026년 11월 23일 오후 3시 30분에 010-1234-5678로 전화 주세요.",
        "AI와 GPU를 쓰는 machine learning 팀은 YouTube 영상을 10% 더 봅니다.",
    ],
)
def test_numbers_and_english_in_korean(espeak: EspeakEngine, text: str) -> None:
    rendering = EspeakEngine(150, 65, "f2").render(read_aloud(text), "ko", CancelToken())
    off = errors(align(as_speech(rendering, text, "ko", 0.001), espeak, CancelToken()), rendering.phonemes)
    assert np.median(off) < 0.020
    assert off.max() < 0.25


@pytest.mark.parametrize("says", [lambda text: text, lambda text: as_it_sounds(text, "ko")], ids=["letters", "sounds"])
@pytest.mark.parametrize("variant", ["f3", "m7", "Annie"])
def test_sounds_change_across_syllables_where_the_voice_changes_them(
    espeak: EspeakEngine, variant: str, says: Callable[[str], str]
) -> None:
    text = "독립문 앞에서 백만 원을 받았습니다."
    rendering = EspeakEngine(variant=variant).render(says(text), "ko", CancelToken())
    marks = align(as_speech(rendering, text, "ko"), espeak, CancelToken())
    assert [mark.text for mark in marks if mark.text] == [mark.text for mark in rendering.phonemes if mark.text]
    assert errors(marks, rendering.phonemes).max() < 0.08


@pytest.mark.parametrize("noise", [0.02, 0.05])
def test_noise_alone_bends_no_path(noise: float) -> None:
    """Two noisy recordings of the same sounds at the same speed lie frame by frame on each other."""
    rng = np.random.default_rng(0)
    sounds = np.repeat(rng.standard_normal((10, 6)), 20, axis=0)
    one, other = ((sounds + noise * rng.standard_normal(sounds.shape)).astype(np.float32) for _ in range(2))
    path = warp(one, other, np.full(len(one), 50, np.float32), np.array([0, len(other)]), CancelToken())
    np.testing.assert_array_equal(path.first, np.arange(len(one)))
    np.testing.assert_array_equal(path.last, np.arange(len(one)))


@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_a_pause_of_two_seconds_in_the_middle_of_a_sentence(espeak: EspeakEngine, noise: float) -> None:
    text = "저는 이 회사에서 꼭 일하고 싶습니다"
    rendering = EspeakEngine(160, 40, "m3").render(text, "ko", CancelToken())
    cut = next(start for offset, start in rendering.words if offset == text.index("꼭"))
    at, pause = round(cut * rendering.rate), 2 * rendering.rate
    samples = np.concatenate([rendering.samples[:at], np.zeros(pause, np.int16), rendering.samples[at:]])
    moved = tuple(
        Mark("phoneme", m.text, m.start + 2 * (m.start >= cut), m.end + 2 * (m.end > cut)) for m in rendering.phonemes
    )
    speech = as_speech(
        Rendering(start=0, end=len(text), samples=samples, rate=rendering.rate, phonemes=moved, words=()),
        text,
        "ko",
        noise,
    )
    marks = align(speech, espeak, CancelToken())
    off = errors(marks, moved)
    assert np.median(off) < 0.020
    assert off.max() < 0.15
    (rest,) = [mark for mark in marks if not mark.text and mark.end - mark.start > 1]
    assert (rest.start, rest.end) == pytest.approx((cut, cut + 2), abs=0.12)


def test_the_short_pauses_of_quick_speech_are_found(espeak: EspeakEngine) -> None:
    text = "우유와 오이, 고구마, 수프, 두부, 포도주 모두 좋아요."
    rendering = EspeakEngine(220, 50, "m7").render(text, "ko", CancelToken())
    meant, found = (
        [mark for mark in marks[1:-1] if not mark.text]
        for marks in (rendering.phonemes, align(as_speech(rendering, text, "ko"), espeak, CancelToken()))
    )
    assert max(pause.end - pause.start for pause in meant) < 0.15
    missed = [p for p in meant if not any(p.start < q.end and q.start < p.end for q in found)]
    assert len(meant) == text.count(",")
    assert not missed


def test_marks_are_gapless_and_cover_the_recording(espeak: EspeakEngine) -> None:
    rendering = EspeakEngine(140, 60, "f1").render(TEXTS["ko"], "ko", CancelToken())
    speech = as_speech(rendering, TEXTS["ko"], "ko")
    marks = phonemes_of(speech, espeak)
    assert (marks[0].start, marks[-1].end) == (0, speech.duration)
    assert all(one.end == two.start for one, two in pairwise(marks))


@pytest.mark.parametrize("lacks", [slice(0, 1), slice(2, 3), slice(3, 5)])
def test_words_that_the_text_lacks_do_not_push_the_others_aside(espeak: EspeakEngine, lacks: slice) -> None:
    words = [
        "먼저",
        "자기소개를",
        "부탁드립니다.",
        "그리고",
        "어떤",
        "프로젝트를",
        "맡으셨나요?",
        "오늘",
        "정말",
        "고맙습니다.",
    ]
    rendering = EspeakEngine(160, 60, "f3").render(" ".join(words), "ko", CancelToken())
    del words[lacks]
    text = " ".join(words)
    off = errors(align(as_speech(rendering, text, "ko"), espeak, CancelToken()), rendering.phonemes)
    assert np.median(off) < 0.020
    assert np.percentile(off, 90) < 0.060


def test_one_short_word_in_a_long_silence_is_found(espeak: EspeakEngine) -> None:
    rendering = EspeakEngine(200, 40, "m7").render("네.", "ko", CancelToken())
    samples = np.pad(rendering.samples, (3 * rendering.rate, 2 * rendering.rate))
    silent = Rendering(start=0, end=2, samples=samples, rate=rendering.rate, phonemes=(), words=())
    marks = align(as_speech(silent, "네.", "ko"), espeak, CancelToken())
    sounds = [mark for mark in marks if mark.text]
    assert [mark.start for mark in sounds] == pytest.approx([3 + m.start for m in rendering.phonemes[:2]], abs=0.04)
    assert sounds[-1].end == pytest.approx(3 + rendering.phonemes[1].end, abs=0.1)


@pytest.mark.parametrize("level", [0.0, 0.01])
def test_a_recording_without_the_words_does_not_fall_apart(espeak: EspeakEngine, level: float) -> None:
    samples = level * np.random.default_rng(1).standard_normal(24000).astype(np.float32)
    marks = align(Speech(samples=samples, rate=24000, text=TEXTS["ko"], language="ko"), espeak, CancelToken())
    assert (marks[0].start, marks[-1].end) == (0, 1)


@pytest.mark.slow
def test_minutes_of_speech_stay_in_step_and_in_memory(espeak: EspeakEngine) -> None:
    text = " ".join([TEXTS["ko"]] * 13)
    rendering = EspeakEngine(150, 60, "f1").render(text, "ko", CancelToken())
    speech = as_speech(rendering, text, "ko", 0.001)
    assert speech.duration > 90  # more than is searched at once
    tracemalloc.start()
    marks = align(speech, espeak, CancelToken())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    off = errors(marks, rendering.phonemes)
    assert np.median(off) < 0.015
    assert np.percentile(off, 95) < 0.15
    assert peak < 100e6  # usually 70 to 77; a search of all pairs takes 144


def test_alignment_can_be_cancelled(espeak: EspeakEngine) -> None:
    rendering = espeak.render(TEXTS["ko"], "ko", CancelToken())
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        align(as_speech(rendering, TEXTS["ko"], "ko"), espeak, token)
