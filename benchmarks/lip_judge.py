"""Measures how well lips follow speech, from the pixels and the sound of a finished video alone.

    python -m benchmarks.lip_judge video.mp4 --text "안녕하세요." --voice ko --base examples/talk_long.mp4

The speech in the video must be eSpeak NG's rendering of the text: its exact phoneme times are laid over the video's own
sound. The shape of the lips is read from the pixels. Prints one JSON object:

    lag_ms          lips late (+) or early (-) against the sound
    corr            correlation of the lips' opening with the opening that the phonemes ask for, at that lag
    closure         share of the p, b, m at which the lips meet
    open_ratio      lips' opening at open vowels / at close vowels            (1: no difference)
    round_ratio     mouth's width at rounded vowels / at spread vowels        (1: no difference)
    silence_motion  lips' movement in pauses / while speaking, in the picture plane: the estimate of depth wanders more
                    than closed lips do while a head nods
    jitter          lips' movement above 10 Hz / movement while speaking
    motion          movement while speaking / distance between the eyes       (a frozen mouth is 0)
    sharpness       detail around the lips / detail there in the base video   (needs --base)
    untouched_db    PSNR against the base video above the nose and outside the face (needs --base)
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from scipy.signal import butter, correlate, filtfilt

from pipeline.core.cancel import CancelToken
from pipeline.face.finder import Box, FaceChoice, FaceFinder, choose
from pipeline.speech_types import Speech
from pipeline.tts.espeak import EspeakEngine

OPENINGS = (
    (1.0, "aäɐɑ"),
    (0.9, "æ"),
    (0.8, "ɒ"),
    (0.7, "ɔ"),
    (0.65, "ʌɛ"),
    (0.55, "oe"),
    (0.5, "ɜ"),
    (0.45, "ɚəø"),
    (0.4, "h"),
    (0.35, "ɪʊ"),
    (0.3, "kɡgŋ"),
    (0.28, "ilɫrɹ"),
    (0.25, "uɯɨyɾj"),
    (0.22, "n"),
    (0.2, "wʃʒtdθð"),
    (0.18, "szɕ"),
    (0.12, "fv"),
    (0.0, "pbm"),
)
OPENING = {sound: opening for opening, sounds in OPENINGS for sound in sounds}
"""How far the lips are apart at each sound, 0 closed .. 1 wide open."""
BILABIAL, OPEN, CLOSE = set("pbm"), set("aäɐɑæ"), set("iɪuʊɯɨ")
ROUNDED, SPREAD = set("uoʊɔwyø"), set("iɪeɛɯɨ")
BEFORE_SOUND, AFTER_SOUND = 0.12, 0.15
"""Seconds before and after each sound that do not count as silence."""
MOUTH_SECONDS = 0.045
"""Standard deviation by which the asked opening is smoothed, as a mouth moves."""
SEEN = 0.9
"""Share of the frames in which the face must be found."""

Span = tuple[str, float, float]
"""A sound, and when it begins and ends in the video (s)."""


def main() -> None:
    """Print what is measured of one video."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("video", type=Path)
    options.add_argument("--text", required=True, help="what is said")
    options.add_argument("--voice", default="ko", help="voice of eSpeak NG")
    options.add_argument(
        "--face", default="center", type=face_choice, help="center, largest, or a number from the left"
    )
    options.add_argument("--base", type=Path, help="the avatar's own clip")
    given = options.parse_args()
    speech = EspeakEngine().synthesize(given.text, given.voice, CancelToken())
    print(json.dumps(check(given.video, speech, given.face, given.base), ensure_ascii=False))


def face_choice(text: str) -> FaceChoice:
    """Return the choice that TEXT names. Raises ValueError."""
    match text:
        case "center":
            return "center"
        case "largest":
            return "largest"
    return int(text)


