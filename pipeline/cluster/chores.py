"""Commands of the program that run on a node: the making of avatars, and inspections.

Their files go there through the store, and what they write comes back in pieces.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import anyio

from pipeline.cluster.content_store import Store, fetch
from pipeline.cluster.parcels import PIECE, Alive, Broken
from pipeline.core.cancel import CancelToken
from pipeline.core.child_process import run

T = TypeVar("T")
_OVER = object()


@dataclass(frozen=True)
class Chore:
    """A command on its way to a node.

    Attributes:
        module, arguments, seconds: See ``pipeline.core.child_process.run``.
        reads: The name in the store of each file that the arguments name.
        writes: Files and folders that the arguments name, and that the command writes.
    """

    module: str
    arguments: tuple[str, ...]
    seconds: float
    reads: Mapping[str, str]
    writes: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """What the command has printed."""

    content: dict[str, Any]


@dataclass(frozen=True)
class Written:
    """Bytes of a file that the command has written, in order.

    Attributes:
        path: The file, or the folder that it lies in, as the web server named it.
        inside: Its place in the folder; "" if it is no folder.
        data: Up to `PIECE` bytes; the first piece of a file may be empty.
        first: Whether the file begins with them.
    """

    path: str
    inside: str
    data: bytes
    first: bool


Output = Line | Written | Alive | Broken


async def do(chore: Chore, store: Store, send: Callable[[Output], object], stop: CancelToken) -> None:
    """Run a command on this node, and send what it prints and writes; nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="avatar-") as home:
        there: dict[str, Path] = {}
        for number, (path, name) in enumerate(chore.reads.items()):
            there[path] = Path(home) / f"in-{number}" / Path(path).name
            there[path].parent.mkdir()
            await asyncio.to_thread(fetch, store, name, there[path])
        for number, path in enumerate(chore.writes):
            there[path] = Path(home) / f"out-{number}" / Path(path).name
            there[path].parent.mkdir()
        arguments = [moved(one, there) for one in chore.arguments]
        async with aclosing(run(chore.module, arguments, stop, chore.seconds)) as lines:
            async for line in lines:
                send(Line(line))
        for path in chore.writes:
            for piece in _pieces(path, there[path]):
                stop.check()
                send(piece)


def moved(argument: str, there: Mapping[str, Path]) -> str:
    """Return a command-line argument with a path (``path``, ``--name=path``, ``--clip=name=path``) on a node."""
    for path, new in there.items():
        if argument == path or argument.endswith(f"={path}"):
            return argument.removesuffix(path) + str(new)
    return argument


def _pieces(path: str, here: Path) -> Iterator[Written]:
    for file in sorted(one for one in here.rglob("*") if one.is_file()) if here.is_dir() else [here]:
        inside, first = "" if file == here else file.relative_to(here).as_posix(), True
        with file.open("rb") as content:
            while (data := content.read(PIECE)) or first:
                yield Written(path, inside, data, first)
                first = False


def keep(piece: Written) -> None:
    """Write what came back into the file of this machine."""
    file = Path(piece.path, piece.inside) if piece.inside else Path(piece.path)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb" if piece.first else "ab") as out:
        out.write(piece.data)


async def in_thread(work: Callable[[CancelToken], Iterator[T]], cancel: CancelToken) -> AsyncGenerator[T]:
    """Yield what a generator yields that runs in a thread; closing this sets the token that it gets."""
    loop, items = asyncio.get_running_loop(), asyncio.Queue[Any]()

    def run_all(stop: CancelToken) -> None:
        last: Any = _OVER
        try:
            for one in work(stop):
                loop.call_soon_threadsafe(items.put_nowait, one)
        except BaseException as error:
            last = _Raised(error)
        loop.call_soon_threadsafe(items.put_nowait, last)

    with ExitStack() as stack:
        stop = stack.enter_context(cancel.child())
        ended = asyncio.Event()
        thread = threading.Thread(target=run_all, args=(stop,), name="chore", daemon=True)
        thread.start()
        try:
            while (one := await items.get()) is not _OVER:
                if isinstance(one, _Raised):
                    ended.set()
                    raise one.error
                yield one
            ended.set()
        finally:
            stop.cancel()
            with anyio.CancelScope(shield=True):
                while not ended.is_set():
                    one = await items.get()
                    if one is _OVER or isinstance(one, _Raised):
                        ended.set()


class _Raised:
    def __init__(self, error: BaseException) -> None:
        self.error = error
