"""The web server's side of a Ray cluster: its slots, and videos that are made there."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import queue
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import ExitStack, aclosing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pipeline import messages
from pipeline.avatars.eye_contact import looks_at_camera
from pipeline.cluster import node_sessions
from pipeline.cluster.chores import Chore, Line, Written, in_thread, keep
from pipeline.cluster.content_store import lent, open_store, store_url
from pipeline.cluster.delivery import Delivery
from pipeline.cluster.node_sessions import WAIT_SECONDS, NodeSessions
from pipeline.cluster.nodes import Nodes
from pipeline.cluster.packs import Packs
from pipeline.cluster.parcels import Alive, Broken, Order
from pipeline.cluster.renderer import APP, RENDERER, deployed, deployment, draining, look, note
from pipeline.cluster.slots import publish
from pipeline.core.best_effort import best_effort
from pipeline.core.cancel import CancelToken
from pipeline.core.disk import writing
from pipeline.core.notifier import Notifier
from pipeline.errors import PipelineError, Unavailable
from pipeline.jobs.events import Done, Event
from pipeline.jobs.request import GenerateRequest
from pipeline.jobs.studio import Studio
from pipeline.jobs.tasks import Task
from pipeline.settings import Settings

logger = logging.getLogger(__name__)

LOST_NODES = 1
"""Nodes that a task may lose."""
REJOIN_SECONDS = 20.0
"""Seconds in which a node must come back where none is left."""
COMING_SECONDS = 600.0
"""The same where Ray's autoscaler brings nodes, which may have to start a machine first."""
LOOK_SECONDS = 1.0
"""Seconds between two looks at the slots of the cluster."""
HEAD = "node:__internal_head__"
"""Ray's resource that only the head has."""
ANSWER_SECONDS = 10.0
"""Seconds in which all nodes answer a call to each of them."""
_OVER = object()


class ClusterError(PipelineError):
    """The cluster cannot be used: the message states what is missing."""

    status = 503


