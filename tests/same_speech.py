"""Makes videos of the same pieces of speech here and on a node: ``python -m tests.same_speech RESULTS ROUNDS``.

With the program's own engines and a bundled avatar; prints the digests of each round's files, here and there.
"""

from __future__ import annotations

import hashlib
import json
import sys
import uuid
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from pipeline.cluster import cluster as clusters
from pipeline.cluster.delivery import Delivery
from pipeline.cluster.node import perform
from pipeline.cluster.parcels import Memory
from pipeline.core.cancel import CancelToken
from pipeline.jobs.generate import generate
from pipeline.jobs.request import GenerateRequest, parse
from pipeline.jobs.studio import Studio, make_studio
from pipeline.jobs.tasks import Task, TaskBook
from pipeline.settings import Settings
from pipeline.speech_types import Speech
from tests.ray_nodes import START_SECONDS
from tests.servers import wait_for

BODY = {"text": "안녕하세요, 반갑습니다. How are you today? Well, thank you.", "tts_engine": "espeak"}


def main() -> None:
    """Run the command."""
    results, rounds = Path(sys.argv[1]), int(sys.argv[2])
    studio = make_studio(replace(Settings.from_environment(), results=results))
    book = TaskBook(results, 0)
    request = parse({**BODY, "avatar": "talk_short", "resolution": "360p"}, studio)
    spoken = Delivery(book.open(uuid.uuid4().hex))
    for parcel in perform(request, uuid.uuid4().hex, studio, Memory(), CancelToken()):
        list(spoken.take(parcel))
    spoken.close()
    said = spoken.memory

    class Remembering(Delivery):
        def __init__(self, task: Task) -> None:
            super().__init__(task)
            self.memory = said

    def speech(request: GenerateRequest, studio: Studio, cancel: CancelToken) -> Generator[Speech, None, None]:
        yield from said.pieces

    vars(clusters)["Delivery"] = Remembering
    cluster = clusters.Cluster(studio, make_studio)
    wait_for(lambda: cluster.slots, START_SECONDS)
    for _ in range(rounds):
        here, there = book.open(uuid.uuid4().hex), book.open(uuid.uuid4().hex)
        list(generate(request, here, studio, speech))
        list(cluster.generate(request, there, studio))
        print(json.dumps([digests(here), digests(there)]), flush=True)


def digests(task: Task) -> list[str]:
    """Return the digests of the video and the sound of a task."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in (task.video, task.audio)]


if __name__ == "__main__":
    main()
