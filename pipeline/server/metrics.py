"""What the server measures of itself, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from pipeline.core.gpu import MEBIBYTE, Gpu
from pipeline.errors import Cancelled
from pipeline.jobs.events import Done, Failed

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1200)
"""Upper bounds of the classes into which times are counted."""
FRAMES_PER_SECOND = (5, 10, 15, 20, 25, 30, 40, 60, 80, 100, 150, 200, 400)
"""Upper bounds of the classes into which speeds are counted; 25 or 30 keep up with a video that is watched."""


class Metrics:
    """Counts tasks and their times; safe to use from any thread."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)  # memory, CPU time and open files of the process
        self._ended = Counter("avatar_tasks", "Tasks that have ended, by how", ["state"], registry=self._registry)
        for state in ("done", "failed", "cancelled"):
            self._ended.labels(state)
        self._stages = Histogram(
            "avatar_stage_seconds",
            "Time in the line (queued), to say everything (tts), until the first bytes of the video could be fetched "
            "(first_byte), from the end of speech to the finished video (lipsync), and from the start to it (total)",
            ["stage"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._speed = Histogram(
            "avatar_frames_per_second",
            "Frames of a video by the seconds that it took",
            buckets=FRAMES_PER_SECOND,
            registry=self._registry,
        )

    def watch(self, waiting: Callable[[], int], busy: Callable[[], bool], gpu: Gpu) -> None:
        """Have WAITING, BUSY and the memory of GPU asked whenever somebody looks."""
        self._gauge("avatar_tasks_waiting", "Tasks in the line").set_function(waiting)
        self._gauge("avatar_tasks_running", "Tasks that are being rendered").set_function(lambda: float(busy()))
        if gpu.memory().total is not None:
            total = self._gauge("avatar_device_memory_bytes", "Memory of the graphics card")
            total.set_function(lambda: (gpu.memory().total or 0) * MEBIBYTE)
            used = self._gauge("avatar_device_memory_used_bytes", "Memory of the graphics card that is used")
            used.set_function(lambda: (gpu.memory().used or 0) * MEBIBYTE)

    def waited(self, seconds: float) -> None:
        """Note that a task waited for its turn."""
        self._stages.labels("queued").observe(seconds)

    def made(self, done: Done, fps: float) -> None:
        """Note the times of a video at FPS frames per second."""
        times = {"tts": done.tts, "first_byte": done.first_byte, "lipsync": done.lipsync, "total": done.total}
        for stage, seconds in times.items():
            self._stages.labels(stage).observe(seconds)
        self._speed.observe(done.audio_duration * fps / done.total)

    def ended(self, last: Done | Failed) -> None:
        """Note how a task ended."""
        if isinstance(last, Done):
            self._ended.labels("done").inc()
        else:
            self._ended.labels("cancelled" if isinstance(last.error, Cancelled) else "failed").inc()

    def text(self) -> bytes:
        """Return everything in the text format, version 0.0.4."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(name, meaning, registry=self._registry)
