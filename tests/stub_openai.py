"""A local HTTP server that answers as services with OpenAI's protocol do, their errors included.

with OpenAIStub() as stub:
    settings = Settings(llm_base_url=stub.url, llm_api_key=KEY, llm_model="stub")
    stub.mode = "429"
"""

from __future__ import annotations

import email
import io
import json
import sys
import threading
import wave
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-test-0123456789"

MODES = (
    "ok",  # says its answer, a word a time
    "401",
    "403",
    "404",
    "400",
    "429",  # always
    "429-once",  # then answers
    "500",
    "500-once",
    "503-html",  # a proxy's page instead of JSON
    "hang",  # takes the request and says nothing
    "comments",  # says nothing, but keeps the connection
    "stall",  # says nothing more after two words
    "drop",  # closes the connection after two words
    "error-inside",  # reports an error in the middle of its stream
    "garbage",  # what it sends is no JSON
    "empty",  # no words
    "no-choices",  # chunks without a choice among the others
    "endless",
)


@dataclass(frozen=True)
class Asked:
    """What a client sent: PATH, KEY, and BODY, the JSON or the parts of a form."""

    path: str
    key: str
    body: dict[str, Any] = field(default_factory=dict)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that left is nobody's fault
            super().handle_error(request, client_address)


class OpenAIStub:
    """The server; MODE says how the next requests end, ANSWER what it says, ASKED what was asked."""

    def __init__(self) -> None:
        self.mode = "ok"
        self.answer = "one two. three four."
        self.transcript = "저는 개발자입니다."
        self.asked: list[Asked] = []
        self.tries = 0
        self.closing = threading.Event()
        self.go_on = threading.Event()
        """Ends a stall."""
        self.sent = threading.Semaphore(0)
        """One for each word that was sent."""
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def reset(self, mode: str = "ok", answer: str = "one two. three four.") -> None:
        self.mode, self.answer, self.tries = mode, answer, 0
        self.asked.clear()
        self.go_on.clear()

    def __enter__(self) -> OpenAIStub:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(stub: OpenAIStub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass  # the tests' own output is enough

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            body = _form(self.headers["Content-Type"], data)
            key = self.headers.get("Authorization", "").removeprefix("Bearer ")
            stub.asked.append(Asked(self.path, key, body))
            stub.tries += 1
            mode = stub.mode
            if mode.endswith("-once"):
                mode = mode.removesuffix("-once") if stub.tries == 1 else "ok"
            if mode.isdigit():
                self._error(int(mode), key)
            elif mode == "503-html":
                self._send(503, b"<html>bad gateway</html>", "text/html")
            elif mode == "hang":
                stub.go_on.wait(60)
                self.close_connection = True
            elif self.path.endswith("/audio/transcriptions"):
                text = {} if mode == "empty" else {"text": stub.transcript}
                self._send(200, b"{" if mode == "garbage" else json.dumps(text).encode(), "application/json")
            else:
                self._stream(mode)

        def _error(self, status: int, key: str) -> None:
            message = f"Something is wrong with {key} ({status})"
            body = json.dumps({"error": {"message": message, "type": "stub", "code": None}}).encode()
            self._send(status, body, "application/json")

        def _stream(self, mode: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            words = [] if mode == "empty" else [f"{word} " for word in stub.answer.split()]
            if mode == "comments":
                while not stub.go_on.wait(0.05):
                    self._chunk(": here\n\n")
                self.close_connection = True
                return
            number = 0
            while number < len(words) or mode == "endless":
                if number == 2 and mode == "stall":
                    stub.go_on.wait(60)
                    self.close_connection = True
                    return
                if number == 2 and mode == "drop":
                    self.close_connection = True
                    return
                if number == 2 and mode == "error-inside":
                    self._chunk('data: {"error": {"message": "overloaded", "type": "stub", "code": 500}}\n\n')
                    break
                if number == 1 and mode == "garbage":
                    self._chunk("data: {no json\n\n")
                    break
                if mode == "no-choices":
                    self._chunk('data: {"id": "1", "object": "chat.completion.chunk", "choices": []}\n\n')
                self._chunk(_event(words[number % len(words)]))
                stub.sent.release()
                number += 1
            self._chunk("data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")

        def _chunk(self, text: str) -> None:
            data = text.encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

        def _send(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if status == 429:
                self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _event(text: str) -> str:
    delta = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "stub", "choices": [delta]}
    return f"data: {json.dumps(chunk)}\n\n"


def _form(kind: str, data: bytes) -> dict[str, Any]:
    """Return the JSON of a request, or the parts of a form."""
    if kind.startswith("application/json"):
        return dict(json.loads(data))
    form = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + data)
    parts: dict[str, Any] = {}
    for part in form.walk():
        if not part.is_multipart():
            parts[str(part.get_param("name", header="content-disposition"))] = part.get_payload(decode=True)
    return parts


def seconds_of(sound: bytes) -> float:
    """Return the length of a WAV file."""
    with wave.open(io.BytesIO(sound)) as file:
        return float(file.getnframes() / file.getframerate())
