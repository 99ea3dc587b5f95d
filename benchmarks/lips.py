"""How well lips follow speech, over faces, sentences and voices: a table and contact sheets of mouths at named sounds.

    python -m benchmarks.lips --clip woman=woman.mp4 --clip seated=seated.mp4 --photo me=me.png

``benchmarks.lip_judge`` measures each finished video from its pixels and its sound alone. The bundled man and woman are
always part of the matrix, in three resolutions. Every clip and photo is prepared anew. Each sentence is spoken by the
voices that come with the program, with their own phoneme times, and (``aligned``) by one of espeak-ng's whose times are
hidden from the program, so that they must be found by alignment.

The column ``clip_alone`` is what ``silence_motion`` is compared with: the same measure, in the same moments, of the
avatar's clip as it lies in the pack, which is silent.
"""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from benchmarks.film import film
from benchmarks.lip_judge import AFTER_SOUND, BEFORE_SOUND, check, landmarks, lip_curves
from benchmarks.machine import describe_machine
from pipeline.avatars.avatar import Avatar
from pipeline.avatars.store import AvatarStore
from pipeline.core.cancel import CancelToken
from pipeline.jobs.studio import Studio, make_studio
from pipeline.jobs.tasks import TaskBook
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.prepare import prepare
from pipeline.settings import Settings
from pipeline.speech.framed import LEAD_IN
from pipeline.speech_types import Mark, Speech, joined
from pipeline.tts.espeak import EspeakEngine
from pipeline.tts.finish import finished
from pipeline.tts.speech_engine import CUSTOM_VOICE

MEASURES = {
    "closure": (1.0, 1.0),
    "lag_ms": (-20.0, 20.0),
    "corr": (0.88, 1.0),
    "silence_motion": (0.0, 0.05),
    "jitter": (0.0, 0.025),
    "open_ratio": (2.0, math.inf),
    "round_ratio": (0.0, 0.9),
    "sharpness": (0.9, math.inf),
    "untouched_db": (40.0, math.inf),
    "motion": (0.14, 0.28),
}
"""What is measured, and the range that is asked of it."""
CONTROL = "clip_alone"
"""The measure of a clip in which nothing was drawn."""
ALIGNED = "aligned"
HIDDEN_VOICE = "f3"
"""The espeak-ng variant (another speaker) whose phoneme times the program does not get: the voice ``aligned``."""
VOICES = {
    "ko": ("kokoro/nezumi", "kokoro/kumo", "espeak", ALIGNED),
    "en-us": ("hibari/heart", "kokoro/kumo", "espeak", ALIGNED),
}
"""Who speaks each language: engine/voice, or the engine alone."""
BUNDLED, SIZES = ("talk_long", "woman"), ("720p", "480p", "360p")
PAUSE = 2.0
"""Seconds."""
SHOWN = "aiuoepmsn"
"""The sounds whose mouths the contact sheets show."""


@dataclass(frozen=True)
class Sentence:
    """One row of the matrix; with PAUSED a silence of two seconds is put between its two clauses."""

    label: str
    language: str
    text: str
    paused: bool = False


SENTENCES = (
    Sentence("welcome", "ko", "안녕하세요, 면접에 오신 것을 환영합니다."),
    Sentence("yourself", "ko", "먼저 자기소개를 부탁드립니다. 어떤 프로젝트를 맡으셨나요?"),
    Sentence("park", "ko", "오늘 날씨가 매우 좋아서 공원에 나가 밥을 먹었습니다."),
    Sentence("english", "en-us", "Welcome to the interview. Please tell me about your most important project."),
    Sentence("numbers", "ko", "모두 합쳐서 십이만 삼천사백오십 원이고, 이천이십육 년 십일 월에 받습니다."),
    Sentence("pause", "ko", "네, 알겠습니다. 그럼 다음 문제로 넘어가 볼까요?", paused=True),
)


@dataclass(frozen=True)
class Person:
    """An avatar of the matrix.

    Attributes:
        avatar: The avatar.
        base: Its own clip.
        idle: (frames of the clip,) how far the judge sees the lips apart in it, in eye distances.
    """

    avatar: Avatar
    base: Path
    idle: np.ndarray


