"""Signed copies of videos (Content Credentials), and what the command and REST say of any file."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import c2pa
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pipeline.core.origin import COMPOSITE, SPOKEN, version
from pipeline.errors import BadRequest, Unavailable
from pipeline.settings import Settings
from pipeline.tools.verify import verify
from pipeline.video.credentials import Signer, read
from pipeline.video.seal import USER_TYPE
from pipeline.video.signing_key import TRIAL, TRIAL_FILE
from tests.servers import ROOT, Server, running

PEM = serialization.Encoding.PEM
DAY = timedelta(days=1)
REQUEST = {"text": "one two three.", "avatar": "solo", "resolution": "480p"}


def made_key(kind: str = "p256") -> Any:
    match kind:
        case "rsa":
            return rsa.generate_private_key(65537, 2048)
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "p384":
            return ec.generate_private_key(ec.SECP384R1())
        case "koblitz":
            return ec.generate_private_key(ec.SECP256K1())
    return ec.generate_private_key(ec.SECP256R1())


def certificate(key: Any, signer: Any, since: datetime, days: int, usable: bool = True) -> x509.Certificate:
    """Return a certificate of KEY, signed with SIGNER; its own if that is KEY."""
    authority = key is signer
    name = [x509.NameAttribute(NameOID.COMMON_NAME, "Operator"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Firm")]
    issuer = [x509.NameAttribute(NameOID.COMMON_NAME, "Authority")]
    flags = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    ) | dict.fromkeys(("encipher_only", "decipher_only"), False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(issuer if authority else name))
        .issuer_name(x509.Name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + days * DAY)
        .add_extension(x509.BasicConstraints(authority, None), True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **flags), True
        )
    )
    if usable and not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
    return builder.sign(signer, hashes.SHA256())


def operator(folder: Path, kind: str = "p256", since: datetime | None = None, **more: Any) -> dict[str, Any]:
    """Write a key and its certificates into FOLDER; return the settings for them."""
    key, authority = made_key(kind), made_key()
    begin = since or datetime.now(UTC) - DAY
    chain = certificate(key, authority, begin, 9, **more), certificate(authority, authority, begin, 99)
    (folder / "cert.pem").write_bytes(b"".join(one.public_bytes(PEM) for one in chain))
    plain = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(plain)
    return {"c2pa_cert": str(folder / "cert.pem"), "c2pa_key": str(folder / "key.pem")}


@pytest.fixture(scope="module")
def video(fake_server: Server) -> bytes:
    """A finished video, in one piece."""
    done = fake_server.events(REQUEST)[-1]
    return fake_server.get(f"{done['video_url']}?download=1").content


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "results").mkdir()
    return Settings(results=tmp_path / "results")


def signed(video: bytes, settings: Settings, folder: Path) -> Path:
    (folder / "whole.mp4").write_bytes(video)
    made = {"avatar": "solo", "engine": "fake", "at": "2026-01-02T03:04:05+00:00"}
    return Signer(settings).signed_copy(folder / "whole.mp4", folder / "signed.mp4", made)


def test_a_signed_copy_says_what_made_it_and_the_video_stays_as_it_is(fake_server: Server) -> None:
    done = fake_server.events(REQUEST)[-1]
    before = fake_server.get(done["video_url"]).content
    copy = fake_server.get(f"{done['video_url']}?c2pa=1")
    assert copy.status_code == 200 and copy.headers["content-disposition"] == "attachment"
    assert fake_server.get(done["video_url"]).content == before
    assert fake_server.get(f"{done['video_url']}?c2pa=1").headers["etag"] == copy.headers["etag"]
    part = fake_server.get(f"{done['video_url']}?c2pa=1", headers={"Range": "bytes=4-7"})
    assert part.status_code == 206 and part.content == b"ftyp"
    with c2pa.Reader("video/mp4", io.BytesIO(copy.content)) as reader:  # without any setting of ours
        assert reader.get_validation_state() == "Valid"
        report = json.loads(reader.json())
    manifest = report["manifests"][report["active_manifest"]]
    assert manifest["claim_generator_info"][0]["name"] == "realtime-interview-avatar"
    assert manifest["claim_generator_info"][0]["version"] == version() == "0.1.0"
    assert manifest["signature_info"]["common_name"] == TRIAL
    assertions = {one["label"]: one["data"] for one in manifest["assertions"]}
    assert assertions["io.github.realtime-interview-avatar.video"] == {
        "avatar": "solo",
        "engine": "fake",
        "trial_key": True,
        "file_type": copy.content[8 : int.from_bytes(copy.content[:4], "big")].hex(),
    }
    (action,) = assertions["c2pa.actions.v2"]["actions"]
    assert action["action"] == "c2pa.created" and action["digitalSourceType"] == COMPOSITE
    assert abs(datetime.fromisoformat(action["when"]) - datetime.now(UTC)) < timedelta(minutes=9)
    kept = fake_server.results / ".keys" / TRIAL_FILE
    if os.name == "posix":
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert fake_server.get(f"/gradio_api/file={kept}").status_code in (403, 404)

    said = fake_server.post("/api/v2/verify", files={"file": copy.content}).json()
    assert said["success"] and said["ours"] and said["signed"] and said["unchanged"] is True
    assert said["signature"]["key"] == "trial" and said["signature"]["avatar"] == "solo"
    assert said["digital_source_type"] == COMPOSITE and "시험용" in said["message"]
    for whole in (before, fake_server.get(f"{done['video_url']}?download=1").content):
        said = fake_server.post("/api/v2/verify", files={"file": whole}, headers={"Accept-Language": "en"}).json()
        assert said["ours"] and said["signed"] is False and said["unchanged"] is True
        assert "byte by byte" in said["message"]
    sound = fake_server.get(done["audio_url"]).content
    for content, same in ((sound, True), (sound[:99] + b"changed" + sound[106:], None)):
        said = fake_server.post("/api/v2/verify", files={"file": content}).json()
        assert said["ours"] and said["digital_source_type"] == SPOKEN and said["unchanged"] is same


def test_every_byte_of_the_pictures_and_of_what_is_claimed_is_sealed(
    video: bytes, settings: Settings, tmp_path: Path
) -> None:
    data = signed(video, settings, tmp_path).read_bytes()
    whole = verify(tmp_path / "signed.mp4", settings)
    assert whole.unchanged and whole.key == "trial" and whole.signature is not None
    assert whole.signature.made_at.startswith("2026-01-02T03:04:05") and whole.signature.engine == "fake"
    pictures, index = data.index(b"mdat"), data.index(b"moov")
    claims = data.index(b"solo"), data.index(COMPOSITE.encode())
    for place in (*range(pictures + 4, len(data), len(data) // 40), index + 150, *claims):
        (tmp_path / "x.mp4").write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        found = verify(tmp_path / "x.mp4", settings)
        assert found.unchanged is False and "바뀐" in found.sentence.ko, place
    free = b"\0\0\0\x10freesomething"[:16]
    for shorter in (data[:-1], data + b"\0", data + free, data[: len(data) // 2]):
        (tmp_path / "x.mp4").write_bytes(shorter)
        assert verify(tmp_path / "x.mp4", settings).unchanged is False


@pytest.mark.slow
def test_what_the_signature_leaves_out_holds_only_what_belongs_there(
    video: bytes, settings: Settings, tmp_path: Path
) -> None:
    data = signed(video, settings, tmp_path).read_bytes()
    begin, padding, end = data.index(b"uuid"), data.index(b"\xa1cpadY") + 7, data.index(b"moov")
    frames = *range(8, begin + 60), *range(padding - 3, padding)  # the type, and the beginning of the credentials
    names = [data.index(name) for name in (b"c2pa.assertions", b"c2pa.claim.v2", b"jumdc2cs")]
    for place in (*frames, *names, padding + 99, padding + 800, *range(begin + 60, end, 41)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        found = read(io.BytesIO(changed), "video/mp4")
        assert found is not None and not found.unchanged, place
    stripped = data.replace(USER_TYPE, bytes(16)).replace(b"jumdc2pa", bytes(8))
    assert read(io.BytesIO(stripped), "video/mp4") is None  # it can be taken off


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa", "ed25519"])
def test_the_operators_key_signs_and_is_known(video: bytes, settings: Settings, tmp_path: Path, kind: str) -> None:
    own = replace(settings, **operator(tmp_path, kind))
    Signer(own).check()
    path = signed(video, own, tmp_path)
    assert verify(path, own).key == "certificate"
    elsewhere = verify(path, settings)
    assert elsewhere.key == "other" and elsewhere.unchanged and elsewhere.ours
    assert elsewhere.signature is not None and elsewhere.signature.name == "Operator"
    assert "Operator" in elsewhere.sentence.en


def broken_keys(folder: Path, how: str) -> dict[str, Any]:
    since = {"expired": datetime(2020, 1, 1, tzinfo=UTC), "not yet": datetime.now(UTC) + DAY}.get(how)
    given = operator(folder, "koblitz" if how == "kind" else "p256", since, usable=how != "usage")
    cert, key = Path(given["c2pa_cert"]), Path(given["c2pa_key"])
    match how:
        case "missing":
            key.unlink()
        case "garbage":
            cert.write_bytes(os.urandom(999))
        case "empty":
            key.write_bytes(b"")
        case "folder":
            given["c2pa_cert"] = str(folder)
        case "another":
            plain = serialization.NoEncryption()
            key.write_bytes(made_key().private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain))
        case "password":
            locked = serialization.BestAvailableEncryption(b"x")
            key.write_bytes(made_key().private_bytes(PEM, serialization.PrivateFormat.PKCS8, locked))
        case "swapped":
            given = {"c2pa_cert": given["c2pa_key"], "c2pa_key": given["c2pa_cert"]}
        case "alone":
            own = serialization.load_pem_private_key(key.read_bytes(), None)
            cert.write_bytes(certificate(own, own, datetime.now(UTC) - DAY, 9).public_bytes(PEM))
    return given


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("missing", "C2PA_KEY cannot be read"),
        ("garbage", "C2PA_CERT cannot be used"),
        ("empty", "C2PA_KEY cannot be used"),
        ("folder", "C2PA_CERT cannot be read"),
        ("another", "not the key of the certificate"),
        ("password", "C2PA_KEY cannot be used"),
        ("swapped", "C2PA_KEY cannot be used"),
        ("expired", "since 2020-01-10"),
        ("not yet", "valid from"),
        ("kind", "of another kind"),
        ("usage", "C2PA_CERT cannot be used"),
        ("alone", "C2PA_CERT cannot be used"),
    ],
)
def test_a_key_that_cannot_sign_is_a_clear_error_and_the_video_is_there(
    video: bytes, settings: Settings, tmp_path: Path, how: str, says: str
) -> None:
    own = replace(settings, **broken_keys(tmp_path, how))
    with pytest.raises(Unavailable, match=says) as refused:
        Signer(own).check()
    assert str(tmp_path) not in refused.value.message.en + refused.value.message.ko
    with pytest.raises(Unavailable):
        signed(video, own, tmp_path)
    assert (tmp_path / "whole.mp4").read_bytes() == video
    assert not list(tmp_path.glob("signed*"))


def test_one_of_the_two_settings_is_refused() -> None:
    with pytest.raises(ValueError, match="C2PA_CERT and C2PA_KEY"):
        Settings.from_environment({"C2PA_CERT": "cert.pem"})


def test_a_damaged_trial_key_is_made_again(video: bytes, settings: Settings, tmp_path: Path) -> None:
    signed(video, settings, tmp_path)
    kept = settings.keys / TRIAL_FILE
    for content in (b"", b"garbage", kept.read_bytes()[:300]):
        kept.write_bytes(content)
        (tmp_path / "signed.mp4").unlink()
        assert verify(signed(video, settings, tmp_path), settings).key == "trial"


@pytest.fixture(scope="module")
def certified(fake_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose operator has set a key."""
    folder = tmp_path_factory.mktemp("certified")
    given = {name.upper(): value for name, value in operator(folder).items()}
    with running(["-m", "tests.fakes", str(fake_packs)], folder, **given) as server:
        yield server


