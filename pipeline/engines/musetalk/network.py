"""The network: from latents of a face and features of the sound to a picture of the face that speaks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Network:
    """UNet (``UNet2DConditionModel``) and VAE (``AutoencoderKL``) on one device, each in its own number format."""

    unet: Any
    vae: Any

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        device: torch.device = self.unet.device
        return device

    @torch.inference_mode()
    def draw(self, latents: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return pictures, (n, 3, 256, 256) float32 RGB in 0..1, for latents (n, 8, 32, 32) and features (n, 50, 384).

        One step of the UNet at time 0, no diffusion; then the decoder.
        """
        unet, vae = self.unet, self.vae
        moment = torch.zeros(1, dtype=torch.long, device=self.device)
        states = features.to(self.device, unet.dtype)
        drawn = unet(latents.to(self.device, unet.dtype), moment, encoder_hidden_states=states, return_dict=False)[0]
        pictures = vae.decode((drawn.float() / vae.config.scaling_factor).to(vae.dtype), return_dict=False)[0]
        shown: torch.Tensor = (pictures.float() / 2 + 0.5).clamp(0, 1)
        return shown
