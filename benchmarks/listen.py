"""Lets people hear and see each voice: sound files of six sentences, and a sheet of mouths at named sounds.

    python -m benchmarks.listen --out docs
    python -m benchmarks.listen --out docs --only hibari_heart

Each voice speaks as in a video: as loud, with its own phoneme times, and through the avatar of its gender. A row of a
sheet is a sentence; the mouths are those in the middle of its first a, i, u, o, e, p, b, m, s and n.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import av
import cv2
import numpy as np
import soxr
from PIL import Image

from benchmarks.film import film
from benchmarks.voices import SENTENCES as ASKED
from benchmarks.voices import VOICE_OF
from pipeline.avatars.avatar import Avatar
from pipeline.core.cancel import CancelToken
from pipeline.jobs.studio import Studio, make_studio
from pipeline.jobs.tasks import TaskBook
from pipeline.settings import Settings
from pipeline.speech.framed import LEAD_IN
from pipeline.speech_types import Mark, Speech, joined
from pipeline.tts.finish import finished
from pipeline.tts.speech_engine import CUSTOM_VOICE

SENTENCES = {
    "en": ASKED["en"],
    "ko": (
        "안녕하세요, 면접에 오신 것을 환영합니다.",
        "지원하신 직무에서 가장 중요하다고 생각하는 역량은 무엇인가요?",
        "우리 회사에 지원하게 된 동기가 무엇입니까?",
        "마지막으로 궁금한 점이 있으시면 질문해 주세요.",
        "답변 감사합니다. 조금 더 구체적인 예를 들어 주실 수 있을까요?",
        "오늘 면접은 여기까지입니다. 결과는 이 주 안에 알려 드리겠습니다.",
    ),
}
SHOWN = "aiuoepbmsn"
"""The sounds of a sheet, one a column; a sound that the sentence has not is left out."""
_AS = {"ɐ": "a", "ɑ": "a", "æ": "a", "ɪ": "i", "ʊ": "u", "ɯ": "u", "ɨ": "u", "ɔ": "o", "ɛ": "e"}
TILE = (128, 96)
"""Pixels."""
RATE, BITS = 48000, 40000
"""Of the sound files: Hz, and bits per second."""


@dataclass(frozen=True)
class Speaker:
    """A voice, as files are named after it, and who shows it."""

    label: str
    engine: str
    voice: str
    language: str
    avatar: str


SPEAKERS = (
    Speaker("hibari_heart", "hibari", "heart", "en", "woman"),
    Speaker("kokoro_nezumi", "kokoro", "nezumi", "ko", "woman"),
    Speaker("kokoro_kumo", "kokoro", "kumo", "ko", "talk_long"),
    Speaker("kokoro_kumo_en", "kokoro", "kumo", "en", "talk_long"),
    Speaker("espeak_ko", "espeak", CUSTOM_VOICE, "ko", "talk_long"),
    Speaker("espeak_en", "espeak", CUSTOM_VOICE, "en", "talk_long"),
)


def main() -> None:
    """Write the files."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True, help="gets the folders sounds and mouths")
    options.add_argument("--only", help="one voice, as its files are named")
    given = options.parse_args()
    logging.disable(logging.INFO)
    for folder in ("sounds", "mouths"):
        (given.out / folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as results:
        studio = make_studio(replace(Settings(), results=Path(results)))
        for speaker in (one for one in SPEAKERS if given.only in (None, one.label)):
            rows = []
            for number, text in enumerate(SENTENCES[speaker.language], 1):
                speech = _say(studio, speaker, text)
                _write_opus(given.out / "sounds" / f"{speaker.label}_{number}.opus", speech)
                rows.append(_mouths(studio, speaker, speech))
            sheet = Image.fromarray(np.vstack(rows)[..., ::-1])
            sheet.save(given.out / "mouths" / f"{speaker.label}.webp", quality=70, method=6)
            print(speaker.label, flush=True)


def _say(studio: Studio, speaker: Speaker, text: str) -> Speech:
    engine, language = studio.tts[speaker.engine], VOICE_OF[speaker.language]
    pieces = engine.stream(text, speaker.voice, CancelToken(), language)
    return joined(finished(pieces, engine.loudness(speaker.voice, language), 0.0))


def _write_opus(path: Path, speech: Speech) -> None:
    sound = speech.samples if speech.rate == RATE else soxr.resample(speech.samples, speech.rate, RATE)
    with av.open(str(path), "w", format="ogg") as out:
        stream = out.add_stream("libopus", rate=RATE, layout="mono")
        stream.bit_rate = BITS
        samples = np.clip(sound * 32767, -32768, 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.rate = RATE
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def _mouths(studio: Studio, speaker: Speaker, speech: Speech) -> np.ndarray:
    """Return the row of a sentence, (height, width, 3)."""
    avatar = studio.avatars.load(studio.avatars.find(speaker.avatar, "720p"))
    task = TaskBook(studio.settings.results, 0).files_of(f"{abs(hash((speaker, speech.text))):032x}")
    film(avatar, [speech], task, studio)
    wanted: dict[int, str] = {}
    for sound in SHOWN:
        marks = [mark for mark in speech.marks if sound_of(mark) == sound]
        for mark in marks[:1]:
            wanted[round((LEAD_IN + (mark.start + mark.end) / 2) * float(avatar.fps))] = sound
    tiles = {}
    with av.open(str(task.video)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                picture = frame.to_ndarray(format="bgr24")
                tiles[wanted[number]] = _tile(picture, avatar, number, wanted[number])
    nothing = np.full((TILE[1], TILE[0], 3), 255, np.uint8)
    return np.hstack([tiles.get(sound, nothing) for sound in SHOWN])


def sound_of(mark: Mark) -> str:
    """Return which sound of a sheet a phoneme is; "" for silence."""
    return _AS.get(mark.text[:1], mark.text[:1])


def _tile(picture: np.ndarray, avatar: Avatar, number: int, sound: str) -> np.ndarray:
    points = avatar.landmarks[number % len(avatar.landmarks), :, :2]
    width = np.ptp(points[:, 0]) * 0.36
    x, y = points[[13, 14]].mean(0)
    top, left = max(0, int(y - width * 0.75)), max(0, int(x - width))
    crop = picture[top : int(y + width * 0.75), left : int(x + width)]
    tile = cv2.resize(crop, TILE, interpolation=cv2.INTER_AREA)
    return np.asarray(
        cv2.putText(tile, sound, (5, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA)
    )


if __name__ == "__main__":
    main()