def test_with_the_operators_key_downloads_are_signed_and_without_it_only_on_request(certified: Server) -> None:
    done = certified.events(REQUEST)[-1]
    stream = certified.get(done["video_url"]).content
    plain = certified.get(f"{done['video_url']}?download=1&c2pa=0").content
    download = certified.get(f"{done['video_url']}?download=1").content
    assert read(io.BytesIO(stream), "video/mp4") is None and read(io.BytesIO(plain), "video/mp4") is None
    said = certified.post("/api/v2/verify", files={"file": download}).json()
    assert said["signature"]["key"] == "certificate" and said["signature"]["issuer"] == "Firm"
    task = certified.results / f"{done['task_id']}.c2pa.mp4"
    assert task.read_bytes() == download
    task.unlink()
    task.with_name(f"{task.name}.part").mkdir()  # nothing can be written there
    assert certified.get(f"{done['video_url']}?download=1").content == plain
    refused = certified.get(f"{done['video_url']}?c2pa=1", headers={"Accept-Language": "en"})
    assert refused.status_code == 503 and "could not be signed" in refused.json()["error"]
    assert certified.get(f"/video/{'0' * 32}.mp4?c2pa=1").status_code == 404
    for path in (done["audio_url"], done["video_url"].replace("mp4", "webm")):
        refused = certified.get(f"{path}?c2pa=1", headers={"Accept-Language": "en"})
        assert refused.status_code == 400 and f"{done['video_url']}?c2pa=1" in refused.json()["error"]
    assert certified.get(f"{done['audio_url']}?c2pa=0").status_code == 200
    task.with_name(f"{task.name}.part").rmdir()


PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(99)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        PICTURE,
        b"\0\0\0\x18ftypisom\0\0\0\0isomavc1",
        b"\0\0\0\x18ftypisom" + os.urandom(9999),
        b"RIFF\xff\xff\xff\xffWAVE" + bytes(99),
        b"\x1aE\xdf\xa3" + os.urandom(999),
        bytes(1 << 20),
    ],
    ids=["empty", "playlist", "concat", "picture", "cut", "noise", "no wav", "no webm", "zeros"],
)
def test_what_cannot_be_verified_is_a_clear_error(content: bytes, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(BadRequest) as refused:
        verify(tmp_path / "x", settings)
    assert "verif" in refused.value.message.en and refused.value.message.ko


def test_rest_refuses_what_is_no_upload_of_a_file_to_verify(fake_server: Server) -> None:
    sent: list[dict[str, Any]] = [{"files": {"file": b"no video"}}, {"files": {"another": b"x"}}, {"json": {}}]
    for more in (*sent, {"data": {"file": "text"}}):
        answer = requests.post(f"{fake_server.url}/api/v2/verify", timeout=60, **more)
        assert answer.status_code == 400 and answer.json()["success"] is False, more
        assert "WebM" in answer.json()["error"], more  # says what can be verified
    assert not [path for path in (fake_server.results / "uploads" / "clips").rglob("*") if path.is_file()]


def test_others_are_not_ours(settings: Settings, tmp_path: Path) -> None:
    verdict = verify(ROOT / "examples" / "talk_short.mp4", settings)
    assert not verdict.ours and verdict.unchanged is None and verdict.signature is None
    assert "no proof" in verdict.sentence.en


def test_without_the_package_videos_are_made_and_the_error_says_what_to_install(
    video: bytes, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = signed(video, settings, tmp_path)
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(Unavailable, match=r"requirements-c2pa\.txt"):
        Signer(settings).signed_copy(tmp_path / "whole.mp4", tmp_path / "other.mp4", {})
    verdict = verify(path, settings)
    assert verdict.ours and verdict.to_json()["signed"] is None and "requirements-c2pa.txt" in verdict.sentence.ko
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(Unavailable, match=r"requirements-c2pa\.txt"):
        Signer(replace(settings, results=tmp_path / "elsewhere")).key()


def test_the_command_answers_people_and_programs(video: bytes, settings: Settings, tmp_path: Path) -> None:
    path = signed(video, settings, tmp_path)
    command = [sys.executable, "-m", "pipeline.tools.verify"]
    environ = {**os.environ, "RESULTS": str(settings.results)}
    done = subprocess.run([*command, str(path)], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "trial key" in done.stdout, done.stderr
    (tmp_path / "x.mp4").write_bytes(path.read_bytes()[:-9] + b"changed!!")
    again = subprocess.run([*command, str(tmp_path / "x.mp4")], cwd=ROOT, env=environ, capture_output=True, timeout=60)
    assert again.returncode == 1
