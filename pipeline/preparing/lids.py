"""Closes the lids of a photo's eyes.

An upper lid that closes shows skin that its fold hid. Its colour runs from the skin above the eye to the skin below
it, its grain is that of the skin above. The strip that is seen while the eye is open (lashes, liner, shadow) moves
down with the lid's edge. Nothing else changes, so the rims of glasses stay where they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from pipeline.face.eyes import LOWER_LIDS, UPPER_LIDS
from pipeline.face.smooth_step import smooth_step

if TYPE_CHECKING:
    from scipy.interpolate import PchipInterpolator

_BROWS = (105, 334)
_LASHES = 0.12
"""Height of the strip above the edge that moves with it, in lengths of the eye."""
_FOLD = 0.12
"""Height of the fold above that strip."""
_LOWER_LASHES = 0.05
_RISE = 0.12
"""How far the lower lid rises, as a share of the opening."""
_SHUT_BELOW = 0.06
"""An eye that is open by less than this share of its length is shut already."""
_FINENESS = 160
"""Least samples along an eye in its own upright picture."""


class Lids:
    """The lids of both eyes."""

    def __init__(self, photo: np.ndarray, points: np.ndarray) -> None:
        """Measure the eyes.

        Args:
            photo: (height, width, 3) uint8 RGB.
            points: (478, 3) pixels of the face.
        """
        eyes = [_Lid.of(photo, points, number) for number in range(2)]
        self._eyes = [eye for eye in eyes if eye is not None]

    def close(self, picture: np.ndarray, shut: float) -> np.ndarray:
        """Return the photo, or one with other irises, with the lids shut (0..1)."""
        if shut <= 0:
            return picture
        out = picture.copy()
        for eye in self._eyes:
            eye.close(out, shut)
        return out


@dataclass(frozen=True, kw_only=True)
class _Lid:
    """One eye in its own frame: u along the slit and v down across it, in pixels, from the left corner.

    Attributes:
        x, y: Where its part of the picture begins.
        u, v: Of each pixel of that part, (h, w).
        length: From corner to corner.
        upper, lower: v of the lids' edges, (h, w): above and below each pixel.
        above, below: Colours of the skin above and below, (h, w, 3).
        skin: How surely a pixel above the eye is skin, (h, w), 0..1.
        samples: Samples of the textures per pixel.
        corner: u and -d (see `lashes`) of the first sample.
        lashes: How much darker or lighter than skin the strip at the edge is, (rows, columns, 3); its rows are counted
            from the edge: d = v - edge.
        grain: Difference from its own smooth colour of the skin above, laid out in the same way.
    """

    x: int
    y: int
    u: np.ndarray
    v: np.ndarray
    length: float
    upper: np.ndarray
    lower: np.ndarray
    above: np.ndarray
    below: np.ndarray
    skin: np.ndarray
    samples: float
    corner: tuple[float, float]
    lashes: np.ndarray
    grain: np.ndarray

    @classmethod
    def of(cls, photo: np.ndarray, points: np.ndarray, number: int) -> _Lid | None:
        """Return an eye (0 is left in the picture), or None if it is shut or too small to be seen."""
        upper, lower, brow = list(UPPER_LIDS[number]), list(LOWER_LIDS[number]), _BROWS[number]
        corners = points[[upper[0], upper[-1]], :2].astype(np.float64)
        length = float(np.linalg.norm(corners[1] - corners[0]))
        if length < 4:
            return None
        along = (corners[1] - corners[0]) / length
        axes = np.stack([along, [-along[1], along[0]]])
        own = (points[:, :2] - corners[0]) @ axes.T
        edges = [_edge(own[line]) for line in (upper, lower)]
        middle = np.linspace(0, length, 50)
        if float((edges[1](middle) - edges[0](middle)).max()) < _SHUT_BELOW * length:
            return None
        # the eye's upright picture
        samples = max(1.0, _FINENESS / length)
        left, top = 0.35 * length, 0.8 * length
        columns, rows = round((length + 2 * left) * samples), round(1.5 * length * samples)
        u = np.arange(columns) / samples - left
        v = np.arange(rows) / samples - top
        place = np.einsum("ji,jhw->ihw", axes, np.stack(np.meshgrid(u, v))) + corners[0][:, None, None]
        upright = cv2.remap(
            photo,
            place[0].astype(np.float32),
            place[1].astype(np.float32),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        ).astype(np.float32)
        room = max(0.3 * length, 0.9 * float(np.median(edges[0](middle)) - own[brow, 1]))
        skin = _Skin(upright, v[:, None] - edges[0](u)[None], v[:, None] - edges[1](u)[None], length, room)

        # its part of the photo
        reach = 0.9 * length
        x0, y0 = np.floor(corners.mean(0) - reach).astype(int).clip(0)
        x1, y1 = np.minimum(np.ceil(corners.mean(0) + reach).astype(int) + 1, photo.shape[1::-1])
        if min(x1 - x0, y1 - y0) < 4:
            return None
        pixels = np.stack(np.meshgrid(np.arange(x0, x1), np.arange(y0, y1))) - corners[0][:, None, None]
        pixel_u, pixel_v = np.einsum("ij,jhw->ihw", axes, pixels)
        colours = [
            np.stack([np.interp(pixel_u, u, line[:, channel]) for channel in range(3)], -1)
            for line in (skin.above, skin.below)
        ]
        lashes, grain, first = skin.strips(samples)
        return cls(
            x=int(x0),
            y=int(y0),
            u=pixel_u,
            v=pixel_v,
            length=length,
            upper=edges[0](pixel_u),
            lower=edges[1](pixel_u),
            above=colours[0],
            below=colours[1],
            skin=cv2.remap(
                skin.usual,
                ((pixel_u + left) * samples).astype(np.float32),
                ((pixel_v + top) * samples).astype(np.float32),
                cv2.INTER_LINEAR,
            ),
            samples=samples,
            corner=(left, first),
            lashes=lashes,
            grain=grain,
        )

    def close(self, picture: np.ndarray, shut: float) -> None:
        """Draw the lids of this eye into a picture, shut by a share (0..1)."""
        height, width = self.u.shape
        part = picture[self.y : self.y + height, self.x : self.x + width]
        length, opening = self.length, np.maximum(self.lower - self.upper, 0)
        meeting = self.lower - _RISE * opening
        edge = self.upper + shut * (meeting - self.upper)
        rim = self.lower - shut * _RISE * opening
        # the lower lid rises, and the skin below it follows less and less
        raised = (self.lower - rim) * np.exp(-(((self.v - rim) / (0.25 * length)) ** 2))
        raised = np.where(self.v > rim, raised, 0)
        axis = self._down()
        map_x = (np.arange(width)[None] + raised * axis[0]).astype(np.float32)
        map_y = (np.arange(height)[:, None] + raised * axis[1]).astype(np.float32)
        base = cv2.remap(part, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)

        down = self.v - edge  # from the lid's edge
        lid = self._skin(meeting)
        lashes = self._sample(self.lashes, self.u, down, cv2.BORDER_REPLICATE)
        grain = self._sample(self.grain, self.u, down, cv2.BORDER_REFLECT)
        travelled = np.clip((edge - self.upper) / (0.1 * length), 0, 1)[..., None]
        lid = (lid + grain * travelled) * lashes
        # lashes hang below the edge, more as the lid comes down and they turn towards the viewer
        hang = np.clip(down / length, 0, None)
        mirrored = self._sample(self.lashes, self.u, -1.3 * np.abs(down), cv2.BORDER_REPLICATE)
        fading = np.clip(1 - hang / 0.09, 0, 1) * (0.35 + 0.35 * shut) * travelled[..., 0]
        below = base * (1 - fading[..., None] * (1 - mirrored.min(-1, keepdims=True)).clip(0, 1))
        # the lid's shadow lies on the eyeball under it
        eyeball = (down > 0) & (self.v < rim)
        shade = 0.25 * travelled[..., 0] * np.exp(-np.clip(down, 0, None) / (0.07 * length))
        below = np.where(eyeball[..., None], below * (1 - shade[..., None]), below)

        within = smooth_step(-down / 1.4 + 0.5) * smooth_step(opening / max(0.6, 0.02 * length))
        top = self.upper - _LASHES * length
        feather = max(1.0, 0.05 * length)
        # the fold above flattens as its skin goes down; what is no skin (rims of glasses, brows) stays
        fold = 0.65 * travelled[..., 0] * self.skin * smooth_step((self.v - top + _FOLD * length) / (_FOLD * length))
        within = (within * np.maximum(smooth_step((self.v - top) / feather), fold))[..., None]
        drawn = lid * within + below * (1 - within)
        part[:] = np.round(drawn.clip(0, 255)).astype(np.uint8)

    def _down(self) -> np.ndarray:
        """Return the direction of v in the picture, (x, y)."""
        return np.array([self.v[0, 1] - self.v[0, 0], self.v[1, 0] - self.v[0, 0]])

    def _skin(self, meeting: np.ndarray) -> np.ndarray:
        """Return the lid's smooth skin: the eyeball's bulge catches light, the crease and the closed edge do not."""
        top = self.upper - _LASHES * self.length
        share = np.clip((self.v - top) / np.maximum(meeting - top, 1.0), 0, 1)[..., None]
        skin = self.above * (1 - share) + self.below * share
        open_by = np.clip((meeting - self.upper) / (0.2 * self.length), 0, 1)[..., None]
        round_by = (np.clip(self.u / self.length, 0, 1)[..., None] - 0.5) ** 2
        bulge = 1 + open_by * (0.07 * np.sin(np.pi * share) - 0.2 * round_by)
        crease = 1 - 0.08 * open_by * np.exp(-(((share - 0.12) / 0.09) ** 2))
        shaded: np.ndarray = skin * bulge * crease
        return shaded

    def _sample(self, texture: np.ndarray, u: np.ndarray, down: np.ndarray, border: int) -> np.ndarray:
        map_x = ((u + self.corner[0]) * self.samples).astype(np.float32)
        map_y = ((down + self.corner[1]) * self.samples).astype(np.float32)
        return np.asarray(cv2.remap(texture, map_x, map_y, cv2.INTER_LINEAR, borderMode=border))


class _Skin:
    """The skin around an eye, measured in its upright picture.

    Args:
        upright: (rows, columns, 3).
        from_upper, from_lower: How far each sample lies below the edges of the lids, (rows, columns) pixels.
        length: Of the eye, in pixels.
        room: From the lid's edge to the brow, in pixels.
    """

    def __init__(
        self, upright: np.ndarray, from_upper: np.ndarray, from_lower: np.ndarray, length: float, room: float
    ) -> None:
        self._upright, self._from_upper, self._length = upright, from_upper, length
        over = (from_upper < -_LASHES * length) & (from_upper > -max(0.24 * length, 0.6 * room))
        under = (from_lower > _LOWER_LASHES * length) & (from_lower < 0.32 * length)
        near = np.exp(np.minimum(from_upper + _LASHES * length, 0) / (0.06 * length))
        light = upright.mean(-1)
        usual = _usual(light, over)
        self.above = _along(upright, over * near * usual, 0.08)
        self.below = _along(upright, under * _usual(light, under), 0.14)
        self.usual = cv2.GaussianBlur(cv2.erode(usual.astype(np.float32), np.ones((5, 5))), (0, 0), 2.0)

    def strips(self, samples: float) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the textures `lashes` and `grain` of a lid, and how far above the edge their rows begin (pixels)."""
        columns = self._from_upper.shape[1]
        length, above = self._length, 0.30 * self._length
        down = np.arange(round((above + 0.04 * length) * samples)) / samples - above
        edge_rows = -self._from_upper[0] * samples  # the row of the edge, of each column
        map_x = np.tile(np.arange(columns, dtype=np.float32), (len(down), 1))
        map_y = (edge_rows[None] + down[:, None] * samples).astype(np.float32)
        strip = cv2.remap(self._upright, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        ratio = np.clip(strip / np.maximum(self.above[None], 8), 0.15, 1.15)
        lasting = smooth_step((down / length + _LASHES) / 0.05)[:, None, None]
        # what lies below the edge is the eye: the edge's own row goes on
        last = int(np.searchsorted(down, -0.005 * length))
        ratio[last:] = ratio[last]
        ratio = 1 + (ratio - 1) * lasting
        # a line of lashes, also where the photo hardly shows one
        along = np.clip((np.arange(columns) / samples - 0.35 * length) / length, 0, 1)
        dark = 0.45 * np.exp(-((down / max(0.6, 0.02 * length)) ** 2))[:, None] * np.sin(np.pi * along)[None] ** 0.5
        ratio = np.minimum(ratio, 1 - dark[..., None])
        smooth = cv2.GaussianBlur(strip, (0, 0), 0.05 * length * samples)
        grain = (strip - smooth).clip(-14, 14)
        skin_rows = (down < -_LASHES * length) & (down > -above)
        kept = grain[skin_rows] * 0.7
        # the strip repeats, mirrored, down to the edge
        grain = np.concatenate([kept[::-1], kept, kept[::-1]])[-len(down) :]
        if len(grain) < len(down):
            grain = np.pad(grain, ((len(down) - len(grain), 0), (0, 0), (0, 0)))
        return ratio.astype(np.float32), grain.astype(np.float32), above


def _usual(light: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return which samples are as light as most of a region: no brow, lash, rim of glasses or glint."""
    if not where.any():
        return where
    middle = float(np.median(light[where]))
    spread = max(8.0, 1.4826 * float(np.median(np.abs(light[where] - middle))))
    usual: np.ndarray = np.abs(light - middle) < 2.8 * spread
    return usual


def _along(upright: np.ndarray, weight: np.ndarray, blur: float) -> np.ndarray:
    """Return the mean colour of each column, (columns, 3), weighted, smooth along the eye by a share of its length."""
    sigma = blur * upright.shape[1] / 1.7
    weight = weight.astype(np.float64)
    total = gaussian_filter1d(weight.sum(0), sigma, mode="nearest")
    colour = gaussian_filter1d((upright * weight[..., None]).sum(0), sigma, axis=0, mode="nearest")
    everywhere = (upright * weight[..., None]).sum((0, 1)) / max(float(weight.sum()), 1e-6)
    trust = (total / (total + 0.02 * max(float(total.max()), 1e-6)))[:, None]
    mean: np.ndarray = colour / np.maximum(total, 1e-9)[:, None] * trust + everywhere * (1 - trust)
    return mean


def _edge(line: np.ndarray) -> PchipInterpolator:
    """Return v of a lid's edge over u, level beyond the corners."""
    from scipy.interpolate import PchipInterpolator  # imported here: slow to load, and only photos need it

    order = np.argsort(line[:, 0])
    u, keep = np.unique(line[order, 0], return_index=True)
    v = line[order, 1][keep]
    far = 10 * (u[-1] - u[0])
    return PchipInterpolator(np.concatenate([[u[0] - far], u, [u[-1] + far]]), np.concatenate([[v[0]], v, [v[-1]]]))
