"""The pictures of an avatar for all sessions of a process: encoded once where it idles, drawn where it speaks."""

from __future__ import annotations

import io
import logging
import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple, cast

import av
import numpy as np

from pipeline import messages
from pipeline.avatars.avatar import Avatar
from pipeline.avatars.clip_joins import best_entry
from pipeline.avatars.eye_contact import with_eye_contact
from pipeline.core import origin
from pipeline.core.cancel import CancelToken
from pipeline.core.growing_file import part_of
from pipeline.engines.lipsync_engine import LipsyncEngine, LiveEngine, LiveFrames, Stretch
from pipeline.errors import BadRequest, PipelineError, RenderFailed
from pipeline.jobs.look import AS_FILMED, Look
from pipeline.live.fragments import Gop, length_prefixed, video_timescale
from pipeline.speech.articulate import UNITS
from pipeline.speech.expression_track import ExpressionTrack
from pipeline.speech.mouth_track import MouthTrack
from pipeline.speech_types import Speech
from pipeline.video.encoder import X264
from pipeline.video.frame import Frame
from pipeline.video.growing_clip import LOOKING
from pipeline.video.morph import Morph
from pipeline.video.reader import HEADER, ClipReader
from pipeline.video.writer import AUDIO_RATE, MUXER_OPTIONS

GOP_SECONDS = Fraction(1, 5)
"""Length of a group of pictures: how finely a session changes between idling and speaking."""
CROSSING = 2
"""Groups of pictures in which one clip goes over into another."""
SHOWN_ONCE = ("nod", "greeting", "thinking")
"""Clips that do not loop."""
LOOKS_AWAY = "thinking"
"""The clip in which the person is meant to look elsewhere."""
AHEAD = 1.0
"""Least seconds of a clip that are composed when a stream begins."""
PACE = 0.8
"""Share of the pace at which a clip was composed that is expected of the rest."""
KEPT_CROSSINGS = 400
"""Encoded groups of them that stay in memory: some 50 kB each at 720p."""
KEPT_IDLE = 800
"""The same for groups that idle with an expression, such as a smile; there are as many as groups times expressions."""
PAST_SECONDS = 2.0
"""Seconds of sound before a group that an engine hears."""
FUTURE_SECONDS = 0.3
"""Seconds after it, where they are there already."""
MAX_DECODED = 3 << 30
"""Bytes of the decoded pictures of a clip on the disk: a minute and a half of 720p."""
MAX_FURTHER = 1 << 30
"""The same for an avatar's further clips, all together: half a minute of 720p."""
logger = logging.getLogger(__name__)
_X264 = replace(
    X264,
    options={**{name: value for name, value in X264.options.items() if name != "crf"}, "qp": "19"},
    threads=1,
)
"""The encoder of videos, on one thread, since sessions share the cores among themselves, and with a fixed quantizer.

Without a rate to control it analyses no picture in advance: 1.7 instead of 2.7 ms for a picture of 720p, and 2.2
instead of 3.5 Mbit/s, at 49.6 instead of 50.4 dB. Groups of pictures look alike however they are joined.
"""


