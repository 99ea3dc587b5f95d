"""A process that runs sessions; the server starts it: ``python -m pipeline.live.worker``.

It reads messages from its standard input, writes others to its standard output, and ends with its input.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.background import Background
from pipeline.avatars.framing import at_rate
from pipeline.core.best_effort import best_effort
from pipeline.core.cancel import CancelToken
from pipeline.core.priority import give_way
from pipeline.engines.lipsync_engine import LiveEngine
from pipeline.engines.mesh.mesh_engine import MeshEngine
from pipeline.errors import PipelineError
from pipeline.jobs.look import Look
from pipeline.jobs.request import default_engine
from pipeline.jobs.studio import Studio, make_studio
from pipeline.jobs.supervisor import internal_error
from pipeline.live.clock import Clock
from pipeline.live.fragments import Fragment
from pipeline.live.pictures import Pictures
from pipeline.live.pipe_messages import NO_SESSION, Kind, Packed, of_fragment, of_json, read, sound_in
from pipeline.live.session import Session
from pipeline.live.session_events import Closed, Composing, Problem, SessionEvent, packed
from pipeline.live.turn import SpokenTurn, Voice
from pipeline.live.voice_input import VoiceTurn
from pipeline.settings import Settings
from pipeline.speech.expression_track import ExpressionOptions
from pipeline.speech_types import Mark
from pipeline.text.language import language_of
from pipeline.text.pronunciations import Pronunciations
from pipeline.tts.speech_engine import CUSTOM_VOICE, TTSEngine
from pipeline.video.crop import Box
from pipeline.video.writer import AUDIO_RATE

if sys.platform == "linux":
    import fcntl

logger = logging.getLogger(__name__)

KEPT = 3
"""Avatars whose pictures stay in memory without a session."""
PIPE_BYTES = 1 << 20
"""What a pipe to the server may hold; Linux allows as much without privileges."""
SWITCH_SECONDS = 0.0005
"""Longest time for which another thread keeps Python's lock when the clock's wants it."""
WARM_UP = ("네.", "Yes, it is ready.")
"""A text that loads a voice before the first turn of a session; its sound is dropped."""
WARM_UP_IN_ANY_LANGUAGE = "1."
COMPOSING_SECONDS = 1.0
"""Seconds between two reports of how much of a background is composed."""
LOAD_SECONDS = 1.0
"""Seconds between two reports of the load."""

PicturesKey = tuple[Path, int, int | None, Look, bool, Background]
"""All that makes pictures different: pack and its time, rate, look, eye contact, and what is behind the person."""


class Worker:
    """The sessions of this process.

    Args:
        studio: Avatars, voices and engines.
        out: Where messages to the server go.
    """

    def __init__(self, studio: Studio, out: BinaryIO) -> None:
        self.clock = Clock()
        self._studio = studio
        self._out = out
        self._writing = threading.Lock()
        self._opening = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._early: dict[str, list[Packed]] = {}
        """What sessions are to do that are still loading."""
        self._pictures: OrderedDict[PicturesKey, Pictures] = OrderedDict()
        self._loading = threading.RLock()
        self._loaded_voices: set[str] = set()
        """Names of the speech engines that have spoken, or are about to."""

    def handle(self, message: Packed) -> None:
        """Do what a message asks for."""
        with self._opening:
            if message.session in self._early and message.kind is not Kind.OPEN:
                self._early[message.session].append(message)
                return
            session = self._sessions.get(message.session)
        match message.kind:
            case Kind.OPEN:
                self._early[message.session] = []
                threading.Thread(target=self._open, args=(message.session, message.json()), daemon=True).start()
            case Kind.SOUND if session is not None:
                self._try(message.session, lambda: session.push_audio(*sound_in(message)))
            case Kind.DO if session is not None:
                asked = message.json()
                self._try(message.session, lambda: self._do(message.session, session, **asked))

    def warm_up(self) -> None:
        """Load what the first sentence would otherwise wait for."""
        espeak = self._studio.espeak
        voice = Voice(choose=lambda language: espeak, name=CUSTOM_VOICE, language=None, espeak=espeak)
        _load_by_speaking(voice, "네. The first text in Latin letters loads what tells languages apart.")
        VoiceTurn(0, Fraction(25), AUDIO_RATE).take(5, 5 * AUDIO_RATE // 25)
        for engine in self._studio.engines.values():
            if isinstance(engine, MeshEngine):
                engine.load()

    def report_load(self) -> None:
        """Send the load of this process once a second, for ever."""
        while True:
            time.sleep(LOAD_SECONDS)
            load, self.clock.load.busy = asdict(self.clock.load), 0.0
            self._send(of_json(Kind.LOAD, NO_SESSION, load))

    def _do(self, key: str, session: Session, do: str, **arguments: Any) -> None:
        match do:
            case "say":
                session.say(**arguments)
            case "flush":
                session.flush()
            case "interrupt":
                session.interrupt(**arguments)
                self.clock.hurry(key)
            case "push_words":
                words = [Mark("word", *one) for one in arguments["words"]]
                session.push_words(words, arguments["language"])
            case "listen":
                session.listen()
            case "idle":
                session.idle()
            case "close":
                self.clock.remove(key)
                self._sessions.pop(key, None)
                session.close(**arguments)

    def _try(self, key: str, do: Any) -> None:
        """Do something; an error becomes an event of the session, which goes on."""
        try:
            do()
        except PipelineError as error:
            self._emit(key, Problem.of(error))
        except Exception:
            logger.exception("session %s", key)
            self._emit(key, Problem.of(internal_error()))

    def _open(self, key: str, asked: dict[str, Any]) -> None:
        """Load what a session needs, and start its stream."""
        try:
            for name, pace in asked["paces"].items():  # the server has measured them
                self._studio.tts[name].pace = pace
            box, label = asked["box"], asked["label"]
            kind, color, picture = asked["background"]
            background = Background(kind, tuple(color), Path(picture) if picture else None)
            look = Look(Box(*box) if box else None, label, parted=kind == "transparent")
            pictures = self._pictures_of(
                key,
                Path(asked["pack"]),
                Path(asked["decoded"]),
                asked["engine"],
                asked["fps"],
                look,
                asked["eye_contact"],
                background,
            )
            voice = Voice(
                choose=partial(self._engine, asked["tts_engine"], pictures.avatar.gender),
                name=asked["tts_voice"],
                language=asked["language"],
                espeak=self._studio.espeak,
                gender=pictures.avatar.gender,
                speed=asked["speed"],
                pitch=asked["pitch"],
                pronunciations=Pronunciations(asked["pronunciations"]),
                expression=ExpressionOptions(asked["mood"], asked["liveliness"]),
            )
            session = Session(
                *(pictures, voice, lambda event: self._emit(key, event), asked["max_text"]),
                frame=asked["frame"],
                turns=asked["turns"],
            )
        except PipelineError as error:
            self._fail(key, error)
            return
        except Exception:
            logger.exception("session %s", key)
            self._fail(key, internal_error())
            return
        self._send(Packed(Kind.HEADER, key, session.header))

        def deliver(fragment: Fragment) -> None:
            self._send(of_fragment(key, fragment.data, fragment.start, fragment.duration, session.sound_ahead))

        self.clock.add(key, session, deliver, lambda: self._fail(key, internal_error()))
        with self._opening:
            self._sessions[key] = session
            early = self._early.pop(key)
        for message in early:
            self.handle(message)
        threading.Thread(target=self._load_voices, args=(voice,), name="load voices", daemon=True).start()

    def _load_voices(self, voice: Voice) -> None:
        """Load the voices of a session by a first text, whose sound is dropped; paid services are left out."""
        give_way()  # to sessions that speak
        for text in [WARM_UP_IN_ANY_LANGUAGE] if voice.language else WARM_UP:
            language = language_of(text, voice.language)
            try:
                engine = voice.choose(language)
            except PipelineError:
                continue  # the turn that needs it reports it
            with self._opening:
                if engine.remote or engine.name in self._loaded_voices or not engine.speaks(language):
                    continue
                self._loaded_voices.add(engine.name)
            _load_by_speaking(voice, text)

    def _engine(self, name: str, gender: str, language: str) -> TTSEngine:
        """Return the speech engine of a session: the named one, or the best for a gender that speaks a language."""
        return self._studio.tts[name] if name else default_engine(self._studio, language, gender)[0]

    def _fail(self, key: str, error: PipelineError) -> None:
        with self._opening:
            self._early.pop(key, None)
            self._sessions.pop(key, None)
        self._emit(key, Problem.of(error))
        self._emit(key, Closed("failed"))

    def _pictures_of(  # noqa: PLR0913 - all that makes pictures different
        self,
        session: str,
        pack: Path,
        decoded: Path,
        engine: str,
        fps: int | None,
        look: Look,
        eye_contact: bool,
        background: Background,
    ) -> Pictures:
        """Return the pictures of a session; other sessions may load theirs while its background is composed."""
        key = pack, pack.stat().st_mtime_ns, fps, look, eye_contact, background
        report = partial(self._report_composing, session, [-COMPOSING_SECONDS])
        pictures = self._kept(key)
        if pictures is None:
            avatar = self._studio.avatars.load(pack)
            avatar = avatar if fps is None else at_rate(avatar, fps)
            with self._studio.backdrops.in_front(avatar, background, CancelToken(), report) as shown, self._loading:
                pictures = self._kept(key)
                if pictures is None:
                    pictures = Pictures(shown, self._studio.engines[engine], decoded, look, eye_contact)
                    self._keep(key, pictures)
                    self._add_further(pictures, avatar, background)
        for done in pictures.beginning():
            report(done)
        return pictures

    def _kept(self, key: PicturesKey) -> Pictures | None:
        """Return pictures that are in memory, unless they will never be whole."""
        with self._loading:
            pictures = self._pictures.get(key)
            if pictures is None or pictures.failed:
                return None
            self._pictures.move_to_end(key)
            return pictures

    def _keep(self, key: PicturesKey, pictures: Pictures) -> None:
        self._pictures[key] = pictures
        self._pictures.move_to_end(key)
        while len(self._pictures) > KEPT:
            self._pictures.popitem(last=False)

    def _add_further(self, pictures: Pictures, avatar: Avatar, background: Background) -> None:
        """Add an avatar's further clips; those to be composed or decoded first follow while sessions run."""
        if isinstance(pictures.engine, LiveEngine):
            return
        clips, backdrops = dict(avatar.clips), self._studio.backdrops
        if background:
            clips = {name: clip for name, clip in clips.items() if clip.matte is not None}

        def shown(clip: Avatar) -> Avatar:
            return backdrops.composed(clip, background, CancelToken()) if background else clip

        def add() -> None:
            with best_effort("further clips of sessions"):
                pictures.add((name, shown(clip)) for name, clip in clips.items())

        quick = pictures.expect(clips)
        if quick and (not background or all(backdrops.has(clip, background) for clip in clips.values())):
            add()
        else:
            threading.Thread(target=_giving_way, args=(add,), name="further clips", daemon=True).start()

    def _report_composing(self, session: str, last: list[float], done: float) -> None:
        """Report how much of a session's background is composed, once a second; `last` holds when that was last."""
        now = time.monotonic()
        if now - last[0] >= COMPOSING_SECONDS:
            last[0] = now
            self._emit(session, Composing(done))

    def _emit(self, key: str, event: SessionEvent) -> None:
        self._send(of_json(Kind.EVENT, key, packed(event)))

    def _send(self, message: Packed) -> None:
        data = message.to_bytes()
        with self._writing:
            self._out.write(data)
            self._out.flush()


