"""Content Credentials of videos: signed statements about who and what made them (C2PA).

A signed copy is a file of its own, made after the video is finished: the bytes of the video itself stay as they are.
Nothing is fetched, neither time stamps nor anything that a file refers to.
https://spec.c2pa.org/specifications/specifications/2.2/specs/C2PA_Specification.html
"""

from __future__ import annotations

import io
import json
import logging
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from pipeline import messages
from pipeline.core import origin
from pipeline.core.growing_file import copy_once
from pipeline.errors import Unavailable
from pipeline.settings import Settings
from pipeline.video.seal import USER_TYPE, file_type, is_empty_beside
from pipeline.video.signing_key import SigningKey, load_key, trial_key

logger = logging.getLogger(__name__)

ASSERTION = "io.github.realtime-interview-avatar.video"
"""Label of the assertion about the avatar and the engine."""
VIDEO = "video/mp4"
ABOUT_THE_SIGNER = {"signingCredential.untrusted", "signingCredential.expired", "signingCredential.ocsp.skipped"}
"""Problems of a signature that do not mean that the file was changed."""
_SIGNING = threading.Lock()
"""Held while a copy is made; one takes some hundredths of a second."""
_MARKS = USER_TYPE, b"jumdc2pa"
"""How the place for credentials begins: the UUID of its box in an mp4, and the manifests in it."""
_OFFLINE = {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True}


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The Content Credentials of a file.

    Attributes:
        unchanged: Whether the file is as it was signed.
        known: Whether the key is the one that was given.
        name, issuer: Of the certificate; "" if they cannot be read.
        program, version: What made the file.
        avatar, engine: Of the video; "" where the credentials name none.
        made_at: When (ISO 8601); "" if they do not say.
        source_type: Its digital source type, as IPTC names it; "" without one.
        file_type: The first box of the mp4 as it was signed, in hex digits; "" in older ones.
    """

    unchanged: bool
    known: bool = False
    name: str = ""
    issuer: str = ""
    program: str = ""
    version: str = ""
    avatar: str = ""
    engine: str = ""
    made_at: str = ""
    source_type: str = ""
    file_type: str = ""


class Signer:
    """Signs videos, with the key of the settings, or with one that is made for trying.

    Args:
        settings: Where the key is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._key: SigningKey | None = None
        self._lock = threading.Lock()

    @property
    def configured(self) -> bool:
        """Whether the operator has set a key, which then signs every download."""
        return bool(self._settings.c2pa_cert)

    def check(self) -> None:
        """Check, at the start, that the key of the settings can sign; without one there is nothing to check.

        Raises:
            Unavailable: It cannot; the message says why and what to do.
        """
        if not self.configured:
            return
        picture = io.BytesIO()
        Image.new("RGB", (8, 8)).save(picture, "JPEG")
        signed = io.BytesIO()
        try:
            _sign(picture, signed, "image/jpeg", {}, self.key())
            found = read(signed, "image/jpeg")
        except OSError as error:
            raise Unavailable(messages.video.C2PA_CERT_BROKEN(reason=_reason(error))) from error
        if found is None or not found.unchanged:
            raise Unavailable(messages.video.C2PA_CERT_BROKEN(reason="C2PA"))

    def key(self) -> SigningKey:
        """Return the key.

        Raises:
            Unavailable: There is none that works.
        """
        with self._lock:
            if self._key is None:
                settings = self._settings
                if self.configured:
                    self._key = load_key(Path(settings.c2pa_cert), Path(settings.c2pa_key))
                else:
                    self._key = trial_key(settings.keys)
            return self._key

    def signed_copy(self, video: Path, copy: Path, made: dict[str, str]) -> Path:
        """Return the signed copy of an mp4, which is made if it is missing.

        The copy gets the time stamp of its source, so that both expire together.

        Args:
            video: The mp4.
            copy: Path of the copy.
            made: As ``SpeechRecord.made``.

        Raises:
            Unavailable: It cannot be signed; the video is there all the same.
        """

        def sign(part: Path) -> None:
            key = self.key()
            at = datetime.fromtimestamp(video.stat().st_mtime, UTC).isoformat(timespec="seconds")
            with video.open("rb") as source, part.open("w+b") as target:
                _sign(source, target, VIDEO, {"at": at, **made}, key)

        with _SIGNING:
            try:
                return copy_once(video, copy, sign)
            except OSError as error:
                logger.exception("no signed copy of %s", video.name)
                raise Unavailable(messages.video.C2PA_NOT_SIGNED(reason=_reason(error))) from error