def gop_starts(frames: int, fps: Fraction) -> list[int]:
    """Return the numbers of the frames with which the groups of a clip begin.

    The clip loops without a jump: what is left at its end belongs to the last group.
    """
    size = max(2, round(fps * GOP_SECONDS))
    return [size * number for number in range(max(1, frames // size))]


class DecodedClip(ClipReader):
    """A clip whose decoded pictures lie in a file, so that a session can begin at any of them.

    All processes map the same file: its pages are in memory once, and the system drops them if it needs the memory. A
    clip that still grows is decoded by a thread of its own, as far as it is there.

    Args:
        clip: The clip.
        path: The file; made if it is missing.

    Attributes:
        there: How many pictures are decoded, from the first on.
        error: Why there will be no more; None while there may be.

    Raises:
        BadRequest: The clip is too long.
        RenderFailed: It is broken, or the disk is full.
    """

    def __init__(self, clip: ClipReader, path: Path) -> None:
        for name in HEADER:
            setattr(self, name, getattr(clip, name))
        self._shape = self.count, self.height * 3 // 2, self.width
        if np.prod(self._shape, dtype=np.int64) > MAX_DECODED:
            seconds = MAX_DECODED / (self._shape[1] * self._shape[2] * float(self.fps))
            raise BadRequest(messages.live.CLIP_TOO_LONG_FOR_SESSION(seconds=seconds))
        self.there = 0
        self.error: Exception | None = None
        self._changed = threading.Condition()
        if path.is_file():
            self._map(path)
            self.there = self.count
        elif clip.finished:
            self._decode(clip, path)
        else:
            decode = partial(self._decode_growing, clip, path)
            threading.Thread(target=decode, name="decode a growing clip", daemon=True).start()
            self.wait(1)

    @property
    def finished(self) -> bool:
        """See ``ClipReader``."""
        return self.there == self.count

    def frames(self, start: int = 0) -> Generator[Frame, None, None]:
        """Yield the frames of the clip in an endless loop, each a copy that may be changed."""
        number = start
        while True:
            self.wait(number % self.count + 1)
            yield Frame(np.array(self._pictures[number % self.count]))
            number += 1

    def wait(self, count: int) -> None:
        """Wait until the first pictures are there; raise why if they will never be."""
        with self._changed:
            self._changed.wait_for(lambda: self.there >= count or self.error)
        if self.there < count and self.error:
            raise self.error.afresh() if isinstance(self.error, PipelineError) else self.error

    def beginning(self) -> Iterator[float]:
        """Wait until a stream can begin that finds each picture composed; yield how much is there, again and again.

        At the pace until now, its last picture is there before the stream has come to it. Of a clip that will not be
        finished, what there is must do.

        Raises:
            PipelineError: There will be too little of it.
        """
        enough = min(self.count, round(AHEAD * self.fps))
        since, first = time.monotonic(), self.there
        while not (self.finished or self.error):
            with self._changed:
                self._changed.wait(LOOKING)
            pace = PACE * (self.there - first) / (time.monotonic() - since)
            if self.there >= enough and (self.count - self.there) * self.fps <= pace * self.count:
                return
            yield self.there / self.count
        self.wait(enough)

    def _map(self, path: Path) -> None:
        self._pictures = np.memmap(path, np.uint8, "r", shape=self._shape)

    def _decode(self, clip: ClipReader, path: Path) -> None:
        part = part_of(path.with_name(f"{path.name}.{threading.get_native_id()}"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.truncate(int(np.prod(self._shape, dtype=np.int64)))
                self._map(part)
                for frame in clip.once():
                    file.write(frame.planes.tobytes())
                    file.flush()
                    self._note(there=self.there + 1)
            part.replace(path)
        except OSError as error:
            raise RenderFailed(messages.live.CLIP_NOT_DECODED(reason=error.strerror or "I/O error")) from error
        finally:
            part.unlink(missing_ok=True)

    def _decode_growing(self, clip: ClipReader, path: Path) -> None:
        """Decode a clip that still grows; an error is kept for those that wait for its pictures."""
        try:
            self._decode(clip, path)
        except Exception as error:
            logger.warning("a clip of sessions ends after %d of %d pictures: %s", self.there, self.count, error)
            self._note(error=error)

    def _note(self, there: int | None = None, error: Exception | None = None) -> None:
        with self._changed:
            self.there, self.error = self.there if there is None else there, error
            self._changed.notify_all()


class Crossing(NamedTuple):
    """A group in which one clip goes over into another.

    Attributes:
        leaves: The group with which the other clip was left.
        entry: The group that is entered.
        part: Which of the `CROSSING` groups this is.
        frames: How many frames ago the crossing began.
    """

    leaves: int
    entry: int
    part: int = 0
    frames: int = 0


class _Frames:
    """Pictures in memory, as engines take them from a clip."""

    def __init__(self, pictures: list[Frame]) -> None:
        self._pictures = pictures

    def frames(self, start: int = 0) -> Generator[Frame, None, None]:
        """Yield copies of the pictures, from one on."""
        for picture in self._pictures[start:]:
            yield Frame(picture.planes.copy())


def _decoded(filmed: Avatar, path: Path) -> Avatar:
    """Return a clip whose pictures lie in a file."""
    clip = replace(filmed)
    clip.__dict__["clip"] = DecodedClip(filmed.clip, path)  # where engines take their frames from
    return clip


def _file_of(name: str, decoded: Path) -> Path:
    """Return the file for a decoded further clip, beside that of the avatar's own."""
    return decoded.with_name(f"{decoded.stem}-{name}{decoded.suffix}")


def _further(clips: Iterable[tuple[str, Avatar]], decoded: Path) -> Iterator[tuple[str, Avatar]]:
    """Yield an avatar's further clips, as many as fit into `MAX_FURTHER` bytes and on the disk.

    A session lives without them: its avatar's own clip is shown in their place.
    """
    size = 0
    for name, filmed in clips:
        size_of_clip = len(filmed.landmarks) * filmed.width * filmed.height * 3 // 2
        if size + size_of_clip > MAX_FURTHER:
            logger.warning(
                "sessions of %s go without the clip %s: it would take %d MB", filmed.id, name, size_of_clip >> 20
            )
            continue
        try:
            clip = _decoded(filmed, _file_of(name, decoded))
        except RenderFailed as error:
            logger.warning("sessions of %s go without the clip %s: %s", filmed.id, name, error)
            continue
        size += size_of_clip
        yield name, clip


def _keep(kept: OrderedDict[Any, Gop], key: object, gop: Gop, most: int) -> None:
    """Keep a group, and let the oldest go where there are too many."""
    kept[key] = gop
    if len(kept) > most:
        kept.popitem(last=False)


def drawn_by(engine: LipsyncEngine, sessions: Sequence[LiveFrames]) -> list[list[Frame]]:
    """Return the frames of sessions of one engine; see ``LiveEngine.draw``."""
    if isinstance(engine, LiveEngine):
        return engine.draw(sessions)
    return [_rendered(engine, frames) for frames in sessions]


def _rendered(engine: LipsyncEngine, frames: LiveFrames) -> list[Frame]:
    track = MouthTrack(float(frames.avatar.fps), frames.mouth[frames.lead :], UNITS)
    speech = Speech(samples=frames.sound, rate=frames.rate, text="", language="")
    looks = None if frames.looks is None else ExpressionTrack(frames.looks)
    stretch = Stretch(speech, track, expression=looks)
    return list(engine.render(frames.avatar, [stretch], CancelToken(), frames.first))


class Pictures:
    """The groups of pictures of one avatar in one resolution.

    Sessions share its encoder, since every group begins with a key frame and refers to nothing before it. Use it from
    one thread.

    Args:
        avatar: The person.
        engine: Moves the mouth.
        decoded: File for the decoded clip.
        look: How the pictures are cropped and marked.
        eye_contact: Whether the eyes look at the camera where that is safe.

    Attributes:
        header: The beginning of every stream of this avatar (boxes ftyp and moov).
        lengths: Frames of each group; the groups of all clips are numbered one after the other.
        clips: The numbers of the groups of each clip, by what it shows; "" is the avatar's own, the only one where the
            engine draws sessions together.
        coming: What those further clips show that are being added.
        engine: Moves the mouth.
        together: Most sessions whose groups are drawn at a time.
        past, future: Seconds of sound before a group and after it that the engine hears.
    """

    def __init__(
        self,
        avatar: Avatar,
        engine: LipsyncEngine,
        decoded: Path,
        look: Look = AS_FILMED,
        eye_contact: bool = False,
    ) -> None:
        self.engine = engine
        self._look, self._decoded, self._eye_contact = look, decoded, eye_contact
        self.lengths: list[int] = []
        self.clips: dict[str, range] = {}
        self.coming: frozenset[str] = frozenset()
        self._groups: list[tuple[Avatar, int]] = []
        """The clip of each group, and the frame of it with which it begins."""
        own = _decoded(avatar, decoded)
        self._own = cast("DecodedClip", own.clip)
        self._add("", own)
        self.avatar = self._groups[0][0]
        self._crossings: OrderedDict[Crossing, Gop] = OrderedDict()
        """Those with a face at rest; their pictures are made again where the face moves, since they are large."""
        self.together, self.past, self.future = 1, 0.0, 0.0
        if isinstance(engine, LiveEngine):
            engine.get_ready(self.avatar)
            self.together, self.past, self.future = engine.together, PAST_SECONDS, FUTURE_SECONDS
        else:
            drawn_by(engine, [self._moving(0)])
        self._idle: dict[int, Gop] = {}
        self._idle_with_looks: OrderedDict[tuple[int, bytes], Gop] = OrderedDict()
        self._pts = 0
        options = {**MUXER_OPTIONS, "video_track_timescale": str(video_timescale(avatar.fps))}
        file = io.BytesIO()
        container: Any = av.open(file, "w", format="mp4", options=options)
        container.metadata[origin.KEY] = origin.comment(origin.COMPOSITE)
        gop = 2 * max(self.lengths)  # every group's first picture is marked, so none may begin by itself
        self._stream = _X264.add_stream(container, *look.size(avatar), avatar.fps, gop, self.avatar.clip.colors)
        container.add_stream("aac", rate=AUDIO_RATE, layout="mono")
        container.start_encoding()
        self.header = file.getvalue()
        self._container = container

    def expect(self, clips: Collection[str]) -> bool:
        """Note that further clips will be added; return whether that is quick, as they are decoded already."""
        self.coming = frozenset(clips)
        return all(_file_of(name, self._decoded).is_file() for name in clips)

    def add(self, clips: Iterable[tuple[str, Avatar]]) -> None:
        """Add further clips, each with what it shows; a thread of its own may do that while sessions run.

        An engine that draws sessions together goes without.
        """
        if isinstance(self.engine, LiveEngine):
            return
        try:
            for name, clip in _further(clips, self._decoded):
                self._add(name, clip)
                if len(self.clips) == 2:  # what is loaded for a crossing would hold up the first turn
                    number = self.entry(0, name)
                    moving = self._moving(number)
                    drawn_by(self.engine, [self.crossing(Crossing(0, number), moving.mouth, moving.sound, None)])
                self.coming -= {name}
        finally:
            self.coming = frozenset()

    def _add(self, name: str, filmed: Avatar) -> None:
        clip = with_eye_contact(filmed) if self._eye_contact and name != LOOKS_AWAY else filmed
        starts, first = gop_starts(clip.clip.count, clip.fps), len(self._groups)
        self._groups += [(clip, start) for start in starts]
        self.lengths += [end - start for start, end in pairwise([*starts, clip.clip.count])]
        self.clips = {**self.clips, name: range(first, len(self._groups))}  # whole, for the thread that reads it

    def _moving(self, number: int) -> LiveFrames:
        """Return a group in which the mouth moves, unseen: what is loaded for that would hold up the first turn."""
        count = self.lengths[number]
        return self.frames(number, np.full((count, len(UNITS)), 0.5, np.float32), self._silence(count))

    @property
    def failed(self) -> bool:
        """Whether a part of the avatar's own clip will never be there."""
        return self._own.error is not None

    def beginning(self) -> Iterator[float]:
        """Wait until a session can begin; yield how much of the clip is there. See ``DecodedClip.beginning``."""
        return self._own.beginning()

    def _there(self, clip: str) -> range:
        """Return the groups of a clip whose pictures are there, with as many after them as a way back takes."""
        numbers = self.clips[clip]
        if clip or self._own.finished:
            return numbers
        ends = [self._groups[number][1] + self.lengths[number] for number in numbers]
        return numbers[: max(1, bisect_right(ends, self._own.there) - CROSSING - 1)]

    def way_back(self, number: int) -> int | None:
        """Return the group to go over to from another one whose followers are not there yet; None if they are."""
        if self._own.finished or self.clip_of(number) or number in (there := self._there("")):
            return None
        return self._entry(number, "", there[: max(1, len(there) // 2)])

    def _silence(self, frames: int) -> np.ndarray:
        return np.zeros(round(frames * AUDIO_RATE / self.avatar.fps), np.float32)

    def idle(self, number: int, looks: np.ndarray | None = None) -> Gop:
        """Return a group with the mouth at rest, and an expression (units,) if there is one."""
        if looks is None or not looks.any():
            if number not in self._idle:
                self._idle[number] = self._resting(number, None)
            return self._idle[number]
        key = number, looks.tobytes()
        if key not in self._idle_with_looks:
            _keep(self._idle_with_looks, key, self._resting(number, looks), KEPT_IDLE)
        return self._idle_with_looks[key]

    def _resting(self, number: int, looks: np.ndarray | None) -> Gop:
        count = self.lengths[number]
        rest = np.zeros((count, len(UNITS)), np.float32)
        held = None if looks is None else np.tile(looks, (count, 1))
        return self.encoded(drawn_by(self.engine, [self.frames(number, rest, self._silence(count), held)])[0])

    def frames(self, number: int, mouth: np.ndarray, sound: np.ndarray, looks: np.ndarray | None = None) -> LiveFrames:
        """Return what is to be drawn for a group.

        Args:
            number: Which one.
            mouth: (frames, units) in 0..1, those of the group last; the ones before have been shown.
            sound: (n,) float32 at 48 kHz, from the first row of `mouth` on.
            looks: (frames, units) weights of the expression; None leaves the face as it was filmed.
        """
        avatar, first = self._groups[number]
        return LiveFrames(
            avatar=avatar,
            first=first,
            lead=len(mouth) - self.lengths[number],
            mouth=mouth,
            looks=looks,
            sound=sound,
            rate=AUDIO_RATE,
        )

    def clip_of(self, number: int) -> str:
        """Return what the clip of a group shows."""
        return next(name for name, numbers in self.clips.items() if number in numbers)

    def group_at(self, frame: int) -> int:
        """Return the group of the avatar's own clip, which loops, in which a frame of a stream is.

        If it is not there yet, the stream begins with the first one.
        """
        numbers = self.clips[""]
        frame %= sum(self.lengths[number] for number in numbers)
        ends = accumulate(self.lengths[number] for number in numbers)
        found = next(number for number, end in zip(numbers, ends, strict=True) if frame < end)
        return numbers[0] if self.way_back(found) is not None else found

    def following(self, number: int) -> int:
        """Return the group after another in its clip, which loops."""
        numbers = self.clips[self.clip_of(number)]
        return number + 1 if number + 1 in numbers else numbers[0]

    def entry(self, number: int, clip: str) -> int:
        """Return the group of a clip that begins most like another group; of what is shown once, one of the first."""
        numbers = self._there(clip)
        return self._entry(number, clip, numbers[: 1 + len(numbers) // 5] if clip in SHOWN_ONCE else numbers)

    def _entry(self, number: int, clip: str, numbers: range) -> int:
        """Return that of some groups of a clip which begins most like another group."""
        leaving, start = self._groups[number]
        starts = [self._groups[one][1] for one in numbers]
        return numbers[best_entry(leaving.landmarks[start], self._groups[numbers[0]][0], starts)]

    def crossing(
        self, crossing: Crossing, mouth: np.ndarray, sound: np.ndarray, looks: np.ndarray | None
    ) -> LiveFrames:
        """Return what is to be drawn for a group that goes over from one clip into another.

        Args:
            crossing: Which groups.
            mouth: (frames, units) in 0..1, as many as `crossing.entry` has.
            sound: (n,) float32 at 48 kHz, of these frames.
            looks: (frames, units) weights of the expression, if there is one.
        """
        clip = self._crossed(crossing)
        return LiveFrames(avatar=clip, first=0, lead=0, mouth=mouth, looks=looks, sound=sound, rate=AUDIO_RATE)

    def kept_crossing(self, crossing: Crossing) -> Gop | None:
        """Return the group of a crossing with a face at rest; None if it must be drawn."""
        return self._crossings.get(crossing)

    def keep_crossing(self, crossing: Crossing, gop: Gop) -> None:
        """Keep the group of a crossing with a face at rest."""
        _keep(self._crossings, crossing, gop, KEPT_CROSSINGS)

    def _crossed(self, crossing: Crossing) -> Avatar:
        """Return the frames of a crossing as a clip."""
        (one, begin), (other, enters) = self._groups[crossing.leaves], self._groups[crossing.entry]
        count = self.lengths[crossing.entry]
        leaves = begin + crossing.frames
        before = [frame for _, frame in zip(range(count), one.clip.frames(leaves), strict=False)]
        after = [frame for _, frame in zip(range(count), other.clip.frames(enters), strict=False)]
        shares = (crossing.part * count + np.arange(1, count + 1)) / (CROSSING * count + 1)
        morph = Morph(before[count // 2], after[count // 2])
        pictures = [morph.between(a, b, float(s)) for a, b, s in zip(before, after, shares, strict=True)]
        left, entered = (leaves + np.arange(count)) % len(one.landmarks), enters + np.arange(count)
        mix = shares[:, None, None].astype(np.float32)
        crossed = replace(
            other,
            landmarks=(1 - mix) * one.landmarks[left] + mix * other.landmarks[entered],
            rest=(1 - mix) * one.rest[left] + mix * other.rest[entered],
            usable=one.usable[left] & other.usable[entered],
            gaze=None,
            leads_into=other,
        )
        crossed.__dict__["clip"] = _Frames(pictures)
        return crossed

    def changes(self, frames: LiveFrames) -> bool:
        """Return whether the mouths of a group must be drawn; otherwise it looks as when it idles."""
        if isinstance(self.engine, LiveEngine):
            return self.engine.changes(frames)
        return bool(frames.mouth[frames.lead :].any())

    def encoded(self, frames: Sequence[Frame]) -> Gop:
        """Encode the pictures of a group."""
        units = [self._encode(self._look.of(frame), first=index == 0) for index, frame in enumerate(frames)]
        return Gop(b"".join(units), tuple(map(len, units)))

    def _encode(self, frame: Frame, first: bool) -> bytes:
        picture = av.VideoFrame.from_numpy_buffer(frame.planes, format="yuv420p")
        picture.pts, picture.time_base = self._pts, 1 / self.avatar.fps
        self._pts += 1
        if first:
            picture.pict_type = av.video.frame.PictureType.I
        return b"".join(length_prefixed(bytes(packet)) for packet in cast("Any", self._stream).encode(picture))
