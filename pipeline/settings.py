"""All settings of the program, read from the environment (and ``.env``) once, at the start."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pipeline import messages

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = not (_PACKAGE.parent / "pyproject.toml").is_file()
ROOT = Path.cwd() if _INSTALLED else _PACKAGE.parent
"""Folder of avatars, results and weights: the checkout, or the working folder of an installed program."""
BUNDLED = _PACKAGE / "precomputed" if _INSTALLED else None
"""The avatars of an installed program; in a checkout they lie beside those of the user."""
SPACE: dict[str, object] = {"host": "0.0.0.0", "port": 7860, "forwarded_allow_ips": "*", "voice_downloads": "off"}
"""What differs in a Hugging Face Space: only its own proxy reaches the server, and its disk is not for weights."""

AI_LABELS = ("off", messages.video.AI_MARK().ko, messages.video.AI_MARK().en)
"""Marks that pictures may bear."""
SHORTEST_SECRET = 32
"""Characters of a secret, from which it cannot be guessed."""
MOST_DICTIONARIES = 3
"""Pronunciation dictionaries that ElevenLabs takes in a request."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings with their defaults; see ``from_environment`` for the variables."""

    host: str = "127.0.0.1"
    port: int = 5000
    precomputed: Path = ROOT / "precomputed"
    results: Path = ROOT / "results" / "realtime"
    result_ttl: float = 600.0
    """Seconds for which a finished video is kept; 0 keeps it for ever."""
    max_text: int = 5000
    """Characters."""
    max_audio: float = 600.0
    """Seconds of an uploaded recording."""
    max_upload: int = 128
    """MiB of an uploaded recording, clip or photo."""
    max_queue: int = 32
    """Tasks that may wait."""
    max_sharing: int = 8
    """Tasks that take turns at rendering, sentence by sentence; 1 makes one video after the other."""
    max_seconds: float = 1200.0
    """Seconds that one task may take, without those in which others have their turns; 0 sets no limit."""
    live_max_sessions: int = 0
    """Live sessions at a time; 0 is as many as this machine has room for."""
    live_max_seconds: float = 3600.0
    """Seconds after which a live session ends; 0 sets no limit."""
    resume_seconds: float = 30.0
    """Seconds for which a task with an Idempotency-Key continues after its client disconnects."""
    api_keys: str = field(default="", repr=False)
    """Keys that REST accepts, separated by commas; if it is empty, REST needs no key."""
    token_secret: str = field(default="", repr=False)
    """Signs tokens for browsers; if it is empty, a random one does until the program ends."""
    webhook_url: str = ""
    """Where the server reports the ends of all tasks and sessions, unless a request names another address."""
    webhook_secret: str = field(default="", repr=False)
    """Signs webhooks (whsec_ and base64, as Standard Webhooks has it); without it none are sent."""
    webhook_private: int = 0
    """1 also sends webhooks to addresses in private networks."""
    page: str = "key"
    """Whether the page needs a key, too ("key"), or is public ("open")."""
    rest_avatars: str = "all"
    """Which uploaded avatars REST shows, uses and deletes without keys:

    all of them ("all"), or a client's own ("own").
    """
    allowed_origins: str = ""
    """Web sites that may use the server from a browser, separated by commas (https://example.com)."""
    allowed_hosts: str = ""
    """Host names of the server, separated by commas (avatar.example); see ``pipeline.server.access``."""
    forwarded_allow_ips: str = "127.0.0.1,::1"
    """Addresses of proxies whose X-Forwarded-* headers are trusted, separated by commas; * is any."""
    root_path: str = ""
    """The path of the server behind a proxy (/avatar)."""
    space_host: str = ""
    """The host name, if the program runs as a Hugging Face Space."""
    lipsync_engine: str = "auto"
    """Default engine of a request: mesh, musetalk, or auto (musetalk on a GPU, else mesh)."""
    tts_engine: str = "auto"
    """Speech engine of a request that names none: one by its name, or auto (the best for the text's language)."""
    pronunciations: str = ""
    """A file of JSON: what is spoken for words ({"SQL": "sequel"}), by language if you like; see docs/api.md."""
    voice_downloads: str = "on"
    """Whether the page and REST may fetch Supertonic's weights on request: on or off."""
    ai_label: str = "off"
    """A mark that all pictures bear, one of `AI_LABELS`."""
    c2pa_cert: str = ""
    """A file with the certificates (PEM, the signer's first) that sign Content Credentials of downloads."""
    c2pa_key: str = ""
    """The file with their private key (PEM, without a password)."""
    video_encoder: str = "auto"
    """Encoder of the videos: x264, nvenc (in an NVIDIA card), or auto (nvenc if the card also renders)."""
    musetalk_compile: int = 0
    """1 also tries torch.compile when MuseTalk is loaded; that takes minutes, and the faster variant is used."""
    ray_address: str = ""
    """Address of a Ray cluster that renders (host:6379, or auto); if it is empty, this machine does."""
    slots_max: int = 0
    """Most slots that Ray's autoscaler may bring as work comes; 0: the cluster has the nodes that somebody starts."""
    store_url: str = ""
    """Where web servers and nodes share packs and recordings (file:///path, s3://bucket); a folder in the results."""
    store_links: float = 0.0
    """Seconds for which addresses of finished videos in a bucket are valid; 0 sends videos through this server."""
    tasks_url: str = field(default="", repr=False)
    """Redis (redis://host:6379/0) in which several web servers share their tasks; if it is empty, this one is alone."""
    server_url: str = ""
    """Where the other web servers reach this one (http://10.0.0.5:5000); by default its address towards Redis."""
    drain_seconds: float = 0.0
    """Seconds in which a server that is to end lets its tasks and sessions end first."""
    models_dir: Path = ROOT / "models"
    """Folder of the weights of networks."""
    elevenlabs_api_key: str = field(default="", repr=False)
    elevenlabs_voice_id: str = ""
    elevenlabs_model: str = "eleven_multilingual_v2"
    elevenlabs_stability: float = -1.0
    elevenlabs_similarity: float = -1.0
    elevenlabs_style: float = -1.0
    """How steady a voice is, how close to its original, and how much its style is exaggerated (0-1).

    -1 is what the account has set for the voice.
    """
    elevenlabs_dictionaries: str = ""
    """Ids of up to three pronunciation dictionaries of the account, separated by commas: id or id:version."""
    elevenlabs_base_url: str = ""
    """Another address of the service (a regional one, or a stub in tests); empty is the SDK's default."""
    elevenlabs_timeout: float = 30.0
    """Seconds without a byte after which a call fails."""
    llm_base_url: str = ""
    """Address of a language model with OpenAI's chat protocol (http://localhost:11434/v1); empty is OpenAI's own."""
    llm_api_key: str = field(default="", repr=False)
    llm_model: str = ""
    llm_timeout: float = 30.0
    """Seconds without a word after which an answer fails."""
    stt_base_url: str = ""
    """Address of a transcription service with OpenAI's protocol; empty is OpenAI's own."""
    stt_api_key: str = field(default="", repr=False)
    stt_model: str = ""
    stt_timeout: float = 30.0
    """Seconds after which a transcription fails."""

    @property
    def uploads(self) -> Path:
        """Folder of the visitors' uploads; emptied when the server starts."""
        return self.results / "uploads"

    @property
    def keys(self) -> Path:
        """Folder of keys that the program has made itself, which no one else may read."""
        return self.results / ".keys"

    @property
    def backgrounds(self) -> Path:
        """Folder of uploaded backgrounds, and of clips in front of them."""
        return self.results / "backgrounds"

    @property
    def live_cache(self) -> Path:
        """Folder of the decoded clips of live sessions; emptied when the server starts."""
        return self.results / "live"

    def to_json(self) -> dict[str, Any]:
        """Return the settings for another process; `from_json` reads them."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Settings:
        """Return the settings that `to_json` wrote."""
        paths = {f.name: Path(content[f.name]) for f in fields(cls) if isinstance(f.default, Path)}
        return replace(cls(), **{**content, **paths})

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings.

        The variable of a setting is its name in capitals (``MAX_TEXT``); host, port and path are Gradio's:
        ``GRADIO_SERVER_NAME``, ``GRADIO_SERVER_PORT`` and ``GRADIO_ROOT_PATH``. In a Hugging Face Space (``SYSTEM``)
        the defaults are those of Gradio's own server.

        Args:
            environ: The variables; by default those of the process, after loading ``.env``.

        Raises:
            ValueError: A variable cannot be read; the message names it.
        """
        if environ is None:
            from dotenv import load_dotenv

            load_dotenv(ROOT / ".env")
            environ = os.environ
        names = {"host": "GRADIO_SERVER_NAME", "port": "GRADIO_SERVER_PORT", "root_path": "GRADIO_ROOT_PATH"}
        given: dict[str, object] = SPACE if environ.get("SYSTEM") == "spaces" else {}
        for f in fields(cls):
            variable = names.get(f.name, f.name.upper())
            text = environ.get(variable, "").strip()
            if not text:
                continue
            kind: type[str] | type[int] | type[float] | type[Path] = (
                Path if isinstance(f.default, Path) else _type_of(f)
            )
            try:
                value = kind(text)
            except ValueError:
                raise ValueError(f"{variable}={text!r}: expected {kind.__name__}") from None
            if isinstance(value, int | float) and value < 0:
                raise ValueError(f"{variable}={text!r}: must not be negative")
            given = {**given, f.name: value}
        settings = cls(**given)  # type: ignore[arg-type]  # built from the fields' own types
        settings.check()
        return settings

    @property
    def page_is_locked(self) -> bool:
        """Whether the page needs a key."""
        return bool(listed(self.api_keys)) and self.page != "open"

    def check(self) -> None:
        """Check values that have the right type.

        Raises:
            ValueError: A value is not possible; the message names the variable.
        """
        if self.page not in ("key", "open"):
            raise ValueError(f"PAGE={self.page!r}: expected key or open")
        if self.voice_downloads not in ("on", "off"):
            raise ValueError(f"VOICE_DOWNLOADS={self.voice_downloads!r}: expected on or off")
        if self.ai_label not in AI_LABELS:
            raise ValueError(f"AI_LABEL={self.ai_label!r}: expected {', '.join(AI_LABELS)}")
        if bool(self.c2pa_cert) != bool(self.c2pa_key):
            raise ValueError("C2PA_CERT and C2PA_KEY: expected both, or none")
        for name in ("stability", "similarity", "style"):
            value = getattr(self, f"elevenlabs_{name}")
            if value > 1:
                raise ValueError(f"ELEVENLABS_{name.upper()}={value:g}: expected 0 to 1")
        if len(listed(self.elevenlabs_dictionaries)) > MOST_DICTIONARIES:
            raise ValueError(f"ELEVENLABS_DICTIONARIES: expected {MOST_DICTIONARIES} at most, separated by commas")
        if self.tasks_url and not re.match(r"(redis|rediss|unix)://", self.tasks_url):
            raise ValueError("TASKS_URL: expected redis://host:port or rediss://host:port")
        if self.server_url and not re.fullmatch(r"https?://[^/?#\s@]+", self.server_url.rstrip("/")):
            raise ValueError(f"SERVER_URL={self.server_url!r}: expected scheme, host and port: http://10.0.0.5:5000")
        if self.rest_avatars not in ("all", "own"):
            raise ValueError(f"REST_AVATARS={self.rest_avatars!r}: expected all or own")
        if 0 < len(self.token_secret) < SHORTEST_SECRET:
            raise ValueError(f"TOKEN_SECRET: expected {SHORTEST_SECRET} characters at least, as openssl rand -hex 32")
        for origin in listed(self.allowed_origins):
            if not re.fullmatch(r"https?://[^/?#\s*@]+|null", origin):
                raise ValueError(f"ALLOWED_ORIGINS={origin!r}: expected scheme, host and port: https://example.com")
        if self.root_path and not re.fullmatch(r"(https?://[^/?#\s]+)?(/[\w.~-]+)*/?", self.root_path, re.ASCII):
            raise ValueError(f"GRADIO_ROOT_PATH={self.root_path!r}: expected a path (/avatar), or a whole address")


def _type_of(setting: Field[Any]) -> type[str] | type[int] | type[float]:
    kind = type(setting.default)
    assert kind in (str, int, float)
    return kind


def listed(text: str) -> tuple[str, ...]:
    """Split a text at commas; blanks around the parts, and empty parts, are dropped."""
    return tuple(filter(None, (part.strip() for part in text.split(","))))
