"""A turn of sound that a caller sends while it is spoken: its mouth follows the sound."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import soxr

from pipeline import messages
from pipeline.errors import BadRequest
from pipeline.live.turn import Taken
from pipeline.speech.articulate import UNITS, articulate
from pipeline.speech.expression import with_mouth
from pipeline.speech.expression_track import STILL, ExpressionOptions
from pipeline.speech.listen import listen
from pipeline.speech.mouth_classifier import RATE
from pipeline.speech.mouth_track import MouthTrack
from pipeline.speech.phonemes import phonemes_of
from pipeline.speech.timeline import gapless
from pipeline.speech_types import Mark, Speech
from pipeline.text.language import language_of, speakable
from pipeline.tts.espeak import EspeakEngine
from pipeline.video.writer import AUDIO_RATE

RATES = (8_000, 96_000)
"""Lowest and highest rate of sound that may be sent, in Hz."""
AHEAD_SECONDS = 30.0
"""Seconds of sound that may be sent ahead of the clock."""
LOOK_SECONDS = 0.02
"""Seconds of sound after a group of frames that must be there before it is drawn.

With the 0.2 s of the group and a frame it is the longest time from a sound to its picture: 0.26 s; a turn begins within
a group, so that its sound need not wait for the next one.
"""
PAST_SECONDS = 2.0
"""Seconds of sound before a frame from which its mouth is found."""
FUTURE_SECONDS = 0.3
"""Seconds after it, where they are there already."""
STILL_SECONDS = 0.5
"""Seconds of silence before all this, against which speech stands out."""
STARVED_SECONDS = 0.25
"""Seconds without new sound after which what is left is spoken."""
ENDED_SECONDS = 1.0
"""Seconds without new sound after which the turn is over."""
COARSE = 1000
"""Samples per second of a silence that stands for sound."""
SHORTEST_SECONDS = 0.01
"""Shortest part of a heard sound that is kept beside known ones."""
JOINED_FRAMES = 3
"""Frames over which the mouth goes from what was found before to what is found now."""


def pcm(data: bytes, rate: int) -> np.ndarray:
    """Return 16-bit little-endian mono sound as float32 in [-1, 1].

    Raises:
        BadRequest: It has half a sample, or another rate than sound has.
    """
    if not RATES[0] <= rate <= RATES[1]:
        raise BadRequest(messages.live.RATE_INVALID(rate=rate, lowest=RATES[0], highest=RATES[1]))
    if len(data) % 2:
        raise BadRequest(messages.live.HALF_A_SAMPLE(count=len(data)))
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768


class VoiceTurn:
    """A turn of sound, whose end is `finish` or `ENDED_SECONDS` without sound.

    One thread adds sound while the session's takes it.

    Args:
        number: Number of the turn.
        fps: Frames per second of the session.
        rate: Samples per second of what will be sent.
        now: The monotonic clock in seconds.
        expression: How the face moves beside the mouth: cheeks and lids alone, since a stress is known only later.
    """

    def __init__(
        self,
        number: int,
        fps: Fraction,
        rate: int,
        now: Callable[[], float] = time.monotonic,
        expression: ExpressionOptions = STILL,
    ) -> None:
        self.number = number
        self.rate = rate
        self._fps = fps
        self._now = now
        self._expression = expression
        self._lock = threading.Lock()
        quality = "HQ" if rate >= RATE else "LQ"  # whose delay at a telephone's rate is a quarter of that
        self._to_played = soxr.ResampleStream(rate, AUDIO_RATE, 1, dtype="float32", quality=quality)
        self._to_heard = soxr.ResampleStream(rate, RATE, 1, dtype="float32", quality="LQ")
        self._played = np.zeros(0, np.float32)  # at AUDIO_RATE, from the next frame on
        self._heard = np.zeros(round((STILL_SECONDS + PAST_SECONDS) * RATE), np.float32)  # at RATE, with the past
        self._past = len(self._heard)
        """Samples of `_heard` before the next frame."""
        self._arrived = now()
        self._finished = False
        self._begun = False
        self._taken = 0
        """Samples of the sound before the next frame, at AUDIO_RATE."""
        self._words: list[Mark] = []
        self._phonemes: list[Mark] = []
        self._last = np.zeros(len(UNITS), np.float32)

    def add(self, samples: np.ndarray) -> None:
        """Append sound, (n,) float32 at `rate`."""
        with self._lock:
            self._arrived = self._now()
            self._append(samples, last=False)

    def add_words(self, words: Sequence[Mark]) -> None:
        """Add words of the sound, in seconds from its beginning."""
        with self._lock:
            self._words += words

    def add_phonemes(self, phonemes: Sequence[Mark]) -> None:
        """Add phonemes of the sound, in seconds from its beginning; the mouth follows them."""
        with self._lock:
            self._phonemes += phonemes

    def finish(self) -> None:
        """Speak what is left; no more sound will come."""
        with self._lock:
            if not self._finished:
                self._finished = True
                self._append(np.zeros(0, np.float32), last=True)

    def stop(self) -> None:
        """Do nothing: what comes later is another turn."""

    @property
    def ahead(self) -> float:
        """Seconds of sound that were not spoken yet."""
        return len(self._played) / AUDIO_RATE

    @property
    def over(self) -> bool:
        """Whether everything was spoken."""
        silent = self._now() - self._arrived
        return not len(self._played) and (self._finished or silent > ENDED_SECONDS)

    def ready(self, frames: int) -> bool:
        """Return whether there is enough sound for the next frames, or no more will come for now."""
        return self._complete >= (frames if self._begun else 1) or (self._ends and len(self._played) > 0)

    def take(self, frames: int, samples: int) -> Taken:
        """Return the next part of the sound, and the mouth for it."""
        with self._lock:
            silent = 0  # frames before the sound begins, so that later groups find theirs complete
            if not self._begun and not self._ends:
                silent = max(0, frames - self._complete)
            self._begun = True
            before = round(silent * samples / frames)
            weights = np.concatenate([np.zeros((silent, len(UNITS)), np.float32), self._mouth(frames - silent)])
            sound = np.zeros(samples, np.float32)
            part = self._played[: samples - before]
            sound[before : before + len(part)] = part
            self._played = self._played[samples - before :]
            words = self._spoken_until(self._taken + len(part), before)
            self._taken += len(part)
            self._past += round((samples - before) * RATE / AUDIO_RATE)
            self._heard = np.pad(self._heard, (0, max(0, self._past - len(self._heard))))  # it has broken off
            spare = self._past - round((STILL_SECONDS + PAST_SECONDS) * RATE)
            self._heard = self._heard[max(0, spare) :]
            self._past -= max(0, spare)
        self._last = weights[-1]
        looks = with_mouth(MouthTrack(float(self._fps), weights, UNITS), self._expression)
        return Taken(weights, sound, words, looks)

    @property
    def _complete(self) -> int:
        """Frames of which the sound has arrived, and the little after it that their mouths need."""
        return int((self.ahead - LOOK_SECONDS) * self._fps + 1e-6)

    def _spoken_until(self, sample: int, before: int) -> tuple[Mark, ...]:
        """Return the words that begin before a sample, in seconds from the next frame on, and forget them.

        Words that are left when the sound is over come with its end.
        """
        last = not len(self._played) and self._ends
        spoken = [word for word in self._words if last or word.start * AUDIO_RATE < sample]
        self._words = [word for word in self._words if word not in spoken]
        return tuple(word.later((before - self._taken) / AUDIO_RATE) for word in spoken)

    @property
    def _ends(self) -> bool:
        """Whether nothing follows what has arrived, as far as it is known."""
        return self._finished or self._now() - self._arrived > STARVED_SECONDS

    def fading(self, samples: int) -> np.ndarray:
        """Return the sound that would have come next."""
        return self._played[:samples]

    def _append(self, samples: np.ndarray, last: bool) -> None:
        self._played = np.concatenate([self._played, self._to_played.resample_chunk(samples, last=last)])
        self._heard = np.concatenate([self._heard, self._to_heard.resample_chunk(samples, last=last)])

    def _mouth(self, frames: int) -> np.ndarray:
        """Return the weights of the next frames, (frames, units)."""
        before = round(PAST_SECONDS * self._fps)
        begin = self._past - round(before / self._fps * RATE)
        end = self._past + round(float(frames / self._fps + Fraction(FUTURE_SECONDS)) * RATE)
        window = self._heard[max(0, begin) : end]
        still = np.zeros(round(STILL_SECONDS * self._fps / 1) * round(RATE / self._fps), np.float32)
        lead = round(len(still) * self._fps / RATE)
        missing = max(0, end - begin - len(window))
        # what has not arrived is thought to go on as the last moment did; silence would close the mouth
        ahead = np.zeros(missing, np.float32) if self._ends else window[: -missing - 1 : -1]
        sound = np.concatenate([still, window, ahead])
        speech = Speech(samples=sound, rate=RATE, text="", language="")
        whole = lead + before + frames + round(FUTURE_SECONDS * self._fps)
        heard = listen(sound, RATE)
        if self._phonemes:
            shift = (lead + before) / float(self._fps) - self._taken / AUDIO_RATE
            heard = _with_words(heard, [mark.later(shift) for mark in self._phonemes], speech.duration)
            self._phonemes = [mark for mark in self._phonemes if mark.end + shift > 0]
        found = articulate(heard, speech, whole, float(self._fps)).weights
        now = lead + before
        weights = found[now : now + frames].copy()
        # what is found changes with what comes after it; the mouth must not jump there
        moved = self._last - found[now - 1]
        share = np.clip(1 - np.arange(1, frames + 1) / JOINED_FRAMES, 0, 1)
        weights = np.clip(weights + share[:, None] * moved, 0, 1)
        weights[weights < 0.004] = 0
        return np.asarray(weights, np.float32)


def phonemes_within(words: Sequence[Mark], language: str | None, espeak: EspeakEngine) -> tuple[Mark, ...]:
    """Return the phonemes of words, within the time of each word.

    Args:
        words: Word marks in order of time, at least one.
        language: Their language, as eSpeak NG calls it; None detects it.
        espeak: Provides the phonemes.

    Raises:
        Unavailable: eSpeak NG cannot be loaded.
    """
    begin, end = words[0].start, max(word.end for word in words)
    text = "".join(word.text for word in words)
    language = language_of(text, language)
    if not speakable(text) or not espeak.speaks(language):
        return ()
    marks = tuple(replace(word.later(-begin), text=word.text.strip()) for word in words if word.text.strip())
    silence = np.zeros(round((end - begin) * COARSE), np.float32)  # only its length counts
    speech = Speech(samples=silence, rate=COARSE, text=text, language=language, marks=marks)
    return tuple(mark.later(begin) for mark in phonemes_of(speech, espeak) if mark.text)


def _with_words(heard: Sequence[Mark], known: Sequence[Mark], seconds: float) -> tuple[Mark, ...]:
    """Return gapless marks of what is known, and between that of what is heard."""
    marks = [mark for mark in known if mark.text and mark.end > 0 and mark.start < seconds]
    for mark in heard:
        begin, end = mark.start, mark.end
        for other in known:
            if other.text and other.start < end and other.end > begin:
                if other.start <= begin:
                    begin = max(begin, other.end)
                else:
                    end = min(end, other.start)
        if mark.text and end - begin > SHORTEST_SECONDS:
            marks.append(Mark(mark.kind, mark.text, begin, end))
    marks = sorted(
        (Mark("phoneme", one.text, max(0.0, one.start), min(one.end, seconds)) for one in marks),
        key=lambda one: one.start,
    )
    return gapless(marks, seconds)
