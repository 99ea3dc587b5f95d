"""A stand-in for Hugging Face's ``spaces`` on ZeroGPU, which is not to be had elsewhere.

As there, what ``GPU`` wraps runs in a process forked for the call; what goes in and comes out is pickled; it does not
wait until that is taken; closed early, it stops at the next thing it yields; and a card is given for a limited time.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any

import gradio as gr
import torch  # noqa: F401  as the real one does, in the process that is forked
from gradio.context import LocalContext

logger = logging.getLogger("spaces")
LONGEST = 120
_context = multiprocessing.get_context("fork")


def GPU(task: Callable[..., Iterator[Any]], duration: Callable[..., int]) -> Callable[..., Iterator[Any]]:
    def lent(*arguments: Any) -> Iterator[Any]:
        request = LocalContext.request.get(None)
        visitor = request.headers.get("x-ip-token", "") if request else ""
        seconds = duration(*arguments)
        if seconds > LONGEST:
            raise gr.Error("illegal duration")
        inward, outward, stop = _context.SimpleQueue(), _context.SimpleQueue(), _context.Event()
        process = _context.Process(target=_work, args=(task, inward, outward, stop), daemon=True)
        process.start()
        logger.info("lent to %r for %d s: process %d", visitor, seconds, process.pid)
        inward.put(arguments)
        try:
            while (result := outward.get()) is not None:
                yield result[0]
        finally:
            stop.set()
            while not outward.empty() or process.is_alive():
                if not outward.empty():
                    outward.get()
                process.join(0.01)
            logger.info("given back")

    return lent


def _work(task: Callable[..., Generator[Any, None, None]], inward: Any, outward: Any, stop: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    logger.info("found imported: %s", sorted({"diffusers", "transformers"} & sys.modules.keys()))
    for result in (drawn := task(*inward.get())):
        if stop.is_set():
            drawn.close()
            break
        outward.put((result,))
    outward.put(None)
    os._exit(0)
