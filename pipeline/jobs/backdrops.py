"""Other backgrounds: the pictures that were uploaded for them, and avatars in front of them."""

from __future__ import annotations

import hashlib
import io
import re
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from weakref import WeakValueDictionary

from PIL import Image, UnidentifiedImageError

from pipeline import messages
from pipeline.avatars.avatar import Avatar
from pipeline.avatars.background import AS_FILMED, BLUR, SOURCE, TRANSPARENT, Background, color_of
from pipeline.avatars.eye_contact import looks_at_camera, with_eye_contact
from pipeline.core.cancel import CancelToken
from pipeline.core.disk import writing
from pipeline.errors import AvatarCannot, BadClip, BadRequest
from pipeline.jobs.composing import LOCK, PART, Composing
from pipeline.preparing.compose import VERSION, composed_picture, composed_video, height_of
from pipeline.preparing.file_kinds import PICTURES, opened
from pipeline.preparing.photo import flat
from pipeline.video.growing_clip import GrowingClip

FIELD = "background"
ADDRESS = "/api/v2/backgrounds"
"""Where pictures are uploaded."""
MAX_PIXELS = 50_000_000
"""Most pixels of a picture; it is decoded whole."""
LONGEST_SIDE = 2560
"""Pixels of a kept picture: more than any video has."""
KEPT_SECONDS = 86_400.0
"""Seconds for which a picture is kept after it was used last."""
KEPT_PICTURES, KEPT_CLIPS = 500, 40
"""Most pictures, and composed clips (some MB each), on the disk."""
KEPT_AVATARS = 4
"""Composed avatars in memory."""
STEP = 0.02
"""Least progress that is reported to clients."""
STILL_WIDTH = 480
"""Pixels of a first picture."""
STILL_QUALITY = 80
_ID = re.compile(f"(?:{ADDRESS}/)?([0-9a-f]{{32}})")
_QUALITY = 95
Report = Callable[[float], object]
"""Called with how much of a clip is composed, 0..1."""


