"""Runs the network of a voice, an ONNX file, and reads when each of its symbols is spoken."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from pipeline import messages
from pipeline.core.telemetry import refuse_telemetry
from pipeline.errors import Unavailable
from pipeline.tts.onnx_graph import OnnxGraph

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
        graph: What it is a part of.
        inputs: What ``run`` takes: inputs of the graph, or results of its nodes.
        outputs: What ``run`` returns: results of nodes, such as the durations of a voice's symbols, which are no
            outputs of the file.

    Raises:
        ValueError: The graph has no such part.
        ImportError: onnxruntime is missing.
    """

    def __init__(self, graph: OnnxGraph, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        refuse_telemetry()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        model = graph.part(inputs, outputs)
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # of its own classes, which differ between its versions
            raise ValueError("no such part") from error
        self._session._model_bytes = b""  # kept in case that other providers fail, of which there are none
        self._outputs = list(outputs)

    def run(self, **inputs: np.ndarray) -> list[Any]:
        """Return the outputs, arrays in the order in which they were named."""
        results: list[Any] = self._session.run(self._outputs, inputs)
        return results


@contextmanager
def opening(files: Sequence[Path], sha256: str = "") -> Iterator[OnnxGraph]:
    """Read an ONNX file, or the parts that it was cut into, for a block that makes networks of it.

    Args:
        files: The file or its parts, in order.
        sha256: What the whole must have; "" is anything.

    Raises:
        OSError: A file cannot be read.
        OtherNetwork: It is damaged, or has no such networks.
    """
    content = b"".join(file.read_bytes() for file in files)
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise OtherNetwork(files[0].name)
    try:
        yield OnnxGraph(content)
    except ValueError as error:
        raise OtherNetwork(files[0].name) from error


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


def cannot_speak(engine: str, error: Exception, command: str = "") -> Unavailable:
    """Return the error for a voice that cannot be opened; it names no folder.

    Args:
        engine: Name of the engine.
        error: Why.
        command: Installs it again; that of the voices that come with the program by default.
    """
    why = messages.tts.VOICE_FILES_DAMAGED()
    if isinstance(error, ImportError):
        known = error.name and messages.tts.VOICE_MODULE_MISSING(name=error.name)
        why = known or messages.tts.VOICE_LIBRARY_BROKEN()
    elif isinstance(error, OtherNetwork):
        why = messages.tts.VOICE_FILE_DAMAGED(file=error.file)
    elif isinstance(error, OSError) and error.filename:
        why = messages.tts.VOICE_FILE_UNREADABLE(file=Path(error.filename).name)
    return Unavailable(messages.tts.VOICE_NOT_OPENED(engine=engine, why=why, command=command or _INSTALL))


_INSTALL = "pip install --force-reinstall -r requirements.txt"
