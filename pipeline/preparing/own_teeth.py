"""Finds a person's own upper teeth in a clip in which they speak or smile, for the mouths that are drawn later.

The head's pose carries frames with parted lips into basis space, where teeth, which do not move in the head, coincide;
correlation removes the remaining shift. A pixel is a tooth if it is one in most of the frames that show it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import cv2
import numpy as np

from pipeline import messages
from pipeline.avatars.avatar import Teeth
from pipeline.engines.mesh.interior import TEETH_DEPTH, Light, light_of, teeth_white
from pipeline.engines.mesh.sprites import BRIGHTEST, DENSITY, FRONT
from pipeline.face.basis import HeadPose, head_pose, neutral
from pipeline.face.mesh_basis import LOWER_INNER, UPPER_INNER
from pipeline.messages import Message
from pipeline.preparing.footage import Footage
from pipeline.preparing.person import Person

LEFT, TOP, RIGHT, BOTTOM = -0.34, -0.12, 0.34, 0.18
"""Where upper teeth are searched: basis units from the middle of the closed upper lip, y down."""
_CORNERS = np.array([[LEFT, TOP], [RIGHT, TOP], [LEFT, BOTTOM]])
_STILL = np.zeros(2)
MOST_DENSE = 450.0
"""Most pixels per basis unit: nearer faces are shown with no more detail than this."""
FEWEST_PIXELS = 70.0
"""Fewest pixels of the clip per basis unit: a head further away shows each tooth in three or four pixels."""
PARTED = 0.06
"""Lips further apart than this, in distances between the outer corners of the eyes, may show teeth."""
TURNED = 20.0
"""Degrees to either side beyond which one half of the row hides the other."""
FEWEST_FRAMES, MOST_FRAMES = 6, 32
"""Number of best frames that is used, enough to tell a tooth from a highlight."""
SHIFT = 0.06
"""Error of the points in basis units, by which the teeth of two frames may be shifted."""
ALIKE = 0.6
"""Correlation with the reference below which a frame shows something else."""
LEAST_RED = 0.05
"""Least V over luma of lips: pictures without colour say nothing about redness."""
SEEN_IN = 3
"""Frames that must show a place before it counts."""
SMALLEST = 0.003
"""Square basis units of front teeth below which not even their colour is certain."""
SHORTEST = 0.03
"""Least visible height of a front tooth, in basis units."""
BELOW = 0.03
"""Basis units below the row's edge within which the dark of the mouth must be visible..."""
DARKER = 0.65
"""...darker than the teeth by this share: an edge against tongue or lower teeth is not reliable."""
WHOLE = 0.8
"""Share of the front's columns in which the row must be visible like that."""


@dataclass(frozen=True)
class FoundTeeth:
    """A person's teeth as a clip shows them.

    Attributes:
        teeth: None if it shows too little.
        message: What was found, or why nothing.
    """

    teeth: Teeth | None
    message: Message


@dataclass(frozen=True, kw_only=True)
class _MouthView:
    """The mouth of one frame in basis space, (h, w) float32 each.

    Attributes:
        white: Luma as a share of a sprite's white.
        u, v: Chroma as offsets from grey.
        opening: 1 between the inner lips.
        row: How much a pixel looks like a tooth of the upper row.
        other: 1 where it certainly is none, 0 where lips or gums may hide one.
    """

    white: np.ndarray
    u: np.ndarray
    v: np.ndarray
    opening: np.ndarray
    row: np.ndarray
    other: np.ndarray


@dataclass(frozen=True, kw_only=True)
class _TeethRow:
    """The upper row of teeth in basis space, (h, w) each.

    Attributes:
        luma: Of the teeth, as in ``Teeth``.
        alpha, known: As in ``Teeth``.
        core: bool, certain teeth.
        below: Luma beside the teeth.
        tint: (2,) as in ``Teeth``.
    """

    luma: np.ndarray
    alpha: np.ndarray
    known: np.ndarray
    core: np.ndarray
    below: np.ndarray
    tint: np.ndarray


def find_teeth(footage: Footage, person: Person) -> FoundTeeth:
    """Return a person's teeth: the upper row, or only their colour, or nothing."""
    usable, gap = person.findings.usable, person.findings.gap
    pose = head_pose(person.landmarks)
    clip_density = float(np.median(pose.scale[usable]))
    if clip_density < FEWEST_PIXELS:
        return _nothing(messages.preparing.FACE_TOO_SMALL_FOR_TEETH())
    camera = _Camera(footage, person, pose, min(DENSITY * clip_density, MOST_DENSE))
    shown = usable & (np.abs(person.findings.yaw) < TURNED) & (gap > PARTED)
    best = np.argsort(np.where(shown, -gap * footage.sharpness, 0), kind="stable")
    views = _aligned(camera, [int(number) for number in best[: min(MOST_FRAMES, int(shown.sum()))]])
    if len(views) < FEWEST_FRAMES:
        return _nothing(messages.preparing.TEETH_SELDOM_VISIBLE())
    return _teeth_of(_combined(views), len(views), camera.density)


