"""Lets one stage of the pipeline work ahead of the next, on its own thread."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextvars import copy_context
from typing import Any, TypeVar

from pipeline.core.cancel import CancelToken
from pipeline.core.notifier import Notifier

T = TypeVar("T")


class _Failed:
    """Carries an exception from the worker to the consumer."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


class _Channel:
    """Carries items from a worker to its consumer; unlike ``queue.Queue``, either of them can be made to stop waiting.

    Args:
        depth: How many items it holds; 0 sets no limit.
    """

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._items: deque[object] = deque()
        self._nudged = self._closed = False
        self._changed = threading.Condition()

    def put(self, item: object) -> bool:
        """Wait for room, and add an item; return False if the channel is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._depth or len(self._items) < self._depth)
            if not self._closed:
                self._items.append(item)
                self._changed.notify_all()
            return not self._closed

    def get(self) -> object:
        """Wait for an item, and return it; or return None after a nudge."""
        with self._changed:
            self._changed.wait_for(lambda: self._nudged or self._items)
            if self._items:
                self._changed.notify_all()
                return self._items.popleft()
            self._nudged = False
            return None

    def nudge(self) -> None:
        """Have the consumer not wait, now or the next time."""
        with self._changed:
            self._nudged = True
            self._changed.notify_all()

    def close(self) -> None:
        """Drop all items, now and later."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()


def ahead(
    items: Iterator[T], depth: int, cancel: CancelToken, *, leave: bool = False, wake: Notifier | None = None
) -> Generator[T, None, None]:
    """Yield items that a thread computes ahead of the consumer.

    The thread ends when the items end, when they raise (the exception reaches the consumer in place of an item), or
    when the consumer stops early. Closing this generator then waits until the current item is done and `items` is
    closed.

    Args:
        items: What to compute.
        depth: How many items the thread computes ahead; 0 sets no limit.
        cancel: Ends the consumer's waiting, too, when it is set.
        leave: Do not wait for the thread when the consumer stops early; the thread cleans up by itself. For work that
            may hang.
        wake: Also yield None when this reports a change and there is no item.

    Raises:
        PipelineError: The reason with which `cancel` was set.
    """
    channel = _Channel(depth)

    def work() -> None:
        try:
            for item in items:
                if not channel.put(item):
                    break
            else:
                channel.put(_END)
        except BaseException as error:
            channel.put(_Failed(error))
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    worker = threading.Thread(target=copy_context().run, args=(work,), name="ahead", daemon=True)
    worker.start()
    try:
        with cancel.calling(channel.nudge), wake.calling(channel.nudge) if wake else contextlib.nullcontext():
            yield from _items(channel, cancel.check)
    finally:
        channel.close()
        if not leave:
            worker.join()


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
    channel = _Channel()
    with cancel.child() as stop:

        def run() -> None:
            try:
                work(channel.put, stop)
            except BaseException as error:
                channel.put(_Failed(error))
            else:
                channel.put(_END)

        worker = threading.Thread(target=run, name="pushed", daemon=True)
        worker.start()
        try:
            yield from _items(channel)
        finally:
            stop.cancel()
            channel.close()
            worker.join()


def _items(channel: _Channel, check: Callable[[], object] = lambda: None) -> Iterator[Any]:
    """Yield what a worker puts into a channel until its end, and None for each nudge; or raise what the worker raised.

    `check` is called before each wait and after each nudge.
    """
    while True:
        check()
        item = channel.get()
        if item is _END:
            return
        if item is None:
            check()
        if isinstance(item, _Failed):
            try:
                raise item.error
            finally:
                del item  # an error holds the frames that it passes: this one must not hold it in turn
        yield item
