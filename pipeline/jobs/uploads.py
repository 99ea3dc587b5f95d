"""Avatars from uploaded clips and photos: made one at a time, and the only ones that can be deleted.

Each is made in a child process, ``python -m pipeline.preparing``; see ``pipeline.core.child_process`` for the reasons.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import math
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import messages
from pipeline.avatars.store import RESOLUTIONS, AvatarStore, check_name, check_resolutions
from pipeline.core.best_effort import best_effort
from pipeline.core.cancel import CancelToken
from pipeline.core.child_process import Run, run
from pipeline.core.disk import writing
from pipeline.core.growing_file import part_of
from pipeline.core.notifier import Notifier, woken_by
from pipeline.errors import AvatarNotFound, BadRequest, Conflict, Forbidden, QueueFull
from pipeline.face.finder import FaceChoice
from pipeline.jobs.events import Made, Preparing, Queued
from pipeline.preparing.photo import BACKGROUND, Color

FOLDER = "uploads"
"""Folder in the store with the report (JSON) of each uploaded avatar, and a folder for each that is being made."""
MAX_WAITING = 4
"""Preparations that may wait; each has its clip on the disk."""
FRESH_SECONDS = 3600.0
"""Age from which an unfinished avatar is left over from a server that was killed, where several share the folder."""
PREPARE = "pipeline.preparing.prepare"
"""The program that makes an avatar."""
LONGEST_CONSENT_BY = 200
"""Characters that name who confirms a consent."""
RETRY_SECONDS = 30
"""Seconds after which to try again if too many wait."""


@dataclass(frozen=True, kw_only=True)
class AvatarRequest:
    """What to make of a clip; see ``prepare``.

    Attributes:
        name: Name of the avatar.
        face: Which face speaks.
        gender: Whose voice the avatar gets if none is chosen, "female" or "male"; "" leaves it open.
        start, end: The part to use, in seconds.
        resolutions: One pack for each.
        background: Colour behind transparent parts.
        owner: Owner of the avatar; see ``pipeline.server.visitors``.
        clips: Further clips by what they show.
        find_clips: Whether further clips are found in the recording.
        consent_by: Who confirms that the person shown agreed; "" if the request names no one.
    """

    name: str
    face: FaceChoice = "center"
    gender: str = ""
    start: float | None = None
    end: float | None = None
    resolutions: tuple[str, ...] = RESOLUTIONS
    background: Color = BACKGROUND
    owner: str = ""
    clips: Mapping[str, Path] = field(default_factory=dict)
    find_clips: bool = False
    consent_by: str = ""


Step = Queued | Preparing | Made


@dataclass(frozen=True)
class Faces:
    """The faces of a clip, left to right (left, top, width, height in pixels), and a JPEG of it with their numbers."""

    boxes: tuple[tuple[float, float, float, float], ...]
    picture: bytes


class Uploads:
    """The uploaded avatars of a store.

    Args:
        store: The store.
        seconds: How long one may take to make; 0 sets no limit.
        run: Runs the process that makes it.
    """

    def __init__(self, store: AvatarStore, seconds: float, run: Run = run) -> None:
        self._store = store
        self._seconds = seconds
        self._run_process = run
        self._folder = store.root / FOLDER
        self._queue: list[str] = []
        self._moved = Notifier()
        self.on_delete: list[Callable[[Sequence[str], str], object]] = []
        """Called with the ids that were deleted, and the SHA-256 of the clip if nothing is left of the avatar, else "".

        Each removes another part's copy of it.
        """
        self.on_made: list[Callable[[str], object]] = []
        """Called in a thread with the name of an avatar that was made here, before its client gets the event."""
        self.on_order: list[Callable[[str, str], object]] = []
        """Called with the name of an avatar that a client had deleted, and with what ``share`` has noted."""

    def clean(self, others: bool) -> None:
        """Remove the remains of a program that was killed.

        Args:
            others: Whether other web servers may use the folder: what is fresh may be theirs.
        """
        newest = time.time() - FRESH_SECONDS if others else math.inf
        for left in self._folder.glob(".*"):
            with contextlib.suppress(OSError):  # its owner has removed it meanwhile
                if left.stat().st_mtime < newest:
                    shutil.rmtree(left, ignore_errors=True)

    def names(self) -> set[str]:
        """Return the names of all uploaded avatars."""
        return {path.stem for path in self._folder.glob("*.json")}

    def seen_by(self, may_see: Callable[[str], bool]) -> AvatarStore:
        """Return the store with bundled avatars, and those uploaded ones whose owner passes a test.

        Args:
            may_see: Called with an owner, as in ``AvatarRequest``; "" if the owner was not recorded.
        """

        def shown(name: str) -> bool:
            owner = self._owner(name)
            return owner is None or may_see(owner)

        return self._store.only(shown)

    def _owner(self, name: str) -> str | None:
        """Return the owner of an avatar; None if it was not uploaded."""
        try:
            report = json.loads((self._folder / f"{name}.json").read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):  # unknown
            return ""
        return str(report.get("owner", "")) if isinstance(report, dict) else ""

    def consent(self, avatar: str, seen: AvatarStore) -> dict[str, Any]:
        """Return the record of the consent to an avatar: who confirmed it, when, and from which file.

        Args:
            avatar: A name or an id.
            seen: The avatars that the client can see.

        Raises:
            NotFound: There is no such avatar, or no record: it was not uploaded, or before records were kept.
        """
        name = next((pack.name for pack in seen.list() if avatar in (pack.id, pack.name)), None)
        if name is None:
            raise AvatarNotFound(messages.avatars.NO_SUCH_AVATAR(name=avatar))
        record = self._consent(name)
        if record is None:
            raise AvatarNotFound(messages.avatars.NO_CONSENT_RECORD(name=name))
        return record

    def has_consent(self, name: str) -> bool:
        """Return whether there is a record of the consent to an avatar."""
        return self._consent(name) is not None

    def _consent(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(json.loads((self._folder / f"{name}.json").read_text("utf-8"))["consent"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def check(self, asked: AvatarRequest) -> None:
        """Check that an avatar can be made, before the clip is read.

        Raises:
            BadRequest: The name, a resolution or who confirms the consent is not possible.
            Conflict: An avatar of that name exists.
            QueueFull: Too many avatars wait.
        """
        check_name(asked.name)
        check_resolutions(asked.resolutions)
        if len(asked.consent_by) > LONGEST_CONSENT_BY:
            raise BadRequest(messages.avatars.CONSENT_BY_TOO_LONG(limit=LONGEST_CONSENT_BY))
        self._check_free(asked.name)
        self._check_room()

    def _check_free(self, name: str) -> None:
        # ignore case, as some file systems do
        if name.casefold() in {pack.name.casefold() for pack in self._store.list()}:
            raise Conflict(messages.jobs.NAME_TAKEN(name=name))

    def _check_room(self) -> None:
        if len(self._queue) > MAX_WAITING:
            raise QueueFull(messages.jobs.TOO_MANY_AVATARS_WAIT(), RETRY_SECONDS)

    async def make(self, clip: Path, asked: AvatarRequest, cancel: CancelToken, key: str) -> AsyncGenerator[Step]:
        """Make an avatar and yield each step; the last is Made.

        It leaves nothing behind if it fails or is closed early.

        Args:
            clip: The clip or photo.
            asked: What to make of it.
            cancel: The job's token.
            key: Its name in the queue.

        Raises:
            BadRequest, BadClip, Conflict, QueueFull, TookTooLong: It cannot be made.
            Unavailable: The disk cannot be written to.
            PipelineError: The reason with which `cancel` was set.
        """
        self.check(asked)
        async with aclosing(self._turn(key, cancel)) as positions:
            async for waiting in positions:
                if waiting is not None:
                    yield waiting
                    continue
                consent = await asyncio.to_thread(_consent, clip, asked)
                with self._workplace() as folder:
                    packs, report = folder / "packs", folder / "report"
                    command = [str(clip), f"--name={asked.name}", f"--out={packs}", f"--report={report}"]
                    command += [f"--resolution={one}" for one in asked.resolutions]
                    command += [f"--gender={asked.gender}"] if asked.gender else []
                    command += ["--find-clips"] if asked.find_clips else []
                    command += [f"--clip={name}={path}" for name, path in asked.clips.items()]
                    clips = (clip, *asked.clips.values())
                    command += _part(asked)
                    async with aclosing(self._run(command, cancel, clips, (packs, report))) as steps:
                        async for step in steps:
                            if "stage" in step:
                                name, _, resolution = step["stage"].partition(" ")
                                if name != "done":
                                    yield Preparing(name, step["progress"], resolution)
                    report_of = json.loads((report / "report.json").read_text("utf-8"))
                    made = self._keep(asked, packs, report_of, consent)
                    for call in self.on_made:
                        with best_effort("sharing of an avatar"):
                            await asyncio.to_thread(call, asked.name)
                    yield made

    async def faces(self, clip: Path, asked: AvatarRequest, cancel: CancelToken) -> Faces:
        """Return the faces of the requested part of a clip. Raises as ``make`` does."""
        self._check_room()
        async with aclosing(self._turn(uuid.uuid4().hex, cancel)) as positions:
            async for waiting in positions:
                if waiting is None:
                    with self._workplace() as folder:
                        picture = folder / "faces.jpg"
                        command = [str(clip), f"--preview={picture}", *_part(asked)]
                        async with aclosing(self._run(command, cancel, (clip,), (picture,))) as results:
                            faces = [result async for result in results][-1]["faces"]
                        boxes = (tuple(box[key] for key in ("x", "y", "width", "height")) for box in faces)
                        return Faces(tuple(boxes), picture.read_bytes())
        raise RuntimeError("a turn never came")

    def delete(self, avatar: str, seen: AvatarStore) -> list[str]:
        """Delete an avatar, with the record of its consent and all that was made of it; return the ids.

        Args:
            avatar: A name (all resolutions) or an id (one resolution).
            seen: The avatars that the client can see.

        Raises:
            NotFound: There is no such avatar.
            Forbidden: It was not uploaded.
        """
        packs = [pack for pack in seen.list() if avatar in (pack.id, pack.name)]
        if not packs:
            raise AvatarNotFound(messages.avatars.NO_SUCH_AVATAR(name=avatar))
        name = packs[0].name
        if name not in self.names():
            raise Forbidden(messages.jobs.NOT_UPLOADED(name=name))
        shared_as = self.shared_as(name)
        ids = self.remove(name, [pack.resolution for pack in packs])
        for call in self.on_order:
            with best_effort("removal of an avatar from other servers"):
                call(name, shared_as)
        return ids

    def remove(self, name: str, resolutions: Sequence[str]) -> list[str]:
        """Remove packs of an uploaded avatar that are here; after the last one all of it. Return their ids."""
        packs = [pack for pack in self._store.list() if pack.name == name and pack.resolution in resolutions]
        for pack in packs:
            self._store.remove(name, pack.resolution)
        digest = ""
        if all(pack.name != name for pack in self._store.list()):
            digest = str((self._consent(name) or {}).get("file_sha256", ""))
            (self._folder / f"{name}.json").unlink(missing_ok=True)
        ids = [pack.id for pack in packs]
        for each in self.on_delete:
            with best_effort("complete removal of an avatar"):
                each(ids, digest)
        return ids

    def note_of(self, name: str) -> dict[str, Any]:
        """Return what is kept beside the packs of an uploaded avatar; empty if that cannot be read."""
        try:
            return dict(json.loads((self._folder / f"{name}.json").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return {}

    def keep_note(self, name: str, note: Mapping[str, Any]) -> None:
        """Write what is kept beside the packs of an avatar.

        Raises:
            OSError: The disk is full.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{name}.json"
        part = part_of(path)
        part.write_text(json.dumps(note, ensure_ascii=False, indent=2) + "\n", "utf-8")
        part.replace(path)

    def shared_as(self, name: str) -> str:
        """Return under which name other servers know an avatar; "" if they do not."""
        return str(self.note_of(name).get("shared", ""))

    def position(self, key: str) -> int:
        """Return how many are ahead of a job; 0 if it does not wait."""
        queue = list(self._queue)
        return queue.index(key) if key in queue else 0

    async def _turn(self, key: str, cancel: CancelToken) -> AsyncGenerator[Queued | None]:
        """Yield the position in the queue as it changes, then None, during which it is the caller's turn."""
        emitted = 0
        self._queue.append(key)
        try:
            with woken_by(self._moved, cancel) as woken:
                while True:
                    woken.clear()  # before the check, so that no later change is missed
                    cancel.check()
                    position = self._queue.index(key)
                    if not position:
                        break
                    if position != emitted:
                        emitted = position
                        yield Queued(position)
                    await woken.wait()
            yield None
        finally:
            self._queue.remove(key)
            self._moved.notify()

    @contextlib.contextmanager
    def _workplace(self) -> Iterator[Path]:
        """Give a folder on the store's own disk while the block lasts."""
        with writing():
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".", dir=self._folder, ignore_cleanup_errors=True) as folder:
                yield Path(folder)

    def _run(
        self, arguments: Sequence[str], cancel: CancelToken, reads: Sequence[Path], writes: Sequence[Path]
    ) -> AsyncGenerator[dict[str, Any]]:
        return self._run_process(PREPARE, ["--json", *arguments], cancel, self._seconds, reads=reads, writes=writes)

    def _keep(self, asked: AvatarRequest, packs: Path, report: dict[str, Any], consent: dict[str, Any]) -> Made:
        """Move the finished packs into the store, with the record of the consent beside them."""
        self._check_free(asked.name)  # another request may have been faster
        note = self._folder / f"{asked.name}.json"
        homes = [self._store.root / pack.relative_to(packs) for pack in packs.glob("*/*")]
        try:
            kept = json.dumps({"owner": asked.owner, "consent": consent, **report}, ensure_ascii=False, indent=2)
            note.write_text(f"{kept}\n", "utf-8")
            for home in homes:
                home.parent.mkdir(exist_ok=True)
                (packs / home.relative_to(self._store.root)).replace(home)
        except OSError:
            for path in (note, *homes):
                path.unlink(missing_ok=True)
            raise
        ids = [pack.id for pack in self._store.list() if pack.name == asked.name]
        return Made(asked.name, tuple(ids), report)


def _consent(clip: Path, asked: AvatarRequest) -> dict[str, Any]:
    """Return the record of a consent, which holds no picture."""
    with clip.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"confirmed_by": asked.consent_by or None, "confirmed_at": now, "file_sha256": digest}


def _part(asked: AvatarRequest) -> list[str]:
    """Return the arguments that choose a face and a part of the clip, and its background."""
    given = {"face": asked.face, "start": asked.start, "end": asked.end, "background": bytes(asked.background).hex()}
    return [f"--{name}={value}" for name, value in given.items() if value is not None]
