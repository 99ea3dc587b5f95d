"""Runs the server: page and REST on one port, until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from functools import partial
from typing import Protocol

from fastapi import FastAPI
from gradio import http_server
from starlette.types import ASGIApp

from pipeline import messages
from pipeline.avatars.portrait import Stills
from pipeline.cluster.content_store import open_store
from pipeline.cluster.nodes import Node, Nodes
from pipeline.cluster.results import StoredResults
from pipeline.core import child_process
from pipeline.core.best_effort import best_effort
from pipeline.core.gpu import Gpu
from pipeline.core.notifier import Flag
from pipeline.errors import PipelineError
from pipeline.jobs.avatar_maker import AvatarMaker
from pipeline.jobs.commons import Commons, alone
from pipeline.jobs.studio import Studio, warm_up
from pipeline.jobs.supervisor import Supervisor
from pipeline.jobs.tasks import AvatarJob, Task, TaskBook
from pipeline.jobs.turns import Slots
from pipeline.jobs.uploads import Uploads
from pipeline.jobs.voice_download import VoiceDownload
from pipeline.jobs.voices import VoiceSamples
from pipeline.live.processes import Machines
from pipeline.live.recorder import Recorder
from pipeline.live.workers import WORKER, Workers
from pipeline.server.access import guarded
from pipeline.server.connections import Patience, use_prompt_protocol
from pipeline.server.ending import AT_ONCE, Ending
from pipeline.server.gradio.queue import Generate, RenderQueue
from pipeline.server.gradio.queue_joins import Joins
from pipeline.server.gradio.styles import Styles
from pipeline.server.logs import build_dam
from pipeline.server.metrics import Metrics
from pipeline.server.page.document import Compressed, dress
from pipeline.server.page.layout import CSS, PageServices, build_page, make_theme
from pipeline.server.page.words import I18N
from pipeline.server.relay import Relayed, Relaying, Stored
from pipeline.server.rest.avatar_api import AvatarApi
from pipeline.server.rest.backgrounds import BackgroundApi
from pipeline.server.rest.conversations import Conversations, llm_of
from pipeline.server.rest.files import BrokenOffFilter
from pipeline.server.rest.guide import FaceGuide
from pipeline.server.rest.idempotency import Repeats
from pipeline.server.rest.idle import IdleApi
from pipeline.server.rest.inspector import Inspector
from pipeline.server.rest.routes import Api, exception_handlers
from pipeline.server.rest.session_api import SessionApi
from pipeline.server.rest.token_api import TokenApi
from pipeline.server.rest.verifier import Verifier
from pipeline.server.tokens import Tokens
from pipeline.server.upload_folder import UploadFolder
from pipeline.server.visitors import VisitorCookie, Visitors
from pipeline.server.webhooks import Webhooks
from pipeline.settings import AI_LABELS, Settings
from pipeline.shared.shared_avatars import SharedAvatars
from pipeline.shared.shared_commons import SharedCommons, shared
from pipeline.shared.task_book import SharedTaskBook
from pipeline.shared.tickets import SharedTickets
from pipeline.video import lettering
from pipeline.video.credentials import Signer

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 30.0
"""Seconds between two checks for expired results."""
OPEN_FILES = 65_536
"""Wanted limit of open files and connections."""
SESSIONS = 200
"""Visitors whose copy of the page Gradio keeps, a quarter of a MiB each; a dropped one is made again."""
SPARE_WORKERS = 40
"""Gradio's workers besides those of waiting tasks: one renders, the others handle other requests."""
VISIT_SECONDS = 2.0
"""Seconds for which a new server leaves the processor to a first visitor's page before it loads models."""
ASKED_BY_GRADIO = "127.0.0.1"
"""Address at which Gradio checks whether the port is free, wherever the server will listen."""
DRAIN_LOOK_SECONDS = 0.2
"""Seconds between two checks whether a server that is to end has anything left to do."""
GOODBYE_SECONDS = 10.0
"""Seconds in which running tasks can remove their unfinished files at the end of the program."""
RECORDING_SECONDS = 120.0
"""Seconds in which recordings of sessions can be finished then: all of their sound is written as a file of its own."""


