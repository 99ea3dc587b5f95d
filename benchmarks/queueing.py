"""Simulates how long requests wait for slots.

First come first served, a task begins when it comes or when the first slot is free, whichever is later; so a heap of
the times at which slots are free is all that it takes. A library for simulation of events needs ten times as long.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace

SPEECH_SECONDS = 10.0
"""Mean length of a question."""
SPEECH_VARIATION = 0.5
"""Standard deviation of that, divided by it; lengths follow a gamma distribution."""
ANSWER_SECONDS = 60.0
"""Mean time until the next question, exponentially distributed."""
WARM_UP = 0.1
"""Share of the waits at the beginning that are not counted."""


@dataclass(frozen=True)
class Slot:
    """How fast a slot is.

    Attributes:
        speed: Seconds of video that it makes in a second.
        overhead: Seconds that each task takes besides.
    """

    speed: float
    overhead: float

    def seconds(self, speech: float) -> float:
        """Return how long a task takes, in seconds.

        Args:
            speech: Seconds of speech.
        """
        return self.overhead + speech / self.speed


@dataclass(frozen=True)
class Interviews:
    """What became of interviews.

    Attributes:
        waits: Seconds for which each question waited for a slot.
        busy: Share of their time that slots worked.
        questions: Questions a second, of all interviews together.
    """

    waits: list[float]
    busy: float
    questions: float


def waits(slots: int, tasks: Iterable[tuple[float, float]]) -> list[float]:
    """Return for how many seconds each task waits for one of the slots, first come first served.

    Args:
        slots: How many there are.
        tasks: Seconds since the one before, and for how many seconds it takes a slot.
    """
    free, now, waited = [0.0] * slots, 0.0, list[float]()
    for gap, seconds in tasks:
        now += gap
        begins = max(now, free[0])
        waited.append(begins - now)
        heapreplace(free, begins + seconds)
    return waited


def poisson(rate: float, seconds: Sequence[float], count: int, seed: int) -> list[tuple[float, float]]:
    """Return tasks that come independently of each other, with times drawn from some.

    Args:
        rate: Tasks a second.
        seconds: How long tasks take.
        count: How many.
        seed: Of the random numbers.
    """
    chances = random.Random(seed)
    return [(chances.expovariate(rate), chances.choice(seconds)) for _ in range(count)]


def speech_seconds(chances: random.Random) -> float:
    """Return the length of a question."""
    shape = 1 / SPEECH_VARIATION**2
    return chances.gammavariate(shape, SPEECH_SECONDS / shape)


def _first_question(chances: random.Random) -> float:
    """Return when an interview asks next that is seen at some moment: it is asking, or the answer goes on."""
    asks = chances.random() < SPEECH_SECONDS / (SPEECH_SECONDS + ANSWER_SECONDS)
    left = chances.uniform(0, SPEECH_SECONDS) if asks else 0.0
    return left + chances.expovariate(1 / ANSWER_SECONDS)


def interviews(people: int, slots: int, slot: Slot, questions: int, seed: int = 1) -> Interviews:
    """Simulate interviews at the same time, each of which asks a question, hears the answer, and asks the next one.

    Args:
        people: How many interviews.
        slots: How many slots.
        slot: How fast they are.
        questions: After how many questions of all it ends.
        seed: Of the random numbers.
    """
    chances = random.Random(seed)
    free, waited, worked, now = [0.0] * slots, list[float](), 0.0, 0.0
    asking = [_first_question(chances) for _ in range(people)]
    heapify(asking)
    for _ in range(questions):
        now = asking[0]
        speech = speech_seconds(chances)
        begins, working = max(now, free[0]), slot.seconds(speech)
        heapreplace(free, begins + working)
        waited.append(begins - now)
        worked += working
        # the video plays while it is made
        heapreplace(asking, begins + max(speech, working) + chances.expovariate(1 / ANSWER_SECONDS))
    return Interviews(waited[round(WARM_UP * questions) :], worked / (slots * now), questions / now)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of them lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def most_interviews(slots: int, slot: Slot, patience: float, questions: int) -> int:
    """Return how many interviews fit: of their questions, 95 % wait no longer than `patience` seconds."""

    def fits(people: int) -> bool:
        return quantile(interviews(people, slots, slot, questions).waits, 0.95) <= patience

    low, high = 0, 8
    while fits(high):
        low, high = high, 2 * high
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def fewest_slots(people: int, slot: Slot, patience: float, questions: int) -> int:
    """Return how many slots some interviews need, so that 95 % of their questions wait no longer than `patience`."""
    low, high = 0, 1
    while quantile(interviews(people, high, slot, questions).waits, 0.95) > patience:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        enough = quantile(interviews(people, middle, slot, questions).waits, 0.95) <= patience
        low, high = (low, middle) if enough else (middle, high)
    return high


def summary(values: Sequence[float]) -> str:
    """Return mean, median and 95th percentile as cells of a table."""
    return f"{statistics.mean(values):.2f} | {statistics.median(values):.2f} | {quantile(values, 0.95):.2f}"