def check(video: Path, speech: Speech, face: FaceChoice = "center", base: Path | None = None) -> dict[str, Any]:
    """Measure a video; the keys are those above, and facts about the video.

    Args:
        video: The finished video.
        speech: What is said in it, with the phonemes' times.
        face: Which of several faces speaks.
        base: The avatar's own clip.

    Returns:
        Numbers, None where the speech has no sound of the kind; "error" where the face is found too rarely.
    """
    sound = sound_of(video, speech.rate)
    offset, match = _found_in(sound, speech)
    fps, points = landmarks(video, face)
    found = ~np.isnan(points[:, 0, 0])
    facts = {
        "frames": len(points),
        "fps": round(fps, 3),
        "video_s": round(len(points) / fps, 3),
        "audio_s": round(len(sound) / speech.rate, 3),
        "audio_match": round(match, 3),
        "face_found": round(float(found.mean()), 3),
    }
    if found.mean() < SEEN:
        return {"error": "face not found in enough frames", **facts}
    index = np.arange(len(points))
    curves = (*lip_curves(points), lip_curves(points[..., :2])[0])
    opening, width, flat = (np.interp(index, index[found], curve[found]) for curve in curves)
    named = [(_sound(mark.text), mark.start + offset, mark.end + offset) for mark in speech.marks]
    spans = [span for span in named if span[0]]
    measures = _against_sounds(opening, width, flat, index / fps, spans)
    if base is not None:
        measures["sharpness"], measures["untouched_db"] = _against_base(video, base, points)
    return {**measures, **facts}


def sound_of(video: Path, rate: int) -> np.ndarray:
    """Return the sound of VIDEO at RATE (Hz), mono float32."""
    with av.open(str(video)) as container:
        resampler = av.AudioResampler("flt", "mono", rate)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        return np.concatenate([out.to_ndarray()[0] for out in (*frames, *resampler.resample(None))])


def landmarks(video: Path, face: FaceChoice = "center") -> tuple[float, np.ndarray]:
    """Return the frames per second and the points of the face, (frames, 478, 3) pixels, nan where it is not found."""
    box: Box | None = None
    rows = []
    with FaceFinder() as finder:
        for picture in pictures_of(video):
            boxes = finder.boxes(picture) if box is None else []
            if boxes:
                box = choose(boxes, picture.shape[1], picture.shape[0], face)
            points = None if box is None else finder.points(picture, box)
            rows.append(np.full((478, 3), np.nan) if points is None else points)
    with av.open(str(video)) as container:
        fps = float(container.streams.video[0].average_rate or 0)
    return fps, np.array(rows)


