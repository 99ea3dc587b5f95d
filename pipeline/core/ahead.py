"""Lets one stage of the pipeline work ahead of the next, on its own thread."""

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
"""Seconds between two checks of the token while the consumer waits for an item."""


def ahead(
    items: Iterator[T], depth: int, cancel: CancelToken, *, leave: bool = False, beats: bool = False
) -> Generator[T, None, None]:
    """Yield items that a thread computes ahead of the consumer.

    The thread ends when the items end, when they raise (the exception reaches the consumer in place of an item), or
    when the consumer stops early. Closing this generator then waits until the current item is done and `items` is
    closed.

    Args:
        items: What to compute.
        depth: How many items the thread computes ahead.
        cancel: Checked while the consumer waits, too.
        leave: Do not wait for the thread when the consumer stops early; the thread cleans up by itself. For work that
            may hang.
        beats: Also yield None whenever no item has come for `LOOK_SECONDS`.

    Raises:
        PipelineError: The reason with which `cancel` was set.
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
    """Yield what `work` emits while it runs on its own thread; raise what it raises.

    Closing this generator sets the token of `work` and waits until it has ended.

    Args:
        work: Called with a function that emits an item, and with a token that is set with `cancel` or when the consumer
            stops early.
        cancel: The task's token.
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
    """Drop the items that are left in a queue; both sides call this, since either may end last."""
    with contextlib.suppress(queue.Empty):
        while True:
            waiting.get_nowait()


def _items(get: Callable[[], object], look: Callable[[], object] = lambda: None, beats: bool = False) -> Iterator[Any]:
    """Yield what `get` takes from a worker until its end, or raise what the worker raised.

    Whenever there is nothing, `look` is called.
    """
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
