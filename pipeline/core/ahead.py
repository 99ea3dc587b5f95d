"""Lets one stage of the pipeline work ahead of the next, on a thread of its own."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextvars import copy_context
from typing import Any, TypeVar

from pipeline.core.cancel import CancelToken

T = TypeVar("T")


class _Failed:
    """Carries an exception from the worker to the consumer."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()
LOOK_SECONDS = 0.05
"""How often somebody who waits for an item looks at the token."""


def ahead(
    items: Iterator[T], depth: int, cancel: CancelToken, *, leave: bool = False, beats: bool = False
) -> Generator[T, None, None]:
    """Yield ITEMS, computed on a thread that runs up to DEPTH items ahead. Raises what CANCEL does, also while waiting.

    The thread ends when ITEMS end, when they raise (the exception reaches the consumer in its place), or when the
    consumer stops early: closing this generator waits until the item being computed is done and ITEMS are closed. With
    LEAVE it does not wait, and the thread does so by itself: for work that may hang and keeps nobody from going on.
    With BEATS it yields None where nothing has come for a moment.
    """
    waiting: queue.Queue[object] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(item: object) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    break
            else:
                put(_END)
        except BaseException as error:
            put(_Failed(error))
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()
            if stop.is_set():
                _clear(waiting)

    worker = threading.Thread(target=copy_context().run, args=(work,), name="ahead", daemon=True)
    worker.start()
    try:
        yield from _items(lambda: waiting.get(timeout=LOOK_SECONDS), cancel.check, beats)
    finally:
        stop.set()
        if not leave:
            worker.join()
        _clear(waiting)


def pushed(
    work: Callable[[Callable[[T], object], CancelToken], object], cancel: CancelToken
) -> Generator[T, None, None]:
    """Yield what WORK hands to its first argument while it runs on a thread of its own; raise what it raises.

    Its second argument is a token that is set with CANCEL, or when the consumer stops early; closing this generator
    waits until WORK has seen it.
    """
    waiting: queue.SimpleQueue[object] = queue.SimpleQueue()
    stop = cancel.child()

    def run() -> None:
        try:
            work(waiting.put, stop)
        except BaseException as error:
            waiting.put(_Failed(error))
        else:
            waiting.put(_END)

    worker = threading.Thread(target=run, name="pushed", daemon=True)
    worker.start()
    try:
        yield from _items(waiting.get)
    finally:
        stop.cancel()
        worker.join()
        _clear(waiting)


def _clear(waiting: queue.Queue[object] | queue.SimpleQueue[object]) -> None:
    """Let go of what nobody is going to take, on whichever side ends last."""
    with contextlib.suppress(queue.Empty):
        while True:
            waiting.get_nowait()


def _items(get: Callable[[], object], look: Callable[[], object] = lambda: None, beats: bool = False) -> Iterator[Any]:
    """Yield what GET takes from a worker until its end, or raise what the worker raised; LOOK when nothing is there."""
    while True:
        try:
            item = get()
        except queue.Empty:
            look()
            if beats:
                yield None
            continue
        if item is _END:
            return
        if isinstance(item, _Failed):
            try:
                raise item.error
            finally:
                del item  # an error holds the frames that it passes: this one must not hold it in turn
        yield item