def pictures_of(video: Path) -> Iterator[np.ndarray]:
    """Yield the pictures of VIDEO, (height, width, 3) uint8 RGB."""
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def lip_curves(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the opening and the width of the mouth, (frames,) each, in eye distances.

    Args:
        points: (frames, 478, 2 or 3) pixels; with two coordinates both are measured in the picture plane.
    """
    eyes = np.linalg.norm(points[:, [33, 133]].mean(1) - points[:, [362, 263]].mean(1), axis=1)

    def gap(one: int, other: int) -> np.ndarray:
        return np.asarray(np.linalg.norm(points[:, one] - points[:, other], axis=1) / eyes)

    return (gap(13, 14) * 2 + gap(82, 87) + gap(312, 317)) / 4, gap(61, 291)


def _sound(phoneme: str) -> str:
    """Return the letter of PHONEME by which it is judged; "" for a pause."""
    return next((letter for letter in phoneme if letter in OPENING), "")


def _found_in(sound: np.ndarray, speech: Speech) -> tuple[float, float]:
    """Return when SPEECH begins in HEARD (s), and how well both agree there (correlation)."""
    hop = speech.rate // 1000

    def envelope(samples: np.ndarray) -> np.ndarray:
        return np.asarray(np.sqrt(np.convolve(samples**2, np.ones(10 * hop) / (10 * hop), "same"))[::hop])

    one, other = envelope(sound), envelope(speech.samples)
    shift = int(np.argmax(correlate(one, other, "full"))) - (len(other) - 1)
    overlap = one[max(0, shift) : max(0, shift) + len(other)]
    return shift * hop / speech.rate, float(np.corrcoef(overlap, other[: len(overlap)])[0, 1])


def _against_sounds(
    opening: np.ndarray, width: np.ndarray, flat: np.ndarray, time: np.ndarray, spans: list[Span]
) -> dict[str, Any]:
    """Compare the lips with the sounds; FLAT: their opening in the picture plane; TIME: of each frame (s)."""
    lag, corr = _lag(opening, time, spans)
    begin, end = spans[0][1], spans[-1][2]
    speaking = (time >= begin) & (time <= end)
    low = np.percentile(opening, 3)
    movement = max(1e-6, float(np.percentile(opening[speaking], 92) - np.percentile(opening[speaking], 5)))
    quiet = np.ones(len(time), bool)
    for _, start, stop in spans:
        quiet &= (time < start - BEFORE_SOUND) | (time > stop + AFTER_SOUND)

    def at(sounds: set[str], curve: np.ndarray, fold: Callable[[np.ndarray], float]) -> float | None:
        """Return the mean over SOUNDS of what FOLD makes of CURVE while each lasts."""
        during = [
            curve[(time >= start - 0.02) & (time <= stop + 0.04)]
            for sound, start, stop in spans
            if sound in sounds and stop - start > 0.03
        ]
        values = [fold(part) for part in during if len(part)]
        return float(np.mean(values)) if values else None

    lips = [opening[(time >= start - 0.03) & (time <= stop + 0.05)] for s, start, stop in spans if s in BILABIAL]
    closed = [part.min() <= low + 0.22 * movement for part in lips if len(part)]
    wide, narrow = at(OPEN, opening, np.max), at(CLOSE, opening, np.max)
    rounded, spread = at(ROUNDED, width, np.min), at(SPREAD, width, np.max)
    fps = 1 / float(time[1])
    tremble = filtfilt(*butter(3, min(0.99, 10 / (fps / 2)), "high"), opening)
    return {
        "lag_ms": round(lag * 1000),
        "corr": round(corr, 3),
        "closure": float(np.mean(closed)) if closed else None,
        "bilabials": len(closed),
        "open_ratio": round(float((wide - low) / max(1e-6, narrow - low)), 2) if wide and narrow else None,
        "round_ratio": round(rounded / spread, 3) if rounded and spread else None,
        "silence_motion": round(float(np.ptp(flat[quiet]) / movement), 3) if quiet.sum() >= 3 else None,
        "jitter": round(float(tremble.std() / movement), 3),
        "motion": round(movement, 4),
    }


def _lag(opening: np.ndarray, time: np.ndarray, spans: list[Span]) -> tuple[float, float]:
    """Return the delay (s) at which OPENING goes best with what the sounds ask for, and the correlation there."""
    fine = np.arange(0, max(time[-1], spans[-1][2]) + 0.5, 0.005)
    asked = np.zeros_like(fine)
    for sound, start, end in spans:
        asked[(fine >= start) & (fine < end)] = OPENING[sound]
    kernel = np.exp(-0.5 * (np.arange(-60, 61) * 0.005 / MOUTH_SECONDS) ** 2)
    asked = np.convolve(asked, kernel / kernel.sum(), "same")
    core = (time >= spans[0][1] - 0.2) & (time <= spans[-1][2] + 0.2)
    lags = np.arange(-0.3, 0.3001, 0.01)
    scores = [np.corrcoef(np.interp(time - lag, fine, asked)[core], opening[core])[0, 1] for lag in lags]
    best = int(np.argmax(scores))
    return float(lags[best]), float(scores[best])


def _against_base(video: Path, base: Path, points: np.ndarray) -> tuple[float, float]:
    """Return the sharpness around the lips and the PSNR of what must stay untouched, against the likest base frames."""

    def thumb(picture: np.ndarray) -> np.ndarray:
        half = picture[: picture.shape[0] // 2]
        return np.asarray(cv2.resize(half, (96, 27), interpolation=cv2.INTER_AREA), np.float32).ravel()

    height, width = next(pictures_of(video)).shape[:2]
    originals = [
        one if one.shape[:2] == (height, width) else cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA)
        for one in pictures_of(base)
    ]
    thumbs = np.array([thumb(one) for one in originals])
    ratios, errors = [], []
    for number, picture in enumerate(pictures_of(video)):
        if number % 5 or np.isnan(points[number, 0, 0]):
            continue
        twin = originals[int(np.argmin(((thumbs - thumb(picture)) ** 2).mean(1)))]
        p = points[number]
        left, right = int(p[[61, 291], 0].min()) - 4, int(p[[61, 291], 0].max()) + 4
        top, bottom = int(p[[0, 13], 1].min()) - 4, int(p[[17, 14], 1].max()) + 4
        lips = np.s_[top:bottom, left:right]
        ratios.append(_detail(picture[lips]) / max(1e-6, _detail(twin[lips])))
        keep = np.ones((height, width), bool)
        grow = (p[:, 0].max() - p[:, 0].min()) * 0.15
        rows = np.s_[int(p[4, 1]) : int(p[:, 1].max() + grow * 2)]
        keep[rows, max(0, int(p[:, 0].min() - grow)) : int(p[:, 0].max() + grow)] = False
        errors.append(((picture.astype(np.float32) - twin) ** 2)[keep].mean())
    psnr = 10 * np.log10(255**2 / max(1e-6, float(np.median(errors))))
    return round(float(np.sqrt(np.median(ratios))), 3), round(float(psnr), 1)


def _detail(picture: np.ndarray) -> float:
    return float(cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())


if __name__ == "__main__":
    main()
