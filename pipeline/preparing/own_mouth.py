"""Collects what a clip shows of the inside of a person's mouth: their own teeth, tongue and inner lips.

Of the frames with parted lips, one is kept for each shape of the mouth, the sharpest. It is stored in the mouth's own
frame and in one light.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.avatars.avatar import OwnMouth
from pipeline.engines.mesh.interior import light_of
from pipeline.engines.mesh.mouth_frame import COLUMNS, MouthFrame, mouth_frame, mouth_shape
from pipeline.engines.mesh.own_mouth_interior import COUNTS
from pipeline.face.basis import head_pose
from pipeline.preparing.footage import Footage
from pipeline.preparing.person import Person
from pipeline.video.frame import Frame

PARTED = 0.05
"""Lips further apart than this, in distances between the outer corners of the eyes, show what is between them."""
FEWEST, MOST, EVERY = 6, 48, 4
"""Shapes without which nothing is kept; shapes that are kept; frames of the clip for each, so that packs stay small."""
OPEN = 0.02
"""Least opening of a kept shape, in basis units."""
DENSITY = 1.4
"""Pixels that are kept per pixel of the clip."""
MOST_WIDE, MOST_HIGH, MOST_LIP = 128, 64, 24
"""Bounds of a picture: pixels along the mouth, across its opening, and across each lip."""
NEAR = 0.007
"""Difference of shapes, in basis units, below which one stands for the other."""
TURNED = 25.0
"""Degrees away from the clip's usual direction beyond which a mouth looks different."""


def find_mouth(footage: Footage, person: Person) -> OwnMouth | None:
    """Return the inside of a person's mouth; None if the clip shows too few shapes of it."""
    findings = person.findings
    if not findings.speaking:
        return None
    turned = np.abs(findings.yaw - np.median(findings.yaw[findings.usable]))
    pose = head_pose(person.landmarks)
    points = person.landmarks[:, :, :2]
    heads = pose.to_head(person.landmarks) - pose.to_head(person.rest)
    shapes = np.array([mouth_shape(head) for head in heads])
    parted = (findings.gap > PARTED) & (shapes[:, 0] > OPEN)
    shown = np.flatnonzero(findings.usable & parted & (turned < TURNED))
    if len(shown) < FEWEST:
        return None
    numbers = shown[_spread(shapes[shown], footage.sharpness[shown], min(MOST, len(shapes) // EVERY))]
    if len(numbers) < FEWEST:
        return None
    frames = [mouth_frame(points[number].astype(np.float64)) for number in numbers]
    lights = [light_of(footage.frame(int(n)), points[n]) for n in numbers]
    skin = np.median([light.skin for light in lights], axis=0)
    size = _size(frames)
    pictures = [
        _unrolled(footage.frame(int(number)), frame, size, (skin, light.skin))
        for number, frame, light in zip(numbers, frames, lights, strict=True)
    ]
    luma, chroma = (np.array(part) for part in zip(*pictures, strict=True))
    return OwnMouth(shapes=shapes[numbers], luma=luma, chroma=chroma, lip_rows=size[1], skin=skin.astype(np.float32))


def resized(mouth: OwnMouth, scale: float) -> OwnMouth:
    """Return a mouth for a clip that is `scale` times as large, at most as large as it is."""
    height, width = mouth.luma.shape[1:]
    lip, wide, high = (
        max(8, round(scale * pixels / 2) * 2) for pixels in (mouth.lip_rows, width, height - 2 * mouth.lip_rows)
    )
    if scale >= 1 or (lip, wide) >= (mouth.lip_rows, width):
        return mouth

    def small(picture: np.ndarray, half: int) -> np.ndarray:
        rows = mouth.lip_rows // half
        parts = (picture[:rows], lip), (picture[rows:-rows], high), (picture[-rows:], lip)
        return np.vstack([cv2.resize(a, (wide // half, b // half), interpolation=cv2.INTER_AREA) for a, b in parts])

    luma = np.array([small(picture, 1) for picture in mouth.luma])
    chroma = np.array([[small(plane, 2) for plane in planes] for planes in mouth.chroma])
    return replace(mouth, luma=luma, chroma=chroma, lip_rows=lip)


def _spread(shapes: np.ndarray, sharpness: np.ndarray, most: int) -> np.ndarray:
    """Return the numbers of at most `most` shapes, spread over all that there are: of similar ones the sharpest."""
    scaled = shapes * COUNTS
    chosen = [int(np.linalg.norm(scaled - np.median(scaled, axis=0), axis=1).argmin())]
    apart = np.linalg.norm(scaled - scaled[chosen[0]], axis=1)
    while len(chosen) < min(most, len(shapes)) and apart.max() > NEAR:
        farthest = int(apart.argmax())
        similar = np.flatnonzero(np.linalg.norm(scaled - scaled[farthest], axis=1) < NEAR)
        best = int(similar[sharpness[similar].argmax()])
        chosen.append(best)
        apart = np.minimum(apart, np.linalg.norm(scaled - scaled[best], axis=1))
        apart[farthest] = 0
    return np.array(chosen)


def _size(frames: list[MouthFrame]) -> tuple[int, int, int]:
    """Return how many pixels are kept along a mouth, across a lip, and across the opening; all even."""
    wide = np.median([frame.width for frame in frames])
    lip = np.median([np.diff(frame.edges, axis=0)[[0, 2]].max() for frame in frames])
    high = np.percentile([(frame.edges[2] - frame.edges[1]).max() for frame in frames], 90)

    def even(pixels: float, most: int) -> int:
        return int(np.clip(round(DENSITY * pixels / 2) * 2, 8, most))

    return even(wide, MOST_WIDE), even(lip, MOST_LIP), even(high, MOST_HIGH)


def _unrolled(
    frame: Frame, mouth: MouthFrame, size: tuple[int, int, int], skins: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return Y, and U and V, of a mouth in its own frame."""
    wide, lip, high = size
    wanted, own = skins
    luma = cv2.remap(frame.y, *_places(mouth, wide, lip, high), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    x, y = _places(mouth, wide // 2, lip // 2, high // 2)
    half = (x - 0.5) / 2, (y - 0.5) / 2
    chroma = [
        cv2.remap(np.ascontiguousarray(plane), *half, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        for plane in frame.uv
    ]
    lit = 16 + (luma.astype(np.float32) - 16) * (wanted[0] - 16) / max(own[0] - 16, 1)
    shifted = [plane + (a - b) for plane, a, b in zip(chroma, wanted[1:], own[1:], strict=True)]
    return _bytes(lit), _bytes(np.stack(shifted))


def _places(mouth: MouthFrame, wide: int, lip: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y, each (h, w) float32 pixels, of the pixels of a picture in the mouth's own frame."""
    along = (np.arange(wide) + 0.5) / wide
    edges = np.stack([np.interp(along * (COLUMNS - 1), np.arange(COLUMNS), edge) for edge in mouth.edges])
    parts = []
    for (begin, end), rows in zip(((0, 1), (1, 2), (2, 3)), (lip, high, lip), strict=True):
        share = ((np.arange(rows) + 0.5) / rows)[:, None]
        parts.append(edges[begin] + share * (edges[end] - edges[begin]))
    down = np.concatenate(parts)
    x, y = (
        mouth.origin[axis] + along * mouth.width * mouth.across[axis] + down * mouth.down[axis] for axis in range(2)
    )
    return x.astype(np.float32), y.astype(np.float32)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
