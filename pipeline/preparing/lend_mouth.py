"""Closes the mouth of a person who talks in the clip, so that nothing of the talking shows through later.

Closing each frame's own open mouth by its mesh leaves what geometry cannot undo: lips that are stretched thin in one
frame and full in the next, an edge of teeth, folds beside the mouth. So one frame with a closed mouth lends its mouth
to all others: the mesh moves it there, it takes on the light of the skin around it, and it is blended in softly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import BinaryIO

import cv2
import numpy as np

from pipeline.avatars.avatar import Avatar
from pipeline.engines.mesh.geometry import FaceGeometry
from pipeline.engines.mesh.mover import FaceMover, fade
from pipeline.engines.mesh.warp import warp
from pipeline.face.basis import LOWER_LIP, UPPER_LIP, head_pose, mouth_reach
from pipeline.face.mesh_basis import LOWER_OUTER, UPPER_OUTER, load_basis
from pipeline.preparing.changed_frames import changed_frames
from pipeline.preparing.closed_mouth import CLOSED_GAP
from pipeline.preparing.footage import Footage
from pipeline.preparing.person import Person, as_filmed
from pipeline.preparing.usable_frames import mouth_gap
from pipeline.video.frame import Frame

_FEWEST = 3
"""The most closed frames from which the lender is chosen if none is closed."""
_SHARE = 0.08
"""The share of the frames, the most closed ones, from which it is chosen then."""
_OPENED, _TOOTHED = 1.0, 0.3
"""Eye distances of a deformed mouth that are as bad as lips that far apart, and as a lip that is teeth throughout."""
_OUTER_PART, _STEPS, _MOST = (0.5, 0.85), 18, 0.6
"""The part of a lip, from its inner edge, that certainly is lip; places where it is compared with the rest; and the
largest share of a lip that is given up."""
_PALER, _BRIGHTER, _DARKER = 0.12, 1.35, 0.55
"""Teeth are less red than lips by this share of their luma, or brighter by this factor; the mouth's depth is darker."""
_DEGREE = 0.002
"""Eye distances of a deformed mouth that are as bad as a degree of head turn away from the clip's usual pose."""
_BLURRED = 0.04
"""...and as bad as the loss of all fine detail: lips that just meet often move fast."""
_AREA = (164, 206, 57, 43, 106, 182, 83, 18, 313, 406, 335, 273, 287, 426)
"""The outline of what is lent: from below the nose, past the corners of the mouth, to above the chin."""
_GROWN, _SOFT = 0.10, 0.06
"""Eye distances by which that outline is widened, and by which its edge is softened (sigma)."""
_RIM = 0.06
"""Eye distances beside the lips that still have a talking mouth's shade and red; light is not measured there."""
_LIGHT = 0.2
"""Eye distances (sigma) over which light is assumed to be even."""
_BLACK = np.array([16, 128, 128], np.float32)
"""Y, U, V."""


def lend_mouth(
    footage: Footage,
    person: Person,
    store: BinaryIO,
    lenders: np.ndarray | None = None,
    step: Callable[[float], None] = lambda share: None,
) -> tuple[Footage, Person]:
    """Return footage and its person with the mouth closed in all usable frames; the given ones stay as they are.

    Around unusable frames, which stay the same, the mouth opens and closes within a few frames.

    Args:
        footage: Frames in which the person talks.
        person: The person.
        store: An empty file for what changes, some per cent of the frames. The result needs it, and the frames given.
        lenders: (frames,) bool, which frames may lend their mouth; all by default.
        step: Called with the share of the frames that are done, 0..1.
    """
    gain = fade(person.findings.usable)
    talking = as_filmed(footage, person)
    still = np.zeros(1, np.float32)
    lender = _lender(footage, person, gain == gain.max() if lenders is None else lenders & (gain > 0))
    talking = replace(talking, landmarks=_without_teeth(footage.frame(lender), person.landmarks, lender))
    mover = FaceMover(talking, ("jawOpen",))

    def moved(number: int) -> Frame:
        frame = Frame(footage.frames[number].copy())
        mover.move(frame, number, still)
        return frame

    mouth = LentMouth(replace(talking, landmarks=person.rest), moved(lender), lender)

    def closed() -> Iterator[tuple[int, Frame]]:
        for number in np.flatnonzero(gain).tolist():
            yield number, mouth.lend(moved(number), number, float(gain[number]))
            step((number + 1) / len(gain))

    share = gain[:, None, None]
    return (
        replace(footage, frames=changed_frames(footage.frames, closed(), store)),
        replace(person, landmarks=person.landmarks * (1 - share) + person.rest * share),
    )


