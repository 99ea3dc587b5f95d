"""How many machines some use needs, and what they cost: measured on this machine, simulated for many.

    python -m benchmarks.sizing [--clip CLIP] [--rounds 3] [--tasks 60] [--busy 0.5 0.7 0.85] [--costs FILE]
        [--vcpu-hour 0.0446] [--egress-gb 0.09]

1. Measures CPU time and bits of a second of video in each resolution, of speech that is given; `--costs` keeps this in
   a file, or takes it from there if that exists: {"720p": {"cpu": 0.2, "bits": 2.7e6}}.
2. Starts the server, sends it requests at random times, and measures how long each waits and works; the simulation gets
   the same arrivals and times, and then many random ones like them. The table shows waits of both beside each other.
3. Simulates interviews at the same time with slots as fast as those of 1: what 500 need, and how many fit on 1 to 64
   nodes, so that 95 % of the questions wait no longer than a second.
4. Multiplies that by prices, which are assumptions: give yours.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import requests

from benchmarks.film import film
from benchmarks.machine import describe_machine, load
from benchmarks.queueing import (
    ANSWER_SECONDS,
    SPEECH_SECONDS,
    Slot,
    fewest_slots,
    interviews,
    most_interviews,
    poisson,
    quantile,
    summary,
    waits,
)
from benchmarks.serving import URL, serving
from benchmarks.sizes import TEXT, enlarged, frames_of
from pipeline.avatars.avatar import Avatar
from pipeline.avatars.pack import load as load_pack
from pipeline.core.cancel import CancelToken
from pipeline.jobs.studio import Studio, make_studio
from pipeline.jobs.tasks import TaskBook
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.prepare import prepare
from pipeline.settings import ROOT, Settings
from pipeline.speech_types import Speech
from pipeline.tts.speech_engine import CUSTOM_VOICE

CORES = 2
"""Cores of a slot (docs/cluster.md)."""
NODES = (1, 2, 4, 8, 16, 32, 64)
SLOTS_OF_NODE = 2
PEOPLE = 500
PATIENCE = 1.0
"""Seconds that 95 % of the questions may wait."""
QUESTIONS = 60_000
MANY = 100_000
"""Tasks of a simulation that stands for a long time."""
TEXTS = (
    "네, 좋습니다.",
    "안녕하세요, 면접에 오신 것을 환영합니다. 먼저 간단한 자기소개를 부탁드립니다.",
    "지금까지 가장 어려웠던 문제는 무엇이었고, 어떻게 해결하셨습니까? 천천히 말씀해 주세요.",
)


@dataclass(frozen=True)
class Cost:
    """What a second of video takes.

    Attributes:
        cpu: Seconds of CPU time, of all threads.
        bits: Bits of the file.
    """

    cpu: float
    bits: float


def measured(avatar: Avatar, speech: Speech, studio: Studio) -> Cost:
    """Return what a video costs that is made now."""
    task = TaskBook(studio.settings.results, 0).open(uuid.uuid4().hex)
    started = time.process_time()
    film(avatar, [speech], task, studio)
    cpu = time.process_time() - started
    seconds = frames_of(task.video) / float(avatar.fps)
    return Cost(cpu / seconds, 8 * task.video.stat().st_size / seconds)


def costs(clip: Path | None, rounds: int, folder: Path) -> dict[str, Cost]:
    """Return what a second of video costs in each resolution, from 1080p down: medians of turns."""
    clip = clip or enlarged(ROOT / "examples" / "talk_short.mp4", folder / "clip.mp4", 2)
    packs = prepare(clip, PrepareOptions(name="sizing", out=folder / "packs"))
    avatars = {avatar.resolution: avatar for avatar in map(load_pack, packs)}
    studio = make_studio(replace(Settings(), results=folder))
    speech = studio.espeak.synthesize(TEXT, CUSTOM_VOICE, CancelToken())
    turns = [{name: measured(one, speech, studio) for name, one in avatars.items()} for _ in range(rounds + 1)]
    turns = turns[1:]  # the first one warms up
    return {
        name: Cost(
            statistics.median(one[name].cpu for one in turns),
            statistics.median(one[name].bits for one in turns),
        )
        for name in avatars
    }


def ask(text: str) -> tuple[float, float]:
    """Request a video; return for how many seconds it waited, and how many it took then."""
    body = {"text": text, "avatar": "talk_short", "resolution": "360p"}
    asked, begun = time.monotonic(), 0.0
    with requests.post(f"{URL}/api/v2/lipsync/stream", json=body, stream=True, timeout=600) as reply:
        for line in reply.iter_lines():
            if not line.startswith(b"data: "):
                continue
            event = json.loads(line[6:])
            if event.get("stage") != "queued" and not begun:
                begun = time.monotonic()
            if event.get("type") == "error":
                raise RuntimeError(event)
    return begun - asked, time.monotonic() - begun


def asked_at_random(rate: float, count: int, seed: int) -> tuple[list[float], list[float], list[float]]:
    """Send requests at random times.

    Args:
        rate: Of them, a second.
        count: How many.
        seed: Of the random numbers.

    Returns:
        Seconds since the one before, seconds that each waited, and that it took then.
    """
    chances = random.Random(seed)
    gaps, told = [chances.expovariate(rate) for _ in range(count)], [(0.0, 0.0)] * count
    texts = [chances.choice(TEXTS) for _ in gaps]

    def visit(number: int) -> None:
        told[number] = ask(texts[number])

    came, visits, before = list[float](), [], time.monotonic()
    for number, gap in enumerate(gaps):
        time.sleep(gap)
        came.append(time.monotonic() - before)
        before += came[-1]
        visits.append(threading.Thread(target=visit, args=(number,)))
        visits[-1].start()
    for one in visits:
        one.join()
    return came, [wait for wait, _ in told], [work for _, work in told]


def compare(count: int, shares: Sequence[float]) -> None:
    """Print measured waits beside simulated ones.

    Args:
        count: Of the requests.
        shares: About how much of its time the slot is to work.
    """
    with serving(MAX_SHARING="1", MAX_QUEUE="1000", TTS_ENGINE="espeak"):
        alone = statistics.mean(ask(text)[1] for text in TEXTS * 3)
        print(f"a task takes {alone:.2f} s if nothing waits; load {load():.1f}\n")
        print("| arrivals a second | tasks | slot works | waits | mean s | median s | 95 % s |")
        print("|---|---|---|---|---|---|---|")
        for number, busy in enumerate(shares):
            gaps, waited, worked = asked_at_random(busy / alone, count, number)
            real = statistics.mean(worked) * count / sum(gaps)
            same = waits(1, zip(gaps, worked, strict=True))
            rate = count / sum(gaps)
            long = waits(1, poisson(rate, worked, MANY, number)) if real < 1 else []
            row = f"| {rate:.2f} | {count} | {100 * real:.0f} % |"
            print(f"{row} measured | {summary(waited)} |")
            print(f"{row} simulated, same arrivals and times | {summary(same)} |")
            print(f"{row} simulated, {MANY} random ones like these | {summary(long) if long else '∞ | ∞ | ∞'} |")


def main() -> None:
    """Run the benchmark and print its tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clip", type=Path, help="to prepare; by default a bundled one, enlarged to 1080p")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--tasks", type=int, default=60, help="that are sent to the server at each rate; 0 sends none")
    options.add_argument(
        "--busy", type=float, nargs="+", default=[0.5, 0.7, 0.85], help="shares of its time, of a slot"
    )
    options.add_argument("--costs", type=Path, help="keeps what 1 has measured; if it exists, that is not done again")
    options.add_argument("--overhead", type=float, default=0.15, help="seconds of a task besides its video")
    options.add_argument("--vcpu-hour", type=float, default=0.0446, help="dollars for a core for an hour")
    options.add_argument("--egress-gb", type=float, default=0.09, help="dollars for a GB that is sent")
    options.add_argument("--usable", type=float, default=0.7, help="share of their time that cores work, at most")
    given = options.parse_args()
    print(f"machine: {describe_machine()}; load {load():.1f}\n")
    if given.costs and given.costs.exists():
        found = {name: Cost(**one) for name, one in json.loads(given.costs.read_text()).items()}
        print(f"what a second of video takes is from {given.costs.name}\n")
    else:
        with tempfile.TemporaryDirectory() as name:
            found = costs(given.clip, given.rounds, Path(name))
    if given.costs:
        given.costs.write_text(json.dumps({name: asdict(one) for name, one in found.items()}))
    print_costs(found, given)
    if given.tasks:
        print()
        compare(given.tasks, given.busy)
    print()
    print_interviews(found, given)
    print()
    print_curve(slot_of(found["720p"], given))


