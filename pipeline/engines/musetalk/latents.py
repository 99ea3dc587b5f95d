"""A face as input of the network: two latents, one with the lower half hidden, one whole (MuseTalk 1.5)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

SEED = 1
"""Seed of the noise that samples the posterior. The same for every frame: other noise would flicker."""


def pixels_of(crops: np.ndarray, hidden: bool) -> torch.Tensor:
    """Return crops ((n, 256, 256, 3) uint8 RGB) as (n, 3, 256, 256) float32 in -1..1.

    Contiguous: with channels last, PyTorch's encoder rounds a hundred times as coarsely on a CPU.

    Args:
        crops: The faces.
        hidden: Whether the lower half is hidden: black before scaling, so -1 after.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).float() / 255
    if hidden:
        pixels[:, :, pixels.shape[2] // 2 :] = 0
    return pixels * 2 - 1


@torch.inference_mode()
def face_latents(vae: Any, crops: np.ndarray) -> torch.Tensor:
    """Return the latents of faces: with the lower half hidden, then whole.

    Each is a sample of the posterior of `vae` times its scaling factor.

    Args:
        vae: An ``AutoencoderKL``.
        crops: (n, 256, 256, 3) uint8 RGB.

    Returns:
        (n, 8, 32, 32) on the device of `vae`.
    """
    halves = []
    for hidden in (True, False):
        posterior = vae.encode(pixels_of(crops, hidden).to(vae.device, vae.dtype)).latent_dist
        noise = torch.randn(posterior.mean.shape[1:], generator=torch.Generator().manual_seed(SEED))
        halves.append(posterior.mean + posterior.std * noise.to(posterior.mean))
    latents: torch.Tensor = torch.cat(halves, dim=1) * vae.config.scaling_factor
    return latents