def read(file: BinaryIO, media_type: str, certificates: bytes = b"") -> Signature | None:
    """Return the Content Credentials of a file; None if it has none.

    Args:
        file: The file.
        media_type: Its type ("video/mp4").
        certificates: Those of a key that is known (PEM).

    Raises:
        Unavailable: A package is missing.
    """
    c2pa = _library()
    settings: dict[str, Any] = {"verify": _OFFLINE}
    if certificates:
        settings["trust"] = {"user_anchors": certificates.decode("utf-8", "replace")}
    file.seek(0)
    try:
        with c2pa.Context.from_dict(settings) as context, c2pa.Reader(media_type, file, context=context) as reader:
            report, state = json.loads(reader.json()), reader.get_validation_state()
    except c2pa.C2paError as error:
        logger.info("no credentials, or none that can be read: %s", _reason(error))
        report = {}
    manifest = report.get("manifests", {}).get(report.get("active_manifest"))
    if manifest is None:  # there may be a reference to credentials elsewhere, which are not fetched
        return Signature(unchanged=False) if _has_mark(file) else None
    problems = {one.get("code") for one in report.get("validation_status", ())} - ABOUT_THE_SIGNER
    signature = _signature(manifest, not problems, state == "Trusted")
    if signature.program != origin.PROGRAM or media_type != VIDEO or not signature.unchanged:
        return signature
    return replace(signature, unchanged=is_empty_beside(file, signature.file_type))


def _has_mark(file: BinaryIO) -> bool:
    """Return whether a file has a place for credentials, though they cannot be read."""
    file.seek(0)
    before = b""
    while piece := file.read(1 << 20):
        if any(mark in before + piece for mark in _MARKS):
            return True
        before = piece[-16:]
    return False


def _signature(manifest: dict[str, Any], unchanged: bool, known: bool) -> Signature:
    """Return what a manifest says; the maker of the file may have written anything into it."""

    def text(value: object) -> str:
        return value[:200] if isinstance(value, str) else ""

    def first(value: object) -> dict[str, Any]:
        return value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else {}

    assertions = {
        text(one.get("label")): one.get("data")
        for one in manifest.get("assertions", ())
        if isinstance(one, dict) and isinstance(one.get("data"), dict)
    }
    actions = next((data for label, data in assertions.items() if label.startswith("c2pa.actions")), None)
    action = first((actions or {}).get("actions"))
    about, generator = assertions.get(ASSERTION) or {}, first(manifest.get("claim_generator_info"))
    signer = manifest.get("signature_info") or {}
    return Signature(
        unchanged=unchanged,
        known=known,
        name=text(signer.get("common_name")),
        issuer=text(signer.get("issuer")),
        program=text(generator.get("name")),
        version=text(generator.get("version")),
        avatar=text(about.get("avatar")),
        engine=text(about.get("engine")),
        made_at=text(action.get("when")),
        source_type=text(action.get("digitalSourceType")),
        file_type=text(about.get("file_type")),
    )


def _library() -> Any:
    try:
        import c2pa
    except (ImportError, OSError) as error:  # OSError: its own library does not load here
        raise Unavailable(messages.video.C2PA_MISSING()) from error
    return c2pa


def _sign(source: BinaryIO, target: BinaryIO, media_type: str, made: dict[str, str], key: SigningKey) -> None:
    """Write a signed copy of a file.

    Raises:
        OSError: It cannot be signed or written.
        Unavailable: A package is missing.
    """
    c2pa = _library()
    about: dict[str, Any] = {name: made[name] for name in ("avatar", "engine") if name in made}
    if media_type == VIDEO:
        about["file_type"] = file_type(source)
    when = {"when": made["at"]} if "at" in made else {}
    created = {"action": "c2pa.created", "digitalSourceType": origin.COMPOSITE, **when}
    manifest: dict[str, Any] = {
        "claim_generator_info": [{"name": origin.PROGRAM, "version": origin.version()}],
        "title": origin.TITLE,
        "assertions": [
            {"label": "c2pa.actions", "data": {"actions": [created]}},
            {"label": ASSERTION, "data": {**about, "trial_key": key.trial}},
        ],
    }
    source.seek(0)
    try:
        info = c2pa.C2paSignerInfo(key.algorithm, key.certificates, key.private, None)
        with c2pa.Signer.from_info(info) as signer, c2pa.Builder(manifest) as builder:
            builder.sign(signer, media_type, source, target)
    except c2pa.C2paError as error:
        raise OSError(_reason(error)) from error


def _reason(error: Exception) -> str:
    strerror = error.strerror if isinstance(error, OSError) else None  # the whole error would contain the path
    return strerror or (str(error).splitlines() or [type(error).__name__])[0][:120]
