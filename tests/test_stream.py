"""Speech that comes a sentence at a time: cut where frames begin, kept on disk, and the same as in one piece."""

from __future__ import annotations

import math
import threading
import wave
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.ahead import pushed
from pipeline.core.cancel import CancelToken
from pipeline.errors import Cancelled, NothingToSay, RenderFailed, TookTooLong
from pipeline.jobs.speak import Speaker, SpeakerOptions
from pipeline.messages import Message
from pipeline.speech.articulate import articulate
from pipeline.speech.framed import LEAD_IN, LEAD_OUT, framed
from pipeline.speech.phonemes import phonemes_of
from pipeline.speech.spool import SpeechSpool
from pipeline.speech_types import Mark, Speech, joined, silence
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.speech_engine import CUSTOM_VOICE

TEXT = "먼저 자기소개를 부탁드립니다. 3.5초 안에 하실 수 있나요? 네, 좋습니다."
FPS = Fraction(30000, 1001)


@pytest.fixture(scope="module")
def pieces() -> list[Speech]:
    return list(EspeakEngine().stream(TEXT, CUSTOM_VOICE, CancelToken()))


def test_a_text_is_spoken_sentence_by_sentence(pieces: list[Speech]) -> None:
    assert [piece.text for piece in pieces] == [
        "먼저 자기소개를 부탁드립니다. ",
        "3.5초 안에 하실 수 있나요? ",
        "네, 좋습니다.",
    ]
    for piece in pieces:
        assert piece.marks[0].start == 0 and piece.marks[-1].end == pytest.approx(piece.duration)
    for before, after in pairwise(pieces):  # cut in the middle of a pause that stays as long
        assert not before.marks[-1].text and not after.marks[0].text
        assert before.marks[-1].end - before.marks[-1].start == pytest.approx(after.marks[0].end, abs=0.001)
    whole = joined(pieces)
    assert whole.text == TEXT
    assert all(one.end == pytest.approx(two.start) for one, two in pairwise(whole.marks))