def main() -> None:
    """Run the matrix and write the table and the sheets."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clip", action="append", default=[], metavar="NAME=FILE")
    options.add_argument("--photo", action="append", default=[], metavar="NAME=FILE")
    options.add_argument("--only", help="one avatar of the matrix")
    options.add_argument("--sentence", help="one sentence of the matrix")
    options.add_argument("--voice", action="append", help="one voice of the matrix, such as hibari/heart")
    options.add_argument("--frame-skip", type=int, default=1)
    options.add_argument("--out", type=Path, default=Path("results/lips"))
    given = options.parse_args()
    logging.disable(logging.INFO)
    given.out.mkdir(parents=True, exist_ok=True)
    studio = make_studio(replace(Settings(), results=given.out))
    avatars = [a for a in _avatars(given, studio.avatars) if given.only in (None, a.id)]
    spoken = cache(lambda sentence, voice: _say(studio, sentence, voice))
    lines = []
    for avatar in avatars:
        base = given.out / f"{avatar.id}_base.mp4"
        base.write_bytes(avatar.video)
        person = Person(avatar, base, lip_curves(landmarks(base)[1][..., :2])[0])
        for sentence in (s for s in SENTENCES if given.sentence in (None, s.label)):
            for voice in (v for v in VOICES[sentence.language] if v in (given.voice or (v,))):
                name = f"{avatar.id}_{sentence.label}_{voice.replace('/', '_')}"
                found = _measure(studio, person, spoken(sentence, voice), voice == ALIGNED, name, given)
                lines.append((avatar.id, sentence.label, voice, found))
                print(_row(*lines[-1]), flush=True)
    table = _table(lines)
    (given.out / "lips.md").write_text(table)
    print(f"\n{table}")


def _avatars(given: argparse.Namespace, bundled: AvatarStore) -> list[Avatar]:
    found = [bundled.load(bundled.find(name, size)) for name in BUNDLED for size in SIZES]
    packs = given.out / "packs"
    for entry in (*given.clip, *given.photo):
        name, file = entry.split("=", 1)
        (path,) = prepare(Path(file), PrepareOptions(name=name, resolutions=["720p"], out=packs))
        found.append(AvatarStore(packs).load(path))
    return found


def _measure(
    studio: Studio, person: Person, speech: Speech, hidden: bool, name: str, given: argparse.Namespace
) -> dict[str, Any]:
    """Make the video NAME, keep its contact sheet, and return what the judge says of it."""
    avatar, idle = person.avatar, person.idle
    known = replace(speech, marks=(), words=()) if hidden else speech
    task = TaskBook(given.out, 0).files_of(name)
    film(avatar, [known], task, studio, given.frame_skip)
    _sheet(task.video, avatar, speech, given.out / f"{name}.jpg")
    found = check(task.video, speech, base=person.base)
    if found.get("silence_motion") is not None:
        silent = _silent(speech, found["frames"], found["fps"])
        found[CONTROL] = round(float(np.ptp(idle[silent % len(idle)]) / found["motion"]), 3)
    return found


def _silent(speech: Speech, frames: int, fps: float) -> np.ndarray:
    """Return the numbers of the FRAMES in which the judge takes the mouth for silent."""
    times = np.arange(frames) / fps - LEAD_IN
    silent = np.ones(frames, bool)
    for mark in (m for m in speech.marks if m.text):
        silent &= (times < mark.start - BEFORE_SOUND) | (times > mark.end + AFTER_SOUND)
    return np.flatnonzero(silent)


def _say(studio: Studio, sentence: Sentence, voice: str) -> Speech:
    name, _, speaker = voice.partition("/")
    engine = EspeakEngine(variant=HIDDEN_VOICE) if name == ALIGNED else studio.tts[name]
    speaker = speaker or CUSTOM_VOICE
    pieces = engine.stream(sentence.text, speaker, CancelToken(), sentence.language)
    speech = joined(finished(pieces, engine.loudness(speaker, sentence.language), 0.0))
    return _with_pause(speech) if sentence.paused else speech


def _with_pause(speech: Speech) -> Speech:
    """Return SPEECH with its longest inner pause stretched by two seconds."""
    inner = [m for m in speech.marks[1:-1] if not m.text]
    gap = max(inner, key=lambda m: m.end - m.start)
    cut = (gap.start + gap.end) / 2
    at = round(cut * speech.rate)
    silence = np.zeros(round(PAUSE * speech.rate), np.float32)
    marks, words = (
        tuple(Mark(m.kind, m.text, m.start + PAUSE * (m.start >= cut), m.end + PAUSE * (m.end > cut)) for m in timed)
        for timed in (speech.marks, speech.words)
    )
    samples = np.concatenate([speech.samples[:at], silence, speech.samples[at:]])
    return replace(speech, samples=samples, marks=marks, words=words)


def _sheet(video: Path, avatar: Avatar, speech: Speech, path: Path) -> None:
    """Save the mouths at the middle of the first few of each of the SHOWN sounds."""
    wanted: dict[int, str] = {}
    for sound in SHOWN:
        marks = [m for m in speech.marks if sound in m.text or (sound == "a" and "ɐ" in m.text)]
        for mark in marks[:3]:
            wanted[round((LEAD_IN + (mark.start + mark.end) / 2) * float(avatar.fps))] = mark.text
    tiles = []
    with av.open(str(video)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i not in wanted:
                continue
            picture = frame.to_ndarray(format="bgr24")
            points = avatar.landmarks[i % len(avatar.landmarks), :, :2]
            width = np.ptp(points[:, 0]) * 0.45
            x, y = points[[13, 14]].mean(0)
            left, top = max(0, int(x - width)), max(0, int(y - width * 0.75))
            crop = picture[top : int(y + width * 0.75), left : int(x + width)]
            tile = cv2.resize(crop, (320, 240), interpolation=cv2.INTER_CUBIC)
            caption = f"{i} {wanted[i].encode('ascii', 'replace').decode()}"
            tiles.append(cv2.putText(tile, caption, (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 255, 0), 1))
    tiles += [np.zeros((240, 320, 3), np.uint8)] * (-len(tiles) % 6)
    rows = [np.hstack(tiles[i : i + 6]) for i in range(0, len(tiles), 6)]
    if rows:
        cv2.imwrite(str(path), np.vstack(rows))


def _holds(measure: str, value: float | None) -> bool:
    low, high = MEASURES[measure]
    return value is None or low <= value <= high


def _row(avatar: str, sentence: str, voice: str, found: dict[str, Any]) -> str:
    cells = [f"{found.get(m)}" + ("" if _holds(m, found.get(m)) else " **!**") for m in MEASURES]
    cells.append(str(found.get(CONTROL)))
    return f"| {avatar} | {sentence} | {voice} | " + " | ".join(cells) + " |" + str(found.get("error", ""))


def _table(lines: list[tuple[str, str, str, dict[str, Any]]]) -> str:
    head = "| avatar | sentence | voice | " + " | ".join((*MEASURES, CONTROL)) + " |"
    rule = "|---" * (4 + len(MEASURES)) + "|"
    asked = " | ".join(f"{low} .. {high}" for low, high in MEASURES.values())
    body = "\n".join(_row(*line) for line in lines)
    voices = "\n".join(_range([line for line in lines if line[2] == voice]) for voice in dict.fromkeys(_voices(lines)))
    return (
        f"machine: {describe_machine()}\n\n{head}\n{rule}\n{body}\n{voices}\n"
        f"{_range(lines, 'all')}\n| asked | | | {asked} | |\n"
    )


def _voices(lines: list[tuple[str, str, str, dict[str, Any]]]) -> Iterator[str]:
    return (voice for _, _, voice, _ in lines)


def _range(lines: list[tuple[str, str, str, dict[str, Any]]], voice: str = "") -> str:
    """Return the row of the lowest and highest values of LINES."""
    cells = []
    for measure in (*MEASURES, CONTROL):
        values = [found[measure] for *_, found in lines if found.get(measure) is not None]
        cells.append(f"{min(values)} .. {max(values)}" if values else "-")
    return f"| **range** | | {voice or lines[0][2]} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
