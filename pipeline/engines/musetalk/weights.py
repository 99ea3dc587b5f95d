"""The network's weights on disk: which files there are, whether they are whole, and how they become models.

Folders are laid out as the original's are (``musetalkV15``, ``sd-vae``, ``whisper`` under ``MODELS_DIR``), so a copy of
those serves. safetensors are preferred; a ``.pth`` or ``.bin`` is a pickle, and only its tensors are read.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import Unavailable

DOWNLOAD = "python -m pipeline.engines.musetalk.download"


@dataclass(frozen=True)
class Part:
    """One model. folders: where it may lie, weights: what its file may be called, the preferred ones first."""

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
"""Beside Whisper's weights: how its log-mel input is made."""
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""What the parts of attention were called in diffusers when the VAE was published, and what they are called now."""


def check_weights(models: Path) -> None:
    """Raise Unavailable, naming the file and what to do, unless all weights under MODELS are there and whole.

    Cheap: ends of files are looked at, nothing is read.
    """
    for part in (UNET, VAE, WHISPER):
        config, weights = _files(models, part)
        _read_json(config)
        if not _whole(weights):
            raise _unusable(weights, "중간에서 잘렸습니다", "is cut short")
    _read_json(_files(models, WHISPER)[0].with_name(EXTRACTOR))


def stamp(models: Path) -> tuple[tuple[str, int, int], ...]:
    """Return what changes when any of the weights under MODELS does: names, sizes and times of change."""
    files = [path for part in (UNET, VAE, WHISPER) for folder in part.folders for path in (models / folder).glob("*")]
    return tuple(sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files))


def load_unet(models: Path) -> Any:
    """Return the ``UNet2DConditionModel`` under MODELS, on the CPU, float32. Raises Unavailable."""
    from diffusers import UNet2DConditionModel

    config, weights = _files(models, UNET)
    return _fill(UNet2DConditionModel.from_config, config, _tensors(weights), weights)


def load_vae(models: Path) -> Any:
    """Return the ``AutoencoderKL`` under MODELS, on the CPU, float32. Raises Unavailable."""
    from diffusers import AutoencoderKL

    config, weights = _files(models, VAE)
    tensors = {_renamed(name): tensor for name, tensor in _tensors(weights).items()}
    return _fill(AutoencoderKL.from_config, config, tensors, weights)


def load_whisper(models: Path) -> tuple[Any, Any]:
    """Return Whisper's encoder under MODELS, on the CPU, float32, and its feature extractor. Raises Unavailable."""
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
    """Return where the configuration and the weights of PART are. Raises Unavailable naming the one that is missing."""
    folder = next((models / name for name in part.folders if (models / name).is_dir()), models / part.folders[0])
    weights = next((folder / name for name in part.weights if (folder / name).is_file()), folder / part.weights[-1])
    for path in (folder / part.config, weights):
        if not path.is_file():
            raise _unusable(path, "없습니다", "is missing")
    return folder / part.config, weights


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise _unusable(path, "없습니다", "is missing") from error
    except (OSError, ValueError) as error:
        raise _unusable(path, "읽을 수 없습니다", "cannot be read") from error
    if not isinstance(content, dict):
        raise _unusable(path, "읽을 수 없습니다", "cannot be read")
    return content


def _whole(path: Path) -> bool:
    """Whether the file at PATH has its end: safetensors say how long they are, a ``.pth`` is a zip archive."""
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
    except Exception as error:  # whatever a broken file makes of the reader
        raise _unusable(path, "읽을 수 없습니다", "cannot be read") from error
    if not isinstance(tensors, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in tensors.values()):
        raise _unusable(path, "가중치 파일이 아닙니다", "does not hold weights")
    return {name: tensor.float() for name, tensor in tensors.items()}


def _fill(make: Callable[[dict[str, Any]], Any], config: Path, tensors: dict[str, Any], weights: Path) -> Any:
    """Return the model that MAKE makes of the file CONFIG, with TENSORS, those of the file WEIGHTS, in it.

    Raises Unavailable where they do not fit.
    """
    import torch

    with torch.device("meta"):  # random weights, made only to be overwritten, would take half a minute
        model = make(_read_json(config))
    try:
        model.load_state_dict(tensors, strict=True, assign=True)
    except RuntimeError as error:
        raise _unusable(
            weights, "이 모델의 것이 아닙니다 (모양이 다름)", "does not fit the model (other shapes)"
        ) from error
    return model.eval().requires_grad_(False)


def _renamed(name: str) -> str:
    before, _, last = name.rpartition(".")
    module, _, attention = before.rpartition(".")
    return f"{module}.{_OLD_ATTENTION[attention]}.{last}" if attention in _OLD_ATTENTION else name


def _unusable(path: Path, ko: str, en: str) -> Unavailable:
    shown = Path(path.parent.name, path.name)
    return Unavailable(
        f"musetalk: 가중치 파일 {shown}이(가) {ko}. 서버에서 {DOWNLOAD}를 실행하거나 MODELS_DIR을 확인하세요.",
        f"musetalk: the file {shown} {en}. On the server, run {DOWNLOAD}, or check MODELS_DIR.",
    )