def test_the_first_sentence_comes_before_the_last_is_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the first one has come, the voice is stopped: the others were not spoken yet."""
    pushed_so_far: list[object] = []

    def stopped(work: Callable[[Callable[[object], object], CancelToken], object], cancel: CancelToken) -> list[object]:
        def push(sentence: object) -> None:
            pushed_so_far.append(sentence)
            cancel.cancel()

        with pytest.raises(Cancelled):
            work(push, cancel)
        return []

    monkeypatch.setattr("pipeline.tts.espeak.pushed", stopped)
    with pytest.raises(NothingToSay):  # none was pushed further
        list(EspeakEngine().stream("안녕하세요. " * 400, CUSTOM_VOICE, CancelToken()))
    assert 1 <= len(pushed_so_far) < 10


def test_stretches_begin_with_frames_and_lose_no_sound(pieces: list[Speech]) -> None:
    stretches = list(framed(iter(pieces), FPS))
    position = 0
    for stretch in stretches:
        frames = position / stretch.rate * FPS
        assert abs(float(frames) - round(frames)) < 0.01
        position += len(stretch.samples)
    sound = np.concatenate([stretch.samples for stretch in stretches])
    head = round(LEAD_IN * pieces[0].rate)
    spoken = joined(pieces).samples
    assert np.array_equal(sound[head : head + len(spoken)], spoken)
    assert not sound[:head].any() and not sound[head + len(spoken) :].any()
    assert len(sound) - head - len(spoken) >= LEAD_OUT * pieces[0].rate - 1


@pytest.mark.parametrize(("fps", "rate"), [(FPS, 22_050), (Fraction(24), 22_050), (Fraction(25), 24_000)], ids=str)
def test_a_hundred_stretches_later_sound_and_pictures_still_agree(fps: Fraction, rate: int) -> None:
    """Frames need not be whole numbers of samples; what is rounded off must not add up."""
    piece = Speech(samples=np.zeros(rate // 3, np.float32), rate=rate, text="a", language="en-us")
    samples = frames = 0
    for stretch in framed([piece] * 100, fps):
        frames += round(len(stretch.samples) * fps / rate)
        samples += len(stretch.samples)
        assert samples == round(frames * rate / fps)
    assert frames == math.floor((LEAD_IN + 100 * (rate // 3) / rate + LEAD_OUT + float(1 / fps)) * fps)


def test_a_mouth_that_speaks_in_stretches_moves_as_in_one_piece(pieces: list[Speech]) -> None:
    espeak, fps = EspeakEngine(), float(FPS)
    stretches = list(framed(iter(pieces), FPS))
    tracks = [
        articulate(phonemes_of(s, espeak), s, round(len(s.samples) * FPS / s.rate), fps).weights for s in stretches
    ]
    assert all(track[0].max() < 0.02 and track[-1].max() < 0.02 for track in tracks if len(track) > 1)
    in_stretches = np.concatenate(tracks)
    speech = joined(stretches)
    whole = articulate(phonemes_of(speech, espeak), speech, len(in_stretches), fps).weights
    assert np.abs(whole - in_stretches).max() < 0.12  # loudness is judged against a sentence, not the whole speech
    assert np.corrcoef(whole[:, 0], in_stretches[:, 0])[0, 1] > 0.985


def test_speech_that_ends_in_sound_waits_for_what_follows() -> None:
    tone = Speech(
        samples=np.full(16_000, 0.3, np.float32),
        rate=16_000,
        text="a",
        language="en-us",
        marks=(Mark("phoneme", "a", 0.0, 1.0),),
    )
    taken: list[int] = []

    def come() -> Iterator[Speech]:
        for number in range(2):
            taken.append(number)
            yield tone

    first = next(framed(come(), Fraction(25)))
    assert taken == [0, 1]
    assert first.duration == pytest.approx(1.08)  # 27 frames of the 1.1 s with the silence before
    assert next(framed(iter([joined([tone, silence(0.3, tone)])]), Fraction(25))).duration == pytest.approx(1.4)


def test_the_spool_is_read_while_it_grows(tmp_path: Path) -> None:
    samples = np.linspace(-1, 1, 4000, dtype=np.float32)
    with SpeechSpool(tmp_path / "speech.wav") as spool:
        assert spool.append(samples[:1000], 8000) == 0 and spool.append(samples[1000:], 8000) == 1000
        assert np.abs(spool.read(500, 1500) - samples[500:1500]).max() < 1 / 32767
        assert len(spool.read(3900, 5000)) == 100
        assert not spool.path.exists()
        spool.finish()
        assert np.abs(spool.read(0, 4000) - samples).max() < 1 / 32767
    with wave.open(str(spool.path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (8000, 1, 4000)
    assert [path.name for path in tmp_path.iterdir()] == ["speech.wav"]


def test_a_spool_that_fails_leaves_nothing(tmp_path: Path) -> None:
    for finished in (False, True):
        with pytest.raises(ZeroDivisionError), SpeechSpool(tmp_path / "speech.wav") as spool:
            spool.append(np.zeros(100, np.float32), 8000)
            if finished:
                spool.finish()
            raise ZeroDivisionError
        assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(RenderFailed), SpeechSpool(tmp_path / "file" / "speech.wav"):
        pass


def test_a_speaker_that_is_given_up_stops_its_engine(tmp_path: Path) -> None:
    stop, ended = CancelToken(), threading.Event()

    def endless() -> Generator[Speech, None, None]:
        try:
            for _ in range(10_000):
                stop.check()
                yield Speech(
                    samples=np.zeros(8000, np.float32),
                    rate=8000,
                    text="",
                    language="ko",
                    marks=(Mark("phoneme", "", 0.0, 1.0),),
                )
        finally:
            ended.set()

    with SpeechSpool(tmp_path / "speech.wav") as spool:
        speaker = Speaker(endless(), spool, SpeakerOptions(fps=Fraction(25), espeak=EspeakEngine()), stop)
        assert len(next(speaker.stretches()).mouth.weights) == 27
        stop.cancel()
        speaker.close()
        assert ended.wait(5) and not speaker.done
        spool.finish()


def test_what_is_pushed_arrives_and_so_do_errors() -> None:
    def work(push: Callable[[int], object], stop: CancelToken) -> None:
        for number in range(3):
            push(number)
        raise RenderFailed(Message("실패", "failed"))

    numbers = []
    with pytest.raises(RenderFailed):
        for number in pushed(work, CancelToken()):
            numbers.append(number)
    assert numbers == [0, 1, 2]

    stopped = threading.Event()

    def forever(push: Callable[[int], object], stop: CancelToken) -> None:
        push(1)
        if stop.wait(10):
            stopped.set()

    stream = pushed(forever, CancelToken())
    assert next(stream) == 1
    stream.close()
    assert stopped.is_set()


def test_a_child_token_is_set_with_its_parent_and_alone() -> None:
    parent = CancelToken()
    with parent.child() as one, parent.child() as two, two.child() as below:
        one.cancel()
        assert one.cancelled and not parent.cancelled and not two.cancelled
        parent.cancel(TookTooLong(5))
        assert two.cancelled and isinstance(below.reason, TookTooLong) and isinstance(one.reason, Cancelled)
    with parent.child() as late:
        assert late.cancelled
