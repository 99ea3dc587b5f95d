"""Prepares a clip for the network: boxes, latents and masks of all its frames."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np

from pipeline.avatars.avatar import LATENTS, MASK_SIDE, Avatar, Inpainting
from pipeline.engines.musetalk.colors import rgb_of
from pipeline.engines.musetalk.face_crop import Box, face_box, face_crop
from pipeline.engines.musetalk.latents import face_latents
from pipeline.engines.musetalk.mask import face_mask
from pipeline.video.reader import ClipReader

_BATCH = 4
"""Faces that are encoded at a time."""


def inpainting_of(avatar: Avatar, vae: Any, progress: Callable[[float], object] = lambda share: None) -> Inpainting:
    """Return the network's input for the frames of an avatar.

    Frames without a usable face get an empty box: they keep their place, and stay unchanged.

    Args:
        avatar: The person.
        vae: An ``AutoencoderKL``.
        progress: Called with the share that is done (0..1); may raise to stop the work.
    """
    count = len(avatar.landmarks)
    boxes = np.zeros((count, 4), np.int32)
    latents = np.zeros((count, *LATENTS), np.float32)
    masks = np.zeros((count, MASK_SIDE, MASK_SIDE), np.uint8)
    waiting: list[tuple[int, np.ndarray]] = []

    def encode() -> None:
        if waiting:
            numbers, crops = zip(*waiting, strict=True)
            latents[list(numbers)] = face_latents(vae, np.stack(crops)).float().cpu().numpy()
            waiting.clear()

    clip = ClipReader(avatar.video)
    with closing(clip.once()) as frames:
        for number, frame in enumerate(frames):
            box = usable_box(avatar, number)
            if box is not None:
                boxes[number] = box
                masks[number] = face_mask(avatar.landmarks[number], box)
                waiting.append((number, face_crop(rgb_of(frame, clip.colors), box)))
            if len(waiting) == _BATCH:
                encode()
                progress(number / count)
    encode()
    return Inpainting(boxes, latents, masks)


def usable_box(avatar: Avatar, number: int) -> Box | None:
    """Return the box of the face in a frame of the clip; None if the face is not usable."""
    return face_box(avatar.landmarks[number], avatar.width, avatar.height) if avatar.usable[number] else None
