"""The network's weights on disk: finds and checks the files, and loads them into models.

Folders are laid out like the original's (``musetalkV15``, ``sd-vae``, ``whisper`` in ``MODELS_DIR``), so that you can
use a copy of those. safetensors are preferred; a ``.pth`` or ``.bin`` is a pickle, of which only tensors are read.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import messages
from pipeline.errors import Unavailable
from pipeline.messages import Message

DOWNLOAD = "python -m pipeline.engines.musetalk.download"


@dataclass(frozen=True)
class Part:
    """One model.

    Attributes:
        folders: Possible folders, preferred ones first.
        config: Name of its configuration.
        weights: Possible names of its weights, preferred ones first.
    """

    folders: tuple[str, ...]
    config: str
    weights: tuple[str, ...]


UNET = Part(("musetalkV15",), "musetalk.json", ("unet.safetensors", "unet.pth"))
VAE = Part(
    ("sd-vae", "sd-vae-ft-mse"),
    "config.json",
    ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
)
WHISPER = Part(("whisper", "whisper-tiny"), "config.json", ("model.safetensors", "pytorch_model.bin"))
EXTRACTOR = "preprocessor_config.json"
"""The configuration of Whisper's log-mel input, beside its weights."""
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Names of the parts of attention in diffusers when the VAE was published, and their current names."""


def check_weights(models: Path) -> None:
    """Check that all weights are there and complete; cheap, since only the ends of files are read.

    Raises:
        Unavailable: A file is missing or truncated; the message names it and says what to do.
    """
    for part in (UNET, VAE, WHISPER):
        config, weights = _files(models, part)
        _read_json(config)
        if not _whole(weights):
            raise _unusable(weights, messages.engines.WEIGHTS_CUT_SHORT())
    _read_json(_files(models, WHISPER)[0].with_name(EXTRACTOR))


def stamp(models: Path) -> tuple[tuple[str, int, int], ...]:
    """Return a value that changes with any of the weights: names, sizes and modification times."""
    files = [path for part in (UNET, VAE, WHISPER) for folder in part.folders for path in (models / folder).glob("*")]
    return tuple(sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files))


def import_models() -> None:
    """Import the classes of the models, which takes seconds, so that processes that are forked have them.

    Raises:
        ImportError: A library is missing.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel  # noqa: F401
    from transformers import WhisperConfig, WhisperFeatureExtractor  # noqa: F401
    from transformers.models.whisper.modeling_whisper import WhisperEncoder  # noqa: F401


def load_unet(models: Path) -> Any:
    """Return the ``UNet2DConditionModel`` of a folder, on the CPU, float32.

    Raises:
        Unavailable: It cannot be loaded.
    """
    from diffusers import UNet2DConditionModel

    config, weights = _files(models, UNET)
    return _fill(UNet2DConditionModel.from_config, config, _tensors(weights), weights)


def load_vae(models: Path) -> Any:
    """Return the ``AutoencoderKL`` of a folder, on the CPU, float32.

    Raises:
        Unavailable: It cannot be loaded.
    """
    from diffusers import AutoencoderKL

    config, weights = _files(models, VAE)
    tensors = {_renamed(name): tensor for name, tensor in _tensors(weights).items()}
    return _fill(AutoencoderKL.from_config, config, tensors, weights)


def load_whisper(models: Path) -> tuple[Any, Any]:
    """Return Whisper's encoder of a folder, on the CPU, float32, and its feature extractor.

    Raises:
        Unavailable: They cannot be loaded.
    """
    from transformers import WhisperConfig, WhisperFeatureExtractor
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    config, weights = _files(models, WHISPER)
    tensors = {
        name.split("encoder.", 1)[1]: tensor
        for name, tensor in _tensors(weights).items()
        if name.removeprefix("model.").startswith("encoder.")
    }
    encoder = _fill(lambda content: WhisperEncoder(WhisperConfig.from_dict(content)), config, tensors, weights)
    return encoder, WhisperFeatureExtractor.from_dict(_read_json(weights.with_name(EXTRACTOR)))


def _files(models: Path, part: Part) -> tuple[Path, Path]:
    """Return the paths of a model's configuration and weights.

    Raises:
        Unavailable: One is missing; the message names it.
    """
    folder = next((models / name for name in part.folders if (models / name).is_dir()), models / part.folders[0])
    weights = next((folder / name for name in part.weights if (folder / name).is_file()), folder / part.weights[-1])
    for path in (folder / part.config, weights):
        if not path.is_file():
            raise _unusable(path, messages.engines.WEIGHTS_MISSING())
    return folder / part.config, weights


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise _unusable(path, messages.engines.WEIGHTS_MISSING()) from error
    except (OSError, ValueError) as error:
        raise _unusable(path, messages.engines.WEIGHTS_BROKEN()) from error
    if not isinstance(content, dict):
        raise _unusable(path, messages.engines.WEIGHTS_BROKEN())
    return content


def _whole(path: Path) -> bool:
    """Return whether a file is complete: safetensors declare their length, a ``.pth`` is a zip archive."""
    if path.suffix != ".safetensors":
        return zipfile.is_zipfile(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(length)) if length < size else {}
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
    return bool(ends) and max(ends) + 8 + length == size


def _tensors(path: Path) -> dict[str, Any]:
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            tensors = load_file(path)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file can raise anything
        raise _unusable(path, messages.engines.WEIGHTS_BROKEN()) from error
    if not isinstance(tensors, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in tensors.values()):
        raise _unusable(path, messages.engines.WEIGHTS_OF_OTHER_KIND())
    return {name: tensor.float() for name, tensor in tensors.items()}


def _fill(make: Callable[[dict[str, Any]], Any], config: Path, tensors: dict[str, Any], weights: Path) -> Any:
    """Return the model of a configuration, filled with tensors.

    Raises:
        Unavailable: They do not fit.
    """
    import torch

    with torch.device("meta"):  # skips random weights, which would take half a minute
        model = make(_read_json(config))
    try:
        model.load_state_dict(tensors, strict=True, assign=True)
    except RuntimeError as error:
        raise _unusable(weights, messages.engines.WEIGHTS_OF_OTHER_SHAPE()) from error
    return model.eval().requires_grad_(False)


def _renamed(name: str) -> str:
    before, _, last = name.rpartition(".")
    module, _, attention = before.rpartition(".")
    return f"{module}.{_OLD_ATTENTION[attention]}.{last}" if attention in _OLD_ATTENTION else name


def _unusable(path: Path, why: Message) -> Unavailable:
    shown = Path(path.parent.name, path.name)
    return Unavailable(messages.engines.WEIGHTS_UNUSABLE(file=shown, why=why, command=DOWNLOAD))