class CannotServe(PipelineError):
    """The server cannot start: its port is taken, or its host is not one of this machine."""

    status = 503


class Cluster(Slots, Protocol):
    """Other machines."""

    @property
    def name(self) -> str:
        """Which cluster it is: web servers with the same one share its slots."""

    @property
    def sessions(self) -> Machines:
        """Where live sessions run."""

    @property
    def nodes(self) -> Nodes:
        """What they are and have done."""

    @property
    def run(self) -> child_process.Run:
        """Makes avatars and inspects videos."""

    @property
    def waiting(self) -> list[Callable[[], int]]:
        """Each returns how many tasks wait for a slot."""


def serve(studio: Studio, generate: Generate, worker: str = WORKER, cluster: Cluster | None = None) -> None:
    """Run the server until SIGINT or SIGTERM; running tasks are then stopped, and their unfinished files removed.

    With `drain_seconds`, what waits, runs or is open may end before, unless a second signal comes.

    Args:
        studio: Avatars, voices and engines.
        generate: ``pipeline.jobs.generate.generate``, or a replacement.
        worker: The module that a process of live sessions runs.
        cluster: Where `generate` renders and sessions run; without it they do so on this machine.

    Raises:
        CannotServe: The server cannot listen on its address.
        Unavailable: All pictures are to bear a mark (AI_LABEL), and its font cannot be opened; or C2PA_CERT and
            C2PA_KEY cannot sign.
    """
    settings = studio.settings
    check_address(settings)
    if settings.ai_label != AI_LABELS[0]:
        lettering.check()
    signer = Signer(settings)
    signer.check()
    host = settings.host.strip("[]")
    http_server.LOCALHOST_NAME = ASKED_BY_GRADIO  # otherwise GRADIO_SERVER_NAME, which must not be an IPv6 address
    leaving = contextlib.ExitStack()
    loop = Future[asyncio.AbstractEventLoop]()
    commons = _commons(settings)
    book = commons.book
    book.sweep()
    folder = UploadFolder(settings.uploads)
    folder.open()
    run = cluster.run if cluster else child_process.run
    uploads = Uploads(studio.avatars, settings.max_seconds, run)
    uploads.clean(bool(settings.tasks_url))
    for cache in (settings.live_cache, settings.backgrounds):
        shutil.rmtree(cache, ignore_errors=True)
    metrics, gpu = Metrics(), Gpu()
    webhooks = Webhooks(settings)
    store = open_store(settings.store_url) if settings.store_url else None
    results = None if store is None else StoredResults(store, book, settings.store_links)
    supervisor = Supervisor(book, metrics.ended, webhooks.ended, *([results.ended] if results else []))
    tickets = None
    if isinstance(commons, SharedCommons):
        supervisor.add(commons.book)
        leaving.callback(commons.book.disconnect)
        if cluster is not None:
            tickets = SharedTickets(commons.link, commons.book.server, cluster, cluster.name)
            leaving.callback(tickets.close)
        if store is not None:
            shared_avatars = SharedAvatars(commons.link, commons.book.server, store, studio.avatars, uploads)
            leaving.callback(shared_avatars.close)
    if results is not None:
        leaving.callback(results.close)
    queue = RenderQueue(studio, supervisor, generate, metrics, cluster, tickets)
    maker = AvatarMaker(uploads, supervisor)
    inspector = Inspector(book, settings.max_seconds, run)
    visited, warm = threading.Event(), Flag()
    voice_download = VoiceDownload(settings)
    visitors = Visitors(uploads, settings)
    page = build_page(
        PageServices(
            studio=studio,
            queue=queue,
            uploads=uploads,
            avatar_maker=maker,
            supervisor=supervisor,
            visitors=visitors,
            chat=llm_of(settings).configured,
            visited=visited,
            warm=warm,
            voice_download=voice_download,
        )
    )
    if cluster is not None:
        cluster.waiting.append(queue.waiting)
    metrics.watch(Task.kind, queue.waiting, lambda: float(queue.busy()))
    metrics.watch(AvatarJob.kind, maker.waiting, maker.running)
    metrics.watch_gpu(gpu)
    repeats = Repeats(commons.claims)
    making = AvatarApi(
        uploads=uploads,
        maker=maker,
        supervisor=supervisor,
        repeats=repeats,
        visitors=visitors,
        settings=settings,
        webhooks=webhooks,
        clips=folder.clips,
    )
    stills, shipped = Stills(studio.avatars), visitors.shipped()
    tokens = Tokens(settings, supervisor, commons.accounts, commons.secret)
    idle = IdleApi(studio.avatars, stills, studio.backdrops, visitors, tokens)
    mark = book.server.mark if isinstance(book, SharedTaskBook) else ""
    workers = Workers(settings, worker, machines=cluster.sessions if cluster else None, mark=mark)
    recorder = Recorder(supervisor)
    nodes = partial(_nodes, cluster, workers) if cluster else None
    if nodes is not None:
        metrics.watch_nodes(nodes)
    uploads.on_delete.append(lambda ids, _: studio.backdrops.forget(ids))
    uploads.on_delete += [lambda ids, _: workers.forget(ids), lambda _, digest: folder.forget(digest)]
    uploads.on_delete += [stills.forget, idle.forget]
    metrics.watch_sessions(lambda: float(workers.count), lambda: float(workers.late))
    sessions = SessionApi(studio, workers, recorder, visitors, Conversations(settings, workers), tokens, webhooks)
    api = Api(
        studio=studio,
        queue=queue,
        supervisor=supervisor,
        gpu=gpu,
        metrics=metrics,
        repeats=repeats,
        uploads=uploads,
        visitors=visitors,
        making=making,
        inspector=inspector,
        stills=stills,
        guide=FaceGuide(),
        samples=VoiceSamples(studio),
        voice_download=voice_download,
        sessions=sessions,
        tokens=tokens,
        webhooks=webhooks,
        token_api=TokenApi(tokens, visitors, workers, settings),
        signer=signer,
        verifier=Verifier(),
        backgrounds=BackgroundApi(studio.backdrops, settings.max_upload, folder.clips),
        idle=idle,
        clips=folder.clips,
        nodes=nodes,
    )
    first = min((pack.name for pack in shipped.list()), default=None)
    style = dress(Styles(page), first, studio.engine.draws_on_gpu)
    logging.getLogger("uvicorn.error").addFilter(BrokenOffFilter())
    os.environ.setdefault("MPLBACKEND", "agg")  # Gradio chooses it at each event; its own search takes half a second
    os.environ["FORWARDED_ALLOW_IPS"] = ""  # uvicorn would hide the proxy; see ``access.Forwarded``
    ended = threading.Event()
    allow_open_files()
    use_prompt_protocol()

    def get_ready() -> None:
        visited.wait(VISIT_SECONDS)
        try:
            warm_up(studio, ended)
        finally:
            warm.set()

    def is_idle() -> bool:
        return not (queue.waiting() or queue.busy() or maker.waiting() or maker.running() or workers.count)

    ending = Ending()
    _, url, _ = page.launch(
        server_name=f"[{host}]" if ":" in host else host,
        server_port=settings.port,
        root_path=settings.root_path,
        max_threads=settings.max_queue + SPARE_WORKERS,  # each waiting visitor of the page needs a worker of Gradio's
        prevent_thread_lock=True,
        quiet=True,
        _frontend=False,  # else Gradio asks itself for the page, and ends where a busy machine needs 3 s for it
        ssl_verify=False,  # Gradio checks itself over http
        show_error=False,  # messages of unexpected exceptions stay in the log
        ssr_mode=False,  # a Node server in front would answer /api/* with a page
        run_history=False,
        footer_links=["api"],
        allowed_paths=[str(settings.results.resolve())],  # the page copies finished videos from there
        blocked_paths=[
            str(one.resolve()) for one in (folder.clips, webhooks.folder, settings.keys, settings.backgrounds)
        ],
        state_session_capacity=SESSIONS,
        max_file_size=f"{settings.max_upload}mb",
        theme=make_theme(),
        css=CSS,
        i18n=I18N,
        app_kwargs={
            "routes": [*api.routes(), style],
            "exception_handlers": exception_handlers(),
            "lifespan": _lifespan(loop, book, results, folder, queue.joins, webhooks, settings),
        },
    )
    build_dam()
    logger.info("ready: %s", url)
    warming = threading.Thread(target=get_ready, name="warm-up", daemon=True)
    warming.start()
    while not ending.wait():
        pass  # another signal
    ended.set()
    supervisor.draining = workers.draining = True
    until = time.monotonic() + settings.drain_seconds
    while not is_idle() and time.monotonic() < until and ending.wait(DRAIN_LOOK_SECONDS) < AT_ONCE:
        pass
    logger.info("ending")
    visited.set()
    warming.join(GOODBYE_SECONDS)  # a program that ends within a network's own code is aborted
    _end_sessions(loop.result(), workers, recorder)
    queue.close(GOODBYE_SECONDS)
    maker.close(GOODBYE_SECONDS)
    leaving.close()
    page.close(verbose=False)


