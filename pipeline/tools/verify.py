"""Says of a video or sound whether this program made it, whether it is signed, and whether it is unchanged.

python -m pipeline.tools.verify FILE [--json]
"""

from __future__ import annotations

import argparse
import filecmp
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import av

from pipeline import messages
from pipeline.core import origin
from pipeline.core.arguments import print_error, with_files
from pipeline.errors import BadRequest, PipelineError, Unavailable
from pipeline.messages import Message
from pipeline.settings import Settings
from pipeline.video.credentials import Signature, read
from pipeline.video.signing_key import trial_certificates

KINDS = ("mp4", "mov", "WebM", "WAV")
"""Files that can be checked."""
Key = Literal["certificate", "trial", "other"]


@dataclass(frozen=True)
class Verdict:
    """What a file is.

    Attributes:
        ours: Whether it says that this program made it. Only a signature proves that.
        source_type: Its digital source type, as IPTC names it; None if it names none.
        unchanged: Whether it is as it was made; None if unknown.
        signature: Its Content Credentials; None if it is not signed, or if that is unknown.
        key: Who signed it: "certificate" (C2PA_CERT of this server), "trial" (the key for trying that this server has
            made for itself), or "other"; None without a signature.
        readable: Whether signatures can be read here.
    """

    ours: bool
    source_type: str | None
    unchanged: bool | None
    signature: Signature | None
    key: Key | None
    readable: bool

    @property
    def sentence(self) -> Message:
        """What that means, in a sentence."""
        if self.signature is not None and not self.unchanged:
            return messages.tools.CHANGED_SINCE_SIGNED()
        if self.signature is not None:
            name = self.signature.name
            if not self.ours:
                return messages.tools.SIGNED_BY_OTHERS(name=name)
            if self.key == "certificate":
                return messages.tools.SIGNED(name=name)
            if self.key == "trial":
                return messages.tools.SIGNED_FOR_TRIAL()
            return messages.tools.SIGNED_ELSEWHERE(name=name)
        if self.unchanged:
            return messages.tools.AS_KEPT()
        if not self.ours:
            return messages.tools.NOT_OURS()
        return messages.tools.NOT_SIGNED() if self.readable else messages.tools.SIGNATURES_UNREADABLE()

    def to_json(self) -> dict[str, Any]:
        """Return it as REST does, without its sentence."""
        signature = None
        if self.signature is not None:
            said = {name: value or None for name, value in asdict(self.signature).items()}
            shown = ("name", "issuer", "program", "version", "avatar", "engine", "made_at")
            signature = {"key": self.key, **{name: said[name] for name in shown}}
        return {
            "ours": self.ours,
            "digital_source_type": self.source_type,
            "signed": self.signature is not None if self.readable else None,
            "unchanged": self.unchanged,
            "signature": signature,
        }


def verify(path: Path, settings: Settings) -> Verdict:
    """Return what a file is.

    Args:
        path: The file; only its contents count, not its name.
        settings: Where keys and results are.

    Raises:
        BadRequest: It is none of `KINDS`, or cannot be read.
    """
    form = _form_of(path)
    comment = _comment_in(path, form)
    key: Key | None = None
    signature, readable = None, True
    try:
        key, signature = _signature_of(path, form, settings)
    except Unavailable:
        readable = False
    if comment is None and signature is None:
        raise BadRequest(messages.tools.NOT_MEDIA())
    source_type = origin.source_in(comment or "")
    by_us = signature is not None and signature.program == origin.PROGRAM
    return Verdict(
        ours=source_type is not None or by_us,
        source_type=source_type or (signature.source_type if signature else None) or None,
        unchanged=signature.unchanged if signature else is_kept(path, settings.results) or None,
        signature=signature,
        key=key,
        readable=readable,
    )


def _form_of(path: Path) -> str:
    """Return FFmpeg's name of a file's form, from its first bytes: other forms can refer to files of this machine.

    Raises:
        BadRequest: It is another, or the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise BadRequest(messages.tools.FILE_UNREADABLE(file=path.name, reason=error.strerror)) from error
    if head[4:8] == b"ftyp":
        return "mov"
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        return "wav"
    if head[:4] == b"\x1aE\xdf\xa3":
        return "matroska"
    kinds = ", ".join(KINDS)
    raise BadRequest(messages.tools.NOT_A_KIND(kinds=kinds) if head else messages.tools.EMPTY_FILE())


def _comment_in(path: Path, form: str) -> str | None:
    """Return the comment in a file, "" if it has none; None if it cannot be read."""
    try:
        with av.open(f"file:{path.absolute()}", "r", format=form) as container:
            if not container.streams.video and not container.streams.audio:
                return None
            comments = (value for name, value in container.metadata.items() if name.lower() == origin.KEY)
            return next(comments, "")
    except (av.error.FFmpegError, ValueError):
        return None


def _signature_of(path: Path, form: str, settings: Settings) -> tuple[Key | None, Signature | None]:
    """Return the credentials of a file, and whose key signed them.

    Raises:
        Unavailable: A package is missing.
    """
    media_type = {"mov": "video/mp4", "wav": "audio/wav"}.get(form)
    if media_type is None:  # C2PA has no place for them there
        return None, None
    with path.open("rb") as file:
        signature = read(file, media_type)
        for key, certificates in _certificates(settings) if signature is not None and signature.unchanged else ():
            known = read(file, media_type, certificates)
            if known is not None and known.known:
                return key, known
    return ("other" if signature is not None else None), signature


def _certificates(settings: Settings) -> Iterator[tuple[Key, bytes]]:
    """Yield the certificates of this server's own keys."""
    if settings.c2pa_cert:
        with suppress(OSError):
            yield "certificate", Path(settings.c2pa_cert).read_bytes()
    if kept := trial_certificates(settings.keys):
        yield "trial", kept


def is_kept(path: Path, results: Path) -> bool:
    """Return whether a file is, byte by byte, one of the results that are kept."""
    size = path.stat().st_size
    for kept in results.glob("*.*"):
        with suppress(OSError):  # it may expire meanwhile
            same_size = kept.suffix in (".mp4", ".wav", ".webm") and kept.stat().st_size == size
            if same_size and filecmp.cmp(path, kept, shallow=False):
                return True
    return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0 if the file is ours and not known to be changed, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.tools.verify",
        description="Say whether this program made a file, whether it is signed, and whether it is unchanged.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help=", ".join(KINDS))
    parser.add_argument("--json", action="store_true", help="write the answer as a line of JSON, for programs")
    given = parser.parse_args(with_files(arguments))
    try:
        verdict = verify(given.file, Settings.from_environment())
    except PipelineError as error:
        print_error(error, given.json)
        return 2
    sentence = verdict.sentence
    if given.json:
        print(json.dumps({**verdict.to_json(), "message": {"ko": sentence.ko, "en": sentence.en}}, ensure_ascii=False))
    else:
        print(sentence)
        print(json.dumps(verdict.to_json(), ensure_ascii=False, indent=2))
    return 0 if given.json or (verdict.ours and verdict.unchanged is not False) else 1


if __name__ == "__main__":
    sys.exit(main())
