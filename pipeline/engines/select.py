"""Which lipsync engine a request gets."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.engines.lipsync_engine import LipsyncEngine
from pipeline.engines.mesh.mesh_engine import MeshEngine
from pipeline.engines.musetalk.musetalk_engine import MuseTalkEngine, on_gpu
from pipeline.engines.musetalk.zerogpu import CardLender, ZeroGpuEngine
from pipeline.errors import Message, Unavailable
from pipeline.settings import Settings

AUTO = "auto"


def lipsync_engines(settings: Settings, lender: CardLender | None = None) -> dict[str, LipsyncEngine]:
    """Return all engines by name; nothing heavy is loaded.

    Args:
        settings: of them `lipsync_engine`, `models_dir` and `musetalk_compile`.
        lender: where the card is lent by the call (ZeroGPU); None where it is there or there is none.

    Raises:
        ValueError: LIPSYNC_ENGINE names no engine.
    """
    models, compiles = settings.models_dir, bool(settings.musetalk_compile)
    musetalk = ZeroGpuEngine(models, lender) if lender else MuseTalkEngine(models, compiles)
    engines: list[LipsyncEngine] = [MeshEngine(), musetalk]
    names = [engine.name for engine in engines]
    if settings.lipsync_engine not in (*names, AUTO):
        raise ValueError(f"LIPSYNC_ENGINE={settings.lipsync_engine!r}: expected {', '.join(names)} or {AUTO}")
    return {engine.name: engine for engine in engines}


def preferred(engines: Mapping[str, LipsyncEngine], setting: str) -> LipsyncEngine:
    """Return the one of ENGINES that a request gets which names none; SETTING is ``LIPSYNC_ENGINE``.

    With "auto" MuseTalk where its weights and a CUDA device are there, else the first of ENGINES.
    """
    if setting in engines:
        return engines[setting]
    musetalk = engines.get(MuseTalkEngine.name)
    if musetalk is not None and problem_of(musetalk) is None and (isinstance(musetalk, ZeroGpuEngine) or on_gpu()):
        return musetalk
    return next(iter(engines.values()))


def problem_of(engine: LipsyncEngine) -> Message | None:
    """Return why ENGINE cannot render now; None where it can."""
    try:
        engine.check()
    except Unavailable as error:
        return error.message
    return None
