"""Metrics of the server in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.cluster.nodes import Node
from pipeline.core.gpu import MEBIBYTE, Gpu
from pipeline.errors import Cancelled
from pipeline.jobs.events import Done, Ended, Failed
from pipeline.jobs.tasks import AvatarJob, Job, Task

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1200)
"""Upper bounds of the buckets of times."""
FRAMES_PER_SECOND = (5, 10, 15, 20, 25, 30, 40, 60, 80, 100, 150, 200, 400)
"""Upper bounds of the buckets of speeds; 25 or 30 keep up with playback."""


class Metrics:
    """Counts tasks and their times; safe to use from any thread."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)  # memory, CPU time and open files of the process
        self._ended = Counter(
            "avatar_tasks", "Tasks that have ended, by kind and how", ["kind", "state"], registry=self._registry
        )
        for kind in (Task.kind, AvatarJob.kind):
            for state in ("done", "failed", "cancelled"):
                self._ended.labels(kind, state)
        self._waiting = self._gauge("avatar_tasks_waiting", "Tasks in the queue", "kind")
        self._running = self._gauge("avatar_tasks_running", "Tasks that are being worked on", "kind")
        self._stages = Histogram(
            "avatar_stage_seconds",
            "Time in the queue (queued), to say everything (tts), until the first bytes of the video could be fetched "
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

    def watch(self, kind: str, waiting: Callable[[], float], running: Callable[[], float]) -> None:
        """Register functions that return the numbers of waiting and running tasks of a kind."""
        self._waiting.labels(kind).set_function(waiting)
        self._running.labels(kind).set_function(running)

    def watch_sessions(self, sessions: Callable[[], float], late: Callable[[], float]) -> None:
        """Register functions that return the number of live sessions, and of fragments that came late."""
        self._gauge("avatar_sessions", "Live sessions that are open").set_function(sessions)
        counted = self._gauge("avatar_session_fragments_late", "Fragments that came late, of the processes that run")
        counted.set_function(late)

    def watch_nodes(self, nodes: Callable[[], Sequence[Node]]) -> None:
        """Register a function that returns the nodes of a cluster."""
        self._registry.register(_NodeCollector(nodes))

    def watch_gpu(self, gpu: Gpu) -> None:
        """Register the memory of a graphics card."""
        if gpu.memory().total is not None:
            total = self._gauge("avatar_device_memory_bytes", "Memory of the graphics card")
            total.set_function(lambda: (gpu.memory().total or 0) * MEBIBYTE)
            used = self._gauge("avatar_device_memory_used_bytes", "Memory of the graphics card that is used")
            used.set_function(lambda: (gpu.memory().used or 0) * MEBIBYTE)

    def waited(self, seconds: float) -> None:
        """Record how long a task waited for its turn."""
        self._stages.labels("queued").observe(seconds)

    def made(self, done: Done, fps: float) -> None:
        """Record the times of a video."""
        times = {"tts": done.tts, "first_byte": done.first_byte, "lipsync": done.lipsync, "total": done.total}
        for stage, seconds in times.items():
            self._stages.labels(stage).observe(seconds)
        self._speed.observe(done.audio_duration * fps / done.total)

    def ended(self, job: Job, last: Ended) -> None:
        """Record how a task ended."""
        state = "done"
        if isinstance(last, Failed):
            state = "cancelled" if isinstance(last.error, Cancelled) else "failed"
        self._ended.labels(job.kind, state).inc()

    def text(self) -> bytes:
        """Return all metrics in the text format, version 0.0.4."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(name, meaning, labels, registry=self._registry)


class _NodeCollector(Collector):
    """Tells of the nodes of a cluster when it is asked."""

    def __init__(self, nodes: Callable[[], Sequence[Node]]) -> None:
        self._nodes = nodes

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all nodes."""
        slots = GaugeMetricFamily("avatar_node_slots", "Tasks that a node can do at a time", labels=["node"])
        running = GaugeMetricFamily("avatar_node_tasks_running", "Tasks that a node works on", labels=["node"])
        sessions = GaugeMetricFamily("avatar_node_sessions", "Live sessions that run on a node", labels=["node"])
        ended = CounterMetricFamily(
            "avatar_node_tasks", "Tasks that have ended on a node, by kind and how", labels=["node", "kind", "state"]
        )
        stages = CounterMetricFamily(
            "avatar_node_stage_seconds", "Time of each stage of all videos of a node", labels=["node", "stage"]
        )
        for node in self._nodes():
            slots.add_metric([node.address], node.slots)
            running.add_metric([node.address], node.running)
            sessions.add_metric([node.address], node.sessions)
            for (kind, how), count in list(node.ended.items()):
                ended.add_metric([node.address, kind, how], count)
            for stage, seconds in list(node.seconds.items()):
                stages.add_metric([node.address, stage], seconds)
        yield from (slots, running, sessions, ended, stages)
