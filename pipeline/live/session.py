"""A live session: the one seam on which HTTP, the socket and everything else stands."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pipeline import messages
from pipeline.core.best_effort import best_effort
from pipeline.engines.lipsync_engine import LiveFrames
from pipeline.errors import BadRequest, PipelineError
from pipeline.live.fragments import Fragment, FragmentWriter, Gop
from pipeline.live.pictures import CROSSING, SHOWN_ONCE, Crossing, Pictures, drawn_by
from pipeline.live.session_events import (
    Closed,
    Interrupted,
    Listening,
    Problem,
    SessionEvent,
    TurnEnded,
    TurnStarted,
    Word,
)
from pipeline.live.sound_packets import PACKET, SoundPackets
from pipeline.live.turn import SpokenTurn, Turn, Voice
from pipeline.live.voice_input import VoiceTurn, pcm, phonemes_within
from pipeline.speech.articulate import UNITS
from pipeline.speech.expression import resting
from pipeline.speech_types import Mark
from pipeline.tts.espeak import EspeakEngine
from pipeline.video.frame import Frame
from pipeline.video.writer import AUDIO_RATE

FADE_SECONDS = 0.02
"""Length of the fade of a sound that is cut off."""
NOD_EVERY = 6.0
"""Seconds of listening after which an avatar nods that has a clip of it."""
THINKS_AFTER = 1.0
"""Seconds without a sound of what it is to say after which an avatar thinks that has a clip of it."""
MOST_WORDS_AHEAD = 1000
"""Words that may wait for their sound."""
EASE_SECONDS = 0.16
"""Time in which a mouth that is cut off comes to rest: at no frame faster than in ordinary speech."""


@dataclass
class _TurnProgress:
    """A turn that waits or is spoken, and the part that was spoken."""

    turn: Turn
    tag: str | None = None
    started: bool = False
    said: str = ""
    words: tuple[tuple[float, str], ...] = ()
    """When each word of `said` began."""


@dataclass(frozen=True)
class Next:
    """The next fragment of a stream, whose pictures are not encoded yet.

    Attributes:
        sound: (n,) float32 at 48 kHz.
        drawing: What is to be drawn; None where the avatar idles.
        turn: The turn that is spoken.
        gop: Its pictures, where they are encoded already and are not those of an avatar that idles.
        resting: The crossing that it belongs to, if the face is at rest in it.
    """

    sound: np.ndarray
    drawing: LiveFrames | None
    turn: _TurnProgress | None
    gop: Gop | None = None
    resting: Crossing | None = None


class Session:
    """A person on video who is there: idles, listens, speaks what it gets, and can be interrupted.

    Any thread may give it something to do. One thread calls `advance`, which returns the stream piece by piece; or
    `prepare` and `complete`, between which the pictures of several sessions can be drawn at a time. See
    ``pipeline.live.clock``.

    Args:
        pictures: The avatar, shared with other sessions.
        voice: The voice of its texts.
        emit: Called with each event, from the thread on which it happens.
        max_text: Most characters that may wait to be spoken.
        frame: The first frame of the stream, where another process has made those before it.
        turns: Turns that are over already.

    Attributes:
        header: The beginning of the stream; every player needs it before the first fragment.
        pictures: The avatar.
    """

    def __init__(
        self,
        pictures: Pictures,
        voice: Voice,
        emit: Callable[[SessionEvent], object],
        max_text: int = 5000,
        *,
        frame: int = 0,
        turns: int = 0,
    ) -> None:
        self.header = pictures.header
        self.pictures = pictures
        self._voice = voice
        self._emit = emit
        self._max_text = max_text
        self._fps = pictures.avatar.fps
        self._fragments = FragmentWriter(self._fps, AUDIO_RATE, PACKET, frame)
        self._sound = SoundPackets(round(frame * AUDIO_RATE / self._fps))
        self._lock = threading.RLock()
        self._queue: deque[_TurnProgress] = deque()
        self._open: SpokenTurn | VoiceTurn | None = None
        self._turns = turns
        self._words_ahead: list[Mark] = []
        """Words of sound that has not come yet."""
        self._language_ahead: str | None = None
        self._cuts: list[tuple[_TurnProgress | None, float | None]] = []
        self._ease = np.zeros((0, len(UNITS)), np.float32)
        self._last = np.zeros(len(UNITS), np.float32)
        self._looks = resting(voice.expression)
        """The expression of the face at rest, of the last frame, and what is left of that on its way to rest."""
        self._last_looks = self._looks
        self._looks_ease = np.zeros((0, len(self._looks)), np.float32)
        self._before: deque[tuple[np.ndarray, np.ndarray]] = deque()
        """Mouths and sound of the last groups, as far as the engine hears them."""
        self._frame = frame
        self._gop = pictures.group_at(frame)
        self._crossing: Crossing | None = None
        self._until = 0
        """The last group of a clip that is shown once."""
        self._listening = False
        self._listened = 0.0
        """Since when it has listened without a nod."""
        self._asked_since = 0.0
        """Since when what is to be said has been waited for."""
        self._acts = ""
        """The clip that a cue of the text asks for."""
        self._greeted = False
        self._closed = False

    @property
    def time(self) -> float:
        """Seconds of stream so far: where the next fragment begins."""
        return float(self._frame / self._fps)

    @property
    def speaking(self) -> bool:
        """Whether something is said, or waits to be."""
        return bool(self._queue)

    @property
    def sound_ahead(self) -> float:
        """Seconds of pushed sound that were not spoken yet."""
        return sum(progress.turn.ahead for progress in list(self._queue) if isinstance(progress.turn, VoiceTurn))

    # --- what may be done with it

    def say(self, text: str, tag: str | None = None) -> None:
        """Speak a text, or the next piece of it: each sentence as soon as it is complete.

        `flush` ends the turn. Sound that is pushed ends it as well, and so does text with another tag.

        Args:
            text: The text.
            tag: Any name for the turn; its events have it.

        Raises:
            BadRequest: Too much text waits already.
        """
        with self._lock:
            waiting = sum(progress.turn.pending for progress in self._queue if isinstance(progress.turn, SpokenTurn))
            if waiting + len(text) > self._max_text:
                raise BadRequest(messages.live.TOO_MUCH_TEXT(limit=self._max_text))
            turn = self._open
            if not isinstance(turn, SpokenTurn) or self._queue[-1].tag != tag:
                self.flush()
                turn = SpokenTurn(self._next_number(), self._voice, self._fps, self._report)
                self._begin(turn, tag)
            turn.add(text)

    def push_audio(self, data: bytes, rate: int) -> None:
        """Speak sound as it arrives; the mouth follows it.

        `flush` ends the turn, and so does a second without sound.

        Args:
            data: 16-bit little-endian mono PCM.
            rate: Samples per second.

        Raises:
            BadRequest: It is not such sound.
        """
        samples = pcm(data, rate)
        with self._lock:
            turn = self._open
            if not isinstance(turn, VoiceTurn) or turn.rate != rate or turn.over:
                self.flush()
                turn = VoiceTurn(self._next_number(), self._fps, rate, expression=self._voice.expression)
                self._begin(turn)
                self._give_words(turn)
            turn.add(samples)

    def push_words(self, words: Sequence[Mark], language: str | None = None) -> None:
        """Take words of the sound that is pushed: the mouth follows them, and they become events.

        They belong to the turn of sound, or to the next one if there is none. Best they come before their sound; what
        was drawn already is not changed.

        Args:
            words: Word marks in seconds from the beginning of the turn's sound, with the blanks after them.
            language: Their language, as eSpeak NG calls it; None detects it.
        """
        with self._lock:
            self._words_ahead += words
            del self._words_ahead[:-MOST_WORDS_AHEAD]
            self._language_ahead = language
            turn = self._open
            if isinstance(turn, VoiceTurn) and not turn.over:
                self._give_words(turn)

    def _give_words(self, turn: VoiceTurn) -> None:
        """Give a turn the words that wait; a thread finds their phonemes."""
        words, self._words_ahead = tuple(self._words_ahead), []
        language = self._language_ahead or self._voice.language
        if words:
            turn.add_words(words)
            find = partial(_give_phonemes, turn, words, language, self._voice.espeak)
            threading.Thread(target=find, name=f"words of turn {turn.number}", daemon=True).start()

    def flush(self) -> None:
        """End the turn: what was given is spoken to its end, and what is given later is another turn."""
        with self._lock:
            if self._open is not None:
                self._open.finish()
                self._open = None

    def interrupt(self, at: float | None = None) -> None:
        """Stop speaking: the sound fades, the mouth comes to rest, and what was not said is dropped.

        The event `Interrupted` follows with the next fragment.

        Args:
            at: Time of the stream that the listener has reached, if the rest is not shown to it; what was said then
                ends there.
        """
        with self._lock:
            stopped, self._open = list(self._queue), None
            self._words_ahead.clear()
            self._queue.clear()
            self._cuts.append((stopped[0] if stopped else None, at))
        for progress in stopped:
            progress.turn.stop()

    def listen(self) -> None:
        """Show that the avatar listens: its clip of that, if it has one, and from time to time a nod."""
        self._listening = True
        self._emit(Listening(self.time))

    def idle(self) -> None:
        """Show that the avatar does nothing in particular."""
        self._listening = False

    def close(self, reason: str = "deleted") -> None:
        """End the session."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            stopped, self._open = list(self._queue), None
            self._queue.clear()
        for progress in stopped:
            progress.turn.stop()
        self._emit(Closed(reason))

    # --- the stream

    def advance(self) -> Fragment:
        """Return the next fragment of the stream, about 0.2 s, and emit the events that happen in it."""
        coming = self.prepare()
        if coming.drawing is None:
            return self.complete(coming, None)
        return self.complete(coming, drawn_by(self.pictures.engine, [coming.drawing])[0])

    def prepare(self, may_cross: bool = True) -> Next:
        """Return what comes next, and emit the events that happen in it; `complete` must follow.

        Args:
            may_cross: Whether there is time to begin to go over into another clip; otherwise a later fragment does.
        """
        if not self._turn_back() and may_cross:
            self._choose_clip()
        frames = self.pictures.lengths[self._gop]
        first, last = (round(number * AUDIO_RATE / self._fps) for number in (self._frame, self._frame + frames))
        weights, sound = np.zeros((frames, len(UNITS)), np.float32), np.zeros(last - first, np.float32)
        looks = np.tile(self._looks, (frames, 1))
        with self._lock:
            cuts, self._cuts = self._cuts, []
        for progress, at in cuts:
            fade = self._cut(progress, at)
            sound[: len(fade)] += fade
        progress = self._current(frames)
        if progress is not None and progress.turn.ready(frames):
            if not progress.started:
                progress.started = True
                self._emit(TurnStarted(progress.turn.number, self.time, progress.tag))
            taken = progress.turn.take(frames, last - first)
            weights, sound = taken.weights, sound + taken.sound
            looks = looks if taken.looks is None else taken.looks
            known = {*self.pictures.clips, *self.pictures.coming}
            self._acts = next((cue for cue in taken.cues if cue in known), self._acts)
            for word in taken.words:
                begin, end = (max(0.0, self.time + seconds) for seconds in (word.start, word.end))
                progress.said += word.text
                progress.words = (*progress.words, (begin, word.text))
                self._emit(Word(progress.turn.number, word.text, begin, end))
        elif (self._last.any() or (self._last_looks != self._looks).any()) and not len(self._ease):
            self._come_to_rest()
        weights, looks = self._eased(weights), self._eased_looks(looks)
        self._last, self._last_looks = weights[-1], looks[-1]
        if self._crossing is None:
            return Next(sound, self._drawing(weights, looks, sound, progress), progress)
        rests = not (weights.any() or looks.any())
        gop = self.pictures.kept_crossing(self._crossing) if rests else None
        drawing = None
        if gop is None:
            drawing = self.pictures.crossing(self._crossing, weights, sound, looks if looks.any() else None)
        return Next(sound, drawing, progress, gop, self._crossing if rests else None)

    def complete(self, coming: Next, pictures: Sequence[Frame] | None) -> Fragment:
        """Return the fragment that `prepare` began.

        Args:
            coming: What `prepare` returned.
            pictures: The frames that were drawn; None if nothing was to be drawn.
        """
        frames = self.pictures.lengths[self._gop]
        if pictures is not None:
            gop = self.pictures.encoded(pictures)
            if coming.resting is not None:
                self.pictures.keep_crossing(coming.resting, gop)
        else:
            gop = coming.gop or self.pictures.idle(self._gop, self._looks)
        packet, sound = self._sound.count, coming.sound
        packets = self._sound.add(sound if sound.any() else len(sound))
        fragment = self._fragments.fragment(self._frame, gop, packet, packets)
        if pictures is not None:
            fragment = replace(fragment, drawn=frames)
        self._frame += frames
        self._go_on(frames)
        if coming.turn is not None and coming.turn.turn.over:
            self._end(coming.turn)
        return fragment

    def _turn_back(self) -> bool:
        """Go over to an earlier part of a clip whose next part is not composed yet; return whether that is needed."""
        entry = self.pictures.way_back(self._gop) if self._crossing is None else None
        if entry is None:
            return False
        self._crossing, self._gop = Crossing(self._gop, entry), entry
        return True

    def _choose_clip(self) -> None:
        """Begin to go over into the clip that fits what happens now."""
        clips = self.pictures.clips
        if len(clips) == 1 or self._crossing is not None:
            return
        acts, self._acts = ("", self._acts) if self._acts in self.pictures.coming else (self._acts, "")
        with self._lock:
            turn = self._queue[0] if self._queue else None
        speaks = turn is not None and (turn.started or turn.turn.ready(max(self.pictures.lengths)))
        listens = self._listening and not speaks
        self._asked_since = self.time if speaks or turn is None else self._asked_since
        if self.pictures.clip_of(self._gop) in SHOWN_ONCE and self._gop < self._until:
            return
        self._listened = self._listened if listens else self.time
        wanted = "speaking" if speaks else "listening" if listens else "idle"
        first_words, self._greeted = speaks and not self._greeted, self._greeted or speaks
        if acts:
            wanted = acts
        elif first_words and "greeting" in clips:
            wanted = "greeting"
        elif self.time - self._asked_since >= THINKS_AFTER and "thinking" in clips:
            self._asked_since = math.inf  # once
            wanted = "thinking"
        elif listens and "nod" in clips and self.time - self._listened >= NOD_EVERY:
            self._listened = self.time
            wanted = "nod"
        wanted = wanted if wanted in clips else ""
        if wanted != self.pictures.clip_of(self._gop):
            entry = self.pictures.entry(self._gop, wanted)
            self._crossing = Crossing(self._gop, entry)
            self._gop, self._until = entry, clips[wanted][-1]

    def _go_on(self, frames: int) -> None:
        """Go to the next group, which may belong to the same crossing."""
        self._gop = self.pictures.following(self._gop)
        if self._crossing is not None:
            leaves, _, part, gone = self._crossing
            ends = part + 1 == CROSSING
            self._crossing = None if ends else Crossing(leaves, self._gop, part + 1, gone + frames)

    def _drawing(
        self, weights: np.ndarray, looks: np.ndarray, sound: np.ndarray, progress: _TurnProgress | None
    ) -> LiveFrames | None:
        """Return what is to be drawn for the next group; None if the avatar idles."""
        heard = [*self._before, (weights, sound)]
        future = np.zeros(0, np.float32)
        if self.pictures.past:
            if progress is not None and progress.started:
                future = progress.turn.fading(round(self.pictures.future * AUDIO_RATE))
            self._before.append((weights, sound))
            while sum(len(rows) for rows, _ in self._before) > self.pictures.past * self._fps:
                self._before.popleft()
        mouths, sounds = (np.concatenate(parts) for parts in zip(*heard, strict=True))
        shown = looks if looks.any() else None
        drawing = self.pictures.frames(self._gop, mouths, np.concatenate([sounds, future]), shown)
        return drawing if (looks != self._looks).any() or self.pictures.changes(drawing) else None

    def _current(self, frames: int) -> _TurnProgress | None:
        """Return the turn that is spoken now; turns that ended without a sound are passed over."""
        while self._queue:
            progress = self._queue[0]
            if not progress.turn.over:
                return progress
            self._end(progress)
        return None

    def _end(self, progress: _TurnProgress) -> None:
        with self._lock:
            if not self._queue or self._queue[0] is not progress:
                return  # interrupted meanwhile
            self._queue.popleft()
            if self._open is progress.turn:
                self._open = None
        if not progress.started:
            self._emit(TurnStarted(progress.turn.number, self.time, progress.tag))
        self._emit(TurnEnded(progress.turn.number, self.time, progress.said, progress.tag))

    def _cut(self, progress: _TurnProgress | None, at: float | None) -> np.ndarray:
        """Return the fade of a turn that is interrupted, and let the mouth come to rest."""
        if progress is None or not progress.started:
            self._emit(Interrupted(None, self.time, ""))
            return np.zeros(0, np.float32)
        fade = progress.turn.fading(round(FADE_SECONDS * AUDIO_RATE))
        self._come_to_rest()
        said = "".join(text for begin, text in progress.words if begin < (self.time if at is None else at))
        self._emit(Interrupted(progress.turn.number, self.time + FADE_SECONDS, said, progress.tag))
        return fade * np.linspace(1, 0, len(fade), dtype=np.float32)

    def _come_to_rest(self) -> None:
        """Let mouth and face go from the last frame to rest."""
        count = max(1, round(EASE_SECONDS * self._fps))
        share = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, count + 1) / (count + 1))
        self._ease = np.asarray(share[:, None] * self._last, np.float32)
        self._looks_ease = np.asarray(share[:, None] * (self._last_looks - self._looks), np.float32)

    def _eased(self, weights: np.ndarray) -> np.ndarray:
        """Return weights of the next frames, none nearer to rest than a mouth that still comes to rest."""
        count = min(len(self._ease), len(weights))
        if count:
            weights = weights.copy()
            weights[:count] = np.maximum(weights[:count], self._ease[:count])
            weights[weights < 0.004] = 0
            self._ease = self._ease[count:]
        return weights

    def _eased_looks(self, looks: np.ndarray) -> np.ndarray:
        """Return expressions of the next frames with what is left of the last one."""
        count = min(len(self._looks_ease), len(looks))
        if count:
            looks = looks.copy()
            looks[:count] = np.clip(looks[:count] + self._looks_ease[:count], 0, 1)
            self._looks_ease = self._looks_ease[count:]
        return looks

    def _begin(self, turn: SpokenTurn | VoiceTurn, tag: str | None = None) -> None:
        self._open = turn
        self._queue.append(_TurnProgress(turn, tag))

    def _next_number(self) -> int:
        self._turns += 1
        return self._turns

    def _report(self, error: PipelineError) -> None:
        self._emit(Problem.of(error))


def _give_phonemes(turn: VoiceTurn, words: tuple[Mark, ...], language: str | None, espeak: EspeakEngine) -> None:
    with best_effort("words of pushed sound"):  # the mouth then follows the sound
        turn.add_phonemes(phonemes_within(words, language, espeak))
