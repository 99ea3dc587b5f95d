"""An avatar: everything that is needed to make a person on video speak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import numpy as np

from pipeline.video.reader import ClipReader

LATENTS = (8, 32, 32)
"""Shape of a frame's latents for MuseTalk."""
MASK_SIDE = 128
"""Side of a frame's mask in pixels, whatever the size of its box."""
GENDERS = ("female", "male")
CLIPS = ("idle", "listening", "speaking", "nod", "greeting", "thinking")
"""What an avatar may have further clips for; for what it has none, its own clip is used."""


@dataclass(frozen=True)
class Teeth:
    """A person's own teeth, as a clip shows them.

    Attributes:
        white: Luma of the brightest ones; 1 is the white of a sprite (see the mesh's ``teeth_white``).
        tint: (2,) float32, their U and V as offsets from grey.
        picture: The upper row in basis space, (h, w, 3) uint8: luma (255: white), alpha, and how certain each place is.
            None if the clip does not show their shape well enough.
        corners: (3, 2) float32, basis x, y (y down) of its top left, top right and bottom left.
    """

    white: float
    tint: np.ndarray
    picture: np.ndarray | None
    corners: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnMouth:
    """The inside of a person's mouth, and the inner side of the lips, at the shapes that a clip shows.

    Attributes:
        shapes: (n, 4) float32, the shape of each in basis units (see ``mouth_frame.mouth_shape``).
        luma: (n, h, w) uint8, Y of each in the mouth's own frame (see ``pipeline.engines.mesh.mouth_frame``): w places
            along the mouth; `lip_rows` rows across the upper lip, some across the opening, `lip_rows` across the lower
            lip.
        chroma: (n, 2, h / 2, w / 2) uint8, U and V of the same.
        lip_rows: Even.
        skin: (3,) float32, Y, U and V of the skin in the light in which all of them are kept.
    """

    shapes: np.ndarray
    luma: np.ndarray
    chroma: np.ndarray
    lip_rows: int
    skin: np.ndarray


@dataclass(frozen=True)
class Inpainting:
    """MuseTalk's input for every frame of a clip; see ``pipeline.engines.musetalk``.

    Attributes:
        boxes: (frames, 4) int32, left, top, right and bottom of the face that is redrawn, in pixels; all 0 where it
            must not.
        latents: (frames, 8, 32, 32) float32, of the face with its lower half hidden, and whole.
        masks: (frames, 128, 128) uint8 over the box, how much of each place is redrawn (255: all).
    """

    boxes: np.ndarray
    latents: np.ndarray
    masks: np.ndarray


@dataclass(frozen=True)
class Matte:
    """How far each pixel of a clip belongs to the person.

    Attributes:
        video: An mp4 like the clip's, whose luma is the share (255: wholly the person's).
        key: U and V of the green or blue screen behind the person; None if there is none.
    """

    video: bytes
    key: tuple[int, int] | None = None

    @cached_property
    def clip(self) -> ClipReader:
        """Its video, ready to be decoded."""
        return ClipReader(self.video)


@dataclass(frozen=True, kw_only=True, eq=False)
class Avatar:
    """A person on video, ready to speak.

    Attributes:
        name: "talk_long".
        resolution: "720p".
        width, height: Pixels, even.
        fps: Frames per second.
        video: An mp4 (H.264, yuv420p, no sound) with one frame per row of `landmarks`, whose end meets its start.
        landmarks: (frames, 478, 3) float32, MediaPipe Face Mesh points in pixels of this video (x right, y down, z away
            from the viewer), smoothed over time. Rows without a usable face hold the nearest usable ones.
        rest: (frames, 478, 3) float32, the same points with the person's mouth closed; equal to `landmarks` where it is
            closed anyway.
        usable: (frames,) bool, False where the face is missing, covered or turned too far; those frames stay unchanged.
        teeth: None if the clip does not show them.
        mouth: None if the clip does not show its inside at enough shapes.
        matte: Where the person is in each frame; None in packs that were made before there were mattes.
        inpainting: None if the pack was not prepared for MuseTalk.
        opening: Factor of the movement that parts the lips, so that it looks as wide as on other faces (see
            ``pipeline.preparing.mouth_scale``).
        softness: How much softer the face is than a crisp picture (sigma, units of the face basis; see
            ``pipeline.preparing.blur``).
        gender: "female" or "male", whose voice the avatar gets if none is chosen; "" if that is unknown.
        gaze: (frames, 3) float32: how far the eyes look past the camera, in degrees to the right and down in the
            picture, and how far they may be turned to it, 0..1, smooth over time (see
            ``pipeline.preparing.turnable_eyes``). None if that is unknown, or they can be turned nowhere.
        clips: Further clips by what they show (see `CLIPS`): the same person in the same size, at the same rate. Each
            is an avatar whose video, points, usable frames and gaze are those of the clip.
        leads_into: Where these pictures lie between two clips, the one that follows; the mouth's inside is its own.
    """

    name: str
    resolution: str
    width: int
    height: int
    fps: Fraction
    video: bytes
    landmarks: np.ndarray
    rest: np.ndarray
    usable: np.ndarray
    teeth: Teeth | None = None
    mouth: OwnMouth | None = None
    matte: Matte | None = None
    inpainting: Inpainting | None = None
    opening: float = 1.0
    softness: float = 0.0
    gender: str = ""
    gaze: np.ndarray | None = None
    clips: Mapping[str, Avatar] = field(default_factory=dict)
    leads_into: Avatar | None = None

    @property
    def id(self) -> str:
        """The name that API.md lists: ``talk_long_720p``."""
        return f"{self.name}_{self.resolution}"

    @cached_property
    def clip(self) -> ClipReader:
        """Its video, ready to be decoded."""
        return ClipReader(self.video)
