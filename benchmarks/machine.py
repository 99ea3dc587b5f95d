"""Names the machine that a measurement was taken on."""

from __future__ import annotations

import os
import platform
import resource
import shutil
from importlib.metadata import version
from pathlib import Path


def describe_machine() -> str:
    """Return one line: processor, cores that this process may use, memory, system and the libraries that matter."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = (line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        cpu = next((value.strip() for key, value in lines if key.strip() == "model name"), cpu)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in ("av", "numpy", "numba"))
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{cpu}, {cores} cores, {memory:.0f} GiB, {system}, {libraries}"


def peak_memory() -> float:
    """Return the most memory that this process has held so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def load() -> float:
    """Return how many processes wanted a core in the last minute: over the number of cores, seconds stretch."""
    return os.getloadavg()[0]


def chromium() -> str | None:
    """Return the Chromium of this machine; None if it has none, and Playwright is to take its own.

    The build without windows comes first: it needs a quarter less of the processor.
    """
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)
