"""MuseTalk's models with few and random weights, saved as the real ones are."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.avatars.avatar import Avatar
from pipeline.avatars.pack import load
from pipeline.preparing.encode_clip import encode
from pipeline.settings import Settings
from pipeline.video.reader import ClipReader

diffusers = pytest.importorskip("diffusers", reason="pip install -r requirements-gpu.txt")
transformers = pytest.importorskip("transformers", reason="pip install -r requirements-gpu.txt")
safetensors = pytest.importorskip("safetensors.torch", reason="pip install -r requirements-gpu.txt")

CHANNELS = 32
"""Of the sound's features; 384 in the real model."""
UNET: dict[str, Any] = {
    "sample_size": 64,
    "in_channels": 8,
    "out_channels": 4,
    "layers_per_block": 1,
    "block_out_channels": [8, 16],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],  # attention to fewer places takes less
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "cross_attention_dim": CHANNELS,
    "attention_head_dim": 2,
    "norm_num_groups": 4,
}
VAE: dict[str, Any] = {
    "block_out_channels": [4, 4, 8, 8],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 2,
}
WHISPER: dict[str, Any] = {
    "d_model": CHANNELS,
    "encoder_layers": 4,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 64,
    "vocab_size": 50,
    "pad_token_id": 1,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "decoder_start_token_id": 1,
}


def make_unet() -> Any:
    torch.manual_seed(1)
    return diffusers.UNet2DConditionModel(**UNET).eval()


def make_vae() -> Any:
    torch.manual_seed(2)
    return diffusers.AutoencoderKL(**VAE).eval()


def make_whisper() -> Any:
    torch.manual_seed(3)
    return transformers.WhisperModel(transformers.WhisperConfig(**WHISPER)).eval()


def make_extractor() -> Any:
    return transformers.WhisperFeatureExtractor()


def save_models(folder: Path) -> Path:
    """Save tiny models in FOLDER, laid out as the original's are: one as .pth, two as safetensors."""
    for name in ("musetalkV15", "sd-vae", "whisper"):
        (folder / name).mkdir(parents=True)
    (folder / "musetalkV15" / "musetalk.json").write_text(json.dumps(UNET))
    torch.save(make_unet().state_dict(), folder / "musetalkV15" / "unet.pth")
    (folder / "sd-vae" / "config.json").write_text(json.dumps(VAE))
    safetensors.save_file(make_vae().state_dict(), folder / "sd-vae" / "diffusion_pytorch_model.safetensors")
    (folder / "whisper" / "config.json").write_text(json.dumps(WHISPER))
    safetensors.save_file(
        {f"model.{name}": tensor for name, tensor in make_whisper().state_dict().items()},
        folder / "whisper" / "model.safetensors",
    )
    (folder / "whisper" / "preprocessor_config.json").write_text(json.dumps(make_extractor().to_dict()))
    return folder


def short_man() -> Avatar:
    """Most of a second of the bundled man."""
    man, count = load(Settings().precomputed / "360p" / "talk_short_360p_precomputed.pkl"), 20
    clip = ClipReader(man.video)
    video = encode(islice(clip.once(), count), man.width, man.height, man.fps, clip.colors)
    points, rest, usable = (values[:count].copy() for values in (man.landmarks, man.rest, man.usable))
    return replace(man, video=video, landmarks=points, rest=rest, usable=usable, gaze=None, matte=None)
