"""Waiting is ended by events: no wake-up is lost, no callback is left behind, and every waiter can be stopped."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pipeline.core.ahead import ahead, pushed
from pipeline.core.cancel import CancelToken
from pipeline.core.notifier import Flag, Notifier, until
from pipeline.core.pool import Pool
from pipeline.errors import Cancelled, TookTooLong
from pipeline.jobs.turns import Turns, Waits

TIMES = 1000
SECONDS = 30
"""Far more than anything here takes."""


def for_a_thing(token: CancelToken) -> None:
    with POOL.one(token):
        pytest.fail("there was nothing to lend")


def for_a_turn(token: CancelToken) -> None:
    with TURNS.turn(Waits(), token):
        pytest.fail("there are no turns")


def for_an_item(token: CancelToken) -> None:
    given_up = threading.Event()

    def never() -> Iterator[int]:
        given_up.wait(SECONDS)
        yield 1

    try:
        list(ahead(never(), 1, token, leave=True, wake=NOTIFIER))
    finally:
        given_up.set()


def for_what_is_pushed(token: CancelToken) -> None:
    def work(push: Callable[[int], object], stop: CancelToken) -> None:
        assert stop.wait(SECONDS)
        stop.check()

    list(pushed(work, token))


def on_a_loop(token: CancelToken) -> None:
    asyncio.run(until(lambda: token.cancelled, token, NOTIFIER))
    token.check()


POOL: Pool[int] = Pool()
TURNS = Turns(0)
NOTIFIER = Notifier()


@pytest.mark.parametrize("wait", [for_a_thing, for_a_turn, for_an_item, for_what_is_pushed, on_a_loop])
def test_who_waits_is_stopped_at_any_moment_and_leaves_nothing(wait: Callable[[CancelToken], None]) -> None:
    tokens = [CancelToken() for _ in range(TIMES)]
    with ThreadPoolExecutor(1) as other:
        for number, token in enumerate(tokens):
            other.submit(token.cancel, TookTooLong(number))  # before, while or after it begins to wait
            with pytest.raises(TookTooLong, match=f" {number} s "):
                wait(token)
    assert [token for token in tokens if callbacks_of(token)] == []
    assert callbacks_of(POOL.asked) == callbacks_of(TURNS.asked) == callbacks_of(NOTIFIER) == 0
    assert not POOL.wanted and not TURNS.wanted


def callbacks_of(source: CancelToken | Flag | Notifier) -> int:
    """Return how many functions are registered."""
    return len((source._flag if isinstance(source, CancelToken) else source)._calls)


def test_a_token_that_lives_long_collects_nothing() -> None:
    token, pool = CancelToken(), Pool([1])

    async def coroutine() -> None:
        await until(lambda: True, token)

    for _ in range(TIMES):
        with token.child() as child, child.calling(lambda: None), pool.one(token):
            pass
        assert list(ahead(iter("ab"), 1, token)) == ["a", "b"]
    asyncio.run(coroutine())
    assert callbacks_of(token) == 0


def test_whoever_registers_is_called_once_however_late() -> None:
    flag, calls = Flag(), []
    with flag.calling(lambda: calls.append("before")):
        assert not calls and not flag.is_set
        flag.set()
        flag.set()
        with flag.calling(lambda: calls.append("after")):
            assert flag.is_set
    with pytest.raises(ZeroDivisionError), Flag().calling(lambda: calls.append("never")):
        raise ZeroDivisionError
    assert calls == ["before", "after"]


def test_news_from_many_threads_wake_every_coroutine() -> None:
    notifier, numbers = Notifier(), [0] * 8

    def count(which: int) -> None:
        for _ in range(TIMES):
            numbers[which] += 1
            notifier.notify()

    async def follow(which: int) -> None:
        for number in range(1, TIMES + 1, 7):
            await until(lambda number=number: numbers[which] >= number, notifier)  # type: ignore[misc]  # bound by default

    async def all_of_them() -> None:
        with ThreadPoolExecutor(len(numbers)) as threads:
            for which in range(len(numbers)):
                threads.submit(count, which)
            async with asyncio.timeout(SECONDS):
                await asyncio.gather(*map(follow, range(len(numbers))))

    asyncio.run(all_of_them())
    assert callbacks_of(notifier) == 0


def test_a_stage_whose_thread_waits_for_room_is_closed() -> None:
    made: list[int] = []
    closed, full = threading.Event(), threading.Event()

    def numbers() -> Iterator[int]:
        try:
            for number in range(100):
                made.append(number)
                if number == 3:  # the second waits, the third has no room
                    full.set()
                yield number
        finally:
            closed.set()

    stream = ahead(numbers(), 2, CancelToken())
    assert next(stream) == 0 and full.wait(SECONDS)
    stream.close()
    assert closed.is_set() and made == [0, 1, 2, 3]


def test_news_end_the_waiting_for_an_item_without_one() -> None:
    notifier, go_on = Notifier(), threading.Event()

    def two() -> Iterator[int]:
        yield 1
        go_on.wait(SECONDS)
        yield 2

    got: list[Any] = []
    stream = ahead(two(), 0, CancelToken(), wake=notifier)
    got.append(next(stream))
    notifier.notify()
    got.append(next(stream))
    go_on.set()
    got += stream
    assert got == [1, None, 2] and callbacks_of(notifier) == 0


def test_what_is_lent_comes_back_whatever_happens() -> None:
    pool = Pool("ab")
    with pytest.raises(ZeroDivisionError), pool.one(CancelToken()):
        raise ZeroDivisionError
    with pool.one(CancelToken()) as one, pool.one(CancelToken()) as other:
        assert {one, other} == {"a", "b"}
        token = CancelToken()
        token.cancel()
        with pytest.raises(Cancelled), pool.one(token):
            pytest.fail("nothing was left")
        pool.add("c")
        with pool.one(CancelToken()) as third:
            assert third == "c"
