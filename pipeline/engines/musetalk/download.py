"""Downloads the network's weights from the Hugging Face hub: ``python -m pipeline.engines.musetalk.download``.

3.9 GB, into ``MODELS_DIR`` (by default ``models``), from the mirror in ``HF_ENDPOINT`` if it is set. An interrupted
download resumes where it stopped (the hub's own client starts over). Every file has a fixed revision, and its size and
SHA-256 must be those below, which were published with it.
"""

from __future__ import annotations

import sys

from pipeline.core.hub import WeightFile, download, hub_address
from pipeline.errors import PipelineError
from pipeline.settings import Settings

_MUSETALK = {"repository": "TMElyralab/MuseTalk", "revision": "3ef28bc5cff08c90ad8178a25f1b570cd800170f"}
_VAE = {"repository": "stabilityai/sd-vae-ft-mse", "revision": "31f26fdeee1355a5c34592e401dd41e45d25a493"}
_WHISPER = {"repository": "openai/whisper-tiny", "revision": "169d4a4341b33bc18d8881c4b69c2e104e1cc0af"}

FILES = (
    WeightFile(
        folder="", **_MUSETALK, name="musetalkV15/musetalk.json",
        size=748, sha256="5b6923aee04d71692e0e9846c471e0a4ea07a4f686d39545e472bd4ba17e1b47",
    ),
    WeightFile(
        folder="", **_MUSETALK, name="musetalkV15/unet.pth",
        size=3_400_074_924, sha256="7ebf6c98c181e20838e4c0054e96e944ac60d5d692cc01db42839fe11b787007",
    ),
    WeightFile(
        folder="sd-vae", **_VAE, name="config.json",
        size=547, sha256="92d3dfb746fca211a2c9e019e285f8597412211728dce3c5bcf4eda0f2d62e7e",
    ),
    WeightFile(
        folder="sd-vae", **_VAE, name="diffusion_pytorch_model.safetensors",
        size=334_643_276, sha256="a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815",
    ),
    WeightFile(
        folder="whisper", **_WHISPER, name="config.json",
        size=1_983, sha256="ffdccec4f3211f4c63310f2b7098f309fe70f3952cedc5e4d11e43f5b2379b98",
    ),
    WeightFile(
        folder="whisper", **_WHISPER, name="preprocessor_config.json",
        size=184_990, sha256="9b5cd03a36fbb8a627c64d98a5b5b126ead95a77720723944487311f0110b666",
    ),
    WeightFile(
        folder="whisper", **_WHISPER, name="model.safetensors",
        size=151_061_672, sha256="7ebd0e69e78190ffe1438491fa05cc1f5c1aa3a4c4db3bc1723adbb551ea2395",
    ),
)  # fmt: skip


def main() -> int:
    """Download everything; return the exit status."""
    models = Settings.from_environment().models_dir
    try:
        download(models, FILES, hub_address())
    except PipelineError as error:
        print(error.message, file=sys.stderr)
        return 1
    print(f"{models}: {sum(file.size for file in FILES) / 1e9:.1f} GB, complete")
    return 0


if __name__ == "__main__":
    sys.exit(main())
