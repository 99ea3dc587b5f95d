"""Wakes threads and coroutines, so that nothing that waits has to look again and again.

What can be waited for has a method ``calling``, which registers a function while a block lasts: a ``Notifier`` calls
it at every change, a ``Flag`` and a ``CancelToken`` when they are set. They call it in the thread of the change, so the
function does one short thing that is safe in every thread, and that wakes its waiter:

- A thread waits for a ``threading.Event``, which the function sets, or for an item of a queue, into which it puts one.
- A coroutine waits in ``until``, or for the ``asyncio.Event`` of ``woken_by``, which the function sets by
  ``call_soon_threadsafe``. Only there do threads and event loops meet.

A waiter registers, then checks its condition, and then waits; a change in between has set its event already, so that
no wake-up is lost. With the block the function is forgotten; a call that had begun before may still come, to no effect.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Protocol


class Source(Protocol):
    """Something that can be waited for."""

    def calling(self, call: Callable[[], object]) -> contextlib.AbstractContextManager[None]:
        """Call `call`, from any thread, while the block lasts."""


class Notifier:
    """Changes that others wait for; safe to use from any thread."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], object]] = []
        self._lock = threading.RLock()  # the garbage collector may end a generator, and its block, inside of it

    def notify(self) -> None:
        """Report a change, after it was made."""
        with self._lock:
            calls = list(self._calls)
        for call in calls:
            call()

    @contextlib.contextmanager
    def calling(self, call: Callable[[], object]) -> Iterator[None]:
        """Call `call` at every change while the block lasts."""
        with self._lock:
            self._calls.append(call)
        try:
            yield
        finally:
            with self._lock:
                self._calls.remove(call)


class Flag:
    """A change that comes once; safe to use from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._calls: list[Callable[[], object]] = []
        self._lock = threading.RLock()  # as above

    @property
    def is_set(self) -> bool:
        """Whether it has come."""
        return self._event.is_set()

    def set(self) -> None:
        """Report it; no effect from the second time on."""
        with self._lock:
            self._event.set()
            calls, self._calls = self._calls, []
        for call in calls:
            call()

    @contextlib.contextmanager
    def calling(self, call: Callable[[], object]) -> Iterator[None]:
        """Call `call` once if the flag is set before or while the block lasts."""
        with self._lock:
            pending = not self._event.is_set()
            if pending:
                self._calls.append(call)
        if not pending:
            call()
        try:
            yield
        finally:
            with self._lock:
                if call in self._calls:
                    self._calls.remove(call)

    def wait(self, seconds: float) -> bool:
        """Block this thread until the flag is set, at most for a number of seconds; return whether it is set."""
        return self._event.wait(seconds)


@contextlib.contextmanager
def woken_by(*sources: Source) -> Iterator[asyncio.Event]:
    """Give an event of the running loop that each of `sources` sets while the block lasts.

    Clear it before you check what you wait for.
    """
    loop, woken = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the program ends
            loop.call_soon_threadsafe(woken.set)

    with contextlib.ExitStack() as stack:
        for source in sources:
            stack.enter_context(source.calling(wake))
        yield woken


async def until(condition: Callable[[], bool], *sources: Source) -> None:
    """Return as soon as `condition` is true; it is checked again whenever one of `sources` reports a change."""
    with woken_by(*sources) as woken:
        while not condition():
            await woken.wait()
            woken.clear()
