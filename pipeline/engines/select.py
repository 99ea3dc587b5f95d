"""Selects the lipsync engine of a request."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.engines.lipsync_engine import LipsyncEngine
from pipeline.engines.mesh.mesh_engine import MeshEngine
from pipeline.engines.musetalk.musetalk_engine import MuseTalkEngine, on_gpu
from pipeline.engines.musetalk.zerogpu import CardLender, ZeroGpuEngine
from pipeline.errors import Unavailable
from pipeline.messages import Message
from pipeline.settings import Settings

AUTO = "auto"


def lipsync_engines(settings: Settings, lender: CardLender | None = None) -> dict[str, LipsyncEngine]:
    """Return all engines by name; nothing heavy is loaded.

    Args:
        settings: Uses `lipsync_engine`, `models_dir` and `musetalk_compile`.
        lender: Lends a card for each call (ZeroGPU); None if the machine has a card or none.

    Raises:
        ValueError: There is no engine with the name in LIPSYNC_ENGINE.
    """
    models, compiles = settings.models_dir, bool(settings.musetalk_compile)
    musetalk = ZeroGpuEngine(models, lender) if lender else MuseTalkEngine(models, compiles)
    engines: list[LipsyncEngine] = [MeshEngine(), musetalk]
    names = [engine.name for engine in engines]
    if settings.lipsync_engine not in (*names, AUTO):
        raise ValueError(f"LIPSYNC_ENGINE={settings.lipsync_engine!r}: expected {', '.join(names)} or {AUTO}")
    return {engine.name: engine for engine in engines}


def preferred(engines: Mapping[str, LipsyncEngine], setting: str) -> LipsyncEngine:
    """Return the engine of a request that names none.

    "auto" takes MuseTalk if its weights and a CUDA device are there, else the first engine.

    Args:
        engines: The engines by name.
        setting: The setting ``LIPSYNC_ENGINE``.
    """
    if setting in engines:
        return engines[setting]
    musetalk = engines.get(MuseTalkEngine.name)
    if musetalk is not None and problem_of(musetalk) is None and (isinstance(musetalk, ZeroGpuEngine) or on_gpu()):
        return musetalk
    return next(iter(engines.values()))


def problem_of(engine: LipsyncEngine) -> Message | None:
    """Return why an engine cannot render now; None if it can."""
    try:
        engine.check()
    except Unavailable as error:
        return error.message
    return None
