"""Finds packs by name or path, and caches the ones used last."""

from __future__ import annotations

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from weakref import WeakValueDictionary

from pipeline import messages
from pipeline.avatars.avatar import Avatar
from pipeline.avatars.pack import Adopt, gender_of, load
from pipeline.core.letters import BLANK_LETTERS
from pipeline.errors import AvatarNotFound, BadRequest, ResolutionNotFound

logger = logging.getLogger(__name__)

RESOLUTIONS = ("1080p", "720p", "480p", "360p")
"""Largest first; the number is the short side of the picture in pixels."""
KEPT = 6
"""Packs in memory."""
SUFFIX = "_precomputed.pkl"
MAX_NAME = 200
"""Bytes of an avatar's name: a file name may have 255, and has more than the name, above all while it is written."""
_FILE_NAME = re.compile(r"(?P<name>.+)_(?P<resolution>\d+p)" + re.escape(SUFFIX))


@dataclass(frozen=True)
class PackInfo:
    """A pack, as its file name describes it.

    Attributes:
        id: "talk_long_720p".
        name: "talk_long".
        resolution: "720p".
        path: As API.md lists it, with "/".
    """

    id: str
    name: str
    resolution: str
    path: str


def check_name(name: str) -> None:
    """Check an avatar's name: letters of any script, digits, "-" and "_", 64 at most.

    Raises:
        BadRequest: The name is not possible.
    """
    blank = any(letter in BLANK_LETTERS for letter in name)
    if blank or not re.fullmatch(r"[^\W_][\w-]{0,63}", name) or re.search(r"_\d+p$", name):
        raise BadRequest(messages.avatars.NAME_INVALID(name=name))
    if len(name.encode()) > MAX_NAME:
        raise BadRequest(messages.avatars.NAME_TOO_LONG(name=name, limit=MAX_NAME))


def check_resolutions(resolutions: Sequence[str]) -> None:
    """Check that there is at least one resolution, and that packs come in all of them.

    Raises:
        BadRequest: They do not.
    """
    unknown = [f"{resolution:.20}" for resolution in resolutions if resolution not in RESOLUTIONS]
    if unknown or not resolutions:
        raise BadRequest(
            messages.avatars.RESOLUTION_UNKNOWN(unknown=", ".join(unknown[:5]), choices=", ".join(RESOLUTIONS))
        )


def _is_text(name: str) -> bool:
    """Return whether a file name is valid Unicode, which a file system does not guarantee."""
    return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in name)