class Cluster:
    """A Ray cluster that makes videos.

    Args:
        studio: The web server's.
        make_studio: Makes the studio of a node, from the node's settings; an importable function.

    Attributes:
        slots: How many videos its nodes can make at a time.
        sessions: Its nodes as places for live sessions.
        nodes: What they are and have done.
        changed: Reports that there are more or fewer slots.
        waiting: Each returns how many tasks wait for a slot.
        name: Ray's name of its head: web servers with the same one share its slots.

    Raises:
        ClusterError: Ray is not installed, has no token, or no cluster answers.
        ValueError: STORE_URL is no address of a store.
        Unavailable: The store cannot be used.
    """

    def __init__(self, studio: Studio, make_studio: Callable[[Settings], Studio]) -> None:
        self.changed = Notifier()
        self.slots = 0
        self.name = ""
        self.nodes = Nodes()
        self.waiting: list[Callable[[], int]] = []
        self._without_slots_since = time.monotonic()
        self._settings = studio.settings
        self._avatars = studio.avatars
        self._make_studio = make_studio
        self._name = uuid.uuid4().hex
        self._run = _run_of(self._settings) if self._settings.tasks_url else self._name
        self._store = open_store(store_url(self._settings))
        check_token()
        if not self._settings.tasks_url:  # another server may use it now
            self._store.clear()  # of what a server left that was killed
        self._connect()
        self._packs = Packs(self._store, self._forget)
        host = store_url(self._settings), self._run
        self.sessions = NodeSessions(self._packs, self._store, host, self._settings.slots_max, COMING_SECONDS)
        threading.Thread(target=self._watch, name="slots", daemon=True).start()

    def _forget(self, pack: str, id: str) -> None:
        """Have all nodes remove what they have of an avatar."""
        self._ask_all("forget", pack, id)

    def _ask_all(self, method: str, *arguments: object) -> list[Any]:
        """Call a method of every replica, and return what each answers; Ray sends nothing until answers are awaited."""
        answers: list[Any] = self._handle.broadcast(method, *arguments).results(timeout_s=ANSWER_SECONDS)
        return answers

    def _connect(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read where Ray is imported
        try:
            import ray
            from ray import serve
        except ImportError as error:
            raise ClusterError(messages.cluster.NO_RAY(setting="RAY_ADDRESS")) from error
        self._ray = ray
        self._failures: tuple[type[Exception], ...] = (ray.exceptions.RayError, serve.exceptions.RayServeException)
        address = self._settings.ray_address
        try:
            ray.init(address=address, namespace="avatar", log_to_driver=False, configure_logging=False)
            self.name = next(node["NodeID"] for node in ray.nodes() if HEAD in node["Resources"])
            serve.start(proxy_location="Disabled")
            self._handle = self._deploy()
        except Exception as error:  # Ray has no class for all of them
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise ClusterError(messages.cluster.NO_CLUSTER(address=address, reason=reason[:200])) from error

    def _deploy(self) -> Any:
        """Start the replicas, without waiting for them, and return a handle; those of other web servers stay."""
        from ray import serve

        settings = self._settings
        if settings.tasks_url and deployed() == self._run:
            return serve.get_deployment_handle(RENDERER, APP)  # a new one would replace replicas that work for others
        made = deployment(settings.slots_max, settings.max_seconds)
        app = made.bind(self._make_studio, store_url(settings), self._run)
        target = serve.RunTarget(app, name=APP, route_prefix=None)
        [handle] = serve.run_many([target], wait_for_applications_running=False)
        note(self._run)
        return handle

    def _watch(self) -> None:
        """Follow the slots of the cluster and the avatars of this machine."""
        before = ""
        for number in itertools.count():
            try:
                slots, trouble = look()
                seen = self._ray.nodes()
                self.sessions.look(seen, draining())
                self.nodes.look(seen)
                if self._settings.slots_max:
                    publish(self._name, number, sum(waiting() for waiting in self.waiting), self.sessions.slots_wanted)
            except Exception as error:  # the cluster may be away for a while
                slots, trouble = 0, f"{type(error).__name__}: {error}"
            if trouble and trouble != before:
                logger.warning("trouble in the cluster: %s", trouble)
            before = trouble
            if slots != self.slots:
                logger.info("slots of the cluster: %d", slots)
                self._without_slots_since = time.monotonic()
                self.slots = slots
                self.changed.notify()
                with best_effort("description of the nodes"):
                    if slots:
                        self.nodes.describe(self._ask_all("describe"))
            with best_effort("deletion of packs on the nodes"):
                self._packs.keep_only({pack.id for pack in self._avatars.list()})
            time.sleep(LOOK_SECONDS)

    def generate(self, request: GenerateRequest, task: Task, _studio: Studio) -> Iterator[Event]:
        """Make a video on a node, as ``pipeline.jobs.generate.generate`` does here.

        If the node is lost, another one goes on with the same speech and the same bytes.

        Raises:
            PipelineError: The video cannot be made, or is cancelled; no file is left behind.
            Unavailable: Two nodes were lost, the second one makes another video, or there is none.
        """
        delivery = Delivery(task)
        try:
            with (
                self.nodes.counted(task.kind) as take,
                self._packs.lent(request.avatar) as avatar,
                self._lent(request.recording, task) as recording,
                self._lent(request.background.picture, task) as picture,
            ):
                order = Order(
                    request=_bare(request),
                    avatar=avatar,
                    fps=request.avatar.fps,
                    eye_contact=looks_at_camera(request.avatar),
                    recording=recording,
                    picture=picture,
                    task_id=task.id,
                )
                yield from self._deliver(order, task, delivery, take)
        except BaseException:
            delivery.discard()
            raise
        delivery.close()

    @contextmanager
    def _lent(self, path: Path | None, task: Task) -> Iterator[str | None]:
        """Keep a file of a request in the store while the block lasts; give its name."""
        if path is None:
            yield None
            return
        with lent(self._store, path, task.id) as name:
            yield name

    async def run(
        self,
        module: str,
        arguments: Sequence[str],
        cancel: CancelToken,
        seconds: float,
        *,
        reads: Sequence[Path] = (),
        writes: Sequence[Path] = (),
    ) -> AsyncGenerator[dict[str, Any]]:
        """Run a command on a node, as ``pipeline.core.child_process.run`` does here; again on another if it is lost.

        Raises:
            PipelineError: As that does.
            Unavailable: Two nodes were lost, or there is none.
        """

        def lines(stop: CancelToken) -> Iterator[dict[str, Any]]:
            with ExitStack() as stack:
                take = stack.enter_context(self.nodes.counted(module.rpartition(".")[2]))
                names = {str(path): stack.enter_context(lent(self._store, path)) for path in reads}
                chore = Chore(module, tuple(arguments), seconds, names, tuple(map(str, writes)))
                begin = partial(self._handle.options(stream=True).run.remote, chore)
                for parcel in self._all_parcels(begin, module, stop, take):
                    match parcel:
                        case Line(content):
                            yield content
                        case Written():
                            with writing():
                                keep(parcel)
                        case Broken(error):
                            stop.check()
                            raise error

        async with aclosing(in_thread(lines, cancel)) as printed:
            async for line in printed:
                yield line

    def _deliver(self, order: Order, task: Task, delivery: Delivery, take: Callable[[str], None]) -> Iterator[Event]:
        """Take a video from one node, or from two if the first one is lost."""
        node = [""]

        def taken(name: str) -> None:
            node[0] = name
            take(name)

        for parcel in self._all_parcels(lambda: self._rendering(order, delivery), task.id, task.cancel, taken):
            for event in delivery.take(parcel):
                if isinstance(event, Done):
                    self.nodes.made(node[0], event)
                yield event

    def _rendering(self, order: Order, delivery: Delivery) -> Any:
        return self._handle.options(stream=True).render.remote(order, delivery.memory)

    def _all_parcels(
        self, begin: Callable[[], Any], name: str, cancel: CancelToken, take: Callable[[str], None]
    ) -> Iterator[Any]:
        """Yield what a node sends, and then another one if the first is lost.

        Args:
            begin: Has a node begin.
            name: Of the work, for the log.
            cancel: Stops it.
            take: Called with Ray's name of a node that takes it.
        """
        lost = 0
        while True:
            try:
                for parcel in self._parcels(begin, name, cancel):
                    if not isinstance(parcel, Alive):
                        yield parcel
                    elif parcel.node:
                        take(parcel.node)
                return
            except _LostNodeError as error:
                cancel.check()
                lost += 1
                logger.warning("%s lost its node: %s", name, error)
                if lost > LOST_NODES:
                    raise Unavailable(messages.cluster.NODE_LOST()) from error

    def _parcels(self, begin: Callable[[], Any], name: str, cancel: CancelToken) -> Iterator[Any]:
        """Yield what a node sends.

        Raises:
            _LostNodeError: It is lost.
            Unavailable: No node takes the task.
        """
        until = time.monotonic() + REJOIN_SECONDS
        while True:
            taken = False
            try:
                for parcel in self._received(begin, name, cancel):
                    taken = True
                    yield parcel
                return
            except self._failures as error:
                cancel.check()
                if isinstance(error, self._ray.exceptions.RayTaskError):
                    raise  # the node works, and the program does not
                if taken:
                    raise _LostNodeError(type(error).__name__) from error
                if time.monotonic() > until:
                    raise Unavailable(messages.cluster.NO_NODE()) from error
                cancel.wait(0.2)  # it was gone before it took the task: Ray may not know that yet

    def _received(self, begin: Callable[[], Any], name: str, cancel: CancelToken) -> Iterator[Any]:
        """Yield the parcels of a node until it has been silent for too long."""
        parcels: queue.SimpleQueue[Any] = queue.SimpleQueue()
        begun = time.monotonic()
        stream = begin()

        def pump() -> None:
            try:
                for reply in stream:
                    for parcel in reply:
                        parcels.put(parcel)
                parcels.put(_OVER)
            except BaseException as error:
                parcels.put(_Raised(error))

        threading.Thread(target=pump, name=f"pump-{name[:8]}", daemon=True).start()
        taken = over = False
        silent = 0
        try:
            with cancel.calling(lambda: parcels.put(None)):
                while True:
                    cancel.check()
                    try:
                        parcel = parcels.get(timeout=WAIT_SECONDS)
                    except queue.Empty:
                        silent += 1
                        if taken and silent >= node_sessions.SILENT_WAITS:
                            raise _LostNodeError(f"silent for {silent * WAIT_SECONDS:g} s") from None
                        if not taken:
                            self._check_slots(begun)  # all may be busy
                        continue
                    silent = 0
                    if parcel is _OVER:
                        over = True
                        return
                    if isinstance(parcel, _Raised):
                        raise parcel.error
                    if parcel is not None:
                        taken = True
                        yield parcel
        finally:
            if not over:
                with suppress(Exception):  # it may be gone
                    stream.cancel()

    def _check_slots(self, begun: float) -> None:
        if self._settings.slots_max:
            since, patience = max(begun, self._without_slots_since), COMING_SECONDS
        else:
            since, patience = self._without_slots_since, REJOIN_SECONDS
        if not self.slots and time.monotonic() - since > patience:
            raise Unavailable(messages.cluster.NO_NODE())


def _bare(request: GenerateRequest) -> GenerateRequest:
    """Return a request without what a node has or fetches itself."""
    behind = replace(request.background, picture=None)
    return replace(request, avatar=None, recording=None, background=behind)  # type: ignore[arg-type]


def _run_of(settings: Settings) -> str:
    """Return the run of web servers that share their tasks, which may share a cluster, too."""
    alike = store_url(settings), settings.slots_max, settings.max_seconds
    return hashlib.sha256(repr(alike).encode()).hexdigest()[:32]


class _LostNodeError(Exception):
    """A node is gone, or silent."""


class _Raised:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def check_token() -> None:
    """Check that Ray has a token: any client that reaches a cluster without one can run any program on it.

    Raises:
        ClusterError: It has none.
    """
    environ = os.environ
    path = environ.get("RAY_AUTH_TOKEN_PATH") or str(Path.home() / ".ray" / "auth_token")
    has_token = bool(environ.get("RAY_AUTH_TOKEN")) or (Path(path).is_file() and Path(path).stat().st_size > 0)
    if environ.get("RAY_AUTH_MODE") != "token" or not has_token:
        raise ClusterError(messages.cluster.NO_TOKEN())
