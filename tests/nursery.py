"""Child processes of forked servers, forked as well: loading the libraries takes most of their start."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import selectors
import signal
import socket
import struct
import sys
import traceback
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NUMBER = struct.Struct("i")
_MOST_BYTES = 1 << 17
"""Of a request: arguments and environment of a module."""
NAME = "nursery"
"""What the system calls a process that forks others."""

Runs = Callable[[str, list[str], dict[str, str]], None]
"""Runs a module with its arguments and environment, as ``python -m`` does."""


class Nursery:
    """A process that forks one for each module which a server runs; make it before the server has threads.

    Args:
        runs: Runs a module in such a process.
    """

    def __init__(self, runs: Runs) -> None:
        self._requests, requests = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if not os.fork():
            self._requests.close()
            _rename(NAME)
            _fork_as_asked(requests, runs)
            os._exit(0)
        requests.close()
        self._exec = asyncio.create_subprocess_exec

    async def start(self, program: str, *arguments: str, **how: Any) -> Any:
        """Start ``python -m MODULE``; used like ``asyncio.create_subprocess_exec``, which starts anything else."""
        if program != sys.executable or arguments[0] != "-m":
            return await self._exec(program, *arguments, **how)
        assert how["stdout"] == PIPE
        to_child, from_child, reports = os.pipe(), os.pipe(), os.pipe()
        with open(os.devnull, "rb") as nothing:
            reads = to_child[0] if how["stdin"] == PIPE else nothing.fileno()
            complaints = how["stderr"].fileno() if "stderr" in how else sys.stderr.fileno()
            room = resource.getrlimit(resource.RLIMIT_FSIZE)  # which tests change while the server runs
            request = json.dumps([arguments[1], arguments[2:], {**how.get("env", os.environ)}, room]).encode()
            socket.send_fds(self._requests, [request], [reads, from_child[1], complaints, reports[1]])
        for stream in (to_child[0], from_child[1], reports[1]):
            os.close(stream)
        (pid,) = _NUMBER.unpack(os.read(reports[0], _NUMBER.size))
        try:
            return await Child.connected(pid, to_child[1], from_child[0], reports[0], how["limit"])
        except BaseException:  # a task that is cancelled leaves no process
            os.kill(pid, signal.SIGKILL)
            raise


class Child:
    """A process that was forked; used like those of ``asyncio``.

    Args:
        pid: Its id.
        stdin: What it reads.
        stdout: What it writes.
        status: Set once it has ended.
    """

    def __init__(
        self, pid: int, stdin: asyncio.StreamWriter, stdout: asyncio.StreamReader, status: asyncio.Future[int]
    ) -> None:
        self.pid, self.stdin, self.stdout = pid, stdin, stdout
        self._status = status

    @classmethod
    async def connected(cls, pid: int, stdin: int, stdout: int, report: int, limit: int) -> Child:
        """Return a process, by the ends of its pipes."""
        loop = asyncio.get_running_loop()
        reader, status = asyncio.StreamReader(limit), loop.create_future()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(stdout, "rb", 0))
        await loop.connect_read_pipe(lambda: _Report(status), os.fdopen(report, "rb", 0))
        pipe, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(stdin, "wb", 0))
        return cls(pid, asyncio.StreamWriter(pipe, protocol, None, loop), reader, status)

    async def wait(self) -> int:
        """Return its exit status, once it has ended; negative for a signal."""
        return await asyncio.shield(self._status)

    def kill(self) -> None:
        """End it."""
        if self._status.done():
            raise ProcessLookupError
        os.kill(self.pid, signal.SIGKILL)


class _Report(asyncio.Protocol):
    """Takes the exit status of a process."""

    def __init__(self, status: asyncio.Future[int]) -> None:
        self._status = status

    def data_received(self, data: bytes) -> None:
        self._status.set_result(*_NUMBER.unpack(data))


def _fork_as_asked(requests: socket.socket, runs: Runs) -> None:
    """Fork a process for each request, and report its id and its exit status, until the server has ended."""
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is requests:
                    request, streams, _, _ = socket.recv_fds(requests, _MOST_BYTES, 4)
                    if not request:
                        return
                    *standard, status = streams
                    if not (pid := os.fork()):
                        _become(standard, runs, *json.loads(request))
                    os.write(status, _NUMBER.pack(pid))
                    for stream in standard:
                        os.close(stream)
                    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, status))
                else:
                    pid, status = key.data
                    selector.unregister(key.fileobj)
                    os.write(status, _NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
                    os.close(status)
                    os.close(key.fd)


def _become(
    standard: list[int],
    runs: Runs,
    module: str,
    arguments: list[str],
    environ: dict[str, str],
    room: tuple[int, int],
) -> None:
    """Run a module, and end as ``python -m`` does."""
    status = 1
    try:
        for number, stream in enumerate(standard):
            os.dup2(stream, number)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", 1)
        resource.setrlimit(resource.RLIMIT_FSIZE, room)
        _rename(module.rpartition(".")[2])
        runs(module, arguments, environ)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def _rename(name: str) -> None:
    Path("/proc/self/comm").write_text(name)