def _giving_way(do: Callable[[], object]) -> None:
    give_way()  # to sessions that speak
    do()


def _load_by_speaking(voice: Voice, text: str) -> None:
    """Have a voice speak in the background, so that what it needs is loaded."""
    turn = SpokenTurn(0, voice, Fraction(25), lambda error: logger.warning("loading a voice: %s", error))
    turn.add(text)
    turn.finish()


def main(make: Callable[[Settings], Studio] = make_studio) -> None:
    """Run sessions until the input ends.

    Args:
        make: Creates the studio of the settings.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print must not come between the messages
    _widen(out)
    first = read(sys.stdin.buffer)
    if first is None:
        return
    worker = Worker(make(Settings.from_json(first.json())), out)
    threading.Thread(target=worker.clock.run, name="clock", daemon=True).start()
    # a thread that speaks ahead must not keep the clock's from its 0.2 s (Python's own 5 ms add up)
    sys.setswitchinterval(SWITCH_SECONDS)
    worker.warm_up()
    threading.Thread(target=worker.report_load, name="load", daemon=True).start()
    while (message := read(sys.stdin.buffer)) is not None:
        worker.handle(message)
    os._exit(0)  # threads may hang in a speech service


def _widen(pipe: BinaryIO) -> None:
    """Let a pipe hold several fragments: a session must not wait until the server has time to read the last one."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


if __name__ == "__main__":
    main()