class Backdrops:
    """What may be behind avatars; safe to use from any thread, and from several processes with one folder.

    Args:
        folder: Where pictures and composed clips are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._composing: WeakValueDictionary[str, Composing] = WeakValueDictionary()
        self._kept: OrderedDict[tuple[str, ...], Avatar] = OrderedDict()

    def parse(self, value: object, avatar: Avatar) -> Background:
        """Return the background that a request asks for.

        Args:
            value: Of the field; None is as it was filmed.
            avatar: The avatar in front of it.

        Raises:
            BadRequest: There is no such background.
            AvatarCannot: The avatar has no matte.
        """
        background = self._named(value)
        if background and avatar.matte is None:
            raise AvatarCannot(messages.jobs.NO_MATTE(avatar=avatar.name))
        return background

    def _named(self, value: object) -> Background:
        if value is None or value == SOURCE:
            return AS_FILMED
        if value == BLUR:
            return Background("blur")
        if value == TRANSPARENT:
            return Background("transparent")
        if isinstance(value, str):
            color = color_of(value)
            if color is not None:
                return Background("color", color)
            found = _ID.fullmatch(value.strip())
            if found:
                picture = self._picture(found[1])
                if not picture.is_file():
                    raise BadRequest(messages.jobs.BACKGROUND_GONE(id=found[1], address=ADDRESS))
                with suppress(OSError):
                    picture.touch()
                return Background("picture", picture=picture)
        raise BadRequest(messages.jobs.BACKGROUND_UNKNOWN(value=f"{value!r:.60}", address=ADDRESS))

    def keep(self, file: Path) -> str:
        """Keep a picture as a background; return its id, which cannot be guessed.

        Raises:
            BadRequest: It is no picture, broken, or too large.
            Unavailable: The disk cannot be written to.
        """
        picture = _opened(file)
        with writing():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._sweep("*.jpg", KEPT_PICTURES - 1)
            id = uuid.uuid4().hex
            picture.save(self._picture(id), "JPEG", quality=_QUALITY, subsampling=0)
        return id

    def remove(self, id: str) -> bool:
        """Remove a picture; return whether there was one."""
        if not re.fullmatch("[0-9a-f]{32}", id) or not self._picture(id).is_file():
            return False
        self._picture(id).unlink(missing_ok=True)
        return True

    def forget(self, ids: Sequence[str]) -> None:
        """Remove whatever was composed for some avatars."""
        for id in ids:
            for path in self._folder.glob(f"{_digest(id)}-*"):  # also the locks of those that are composed now
                path.unlink(missing_ok=True)
        with self._lock:
            for key in [key for key, avatar in self._kept.items() if avatar.id in ids]:
                del self._kept[key]

    @contextmanager
    def composing(self, avatar: Avatar, background: Background, cancel: CancelToken) -> Iterator[Iterator[float]]:
        """Have an avatar composed in front of a background while the block lasts; see ``in_front``.

        It gives how much is done, 0..1, again and again, until the first pictures are there; and nothing if all of it
        was composed before.
        """
        name = self._name(avatar, background) if background else ""
        if not background or self._shown(avatar, name) or (self._folder / name).is_file():
            yield iter(())
        else:
            with self._clip(name, avatar, background) as clip:
                yield _in_steps(clip.beginning(cancel))

    @contextmanager
    def in_front(
        self, avatar: Avatar, background: Background, cancel: CancelToken, report: Report = lambda done: None
    ) -> Iterator[Avatar]:
        """Give an avatar in front of a background, as soon as its first pictures are composed.

        The others follow while the block lasts, and after it; but if the block fails, only as long as another job
        needs them. The avatar has no further clips, and its `video` is what was filmed: its pictures are in `clip`.

        Args:
            avatar: One with a matte.
            background: What is behind the person.
            cancel: The job's token.
            report: Called with how much of the clip is composed, again and again, while the first pictures are not.

        Raises:
            PipelineError: The first pictures cannot be composed, or the reason with which `cancel` was set. The clip
                raises it if a later one cannot be.
        """
        if not background:
            yield avatar
        elif looks_at_camera(avatar):  # its eyes are turned in what was composed
            with self.in_front(replace(avatar), background, cancel, report) as composed:
                yield with_eye_contact(composed)
        elif shown := self._shown(avatar, name := self._name(avatar, background)):
            yield shown
        else:
            with self._clip(name, avatar, background) as clip:
                for done in clip.beginning(cancel):
                    report(done)
                yield self._show(avatar, name, clip)

    def composed(
        self, avatar: Avatar, background: Background, cancel: CancelToken, report: Report = lambda done: None
    ) -> Avatar:
        """Return an avatar in front of a background, whole, without further clips; the first time, that takes seconds.

        Whatever is composed already, here or in another process, is waited for.

        Args:
            avatar: One with a matte.
            background: What is behind the person.
            cancel: The job's token.
            report: Called with how much is done, again and again, if anything has to be composed.

        Raises:
            RenderFailed: A clip is broken.
            Cancelled: `cancel` is set.
        """
        if not background:
            return avatar
        if looks_at_camera(avatar):  # its eyes are turned in what was composed
            return with_eye_contact(self.composed(replace(avatar), background, cancel, report))
        key = str(avatar.fps), (name := self._name(avatar, background))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with self._clip(name, avatar, background) as clip:
            video = clip.whole(cancel, report)
        return self._keep_avatar(key, replace(avatar, video=video, clips={}))

    def has(self, avatar: Avatar, background: Background) -> bool:
        """Return whether an avatar has been composed in front of a background, without further clips."""
        return not background or (self._folder / self._name(avatar, background)).is_file()

    def first_picture(self, avatar: Avatar, background: Background) -> tuple[bytes, str]:
        """Return the first picture of an avatar in front of a background, small, and its media type.

        It is a JPEG, and where nothing is behind the person a WebP that is transparent there.

        Raises:
            RenderFailed: A clip is broken.
        """
        picture = composed_picture(avatar, background)
        height, width = picture.shape[:2]
        image = Image.fromarray(picture)
        if width > STILL_WIDTH:  # Pillow weighs colours with how opaque they are
            image = image.resize((STILL_WIDTH, round(height * STILL_WIDTH / width)), Image.Resampling.BOX)
        file, kind = io.BytesIO(), "WEBP" if image.mode == "RGBA" else "JPEG"
        image.save(file, kind, quality=STILL_QUALITY)
        return file.getvalue(), f"image/{kind.lower()}"

    @contextmanager
    def _clip(self, name: str, avatar: Avatar, background: Background) -> Iterator[GrowingClip]:
        """Give the clip of an avatar in front of a background, which may grow still."""
        with self._lock:
            composing = self._composing.get(name)
            if composing is None or not composing.join():
                composing = self._composing[name] = self._begin(name, avatar, background)
        with composing.joined() as clip:
            yield clip

    def _begin(self, name: str, avatar: Avatar, background: Background) -> Composing:
        """Begin to compose a clip, or to read it from the disk."""

        def compose(clip: GrowingClip, stop: CancelToken) -> bytes:
            return composed_video(avatar, background, stop, clip.tell, clip.add)

        height, filmed = height_of(avatar, background), avatar.clip
        clip = GrowingClip(avatar.width, height, filmed.fps, filmed.count, filmed.colors)
        return Composing(self._folder / name, clip, compose, self._sweep_all)

    def _shown(self, avatar: Avatar, name: str) -> Avatar | None:
        """Return an avatar that ``_show`` has kept, if its clip is finished."""
        with self._lock:
            kept = self._kept.get(_shown_as(avatar, name))
        return kept if kept and kept.clip.finished else None

    def _show(self, avatar: Avatar, name: str, clip: GrowingClip) -> Avatar:
        """Return an avatar with another clip: the same one for all tasks, since engines keep what they know of it."""
        key = _shown_as(avatar, name)
        with self._lock:
            if key in self._kept and self._kept[key].clip is not clip:
                del self._kept[key]  # that one was stopped, or has failed
        made = replace(avatar, clips={})
        made.__dict__["clip"] = clip  # where engines take their frames from
        return self._keep_avatar(key, made)

    def _keep_avatar(self, key: tuple[str, ...], avatar: Avatar) -> Avatar:
        """Keep a composed avatar; return the one that is kept already, if any."""
        with self._lock:
            avatar = self._kept.setdefault(key, avatar)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT_AVATARS:
                self._kept.popitem(last=False)
            return avatar

    def _name(self, avatar: Avatar, background: Background) -> str:
        """Return the name of the file of a composed clip: that of the avatar, and of all that it is made of."""
        matte, picture = avatar.matte, background.picture
        values = (VERSION, background.kind, background.color, matte.key if matte else None)
        parts: Sequence[bytes] = (
            repr(values).encode(),
            avatar.video,
            matte.video if matte else b"",
            picture.read_bytes() if picture else b"",
        )
        whole = hashlib.blake2b(digest_size=16)
        for part in parts:
            whole.update(hashlib.blake2b(part).digest())
        return f"{_digest(avatar.id)}-{whole.hexdigest()}.mp4"

    def _picture(self, id: str) -> Path:
        return self._folder / f"{id}.jpg"

    def _sweep_all(self) -> None:
        """Make room for another composed clip."""
        self._sweep("*.mp4", KEPT_CLIPS - 1)
        for left in (f"*{LOCK}", f"*{PART}"):  # by processes that died
            self._sweep(left, KEPT_CLIPS)

    def _sweep(self, pattern: str, most: int) -> None:
        """Remove files that were not used for long, and the oldest of too many."""
        now, found = time.time(), []
        for path in self._folder.glob(pattern):
            with suppress(OSError):
                found.append((path.stat().st_mtime, path))
        found.sort(reverse=True)
        for number, (used, path) in enumerate(found):
            if number >= most or now - used > KEPT_SECONDS:
                path.unlink(missing_ok=True)


def _shown_as(avatar: Avatar, name: str) -> tuple[str, ...]:
    """Return the key of an avatar whose clip is in a file, or will be, while it may still grow."""
    return "growing", str(avatar.fps), name


def _in_steps(progress: Iterator[float]) -> Iterator[float]:
    last = -STEP
    for done in progress:
        if done >= last + STEP:
            last = done
            yield done


def _digest(id: str) -> str:
    return hashlib.blake2b(id.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _opened(file: Path) -> Image.Image:
    """Return a picture upright, in sRGB, over white, and no larger than is needed.

    Raises:
        BadRequest: It is no picture, broken, or too large.
    """
    try:
        with opened(file, MAX_PIXELS) as image:
            picture = Image.fromarray(flat(image, (255, 255, 255)))
    except BadClip as error:
        raise BadRequest(messages.jobs.BACKGROUND_UNUSABLE(why=error.message)) from error
    except UnidentifiedImageError as error:
        raise BadRequest(messages.jobs.BACKGROUND_NO_PICTURE(kinds=", ".join(PICTURES))) from error
    except (OSError, SyntaxError, ValueError, MemoryError, OverflowError) as error:
        raise BadRequest(messages.jobs.BACKGROUND_DAMAGED()) from error
    if min(picture.size) < 2:
        raise BadRequest(messages.jobs.BACKGROUND_TOO_SMALL(width=picture.width, height=picture.height))
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return picture
