"""What moves beside the mouth: with the voice, as the text says, and in the picture."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.store import AvatarStore
from pipeline.core.cancel import CancelToken
from pipeline.engines.lipsync_engine import Stretch
from pipeline.engines.mesh import face_expression
from pipeline.engines.mesh.face_expression import OVERLAP
from pipeline.engines.mesh.mesh_engine import MeshEngine
from pipeline.engines.mesh.mover import FaceMover
from pipeline.face.basis import LOWER_LIP, UPPER_LIP
from pipeline.settings import Settings
from pipeline.speech.articulate import UNITS as MOUTH
from pipeline.speech.articulate import articulate
from pipeline.speech.expression import Expression, resting
from pipeline.speech.expression_track import STILL, UNITS, ExpressionOptions, ExpressionTrack
from pipeline.speech.mouth_track import MouthTrack
from pipeline.speech.phonemes import phonemes_of
from pipeline.speech.prosody import HOP, contours, prosody_of
from pipeline.speech.renderings import Renderings
from pipeline.speech.spoken_words import words_of
from pipeline.speech_types import Mark, Speech
from pipeline.text.cues import Cue
from pipeline.text.markup import spoken_with_cues
from pipeline.tts.espeak import EspeakEngine
from pipeline.video.frame import Frame

FPS = 25.0
RATE = 16_000
BROW, BLINK, SMILE = (UNITS.index(unit) for unit in ("browInnerUp", "eyeBlinkLeft", "mouthSmileLeft"))
SERIOUS = UNITS.index("browDownLeft")


def spoken(*sounds: tuple[str, float, float, float], text: str = "a") -> tuple[Speech, MouthTrack]:
    """Return speech of sounds (phoneme, seconds, level, pitch in Hz), and the mouth for it."""
    marks, parts, now, phase = [], [], 0.0, 0.0
    for phoneme, seconds, level, pitch in sounds:
        turns = phase + np.cumsum(np.full(round(seconds * RATE), pitch / RATE))
        phase = float(turns[-1])
        parts.append(level * sum(np.sin(2 * np.pi * k * turns) / k for k in range(1, 6)))
        marks.append(Mark("phoneme", phoneme, now, now + seconds))
        now += seconds
    speech = Speech(
        samples=np.concatenate(parts).astype(np.float32), rate=RATE, text=text, language="ko", marks=tuple(marks)
    )
    return speech, articulate(speech.marks, speech, round(now * FPS), FPS)


def track(speech: Speech, mouth: MouthTrack, options: ExpressionOptions, cues: tuple[Cue, ...] = ()) -> np.ndarray:
    found = Expression(FPS, options, cues).next(speech, speech.marks, mouth, speech.words)
    return np.zeros((len(mouth.weights), len(UNITS))) if found is None else found.weights


SYLLABLES = [("a", 0.2, 0.1, 110.0), ("n", 0.1, 0.05, 110.0)]
STRESSED = [("a", 0.2, 0.3, 180.0), ("n", 0.1, 0.05, 110.0)]


def test_pitch_and_loudness_are_those_of_the_sound() -> None:
    speech, _ = spoken(("a", 0.5, 0.1, 120.0), ("", 0.3, 0.0, 120.0), ("a", 0.5, 0.3, 240.0))
    level, pitch = contours(speech.samples, RATE)
    assert len(level) == round(1.3 / HOP)
    assert np.median(pitch[5:20]) == pytest.approx(12 * np.log2(1.2), abs=0.7)
    assert np.median(pitch[45:60]) == pytest.approx(12 * np.log2(2.4), abs=0.7)
    assert np.isnan(pitch[28:37]).all() and level[30:35].max() < 0.01 < level[10] < level[50]


@pytest.mark.parametrize("at", [2, 4])
def test_brows_rise_at_the_stressed_syllable(at: int) -> None:
    sounds = [*SYLLABLES * at, *STRESSED, *SYLLABLES * (6 - at)]
    speech, mouth = spoken(*sounds)
    stresses = prosody_of(speech, speech.marks).stresses
    strongest = max(stresses, key=lambda one: one.strength)
    assert strongest.time == pytest.approx(0.3 * at + 0.1, abs=0.05)
    brows = track(speech, mouth, ExpressionOptions())[:, BROW]
    assert brows.argmax() / FPS == pytest.approx(strongest.time, abs=0.06) and brows.max() > 0.1


def test_a_lively_voice_moves_more_than_a_flat_one_and_silence_nothing() -> None:
    flat, mouth = spoken(*SYLLABLES * 4, ("", 1.2, 0.0, 110.0), *SYLLABLES * 4)
    lively, _ = spoken(*(SYLLABLES + STRESSED) * 2, ("", 1.2, 0.0, 110.0), *(STRESSED + SYLLABLES) * 2)
    weights = [track(speech, mouth, ExpressionOptions()) for speech in (flat, lively)]
    assert weights[1][:, BROW].sum() > 1.3 * weights[0][:, BROW].sum()
    for one in weights:
        assert not one[round(1.75 * FPS) : round(2.2 * FPS)].any()  # after lids and brows have come to rest


def test_more_liveliness_moves_more_and_none_moves_nothing() -> None:
    speech, mouth = spoken(*(SYLLABLES + STRESSED) * 3)
    sums = [track(speech, mouth, ExpressionOptions(liveliness=one)).sum() for one in (0, 0.25, 0.5, 1)]
    assert sums[0] == 0 and sums[1] < sums[2] < sums[3]
    assert Expression(FPS, STILL).next(speech, speech.marks, mouth) is None


def test_blinks_come_in_pauses_and_not_too_often() -> None:
    phrase = [*SYLLABLES * 8, ("", 0.4, 0.0, 110.0)]
    speech, mouth = spoken(*phrase * 4)
    lids = track(speech, mouth, ExpressionOptions())[:, BLINK]
    shut = np.flatnonzero(lids > 0.9) / FPS
    assert len(shut) and all(2.4 <= time % 2.8 < 2.8 for time in shut)
    beginnings = shut[np.flatnonzero(np.diff(shut, prepend=-9) > 0.2)]
    assert np.diff(beginnings).min() > 2


def test_brows_stay_up_where_a_question_ends() -> None:
    asked, mouth = spoken(*SYLLABLES * 5, text="맞나요?")
    stated, _ = spoken(*SYLLABLES * 5, text="맞아요.")
    at = round(1.45 * FPS)
    assert track(asked, mouth, ExpressionOptions())[at, BROW] > 0.2
    assert track(stated, mouth, ExpressionOptions())[at, BROW] < 0.1


@pytest.mark.parametrize(("name", "unit"), [("smile", SMILE), ("serious", SERIOUS)])
def test_a_mood_in_the_text_begins_with_its_word_and_ends_with_its_sentence(name: str, unit: int) -> None:
    sounds = SYLLABLES * 10
    speech, mouth = spoken(*sounds, text="one two. three four five.")
    words = tuple(
        Mark("word", f"{word} ", 0.6 * number, 0.6 * (number + 1))
        for number, word in enumerate(["one", "two.", "three", "four", "five."])
    )
    text, cues = spoken_with_cues(f"one [{name}] two. three four five.")
    assert text == speech.text
    found = Expression(FPS, STILL, cues).next(speech, speech.marks, mouth, words)
    assert found is not None
    times = np.flatnonzero(found.weights[:, unit] > 0.02) / FPS
    assert times.min() == pytest.approx(0.5, abs=0.1) and times.max() == pytest.approx(1.45, abs=0.1)
    steps = np.abs(np.diff(found.weights[:, unit]))
    assert steps.max() < 0.35 * found.weights[:, unit].max()  # eased in and out


def test_cues_are_found_in_the_piece_in_which_their_word_is_spoken() -> None:
    text, cues = spoken_with_cues("one two. [smile] three four. [nod]")
    expression = Expression(FPS, STILL, cues)
    tracks = []
    for part in ("one two. ", "three four."):
        speech, mouth = spoken(*SYLLABLES * 4, text=part)
        words = tuple(Mark("word", f"{w} ", 0.6 * n, 0.6 * n + 0.6) for n, w in enumerate(part.split()))
        tracks.append(expression.next(speech, speech.marks, mouth, words))
    assert text == "one two. three four."
    assert tracks[0] is None and tracks[1] is not None
    assert tracks[1].weights[:, SMILE].max() > 0.2 and tracks[1].weights[:, BLINK].max() > 0.3
    assert not expression.needs_words


def test_every_voice_places_cues_by_its_words() -> None:
    text, cues = spoken_with_cues("안녕하세요, [smile] 면접에 오신 것을 환영합니다.")
    espeak = EspeakEngine()
    speech = espeak.synthesize(text, "Custom", CancelToken(), "ko")
    for known in (speech, Speech(samples=speech.samples, rate=speech.rate, text=text, language="ko")):
        renderings = Renderings(espeak)
        phonemes = phonemes_of(known, renderings)
        mouth = articulate(phonemes, known, round(speech.duration * FPS), FPS)
        words = words_of(known, phonemes, renderings, CancelToken())
        found = Expression(FPS, STILL, cues).next(known, phonemes, mouth, words)
        assert found is not None
        begins = np.flatnonzero(found.weights[:, SMILE])[0] / FPS
        second = next(word.start for word in speech.words or words if "면접" in word.text)
        assert begins == pytest.approx(second - 0.15, abs=0.12)


# --- in the picture


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    store = AvatarStore(Settings().precomputed)
    return store.load(store.find("woman", "360p"))


@pytest.fixture(scope="module")
def mover(avatar: Avatar) -> FaceMover:
    return FaceMover(avatar, MOUTH)


def pose(**weights: float) -> np.ndarray:
    row = np.zeros(len(UNITS), np.float32)
    for unit, weight in weights.items():
        row[[number for number, name in enumerate(UNITS) if name.startswith(unit)]] = weight
    return row


def drawn(
    avatar: Avatar, mover: FaceMover, index: int, looks: np.ndarray | None, **mouth: float
) -> tuple[Frame, Frame]:
    """Return a frame as it was filmed, and with an expression."""
    filmed = next(islice(avatar.clip.frames(index), 1))
    frame = Frame(filmed.planes.copy())
    weights = np.zeros(len(MOUTH), np.float32)
    for unit, weight in mouth.items():
        weights[MOUTH.index(unit)] = weight
    mover.move(frame, index, weights, looks)
    return filmed, frame


def awake(mover: FaceMover) -> int:
    return int(mover._face.expression.alone.argmax())


def test_without_liveliness_mood_and_cues_the_picture_is_the_same_byte_for_byte(avatar: Avatar) -> None:
    speech, mouth = spoken(*SYLLABLES * 2)
    nothing = Expression(FPS, STILL).next(speech, speech.marks, mouth)
    still = ExpressionTrack(np.zeros((len(mouth.weights), len(UNITS)), np.float32))
    ways = [
        list(MeshEngine().render(avatar, [Stretch(speech, mouth, 1, looks)], CancelToken()))
        for looks in (None, nothing, still)
    ]
    assert nothing is None
    for plain, *others in zip(*ways, strict=True):
        for other in others:
            np.testing.assert_array_equal(plain.planes, other.planes)


@pytest.mark.parametrize("unit", ["browInnerUp", "browDown", "cheekSquint", "eyeSquint", "eyeBlink", "eyeLook"])
def test_what_is_above_the_mouth_leaves_the_mouth_alone(avatar: Avatar, mover: FaceMover, unit: str) -> None:
    index = awake(mover)
    filmed, frame = drawn(avatar, mover, index, pose(**{unit: 1.0}))
    changed = np.argwhere(filmed.y != frame.y)
    points = avatar.landmarks[index]
    assert len(changed) > 20
    low = changed[changed[:, 0] >= points[0, 1]]  # beside the lips, cheeks reach lower than their top
    assert not ((low[:, 1] > points[61, 0]) & (low[:, 1] < points[291, 0])).any()
    assert changed[:, 0].max() < points[13, 1]


def test_a_smile_lifts_the_corners_and_parts_no_lips(mover: FaceMover) -> None:
    geometry, index = mover._face.geometry, awake(mover)
    rest = geometry.moved(index, np.zeros((478, 3), np.float32))
    smiling = geometry.moved(index, mover._face.expression.movement(pose(mouthSmile=0.4)))
    down = geometry.down[index]
    for corner in (61, 291):
        assert (smiling[corner] - rest[corner]) @ down < -1
    assert np.linalg.norm(smiling[61] - smiling[291]) > np.linalg.norm(rest[61] - rest[291]) + 1
    gap = [np.abs((face[LOWER_LIP[0]] - face[UPPER_LIP[0]]) @ down).max() for face in (rest, smiling)]
    assert gap[1] <= gap[0] + 0.05


def test_lips_meet_while_they_smile(mover: FaceMover) -> None:
    face, index = mover._face, awake(mover)
    shut = np.zeros(len(MOUTH), np.float32)
    shut[[MOUTH.index(unit) for unit in ("mouthPressLeft", "mouthPressRight", "mouthRollUpper")]] = 0.3
    movement = np.einsum("u,upc->pc", shut, mover._delta) + face.expression.movement(
        resting(ExpressionOptions("smile"))
    )
    target = face.geometry.moved(index, movement)
    gap = (target[LOWER_LIP[0]] - target[UPPER_LIP[0]]) @ face.geometry.down[index]
    assert np.abs(gap).max() < 0.3


def blinks(mover: FaceMover) -> Iterator[int]:
    return iter(np.flatnonzero(mover._face.expression.opening < 0.5))


def test_a_blink_shuts_the_eyes_and_none_is_drawn_beside_one_of_the_clip(avatar: Avatar, mover: FaceMover) -> None:
    index = awake(mover)
    face = mover._face
    source, target = face.geometry.source[index].copy(), face.geometry.source[index].copy()
    slit = source[[145, 374]] - source[[159, 386]]
    face.expression.move_eyes(source, target, index, pose(eyeBlink=1.0))
    # a tenth of the slit beyond each other: nothing of the eyeball is left between them
    np.testing.assert_allclose(target[[159, 386]], target[[145, 374]] + OVERLAP * slit, atol=0.1)
    filmed, frame = drawn(avatar, mover, index, pose(eyeBlink=1.0))
    assert (filmed.y != frame.y).any()
    for own in blinks(mover):
        filmed, frame = drawn(avatar, mover, int(own), pose(eyeBlink=1.0))
        np.testing.assert_array_equal(filmed.y, frame.y)


def test_a_shut_lid_is_skin_with_a_line_of_lashes_at_its_edge(avatar: Avatar, mover: FaceMover) -> None:
    """The lid is about as light as the skin beside the eye, its edge two thirds as light at most."""
    index = awake(mover)
    source, target = (mover._face.geometry.source[index].copy() for _ in range(2))
    filmed, frame = drawn(avatar, mover, index, pose(eyeBlink=1.0))
    mover._face.expression.move_eyes(source, target, index, pose(eyeBlink=1.0))

    def luma(picture: Frame, place: np.ndarray) -> np.ndarray:
        x, y = place.round().astype(int)
        return picture.y[y - 1 : y + 2, x].astype(float) - 16

    skin = float(luma(filmed, source[117]).mean())
    for upper, fold in ((159, 27), (386, 257)):
        assert luma(frame, target[upper]).min() < 0.65 * skin
        assert luma(frame, (target[upper] + target[fold]) / 2).mean() > 0.6 * skin


def test_a_shut_lid_shows_no_streaks(avatar: Avatar, mover: FaceMover, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stretched skin is even from one column to the next."""
    index = awake(mover)
    source, target = (mover._face.geometry.source[index].copy() for _ in range(2))
    mover._face.expression.move_eyes(source, target, index, pose(eyeBlink=1.0))

    def unevenness() -> float:
        frame = drawn(avatar, mover, index, pose(eyeBlink=1.0))[1]
        changes = []
        for upper, fold in ((159, 27), (386, 257)):
            x, y = ((target[upper] + target[fold]) / 2).round().astype(int)
            row = frame.y[y, x - 10 : x + 11].astype(float)
            changes.append(np.abs(np.diff(row, 2)).mean())
        return float(np.mean(changes))

    even = unevenness()
    monkeypatch.setattr(face_expression, "STREAKS", 0.0)
    assert even < 0.6 * unevenness()


def test_eyes_look_aside(mover: FaceMover) -> None:
    index = awake(mover)
    source, target = mover._face.geometry.source[index].copy(), mover._face.geometry.source[index].copy()
    mover._face.expression.move_eyes(source, target, index, pose(eyeLookOutLeft=1.0, eyeLookInRight=1.0))
    moved = target - source
    assert moved[[468, 473], 0].min() > 1 and np.count_nonzero(np.abs(moved).sum(1)) == 2