def _end_sessions(loop: asyncio.AbstractEventLoop, workers: Workers, recorder: Recorder) -> None:
    """End live sessions while there still is a server that notifies their clients, and finish recordings."""
    for what, end, seconds in (
        ("end of the sessions", workers.close, GOODBYE_SECONDS),
        ("end of the recordings", recorder.close, RECORDING_SECONDS),
    ):
        with best_effort(what):
            asyncio.run_coroutine_threadsafe(end(), loop).result(seconds)


def _nodes(cluster: Cluster, workers: Workers) -> list[Node]:
    return cluster.nodes.all(workers.by_machine)


def allow_open_files() -> None:
    """Raise this process's limit of open files as far as the system permits, up to `OPEN_FILES`."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def check_address(settings: Settings) -> None:
    """Check that the server can listen on its host and port.

    Raises:
        CannotServe: It cannot.
    """
    host = settings.host.strip("[]")
    try:
        for one in (host, ASKED_BY_GRADIO) if ":" in host else (host,):
            where = f"{one}:{settings.port}"
            family, kind, protocol, _, address = socket.getaddrinfo(
                one, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # as the server itself does
                probe.bind(address)
    except (OSError, OverflowError) as error:
        raise CannotServe(messages.server.CANNOT_LISTEN(where=where, reason=error)) from error


def _commons(settings: Settings) -> Commons:
    """Return what this web server has in common with others, if there are any.

    Raises:
        CannotShare: Redis cannot be used.
    """
    return shared(settings) if settings.tasks_url else alone(settings)


def _lifespan(  # noqa: PLR0913 - all that lives as long as the server
    loop: Future[asyncio.AbstractEventLoop],
    book: TaskBook,
    results: StoredResults | None,
    folder: UploadFolder,
    joins: Joins,
    webhooks: Webhooks,
    settings: Settings,
) -> object:
    """Return a FastAPI lifespan that gives its loop, adds access rules and time limits, and removes expired files."""
    period = min(SWEEP_SECONDS, max(0.5, book.ttl / 4)) if book.ttl else SWEEP_SECONDS

    async def sweep() -> None:
        while True:
            await asyncio.sleep(period)
            await asyncio.to_thread(book.sweep)
            await asyncio.to_thread(folder.sweep)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loop.set_result(asyncio.get_running_loop())
        assert app.middleware_stack is not None  # built before a lifespan begins
        # outside of Gradio's own, which come last
        own: ASGIApp = VisitorCookie(Compressed(joins.around(app.middleware_stack)), settings)
        own = own if results is None else Stored(own, results, book)
        relaying = Relaying(own, book) if isinstance(book, SharedTaskBook) else None
        stack = guarded(relaying or own, settings)
        if isinstance(book, SharedTaskBook):
            stack = Relayed(own, stack, book.server)
        app.middleware_stack = Patience(stack)
        sweeper = asyncio.create_task(sweep())
        webhooks.open()
        try:
            yield
        finally:
            sweeper.cancel()
            if relaying is not None:
                await relaying.close()
            await webhooks.close()

    return lifespan
