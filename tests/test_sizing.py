"""The simulation of queues, beside what is known of them in theory."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from benchmarks.queueing import (
    ANSWER_SECONDS,
    SPEECH_SECONDS,
    Slot,
    fewest_slots,
    interviews,
    most_interviews,
    poisson,
    quantile,
    waits,
)


def test_tasks_are_served_in_turn() -> None:
    assert waits(1, [(0, 3), (1, 3), (1, 3), (10, 1)]) == [0, 2, 4, 0]
    assert waits(2, [(0, 3), (1, 3), (1, 3), (0, 1)]) == [0, 0, 1, 2]


def erlang_c(slots: int, load: float) -> float:
    """Return the chance that a task must wait (A. K. Erlang, 1917).

    Args:
        slots: How many there are.
        load: Slots that work, on average.
    """
    last = load**slots / math.factorial(slots) * slots / (slots - load)
    return last / (sum(load**one / math.factorial(one) for one in range(slots)) + last)


@pytest.mark.parametrize(("slots", "busy"), [(1, 0.7), (4, 0.7), (8, 0.9)])
def test_waits_are_those_of_erlang(slots: int, busy: float) -> None:
    chances = random.Random(1)
    seconds = [chances.expovariate(1) for _ in range(20_000)]
    rate = busy * slots / statistics.mean(seconds)
    waited = waits(slots, poisson(rate, seconds, 60_000, 2))
    must_wait = erlang_c(slots, busy * slots)
    assert sum(one > 1e-9 for one in waited) / len(waited) == pytest.approx(must_wait, abs=0.05)
    assert statistics.mean(waited) == pytest.approx(must_wait / (slots * (1 - busy)), rel=0.2)


def test_waits_for_one_slot_are_those_of_pollaczek_and_khinchine() -> None:
    seconds, rate = [0.5, 1.0, 3.0], 0.4
    waited = waits(1, poisson(rate, seconds, 100_000, 3))
    squares, busy = statistics.mean(one**2 for one in seconds), rate * statistics.mean(seconds)
    assert statistics.mean(waited) == pytest.approx(rate * squares / (2 * (1 - busy)), rel=0.1)


def test_interviews_ask_as_often_as_they_can() -> None:
    """Little's law: people = questions a second * seconds from one to the next."""
    slot = Slot(speed=8, overhead=0.1)
    seen = interviews(200, 6, slot, 10_000)
    again = statistics.mean(seen.waits) + SPEECH_SECONDS + ANSWER_SECONDS
    assert seen.questions * again == pytest.approx(200, rel=0.05)
    assert seen.busy == pytest.approx(seen.questions * slot.seconds(SPEECH_SECONDS) / 6, rel=0.05)


def test_many_slots_work_more_of_their_time_than_few() -> None:
    slot = Slot(speed=8, overhead=0.1)
    busy = [interviews(most_interviews(one, slot, 1.0, 6_000), one, slot, 6_000).busy for one in (2, 8, 32)]
    assert busy == sorted(busy) and busy[-1] > 0.85


def test_the_fewest_slots_suffice_and_one_less_does_not() -> None:
    slot = Slot(speed=8, overhead=0.1)
    slots = fewest_slots(150, slot, 1.0, 6_000)
    late = [quantile(interviews(150, one, slot, 6_000).waits, 0.95) for one in (slots - 1, slots)]
    assert late[0] > 1.0 >= late[1]
    assert most_interviews(slots, slot, 1.0, 6_000) >= 150