class AvatarStore:
    """The packs in a folder, at ``<resolution>/<name>_<resolution>_precomputed.pkl``.

    Safe to use from any thread. Packs are read on first use, and again when their file has changed.

    Args:
        root: The folder (``precomputed``).
        bundled: Another folder, for avatars that `root` does not have.
        adopt: Opens packs of the original system.
    """

    def __init__(self, root: Path, bundled: Path | None = None, adopt: Adopt | None = None) -> None:
        self.root = root
        self._adopt = adopt
        self._folders = (root,) if bundled is None else (root, bundled)
        self._lock = threading.Lock()
        self._kept: OrderedDict[Path, tuple[tuple[int, int], Avatar]] = OrderedDict()
        self._genders: dict[Path, tuple[tuple[int, int], str]] = {}
        self._loading: WeakValueDictionary[Path, threading.Lock] = WeakValueDictionary()
        """A lock for each pack that is being read."""
        self._shown: Callable[[str], bool] = lambda name: True

    def only(self, shown: Callable[[str], bool]) -> AvatarStore:
        """Return a view of this store with only those avatars for whose name `shown` returns True."""
        view = copy(self)  # with the same packs in memory
        view._shown = shown
        return view

    def list(self) -> list[PackInfo]:
        """Return all packs, by resolution (largest first) and name; no file is opened."""
        found: dict[str, PackInfo] = {}
        for folder in self._folders:
            for path in folder.glob(f"*/*{SUFFIX}"):
                match = _FILE_NAME.fullmatch(path.name)
                if match and _is_text(path.name) and match["resolution"] == path.parent.name and _inside(folder, path):
                    if not self._shown(match["name"]):
                        continue
                    listed = PurePosixPath(self.root.name, path.parent.name, path.name)
                    id = path.name.removesuffix(SUFFIX)
                    found.setdefault(id, PackInfo(id, match["name"], match["resolution"], str(listed)))
        return sorted(found.values(), key=lambda info: (-int(info.resolution[:-1]), info.name))

    def find(self, name: str, resolution: str) -> Path:
        """Return the pack of an avatar.

        Args:
            name: "talk_long", or "talk_long_720p" if that agrees with `resolution`.
            resolution: "720p".

        Raises:
            NotFound: There is none; the message lists the avatars, or the resolutions of this avatar.
        """
        packs = self.list()
        known = sorted({info.name for info in packs})
        wanted = name if name in known else name.removesuffix(f"_{resolution}")
        if wanted not in known:
            wanted = name.rpartition("_")[0]  # "talk_long_720p" asked for in 480p
        has = [info.resolution for info in packs if info.name == wanted]
        if not has or (wanted != name and name not in {f"{wanted}_{one}" for one in has}):
            choices = ", ".join(known) or "-"
            raise AvatarNotFound(messages.avatars.AVATAR_UNKNOWN(name=name, choices=choices))
        if resolution not in has or name not in (wanted, f"{wanted}_{resolution}"):
            choices = ", ".join(has)
            raise ResolutionNotFound(
                messages.avatars.NO_SUCH_RESOLUTION(name=name, resolution=resolution, wanted=wanted, choices=choices)
            )
        path = PurePosixPath(resolution, f"{wanted}_{resolution}{SUFFIX}")
        return self._locate(path) or self.root / path

    def resolve(self, avatar_path: str) -> Path:
        """Return the pack at a path relative to the project ("precomputed/720p/x.pkl").

        Raises:
            NotFound: The path is absolute, contains "..", is no ``.pkl`` file, or lies outside the store once links are
                followed; nothing is opened.
        """
        path = PurePosixPath(avatar_path)
        plain = "\0" not in avatar_path and "\\" not in avatar_path and ":" not in avatar_path
        if plain and not path.is_absolute() and ".." not in path.parts and path.suffix == ".pkl":
            if path.parts[0] == self.root.name:
                path = PurePosixPath(*path.parts[1:])
            named = _FILE_NAME.fullmatch(path.name)
            hidden = any(part.startswith(".") for part in path.parts)  # of an avatar in preparation
            found = None if hidden or (named and not self._shown(named["name"])) else self._locate(path)
            if found is not None:
                return found
        raise AvatarNotFound(messages.avatars.NO_AVATAR_AT_PATH(avatar_path=avatar_path, folder=self.root.name))

    def load(self, path: Path) -> Avatar:
        """Return the avatar of a pack, from memory if the file is unchanged; raise as ``pack.load`` does."""
        try:
            status = path.stat()
        except OSError:
            return load(path, self._adopt)  # raises the right error
        stamp = status.st_mtime_ns, status.st_size
        with self._lock:
            loading = self._loading.setdefault(path, threading.Lock())
        with loading:  # a pack is read once at a time, without blocking other packs
            with self._lock:
                if path in self._kept and self._kept[path][0] == stamp:
                    self._kept.move_to_end(path)
                    return self._kept[path][1]
            avatar = load(path, self._adopt)
            logger.info("loaded avatar %s: %d frames", avatar.id, len(avatar.landmarks))
            with self._lock:
                self._kept[path] = stamp, avatar
                self._kept.move_to_end(path)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            return avatar

    def remove(self, name: str, resolution: str) -> None:
        """Delete a pack, from memory as well.

        Raises:
            NotFound: There is none.
        """
        path = self.find(name, resolution)
        self.forget(path)

    def forget(self, path: Path) -> None:
        """Delete the file of a pack, wherever it is, from memory as well; no effect if there is none."""
        path.unlink(missing_ok=True)
        with self._lock:
            self._kept.pop(path, None)
            self._genders.pop(path, None)

    def gender(self, pack: PackInfo) -> str:
        """Return "female" or "male" as a listed pack has it; "" if that is unknown."""
        path = self._locate(PurePosixPath(pack.resolution, f"{pack.id}{SUFFIX}"))
        if path is None:
            return ""
        try:
            status = path.stat()
        except OSError:
            return ""
        stamp = status.st_mtime_ns, status.st_size
        known = self._genders.get(path)
        if known is None or known[0] != stamp:
            known = self._genders[path] = stamp, gender_of(path)
        return known[1]

    def _locate(self, path: PurePosixPath) -> Path | None:
        """Return the pack in the first of the folders that has it."""
        return next((folder / path for folder in self._folders if _inside(folder, folder / path)), None)


def _inside(folder: Path, path: Path) -> bool:
    """Return whether a path is a file inside a folder once links are followed."""
    try:
        return path.is_file() and path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # too long a name, a loop of links
        return False