def slot_of(cost: Cost, given: argparse.Namespace) -> Slot:
    """Return a slot of `CORES` cores, of which a share is usable."""
    return Slot(CORES * given.usable / cost.cpu, given.overhead)


def print_costs(found: Mapping[str, Cost], given: argparse.Namespace) -> None:
    """Print the table of resolutions."""
    print(
        "| resolution | CPU s a second | videos a core makes at a time | Mbit/s | $ for 1000 minutes: cores | sending |"
    )
    print("|---|---|---|---|---|---|")
    for name, cost in found.items():
        cores = 60_000 * cost.cpu / 3600 / given.usable * given.vcpu_hour
        sending = 60_000 * cost.bits / 8e9 * given.egress_gb
        row = f"| {name} | {cost.cpu:.3f} | {1 / cost.cpu:.1f} | {cost.bits / 1e6:.2f} "
        print(f"{row}| {cores:.2f} | {sending:.2f} |")
    print(f"\nassumed: ${given.vcpu_hour} for a core for an hour, ${given.egress_gb} for a GB that is sent, ", end="")
    print(f"cores that work {100 * given.usable:.0f} % of their time")


def print_interviews(found: Mapping[str, Cost], given: argparse.Namespace) -> None:
    """Print what `PEOPLE` interviews need in each resolution."""
    print(
        f"{PEOPLE} interviews: a question of {SPEECH_SECONDS:g} s, {ANSWER_SECONDS:g} s for the answer, again and again"
    )
    print(
        f"\n| resolution | slot is faster than it plays | slots, so that 95 % wait at most {PATIENCE:g} s | cores |",
        end="",
    )
    print(
        " they work | 95 % wait s | Mbit/s, mean | $ an hour: cores | sending |\n|---|---|---|---|---|---|---|---|---|"
    )
    for name, cost in found.items():
        slot = slot_of(cost, given)
        slots = fewest_slots(PEOPLE, slot, PATIENCE, QUESTIONS)
        seen = interviews(PEOPLE, slots, slot, QUESTIONS)
        bits = seen.questions * SPEECH_SECONDS * cost.bits
        row = f"| {name} | {slot.speed:.1f}x | {slots} | {CORES * slots} | {100 * seen.busy:.0f} % "
        row += f"| {quantile(seen.waits, 0.95):.2f} | {bits / 1e6:.0f} | {CORES * slots * given.vcpu_hour:.2f} "
        print(f"{row}| {3600 * bits / 8e9 * given.egress_gb:.2f} |")


def print_curve(slot: Slot, nodes: Sequence[int] = NODES) -> None:
    """Print how many interviews fit on a number of nodes."""
    print(f"720p, nodes of {CORES * SLOTS_OF_NODE} cores and {SLOTS_OF_NODE} slots, each of which makes ", end="")
    print(f"{slot.speed:.1f} s of video in a second\n")
    print("| nodes | slots | interviews | of each slot | slots work |\n|---|---|---|---|---|")
    for number in nodes:
        slots = SLOTS_OF_NODE * number
        people = most_interviews(slots, slot, PATIENCE, QUESTIONS)
        busy = interviews(people, slots, slot, QUESTIONS).busy
        print(f"| {number} | {slots} | {people} | {people / slots:.0f} | {100 * busy:.0f} % |", flush=True)


if __name__ == "__main__":
    main()