def _lender(footage: Footage, person: Person, fit: np.ndarray) -> int:
    """Return the frame whose closed mouth is nearest to the rest shape, crisp and seen from the usual side."""
    landmarks, rest = person.landmarks, person.rest
    gap = np.where(fit, mouth_gap(landmarks), np.inf)
    closed = np.flatnonzero(gap < CLOSED_GAP)
    never = not len(closed)
    if never:
        closed = np.argsort(gap)[: max(_FEWEST, round(_SHARE * fit.sum()))]
        closed = closed[np.isfinite(gap[closed])]
    reach = mouth_reach() / mouth_reach().sum()
    eyes = np.linalg.norm(landmarks[:, 33] - landmarks[:, 263], axis=1)
    badness = np.linalg.norm((landmarks - rest)[..., :2], axis=2) @ reach / eyes
    pose = head_pose(landmarks)
    for angle in (pose.yaw, pose.pitch):
        badness += _DEGREE * np.abs(angle - np.median(angle[fit]))
    detail = np.array([_detail(footage.frame(number), landmarks[number]) for number in closed.tolist()])
    bad = badness[closed] - _BLURRED * detail / detail.max()
    if never:
        bad += _OPENED * gap[closed]
        bad += [_TOOTHED * float(_toothed(footage.frame(n), landmarks[n][:, :2]).mean()) for n in closed.tolist()]
    return int(closed[bad.argmin()])


def _without_teeth(frame: Frame, landmarks: np.ndarray, number: int) -> np.ndarray:
    """Return landmarks in which the lips of an open mouth begin where they look like lips.

    The points lie a little inside the opening. Teeth would be moved along with the lips, and stay visible on them when
    these are shut.

    Args:
        frame: The frame.
        landmarks: (frames, 478, 3) pixels.
        number: Its number.
    """
    points = landmarks[number]
    if mouth_gap(points[None])[0] < CLOSED_GAP:
        return landmarks
    landmarks = landmarks.copy()
    for rings, shares in zip((UPPER_LIP, LOWER_LIP), _toothed(frame, points[:, :2]), strict=True):
        landmarks[number, rings] += shares[:, None] * (points[rings[-1]] - points[rings])
    return landmarks


def _toothed(frame: Frame, points: np.ndarray) -> np.ndarray:
    """Return the share (2, 9) of the upper and the lower lip that looks like teeth or the dark between them.

    Each is compared with the colour of its own outer part, along the lines from its inner to its outer edge.
    """
    steps = np.linspace(0, _OUTER_PART[1], _STEPS)
    shares = []
    for rings in (UPPER_LIP, LOWER_LIP):
        inner, outer = points[rings[0]], points[rings[-1]]
        x, y = np.moveaxis(inner + steps[:, None, None] * (outer - inner), 2, 0)
        luma = _at(frame.y, x, y) - 16
        u, v = (_at(plane, (x - 0.5) / 2, (y - 0.5) / 2) - 128 for plane in frame.uv)
        lip = steps >= _OUTER_PART[0]
        bright = luma / np.maximum(np.median(luma[lip]), 1)
        red = np.median(v[lip] - u[lip])
        paler = (red - (v - u)) / max(float(np.median(luma[lip])), 1)
        other = (paler > _PALER) | (bright > _BRIGHTER) | (bright < _DARKER)
        # up to the last place that is no lip, from inside
        last = np.where(other, np.arange(_STEPS)[:, None] + 1, 0)[steps < _MOST].max(0)
        share = last / (_STEPS - 1) * _OUTER_PART[1]
        shares.append(np.convolve(np.pad(share, 1, mode="edge"), (0.25, 0.5, 0.25), "valid"))
    return np.minimum(shares, _MOST)


