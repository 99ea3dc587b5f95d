"""A local HTTP server that answers as the ElevenLabs service does, its errors included.

    with ElevenLabsStub() as stub:
        settings = Settings(elevenlabs_api_key="test-key", elevenlabs_base_url=stub.url)
        stub.mode = "429"

Its speech comes from espeak-ng, so that sound and character times belong together.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from scipy.signal import resample_poly
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Upgrade
from websockets.protocol import State
from websockets.server import ServerProtocol

from pipeline.core.cancel import CancelToken
from pipeline.text.language import language_of
from pipeline.tts.espeak import EspeakEngine

KEY = "test-key"
VOICES = {"voice-anna": "Anna", "voice-ben": "Ben", "JBFqnCBsd6RMkjVDRZzb": "George"}
RATE = 24000

MODES = (
    "ok",  # speaks
    "401",  # the key is refused
    "quota",  # 401 with quota_exceeded
    "402",
    "404",
    "422",
    "429",
    "500",
    "503-html",  # a proxy's page instead of JSON
    "hang",  # takes the request and says nothing
    "stall",  # says nothing more after the first chunk
    "drop",  # closes the connection in the middle of a chunk
    "garbage",  # lines that are not JSON
    "garbage-line",  # one of the lines is not JSON
    "no-alignment",  # chunks without character times
    "relative",  # times that count from each chunk
    "empty",  # no sound at all
    "odd",  # half a sample too much
)
LIVE_MODES = (
    "message",  # over the socket: times count from each message (as with "ok")
    "sentence",  # from each sentence
    "stream",  # from the beginning
    "restarts",  # a second message begins with the characters of the first again
    "403",  # no live text for this model
    "closed",  # the socket is closed with nothing but a reason
    "1011",  # an error of the service closes it
)
"""Modes of the socket alone; the others hold for it, too."""

_DETAILS = {
    401: {"status": "invalid_api_key", "message": "Invalid API key"},
    402: {"status": "payment_required", "message": "Free users cannot use library voices via the API."},
    404: {"status": "voice_not_found", "message": "A voice with that voice_id was not found."},
    422: [{"loc": ["body", "text"], "msg": "field required", "type": "value_error.missing"}],
    429: {"status": "too_many_concurrent_requests", "message": "Too many concurrent requests"},
    500: {"status": "internal_server_error", "message": "Something went wrong"},
}


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: dict[str, Any] = field(default_factory=dict)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client may leave
            super().handle_error(request, client_address)


SUBSCRIPTION = {
    "tier": "free",
    "character_count": 9_950,
    "character_limit": 10_000,
    "can_extend_character_limit": False,
    "allowed_to_extend_character_limit": False,
    "voice_slots_used": 1,
    "professional_voice_slots_used": 0,
    "voice_limit": 3,
    "voice_add_edit_counter": 0,
    "professional_voice_limit": 0,
    "can_extend_voice_limit": False,
    "can_use_instant_voice_cloning": False,
    "can_use_professional_voice_cloning": False,
    "status": "free",
    "has_open_invoices": False,
}
"""The plan, which has 50 characters left."""


class ElevenLabsStub:
    """The server; ``mode`` says how the next speech requests end, ``requests`` holds what was asked."""

    def __init__(self) -> None:
        self.mode = "ok"
        self.requests: list[Request] = []
        self.sent: list[dict[str, Any]] = []
        """The messages of the sockets."""
        self.open = 0
        """Sockets that are connected."""
        self.connected = 0
        """Sockets that ever were."""
        self.models: list[dict[str, Any]] | None = None
        """The models that are listed; None refuses to."""
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> ElevenLabsStub:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def spoken(text: str) -> tuple[np.ndarray, list[tuple[str, float, float]]]:
    """Return int16 samples at RATE and (character, start, end) for TEXT."""
    rendering = EspeakEngine().render(text, language_of(text), CancelToken())
    samples = resample_poly(rendering.samples.astype(np.float64), 160, 147)  # 22050 -> 24000 Hz
    offsets = [offset for offset, _ in rendering.words] + [len(text)]
    starts = [start for _, start in rendering.words]
    timed: list[tuple[str, float, float]] = [(character, 0.0, 0.0) for character in text[: offsets[0]]]
    for (first, last), start in zip(pairwise(offsets), starts, strict=True):
        inside = [m for m in rendering.phonemes if m.text and m.start >= start]
        following = min((s for s in starts if s > start), default=float("inf"))
        end = max(m.end for m in inside if m.start < following)
        letters = text[first:last].rstrip(" .,!?\n")
        edges = np.linspace(start, end, len(letters) + 1)
        timed += [(c, float(a), float(b)) for c, (a, b) in zip(letters, pairwise(edges), strict=True)]
        gap = min(following, len(rendering.samples) / rendering.rate)
        rest = text[first + len(letters) : last]
        edges = np.linspace(end, max(gap, end), len(rest) + 1)
        timed += [(c, float(a), float(b)) for c, (a, b) in zip(rest, pairwise(edges), strict=True)]
    return np.clip(samples, -32768, 32767).astype("<i2"), timed


def _lines(text: str, mode: str) -> list[bytes]:
    """Return the JSON lines of a speech answer."""
    samples, timed = spoken(text)
    if mode == "empty":
        return [_line(b"", None)]
    step = RATE // 2
    lines = []
    for n, start in enumerate(range(0, len(samples), step)):
        begin, end = start / RATE, (start + step) / RATE
        own = [(c, a, b) for c, a, b in timed if begin <= a < end]
        shift = begin if mode == "relative" else 0.0
        alignment: dict[str, Any] | None = {
            "characters": [c for c, _, _ in own],
            "character_start_times_seconds": [a - shift for _, a, _ in own],
            "character_end_times_seconds": [b - shift for _, _, b in own],
        }
        if mode == "no-alignment" and n % 2:
            alignment = None
        pcm = samples[start : start + step].tobytes()
        if mode == "odd" and start + step >= len(samples):
            pcm += b"\0"
        garbage = mode == "garbage" or (mode == "garbage-line" and n == 1)
        lines.append(b'{"audio_base64": "AAA\n' if garbage else _line(pcm, alignment))
    return lines


def _line(pcm: bytes, alignment: dict[str, Any] | None) -> bytes:
    chunk = {"audio_base64": base64.b64encode(pcm).decode(), "alignment": alignment, "normalized_alignment": alignment}
    return json.dumps(chunk).encode() + b"\n"


class _Socket:
    """A connection over which text arrives sentence by sentence."""

    def __init__(self, stub: ElevenLabsStub, handler: BaseHTTPRequestHandler) -> None:
        self._stub = stub
        self._connection = handler.connection
        self._protocol = ServerProtocol()
        self._protocol.receive_data(Upgrade(handler.path, Headers(handler.headers.items())).serialize())
        self._voice = urlsplit(handler.path).path.split("/")[3]
        self._key = handler.headers.get("xi-api-key")
        self._seconds = 0.0

    def serve(self) -> None:
        (request,) = self._protocol.events_received()
        assert isinstance(request, Upgrade)
        answer = self._protocol.accept(request)
        if self._stub.mode == "403":
            answer = self._protocol.reject(403, "")
        self._protocol.send_response(answer)
        self._flush()
        if answer.status_code != 101:
            return
        self._stub.open += 1
        self._stub.connected += 1
        try:
            while self._protocol.state is State.OPEN:
                data = self._connection.recv(65536)
                self._protocol.receive_data(data) if data else self._protocol.receive_eof()
                for event in self._protocol.events_received():
                    if not isinstance(event, Frame) or self._protocol.state is not State.OPEN:
                        continue
                    if event.opcode is Opcode.TEXT:
                        self._take(json.loads(bytes(event.data)))
                self._flush()
        finally:
            self._stub.open -= 1

    def _take(self, message: dict[str, Any]) -> None:
        self._stub.sent.append(message)
        mode = self._stub.mode
        if mode == "hang" or (mode == "stall" and self._seconds):
            return
        refusal = {
            "401": ("invalid_api_key", "Invalid API key"),
            "402": ("payment_required", "Free users cannot use library voices via the API."),
            "404": ("voice_id_does_not_exist", "A voice with this voice_id does not exist."),
            "422": ("invalid_input_message", "field required"),
            "429": ("too_many_concurrent_requests", "Too many concurrent requests"),
            "500": ("internal_server_error", "Something went wrong"),
            "quota": ("quota_exceeded", "This request exceeds your quota."),
        }.get("401" if self._key != KEY else mode)
        if refusal or self._voice not in VOICES:
            code, why = refusal or ("voice_id_does_not_exist", "A voice with this voice_id does not exist.")
            self._send({"message": why, "error": code, "code": 1008})
            self._close(1008, why)
        elif mode == "closed":
            self._close(1008, "This request exceeds your quota of 10000.")
        elif mode == "1011":
            self._close(1011, "")
        elif not message["text"]:
            self._send({"audio": None, "isFinal": True})
            self._close(1000, "")
        elif message["text"].strip():
            self._speak(message["text"], mode)

    def _speak(self, text: str, mode: str) -> None:
        if mode == "garbage":
            self._protocol.send_text(b'{"audio": "AAA')
            return
        samples, timed = spoken(text)
        if mode == "empty":
            return
        step = RATE // 2
        since = self._seconds
        for start in range(0, len(samples), step):
            begin, last = start / RATE, start + step >= len(samples)
            own = [(c, a, b) for c, a, b in timed if begin <= a and (last or a < begin + 0.5)]
            shift = {"sentence": 0.0, "stream": since}.get(mode, -begin)
            if not self._seconds:
                own.insert(0, (" ", 0.0, 0.0))  # of the opening
            if mode == "restarts" and start == step:
                own = [(c, a, b) for c, a, b in timed if a < begin + 0.5]
            alignment: dict[str, Any] | None = {
                "chars": [c for c, _, _ in own],
                "charStartTimesMs": [round(1000 * max(0.0, a + shift)) for _, a, _ in own],
                "charDurationsMs": [round(1000 * (b - a)) for _, a, b in own],
            }
            if mode == "no-alignment":
                alignment = None
            pcm = samples[start : start + step].tobytes() + (b"\0" if mode == "odd" and last else b"")
            self._seconds += len(pcm) / 2 / RATE
            audio = base64.b64encode(pcm).decode()
            self._send({"audio": audio, "isFinal": None, "alignment": alignment, "normalizedAlignment": alignment})
            if mode == "drop":
                self._flush()
                self._connection.shutdown(2)
                return
            if mode == "stall":
                return

    def _send(self, message: dict[str, Any]) -> None:
        self._protocol.send_text(json.dumps(message).encode())

    def _close(self, code: int, reason: str) -> None:
        self._protocol.send_close(code, reason)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._connection.sendall(data)


def _handler(stub: ElevenLabsStub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass  # the tests' own output is enough

        def do_GET(self) -> None:
            if self._refused({}):
                return
            if self.path.startswith("/v1/user/subscription"):
                if stub.mode == "quota":
                    self._json(200, SUBSCRIPTION)
                else:
                    self._json(500, {"detail": "hidden"})
                return
            if self.path.startswith("/v1/models"):
                self._json(500 if stub.models is None else 200, stub.models)
                return
            if self.headers.get("Upgrade") == "websocket":
                self.close_connection = True
                _Socket(stub, self).serve()
                return
            voices = [{"voice_id": voice, "name": name} for voice, name in VOICES.items()]
            self._json(200, {"voices": voices, "has_more": False, "total_count": len(voices)})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self._refused(body):
                return
            mode = "ok" if stub.mode in LIVE_MODES else stub.mode
            voice = urlsplit(self.path).path.split("/")[3]
            if mode == "hang":
                stub.closing.wait()
                self.close_connection = True
            elif mode == "quota":
                self._json(401, {"detail": {"status": "quota_exceeded", "message": "This request exceeds your quota."}})
            elif mode == "503-html":
                self._send(503, b"<html>bad gateway</html>", "text/html")
            elif mode.isdigit():
                self._json(int(mode), {"detail": _DETAILS[int(mode)]})
            elif voice not in VOICES:
                self._json(404, {"detail": _DETAILS[404]})
            else:
                self._stream(_lines(body["text"], mode), mode)

        def _refused(self, body: dict[str, Any]) -> bool:
            url = urlsplit(self.path)
            stub.requests.append(Request(url.path, parse_qs(url.query), dict(self.headers), body))
            if self.headers.get("Upgrade") == "websocket":
                return False  # it refuses by itself
            if self.headers.get("xi-api-key") == KEY:
                return False
            self._json(401, {"detail": _DETAILS[401]})
            return True

        def _stream(self, lines: list[bytes], mode: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for n, line in enumerate(lines):
                if n == 1 and mode == "stall":
                    stub.closing.wait()
                    self.close_connection = True
                    return
                if n == 1 and mode == "drop":
                    self.wfile.write(f"{len(line):x}\r\n".encode() + line[: len(line) // 2])
                    self.close_connection = True
                    return
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")

        def _json(self, status: int, body: object) -> None:
            self._send(status, json.dumps(body).encode(), "application/json")

        def _send(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
