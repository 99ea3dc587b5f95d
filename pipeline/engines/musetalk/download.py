"""Downloads the network's weights from the Hugging Face hub: ``python -m pipeline.engines.musetalk.download``.

3.9 GB, into ``MODELS_DIR`` (by default ``models``), from the mirror in ``HF_ENDPOINT`` if it is set. An interrupted
download resumes where it stopped (the hub's own client starts over). Every file has a fixed revision, and its size and
SHA-256 must be those below, which were published with it.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

from pipeline import messages
from pipeline.errors import PipelineError, Unavailable
from pipeline.settings import Settings

_MUSETALK = {"repository": "TMElyralab/MuseTalk", "revision": "3ef28bc5cff08c90ad8178a25f1b570cd800170f"}
_VAE = {"repository": "stabilityai/sd-vae-ft-mse", "revision": "31f26fdeee1355a5c34592e401dd41e45d25a493"}
_WHISPER = {"repository": "openai/whisper-tiny", "revision": "169d4a4341b33bc18d8881c4b69c2e104e1cc0af"}
HUB = "https://huggingface.co"
_CHUNK = 1 << 20
_PATIENCE = 30.0
"""Seconds without a byte after which the download fails."""


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """A file of the hub.

    Attributes:
        folder: Where it belongs.
        repository, revision: Where it comes from.
        name: Its name.
        size: Bytes.
        sha256: Its checksum.
    """

    folder: str
    repository: str
    revision: str
    name: str
    size: int
    sha256: str


FILES = (
    WeightFile(
        folder="", **_MUSETALK, name="musetalkV15/musetalk.json",
        size=748, sha256="5b6923aee04d71692e0e9846c471e0a4ea07a4f686d39545e472bd4ba17e1b47",
    ),
    WeightFile(
        folder="", **_MUSETALK, name="musetalkV15/unet.pth",
        size=3_400_074_924, sha256="7ebf6c98c181e20838e4c0054e96e944ac60d5d692cc01db42839fe11b787007",
    ),
    WeightFile(
        folder="sd-vae", **_VAE, name="config.json",
        size=547, sha256="92d3dfb746fca211a2c9e019e285f8597412211728dce3c5bcf4eda0f2d62e7e",
    ),
    WeightFile(
        folder="sd-vae", **_VAE, name="diffusion_pytorch_model.safetensors",
        size=334_643_276, sha256="a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815",
    ),
    WeightFile(
        folder="whisper", **_WHISPER, name="config.json",
        size=1_983, sha256="ffdccec4f3211f4c63310f2b7098f309fe70f3952cedc5e4d11e43f5b2379b98",
    ),
    WeightFile(
        folder="whisper", **_WHISPER, name="preprocessor_config.json",
        size=184_990, sha256="9b5cd03a36fbb8a627c64d98a5b5b126ead95a77720723944487311f0110b666",
    ),
    WeightFile(
        folder="whisper", **_WHISPER, name="model.safetensors",
        size=151_061_672, sha256="7ebd0e69e78190ffe1438491fa05cc1f5c1aa3a4c4db3bc1723adbb551ea2395",
    ),
)  # fmt: skip


def download(models: Path, files: Sequence[WeightFile] = FILES, hub: str = HUB) -> None:
    """Download the files that are missing, with a progress bar.

    A file is written at its name + ".part" and resumed where it stopped.

    Args:
        models: Folder of the weights.
        files: What to download.
        hub: Address of the hub.

    Raises:
        Unavailable: A file cannot be downloaded, or differs from what was published.
    """
    for file in files:
        path = models / file.folder / file.name
        if fault(path, file) is None:
            continue
        part = path.with_name(path.name + ".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _fetch(file, part, hub)
            found = fault(part, file)
            if found is None:
                part.replace(path)
        except (OSError, HTTPException) as error:
            raise Unavailable(messages.engines.DOWNLOAD_FAILED(file=file.name, hub=hub, reason=error)) from error
        if found is not None:
            part.unlink(missing_ok=True)
            raise Unavailable(messages.engines.DOWNLOAD_INVALID(file=file.name, reason=found))


def fault(path: Path, file: WeightFile) -> str | None:
    """Return what is wrong with a downloaded file; None if it is correct."""
    if not path.is_file():
        return "missing"
    size = path.stat().st_size
    if size != file.size:
        return f"{size:,} of {file.size:,} bytes"
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    return None if digest.hexdigest() == file.sha256 else f"SHA-256 {digest.hexdigest()}"


def _fetch(file: WeightFile, part: Path, hub: str) -> None:
    """Append to `part` what is missing of a file.

    Raises:
        OSError, HTTPException: The download fails.
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
        with (
            part.open("ab" if goes_on else "wb") as content,
            tqdm(total=file.size, initial=have if goes_on else 0, unit="B", unit_scale=True, desc=file.name) as bar,
        ):
            while content.tell() < file.size and (chunk := answer.read(min(_CHUNK, file.size - content.tell()))):
                content.write(chunk)
                bar.update(len(chunk))
            if content.tell() < file.size:
                raise ConnectionError(f"{content.tell():,} of {file.size:,} bytes came")


def main() -> int:
    """Download everything; return the exit status."""
    models = Settings.from_environment().models_dir
    try:
        download(models, hub=os.environ.get("HF_ENDPOINT", HUB).rstrip("/"))
    except PipelineError as error:
        print(error.message, file=sys.stderr)
        return 1
    print(f"{models}: {sum(file.size for file in FILES) / 1e9:.1f} GB, complete")
    return 0


if __name__ == "__main__":
    sys.exit(main())