def _at(plane: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the values of a plane at places in it, of the shape of `x`, float32."""
    where = x.astype(np.float32), y.astype(np.float32)
    found = cv2.remap(np.ascontiguousarray(plane), *where, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)


def _detail(frame: Frame, points: np.ndarray) -> float:
    """Return the strength of the finest detail of a mouth."""
    outline = points[list(_AREA), :2]
    (left, top), (right, bottom) = outline.min(0).astype(int).clip(0), outline.max(0).astype(int)
    mouth = frame.y[top:bottom, left:right]
    return float(cv2.Laplacian(mouth, cv2.CV_32F).std()) + 1e-6 if mouth.size else 1e-6


class LentMouth:
    """The mouth of one frame, which is lent to the others."""

    def __init__(self, avatar: Avatar, frame: Frame, lender: int) -> None:
        """Prepare the mouth.

        Args:
            avatar: The person, with the mouths to which this one is moved.
            frame: The frame that lends its mouth.
            lender: Its number.
        """
        geometry = FaceGeometry(avatar, load_basis())
        self._points, self._eyes = geometry.source, geometry.eyes
        speaks = np.zeros(self._points.shape[1], bool)
        speaks[:478] = mouth_reach() > 0
        triangles = geometry.triangles()
        self._triangles = triangles[speaks[triangles].any(1)]
        self._lent, self._lender = frame.planes, lender

    def lend(self, frame: Frame, number: int, strength: float) -> Frame:
        """Return a frame with the mouth blended in, with a strength of 0..1."""
        frame = Frame(frame.planes.copy())
        points, eyes = self._points[number], float(self._eyes[number])
        carried = Frame(self._lent.copy())
        warp(carried, self._points[self._lender], points, self._triangles)
        outline = points[list(_AREA)]
        size = np.array([frame.width, frame.height])
        left, top = np.clip((outline.min(0) - 0.5 * eyes).astype(int), 0, size - 2) // 2 * 2
        right, bottom = np.clip((outline.max(0) + 0.5 * eyes).astype(int), (left + 2, top + 2), size) // 2 * 2
        box = left, top, right, bottom
        mask = cv2.GaussianBlur(_filled(outline, box, _GROWN * eyes), (0, 0), _SOFT * eyes)
        lips = _filled(points[[*UPPER_OUTER, *LOWER_OUTER]], box, _RIM * eyes)
        skin = np.where((mask > 0.02) & (lips == 0), np.float32(1), np.float32(0))
        own, lent = _cut(frame, box), _cut(carried, box)
        _add(frame, box, (_lit(lent, own, skin, _LIGHT * eyes) - own) * (strength * mask[..., None]))
        return frame


def _filled(outline: np.ndarray, box: tuple[int, int, int, int], grown: float) -> np.ndarray:
    """Return the convex hull of an outline ((n, 2) pixels), grown by some pixels, as 0 and 1 over a box, float32."""
    left, top, right, bottom = box
    mask = np.zeros((bottom - top, right - left), np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(outline - (left, top)).astype(np.int32)), 1.0)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (1 + 2 * round(grown),) * 2)
    return np.asarray(cv2.dilate(mask, disc))


def _lit(lent: np.ndarray, own: np.ndarray, skin: np.ndarray, sigma: float) -> np.ndarray:
    """Return `lent` in the light of `own` ((h, w, 3) float32 Y, U, V), measured where `skin` is 1.

    Brightness is a factor, the colour of the light a shift; both vary slowly (normalized convolution with a Gaussian).
    """

    def around(values: np.ndarray) -> np.ndarray:
        weight = np.maximum(cv2.GaussianBlur(skin, (0, 0), sigma), 1e-3)
        return np.asarray(cv2.GaussianBlur(values * skin, (0, 0), sigma) / weight)

    brighter = np.clip(around(own[..., 0] - 16) / np.maximum(around(lent[..., 0] - 16), 1), 0.25, 4)
    lit = _BLACK + (lent - _BLACK) * brighter[..., None]
    for i in (1, 2):
        lit[..., i] += around(own[..., i] - lit[..., i])
    return np.asarray(lit)


def _cut(frame: Frame, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return an even box of a frame, (h, w, 3) float32 Y, U, V."""
    left, top, right, bottom = box
    luma = frame.y[top:bottom, left:right]
    half = (plane[top // 2 : bottom // 2, left // 2 : right // 2] for plane in frame.uv)
    return np.dstack([luma, *(cv2.resize(plane, luma.shape[::-1]) for plane in half)]).astype(np.float32)


def _add(frame: Frame, box: tuple[int, int, int, int], change: np.ndarray) -> None:
    """Add a change ((h, w, 3) Y, U, V) to an even box of a frame, in place."""
    left, top, right, bottom = box
    half = cv2.resize(change, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    views = [frame.y[top:bottom, left:right]]
    views += [plane[top // 2 : bottom // 2, left // 2 : right // 2] for plane in frame.uv]
    for view, more in zip(views, (change[..., 0], half[..., 1], half[..., 2]), strict=True):
        view[:] = np.clip(np.rint(view + more), 0, 255)
