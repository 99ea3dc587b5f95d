"""Runs the network of a voice, an ONNX file, and reads when each of its symbols is spoken."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from pipeline import messages
from pipeline.core.telemetry import refuse_telemetry
from pipeline.errors import Unavailable

logger = logging.getLogger(__name__)
T = TypeVar("T")


class OtherNetwork(Exception):
    """A file is damaged, or of another version.

    Attributes:
        file: Its name.
    """

    def __init__(self, file: str) -> None:
        super().__init__(f"{file} is damaged, or of another version")
        self.file = file


class Network:
    """A network on one thread of the CPU: for networks as small as a voice, a second thread costs more than it gives.

    Args:
        files: The ONNX file, or the parts that it was cut into, in order.
        inputs: The inputs that it must have.
        outputs: What ``run`` returns. These may also be results of inner nodes, which the file does not list as
            outputs, such as the durations of a voice's symbols.
        sha256: What the whole file must have; "" is anything.

    Raises:
        OSError: A file cannot be read.
        OtherNetwork: It is damaged, or another network.
        ImportError: onnxruntime is missing.
    """

    def __init__(self, files: Sequence[Path], inputs: Iterable[str], outputs: Sequence[str], sha256: str = "") -> None:
        refuse_telemetry()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        name = files[0].name
        parts = [file.read_bytes() for file in files]
        if sha256 and _sha256(parts) != sha256:
            raise OtherNetwork(name)
        parts += map(_as_output, outputs)
        try:
            self._session = onnxruntime.InferenceSession(b"".join(parts), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # of its own classes, which differ between its versions
            raise OtherNetwork(name) from error
        if not {*inputs} <= {one.name for one in self._session.get_inputs()}:
            raise OtherNetwork(name)
        self._outputs = list(outputs)

    def run(self, **inputs: np.ndarray) -> list[Any]:
        """Return the outputs, arrays in the order in which they were named."""
        results: list[Any] = self._session.run(self._outputs, inputs)
        return results


def _sha256(parts: Iterable[bytes]) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part)
    return whole.hexdigest()


def _as_output(name: str) -> bytes:
    """Return what makes the result of a node an output, when it follows the content of an ONNX file.

    The format merges messages that follow each other: this is a model (field 7: its graph) whose graph has nothing but
    one more output (field 12) of that name (field 1). An output that is listed twice is listed once.
    """
    field = name.encode()
    for number in (1, 12, 7):
        field = bytes([number << 3 | 2, len(field)]) + field
    return field


class OpenedOnce(Generic[T]):
    """What an engine speaks with, opened at its first use; safe to use from any thread.

    Args:
        engine: Name of the engine, for messages.
        load: Opens it.
    """

    def __init__(self, engine: str, load: Callable[[], T]) -> None:
        self._engine = engine
        self._load = load
        self._lock = threading.Lock()
        self._opened: T | Unavailable | None = None

    @property
    def failed(self) -> bool:
        """Whether it was tried, and cannot be opened."""
        return isinstance(self._opened, Unavailable)

    def get(self) -> T:
        """Return it.

        Raises:
            Unavailable: It cannot be opened, and is not tried again.
        """
        with self._lock:
            if self._opened is None:
                try:
                    self._opened = self._load()
                except Exception as error:  # whatever a damaged package raises
                    logger.warning("%s cannot be loaded: %s", self._engine, error)
                    self._opened = cannot_speak(self._engine, error)
            if isinstance(self._opened, Unavailable):
                raise self._opened.afresh()
            return self._opened


def cannot_speak(engine: str, error: Exception) -> Unavailable:
    """Return the error for a voice that comes with the program and cannot be opened; it names no folder."""
    why = messages.tts.VOICE_FILES_DAMAGED()
    if isinstance(error, ImportError):
        known = error.name and messages.tts.VOICE_MODULE_MISSING(name=error.name)
        why = known or messages.tts.VOICE_LIBRARY_BROKEN()
    elif isinstance(error, OtherNetwork):
        why = messages.tts.VOICE_FILE_DAMAGED(file=error.file)
    elif isinstance(error, OSError) and error.filename:
        why = messages.tts.VOICE_FILE_UNREADABLE(file=Path(error.filename).name)
    return Unavailable(messages.tts.VOICE_NOT_OPENED(engine=engine, why=why, command=_INSTALL))


_INSTALL = "pip install --force-reinstall -r requirements.txt"
