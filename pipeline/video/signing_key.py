"""Keys that sign Content Credentials: the operator's own, or one that this program makes for trying."""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import messages
from pipeline.core.growing_file import part_of
from pipeline.core.origin import PROGRAM
from pipeline.errors import Unavailable

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

logger = logging.getLogger(__name__)

TRIAL = f"Trial key, not to be trusted ({PROGRAM})"
"""The name in certificates that this program has made for itself."""
TRIAL_FILE = "c2pa-trial.pem"
TRIAL_DAYS = 3650


@dataclass(frozen=True)
class SigningKey:
    """A private key and its certificates.

    Attributes:
        certificates: PEM, the signer's first.
        private: PEM (PKCS #8).
        algorithm: As C2PA names it ("es256").
        trial: Whether this program has made it for itself.
    """

    certificates: bytes
    private: bytes = field(repr=False)
    algorithm: str
    trial: bool = False


def load_key(certificates: Path, private: Path) -> SigningKey:
    """Return the key in two files.

    Raises:
        Unavailable: A package is missing, or a file cannot be used; the message says why.
    """
    certificate_pem, private_pem = _content(certificates, "C2PA_CERT"), _content(private, "C2PA_KEY")
    return _key_of(certificate_pem, private_pem)


def trial_key(folder: Path) -> SigningKey:
    """Return the key for trying, which is made where it is missing, damaged or expired.

    Args:
        folder: Where it is kept; only its owner may read it. If that cannot be written, the key is for this time only.

    Raises:
        Unavailable: A package is missing.
    """
    path = folder / TRIAL_FILE
    with contextlib.suppress(OSError, ValueError, Unavailable):
        private, _, certificates = path.read_bytes().partition(_DIVIDER)
        return _key_of(certificates, private, trial=True)
    made = _made()
    try:
        _keep(made, path)
    except OSError as error:
        logger.warning("the trial key of Content Credentials is not kept: %s", error)
    return made


def trial_certificates(folder: Path) -> bytes | None:
    """Return the certificates of the key for trying; None if there is none yet."""
    with contextlib.suppress(OSError):
        return (folder / TRIAL_FILE).read_bytes().partition(_DIVIDER)[2]
    return None


_DIVIDER = b"\n# certificates\n"


def _keep(key: SigningKey, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = part_of(path)
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key.private + _DIVIDER + key.certificates)
    part.replace(path)


def _content(path: Path, variable: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Unavailable(messages.video.C2PA_FILE_UNREADABLE(variable=variable, reason=reason)) from error


def _key_of(certificates: bytes, private: bytes, trial: bool = False) -> SigningKey:
    """Return a key, once it is known that its parts belong together and are valid today.

    Raises:
        Unavailable: They are not, or a package is missing.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise Unavailable(messages.video.C2PA_MISSING()) from error
    try:
        key = serialization.load_pem_private_key(private, None)
    except Exception as error:  # several kinds, one for each way in which a file can be broken
        raise Unavailable(messages.video.C2PA_KEY_BROKEN(reason=_reason(error))) from error
    algorithm = _algorithm_of(key)
    if algorithm is None:
        raise Unavailable(messages.video.C2PA_KEY_BROKEN(reason=messages.video.KEY_OF_WRONG_KIND()))
    try:
        chain = x509.load_pem_x509_certificates(certificates)
    except Exception as error:
        raise Unavailable(messages.video.C2PA_CERT_BROKEN(reason=_reason(error))) from error
    if chain[0].public_key() != key.public_key():
        raise Unavailable(messages.video.C2PA_CERT_BROKEN(reason=messages.video.KEY_DOES_NOT_FIT()))
    _check_dates(chain[0])
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return SigningKey(b"".join(one.public_bytes(pem) for one in chain), plain, algorithm, trial)


def _check_dates(certificate: Certificate) -> None:
    now = datetime.now(UTC)
    if now > certificate.not_valid_after_utc:
        reason = messages.video.CERTIFICATE_EXPIRED(date=certificate.not_valid_after_utc.date())
        raise Unavailable(messages.video.C2PA_CERT_BROKEN(reason=reason))
    if now < certificate.not_valid_before_utc:
        reason = messages.video.CERTIFICATE_NOT_YET(date=certificate.not_valid_before_utc.date())
        raise Unavailable(messages.video.C2PA_CERT_BROKEN(reason=reason))


def _algorithm_of(key: Any) -> str | None:
    """Return the algorithm with which a key signs; None if C2PA has none for it."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}.get(key.curve.name)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    return "ps256" if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048 else None


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:100]


def _made() -> SigningKey:
    """Return a new key for trying: an authority of its own, and the signer's certificate.

    Raises:
        Unavailable: A package is missing.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError as error:
        raise Unavailable(messages.video.C2PA_MISSING()) from error
    now = datetime.now(UTC)
    authority, signer = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def certificate(name: str, key: ec.EllipticCurvePrivateKey, of_authority: bool) -> Certificate:
        subject, issuer = (
            x509.Name(
                [
                    x509.NameAttribute(NameOID.COMMON_NAME, common_name),
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, TRIAL),
                ]
            )
            for common_name in (name, "Trial authority")
        )
        uses = {"digital_signature": not of_authority, "key_cert_sign": of_authority, "crl_sign": of_authority}
        others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        unused = (*others, "encipher_only", "decipher_only")
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=TRIAL_DAYS))
            .add_extension(x509.BasicConstraints(ca=of_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
            .add_extension(x509.KeyUsage(**uses, **dict.fromkeys(unused, False)), critical=True)
        )
        if not of_authority:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])  # one of those that C2PA accepts
            builder = builder.add_extension(usage, critical=False)
        return builder.sign(authority, hashes.SHA256())

    chain = certificate(TRIAL, signer, False), certificate("Trial authority", authority, True)
    pem = serialization.Encoding.PEM
    private = signer.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return SigningKey(b"".join(one.public_bytes(pem) for one in chain), private, "es256", trial=True)
