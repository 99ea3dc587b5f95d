"""The fake server with the voices that come with the program, which may be damaged.

    python -m tests.real_voices packs

``HIBARI_ASSETS`` and ``KOKORO_PACKAGES`` name folders that are read instead of the packages', ``PACKAGES`` one in which
packages are found first.
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

from pipeline.jobs.generate import generate
from pipeline.server.serve import serve
from pipeline.settings import Settings
from pipeline.tts.hibari import HibariEngine
from pipeline.tts.kokoro import KokoroEngine
from pipeline.tts.speech_engine import TTSEngine
from pipeline.tts.supertonic import SupertonicEngine
from tests.fakes import make_fake_studio


def _folder(variable: str) -> Path | None:
    return Path(os.environ[variable]) if variable in os.environ else None


def main() -> None:
    """Serve, on the packs in the folder that the command line names."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = replace(Settings.from_environment(), precomputed=Path(sys.argv[1]))
    if "PACKAGES" in os.environ:
        sys.path.insert(0, os.environ["PACKAGES"])
    studio = make_fake_studio(settings)
    kokoro = KokoroEngine(_folder("KOKORO_PACKAGES"))
    kokoro.pace = 10.0  # that it may be too slow here is another matter
    voices: list[TTSEngine] = [SupertonicEngine(), HibariEngine(_folder("HIBARI_ASSETS")), kokoro, studio.espeak]
    serve(replace(studio, tts={voice.name: voice for voice in voices}), generate, "tests.fake_worker")


if __name__ == "__main__":
    main()
