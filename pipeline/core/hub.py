"""Downloads files of the Hugging Face hub, with their published sizes and checksums.

An interrupted download resumes where it stopped (the hub's own client starts over).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.request import Request, urlopen

from pipeline import messages
from pipeline.core.cancel import CancelToken
from pipeline.errors import Unavailable

HUB = "https://huggingface.co"
_CHUNK = 1 << 18
_PATIENCE = 30.0
"""Seconds without a byte after which the download fails."""
_LARGEST_LIST = 1 << 20
"""Bytes of the list of a repository's files."""


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """A file of the hub.

    Attributes:
        folder: Where it belongs.
        repository, revision: Where it comes from.
        name: Its name.
        size: Bytes.
        sha256: Its checksum; "" if only the size was published.
    """

    folder: str
    repository: str
    revision: str
    name: str
    size: int
    sha256: str


def hub_address() -> str:
    """Return the address of the hub, or of its mirror in ``HF_ENDPOINT``."""
    return os.environ.get("HF_ENDPOINT", HUB).rstrip("/")


def files_of(repository: str, revision: str, hub: str) -> list[WeightFile]:
    """Return the files of a repository, with sizes and checksums as the hub lists them.

    Raises:
        Unavailable: The hub cannot be reached, or its answer is no such list.
    """
    try:
        with urlopen(f"{hub}/api/models/{repository}/tree/{revision}?recursive=true", timeout=_PATIENCE) as answer:
            listed = json.loads(answer.read(_LARGEST_LIST))
        files = [
            WeightFile(
                folder="",
                repository=repository,
                revision=revision,
                name=_inside(one["path"]),
                size=int(one["size"]),
                sha256=str((one.get("lfs") or {}).get("oid", "")),
            )
            for one in listed
            if one["type"] == "file"
        ]
        if not files:
            raise ValueError("an empty list")
    except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unavailable(messages.core.DOWNLOAD_FAILED(file=repository, hub=hub, reason=_reason(error))) from error
    return files


def _reason(error: Exception) -> str:
    """Return what went wrong, without a path of this machine."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _inside(name: str) -> str:
    """Return the name of a file, which must lie in the folder of the weights."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise ValueError(f"a file named {name:.80}")
    return name


def download(
    models: Path,
    files: Sequence[WeightFile],
    hub: str = HUB,
    progress: Callable[[int], object] | None = None,
    cancel: CancelToken | None = None,
) -> None:
    """Download the files that are missing.

    A file is written at its name + ".part" and resumed where it stopped.

    Args:
        models: Folder of the weights.
        files: What to download.
        hub: Address of the hub.
        progress: Called with the bytes that are there of all files, more and more; None shows a bar on the terminal.
        cancel: Stops the download between two chunks; what came is kept, to resume from.

    Raises:
        Unavailable: A file cannot be downloaded or stored, or differs from what was published.
        Cancelled: `cancel` is set.
    """
    done = 0
    for file in files:
        path = models / file.folder / file.name
        if fault(path, file) is not None:
            _download(path, file, hub, None if progress is None else _after(done, progress), cancel or CancelToken())
        done += file.size
        if progress is not None:
            progress(done)


def _after(done: int, progress: Callable[[int], object]) -> Callable[[int], object]:
    return lambda have: progress(done + have)


def _download(
    path: Path, file: WeightFile, hub: str, progress: Callable[[int], object] | None, cancel: CancelToken
) -> None:
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(file, part, hub, progress, cancel)
        found = fault(part, file)
        if found is None:
            part.replace(path)
    except (OSError, HTTPException) as error:
        raise Unavailable(messages.core.DOWNLOAD_FAILED(file=file.name, hub=hub, reason=_reason(error))) from error
    if found is not None:
        part.unlink(missing_ok=True)
        raise Unavailable(messages.core.DOWNLOAD_INVALID(file=file.name, reason=found))


def fault(path: Path, file: WeightFile) -> str | None:
    """Return what is wrong with a downloaded file; None if it is correct."""
    if not path.is_file():
        return "missing"
    size = path.stat().st_size
    if size != file.size:
        return f"{size:,} of {file.size:,} bytes"
    if not file.sha256:
        return None
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    return None if digest.hexdigest() == file.sha256 else f"SHA-256 {digest.hexdigest()}"


def _fetch(
    file: WeightFile, part: Path, hub: str, progress: Callable[[int], object] | None, cancel: CancelToken
) -> None:
    """Append to `part` what is missing of a file.

    Raises:
        OSError, HTTPException: The download fails.
        Cancelled: `cancel` is set.
    """
    from tqdm import tqdm  # type: ignore[import-untyped]  # ships no types

    have = part.stat().st_size if part.is_file() else 0
    if have >= file.size:
        return
    request = Request(f"{hub}/{file.repository}/resolve/{file.revision}/{file.name}")
    if have:
        request.add_header("Range", f"bytes={have}-")
    with urlopen(request, timeout=_PATIENCE) as answer:
        goes_on = answer.status == HTTPStatus.PARTIAL_CONTENT
        bar = tqdm(
            total=file.size,
            initial=have if goes_on else 0,
            unit="B",
            unit_scale=True,
            desc=file.name,
            disable=progress is not None,
        )
        with part.open("ab" if goes_on else "wb") as content, bar:
            while content.tell() < file.size and (chunk := answer.read(min(_CHUNK, file.size - content.tell()))):
                cancel.check()
                content.write(chunk)
                bar.update(len(chunk))
                if progress is not None:
                    progress(content.tell())
            if content.tell() < file.size:
                raise ConnectionError(f"{content.tell():,} of {file.size:,} bytes came")