class _Camera:
    """Returns the mouth of each frame in basis space."""

    def __init__(self, footage: Footage, person: Person, pose: HeadPose, density: float) -> None:
        self._footage, self._person, self.density = footage, person, density
        self._carry = (pose.scale[:, None, None] * pose.rotation)[:, :, :2]
        self._anchor = (person.rest[:, 0, :2] + person.rest[:, UPPER_INNER[5], :2]) / 2
        self.size = round((RIGHT - LEFT) * density), round((BOTTOM - TOP) * density)

    def view(self, number: int, shift: np.ndarray = _STILL) -> _MouthView:
        """Return the mouth of a frame, seen `shift` pixels (of the result) further right and down."""
        frame, points = self._footage.frame(number), self._person.landmarks[number]
        width, height = self.size
        corners = _CORNERS + shift / self.density
        place = (
            self._anchor[number] + np.pad(corners, ((0, 0), (0, 1)), constant_values=TEETH_DEPTH) @ self._carry[number]
        )
        affine = cv2.getAffineTransform(
            np.array([[0, 0], [width, 0], [0, height]], np.float32), place.astype(np.float32)
        )
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        luma = cv2.warpAffine(frame.y, affine, self.size, flags=flags).astype(np.float32) - 16
        u, v = (
            cv2.warpAffine(np.ascontiguousarray(plane), affine / 2, self.size, flags=flags).astype(np.float32) - 128
            for plane in frame.uv
        )
        light = light_of(frame, points[:, :2])
        lips = np.concatenate([points[UPPER_INNER], points[LOWER_INNER][-2:0:-1]])[:, :2].astype(np.float64)
        outline = cv2.transform(lips[None], cv2.invertAffineTransform(affine))[0]
        opening = np.zeros((height, width), np.uint8)
        cv2.fillPoly(opening, [np.round(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
        within = opening.astype(np.float32) / 255
        row, other = _upper_row(luma, v, within, light)
        white = luma / (teeth_white(light) - 16)
        return _MouthView(white=white, u=u, v=v, opening=within, row=row, other=other)


def _upper_row(luma: np.ndarray, v: np.ndarray, opening: np.ndarray, light: Light) -> tuple[np.ndarray, np.ndarray]:
    """Return where the upper row seems to be, the topmost teeth of each column, and where it certainly is not.

    Teeth are bright relative to the skin and less red than the lips.
    """
    bright = luma / (light.skin[0] - 16)
    redness = v / np.maximum(luma, 1) / max((light.lips[2] - 128) / (light.lips[0] - 16), LEAST_RED)
    tooth = _ramp(bright, 0.4, 0.6) * _ramp(redness, 0.8, 0.55)
    begun = np.maximum.accumulate(opening * tooth > 0.5, axis=0)
    ended = np.maximum.accumulate(begun & (opening * tooth < 0.25), axis=0)
    hollow = ~begun[-1] & (bright < 0.35)
    return tooth * ~ended, (ended | hollow).astype(np.float32)


def _aligned(camera: _Camera, numbers: list[int]) -> list[_MouthView]:
    """Return the frames that show the same teeth as the frame that shows most of them, aligned with it."""
    if not numbers:
        return []
    views = [camera.view(number) for number in numbers]
    best = max(views, key=lambda view: float((view.opening * view.row).sum()))
    reach = round(SHIFT * camera.density)
    inner = slice(reach, -reach), slice(reach, -reach)
    # the comparison includes the dark below the row's edge, but not the lip above
    row = (best.opening * best.row > 0.5).astype(np.uint8)
    mask = cv2.dilate(row, np.ones((reach, 1), np.uint8), anchor=(0, reach - 1))[inner].astype(np.float32)
    if mask.sum() < reach:
        return []
    shifts = {}
    for number, view in zip(numbers, views, strict=True):
        match = np.nan_to_num(cv2.matchTemplate(view.white, best.white[inner], cv2.TM_CCOEFF_NORMED, mask=mask))
        y, x = np.unravel_index(int(match.argmax()), match.shape)
        if match[y, x] >= ALIKE and 0 < y < 2 * reach and 0 < x < 2 * reach:
            across, down = _summit(match[y, x - 1 : x + 2]), _summit(match[y - 1 : y + 2, x])
            shifts[number] = np.array([x + across - reach, y + down - reach])
    if not shifts:
        return []
    middle = np.median(list(shifts.values()), axis=0)  # the reference's own position is as uncertain
    return [camera.view(number, shift - middle) for number, shift in shifts.items()]


def _summit(three: np.ndarray) -> float:
    """Return the maximum of the parabola through three values at -1, 0, 1."""
    bend = float(three[0] - 2 * three[1] + three[2])
    return 0.0 if bend >= 0 else float(np.clip((three[0] - three[2]) / 2 / bend, -0.5, 0.5))


def _combined(views: list[_MouthView]) -> _TeethRow:
    """Combine what several frames show."""
    white, u, v, opening, rows, others = (
        np.array([getattr(view, field.name) for view in views]) for field in fields(_MouthView)
    )
    shown = (opening * np.maximum(rows, others)).sum(0)
    votes = (opening * rows).sum(0) / np.maximum(shown, 1e-3)
    row = _one_row(votes > 0.5)
    known = cv2.GaussianBlur(_ramp(shown, 0.5 * SEEN_IN, 1.5 * SEEN_IN) * (row | (votes < 0.5)), (0, 0), DENSITY)
    alpha = cv2.GaussianBlur(_ramp(votes, 0.2, 0.8) * row, (0, 0), 0.5 * DENSITY)
    solid = opening * rows > 0.7
    # the luma of a rim is mixed with what lies behind it, which its alpha accounts for
    core = (solid.sum(0) >= SEEN_IN) & (cv2.erode(alpha, np.ones((3, 3))) > 0.9)
    solid &= core
    usual = _median(white, solid)
    # adapt each frame's light to the others', and all to that of a wide open mouth
    gains = np.array([np.median(usual[s] / w[s]) if s.any() else 1.0 for s, w in zip(solid, white, strict=True)])
    luma = _median(white * gains[:, None, None], solid) * np.percentile(1 / gains, 80)
    tint = np.array([np.median(u[solid]), np.median(v[solid])], np.float32) if solid.any() else np.zeros(2, np.float32)
    return _TeethRow(
        luma=luma, alpha=alpha, known=known, core=core, below=_median(white, opening * others > 0.5), tint=tint
    )


def _one_row(mask: np.ndarray) -> np.ndarray:
    """Return the parts of a mask beside its largest one; lower ones are no upper teeth."""
    count, labels, stats, centers = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return mask
    largest = stats[1 + stats[1:, cv2.CC_STAT_AREA].argmax()]
    top, bottom = largest[cv2.CC_STAT_TOP], largest[cv2.CC_STAT_TOP] + largest[cv2.CC_STAT_HEIGHT]
    beside = (centers[:, 1] > top) & (centers[:, 1] < bottom)
    return np.asarray(mask & beside[labels])


def _median(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return the (lower) median of the values for which `where` is true, over the first axis; 0 if there are none."""
    count = where.sum(0)
    ordered = np.sort(np.where(where, values, np.inf), axis=0)
    middle = np.take_along_axis(ordered, np.maximum(count - 1, 0)[None] // 2, axis=0)[0]
    return np.where(count > 0, middle, 0)


def _teeth_of(row: _TeethRow, frames: int, density: float) -> FoundTeeth:
    """Return the row if the four incisors are visible down to their edge; else their colour if it is known."""
    middle = row.luma.shape[1] // 2
    front = slice(middle - round(FRONT * density), middle + round(FRONT * density))
    core = row.core[:, front]
    if core.sum() < SMALLEST * density**2:
        return _nothing(messages.preparing.TEETH_BARELY_VISIBLE())
    white = float(np.percentile(row.luma[:, front][core], BRIGHTEST))
    seen = _edged(row, front, density)
    teeth = Teeth(white, row.tint, None, place_of_teeth())
    if seen < WHOLE:
        return FoundTeeth(teeth, messages.preparing.TEETH_COLOUR_ONLY(seen=seen))
    levels = np.round(255 * np.clip([row.luma / white, row.alpha, row.known], 0, 1)).astype(np.uint8)
    spread = cv2.inpaint(levels[0], (~row.core).astype(np.uint8), 3, cv2.INPAINT_TELEA)
    teeth = replace(teeth, picture=np.dstack([spread, levels[1], levels[2]]))
    return FoundTeeth(teeth, messages.preparing.TEETH_FOUND(frames=frames))


def place_of_teeth() -> np.ndarray:
    """Return where upper teeth are searched, as in ``Teeth.corners``."""
    return np.asarray(neutral()[[0, UPPER_INNER[5]], :2].mean(0) + _CORNERS, np.float32)


def _edged(row: _TeethRow, front: slice, density: float) -> float:
    """Return the share of the front columns in which the row is tall enough and ends in the dark."""
    alpha = row.alpha[:, front] > 0.5
    edge = len(alpha) - 1 - alpha[::-1].argmax(0)
    rows = np.arange(len(alpha))[:, None]
    below = (rows > edge) & (rows <= edge + BELOW * density) & (row.known[:, front] > 0.5)
    darkest = np.where(below & (row.below[:, front] > 0), row.below[:, front], np.inf).min(0)
    bright = np.where(row.core[:, front], row.luma[:, front], 0).max(0)
    good = (alpha.sum(0) >= SHORTEST * density) & (darkest < (1 - DARKER) * bright)
    return float(good.mean())


def _nothing(why: Message) -> FoundTeeth:
    return FoundTeeth(None, why)


def _ramp(value: np.ndarray, zero: float, one: float) -> np.ndarray:
    """Return 0..1 as a value goes from `zero` to `one`."""
    return np.clip((value - zero) / (one - zero), 0, 1)
