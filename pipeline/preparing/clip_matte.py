"""Separates the person in a clip from what is behind them, in every frame.

The network answers coarsely, at every few frames; where things move to says what lies between them. Colours near the
edge say where in its coarse border the edge is. A clip in front of a green or blue screen is keyed instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.face.basis import OVAL
from pipeline.face.finder import box_of
from pipeline.face.networks import PersonSegmenter
from pipeline.preparing.changed_frames import Frames
from pipeline.preparing.matte import of_face
from pipeline.video.frame import Frame

EVERY = 3
"""Frames from one answer of the network to the next."""
_SIDE = 360
"""Short side (pixels) of the pictures that the network is asked about."""
_PARTS = ((2.2, 0.0, 0.35, 1.0), (1.15, 0.0, 0.05, 3.0), (1.3, -0.6, 0.9, 2.0), (1.3, 0.6, 0.9, 2.0))
"""Squares in which the person is sought: half the side, and how far right of the face and below it, in its heights; and
how much its answer counts. The network sees 256 x 256 pixels: from the head and each shoulder alone it learns more."""
_SOFT = 0.125
"""Share of a square's side at which its answer fades into that of the others."""
_RANGE = 0.05, 0.55
"""Answers that become 0 and 1: the network is sure too far inside of the edge."""
_CERTAIN, _THIN, _BESIDE = 0.75, 0.04, 0.06
"""The network is certain of the person from this answer on; how thick (heights of the face) a part must be of which it
is, and how far beside such parts less certain answers count: toys on a sofa look a little like people."""
_FLOW_SIDE = 180
"""Short side (pixels) of the pictures in which movement is measured."""
_BAND, _NEAR = 0.014, 0.04
"""Heights of the face by which the edge may be elsewhere than the network says, and around it whose colours count."""
_NOISE = 0.01
"""Squared difference (0..1) of the colours on both sides of the edge at which they say half of where it is."""
_SURE, _NOBODY = 0.95, 0.05
"""Shares from which pixels belong to the person, and below which they do not."""
_SATURATED, _EVEN, _MOST = 28.0, 14.0, 0.9
"""A screen: the least chroma of its colour, its greatest distance from that, and the share of the background."""
_KEYED = 0.25, 0.7
"""Shares of the screen's chroma at which a pixel is wholly the person, and wholly screen."""
_REACH, _CORE = 0.45, 0.12
"""Heights of the face: how far outside of the network's edge the screen is looked for, and how far inside not."""


@dataclass(frozen=True)
class ClipMatte:
    """The person in each frame of a clip.

    Attributes:
        shares: (n, height, width) uint8, 255 where a pixel is wholly theirs.
        key: U and V of the screen behind them; None if there is none.
    """

    shares: np.ndarray
    key: tuple[int, int] | None


def clip_matte(
    frames: Frames, landmarks: np.ndarray, out: np.ndarray, step: Callable[[float], None] = lambda share: None
) -> ClipMatte:
    """Return how far each pixel of a clip belongs to the person with a face.

    Args:
        frames: (n, height * 3 / 2, width) uint8, yuv420p.
        landmarks: (n, 478, 3) pixels.
        out: (n, height, width) uint8, filled and returned.
        step: Called with the share that is done, 0..1.
    """
    count, height, width = out.shape
    scale = min(1.0, _SIDE / min(height, width))
    size = max(16, round(width * scale)), max(16, round(height * scale))
    points = landmarks * np.array([size[0] / width, size[1] / height, 1], np.float32)
    numbers = [*range(0, count - 1, EVERY), count - 1]
    network = PersonSegmenter()
    answers = []
    for one in numbers:
        picture = cv2.resize(_rgb(frames[one]), size, interpolation=cv2.INTER_AREA)
        answers.append(_answer(network, picture, points[one]))
        step(0.6 * len(answers) / len(numbers))
    key = _screen(Frame(np.ascontiguousarray(frames[numbers[0]])), answers[0])
    movement = _Movement(frames, size)
    answers = _steadied(answers, numbers, movement)
    before = 0
    for number in range(count):
        while before < len(numbers) - 2 and numbers[before + 1] <= number:
            before += 1
        coarse = _between(answers, numbers, before, number, movement)
        frame = Frame(np.ascontiguousarray(frames[number]))
        shares = _of_person(coarse, points[number])
        face = float(box_of(landmarks[number]).height)
        shares = _refined(frame, shares, face) if key is None else _keyed(frame, shares, face, key)
        oval = [np.round(landmarks[number, list(OVAL), :2]).astype(np.int32)]
        cv2.fillPoly(shares, oval, 1.0)  # also where the network found no person
        out[number] = np.round(255 * shares)
        step(0.6 + 0.4 * (number + 1) / count)
    return ClipMatte(out, key)


def _rgb(planes: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(planes), cv2.COLOR_YUV2RGB_I420))


def _answer(network: PersonSegmenter, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return what the network says of a picture, from several squares of it, (height, width) float32, 0..1."""
    height, width = picture.shape[:2]
    face = box_of(points)
    unit = float(max(face.height, face.width))
    total, weight = np.zeros((2, height, width), np.float32)
    for number, (reach, aside, below, counts) in enumerate(_PARTS):
        x, y = face.center[0] + aside * unit, face.center[1] + below * unit
        left, right = max(0, int(x - reach * unit)), min(width, int(x + reach * unit))
        top, bottom = max(0, int(y - reach * unit)), min(height, int(y + reach * unit))
        if right - left < 8 or bottom - top < 8:
            continue
        rows = _fade(bottom - top, top == 0, bottom == height)
        share = counts * rows[:, None] * _fade(right - left, left == 0, right == width)
        share = np.maximum(share, 0.02) if number == 0 else share  # to its very border
        total[top:bottom, left:right] += share * network.find(picture[top:bottom, left:right])
        weight[top:bottom, left:right] += share
        if number == 0:
            lowest = bottom
    found: np.ndarray = total / np.maximum(weight, 1e-6)
    found[lowest:] = found[lowest - 1]  # the body goes on below the squares
    return found


def _fade(length: int, begins: bool, ends: bool) -> np.ndarray:
    """Return weights (length,) that fade at both ends, but not where the picture itself begins or ends."""
    ramp = np.arange(1, length + 1, dtype=np.float32) / max(1.0, _SOFT * length)
    first = np.ones_like(ramp) if begins else ramp
    last = np.ones_like(ramp) if ends else ramp[::-1]
    weights: np.ndarray = np.minimum(np.minimum(first, last), 1)
    return weights


class _Movement:
    """Carries pictures from one frame of a clip to another, along what moves (see ``pipeline.video.morph``)."""

    def __init__(self, frames: Frames, size: tuple[int, int]) -> None:
        self._frames, self._size = frames, size
        shrink = min(1.0, _FLOW_SIDE / min(size))
        self._small = max(16, round(size[0] * shrink)), max(16, round(size[1] * shrink))
        self._scale = np.array([size[0] / self._small[0], size[1] / self._small[1]], np.float32)
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._grid = np.stack(np.meshgrid(*(np.arange(one, dtype=np.float32) for one in size)), axis=-1)

    def carried(self, values: np.ndarray, source: int, target: int) -> np.ndarray:
        """Return values (height, width) of one frame where they are in another."""
        if source == target:
            return values
        flow = self._flow.calc(self._luma(target), self._luma(source), None)
        flow = cv2.resize(cv2.GaussianBlur(flow, (0, 0), 2), self._size) * self._scale
        places = self._grid + flow
        return np.asarray(cv2.remap(values, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))

    def _luma(self, number: int) -> np.ndarray:
        luma = Frame(np.ascontiguousarray(self._frames[number])).y
        return np.asarray(cv2.resize(luma, self._small, interpolation=cv2.INTER_AREA))


def _steadied(answers: list[np.ndarray], numbers: list[int], movement: _Movement) -> list[np.ndarray]:
    """Return answers that agree with those before and after them."""
    steadied = []
    for here, answer in enumerate(answers):
        near = [one for one in (here - 1, here + 1) if 0 <= one < len(answers)]
        moved = [movement.carried(answers[one], numbers[one], numbers[here]) for one in near]
        steadied.append((2 * answer + np.sum(moved, axis=0)) / (2 + len(moved)) if moved else answer)
    return steadied


def _between(
    answers: list[np.ndarray], numbers: list[int], before: int, number: int, movement: _Movement
) -> np.ndarray:
    """Return what the network would say of a frame between two of its answers."""
    begin, end = numbers[before], numbers[min(before + 1, len(numbers) - 1)]
    share = (number - begin) / (end - begin) if end > begin else 0.0
    if share in (0.0, 1.0):
        return answers[before + int(share)]
    earlier = movement.carried(answers[before], begin, number)
    later = movement.carried(answers[before + 1], end, number)
    return np.asarray((1 - share) * earlier + share * later, np.float32)


def _of_person(coarse: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the shares of the person with a face, without those of other people."""
    low, high = _RANGE
    shares = ((coarse - low) / (high - low)).clip(0, 1).astype(np.float32)
    face = float(box_of(points).height)
    certain = (coarse > _CERTAIN).astype(np.float32)
    thick = cv2.morphologyEx(certain, cv2.MORPH_OPEN, _disc(_THIN * face), borderValue=1)
    near = cv2.dilate((of_face(thick, points) > 0).astype(np.float32), _disc(_BESIDE * face))
    return of_face(shares * cv2.blur(near, (5, 5)), points)


def _disc(radius: float) -> np.ndarray:
    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))


def _refined(frame: Frame, shares: np.ndarray, face: float) -> np.ndarray:
    """Return shares in the size of a frame, whose edge lies where the colours change.

    Near the edge a pixel is a mixture of the person's colour and the background's, which those further inside and
    outside tell; how far it is towards the person's is its share. Where both colours are alike, the network decides.

    Args:
        frame: The picture.
        shares: (h, w) float32, smaller.
        face: Height of the face in pixels of the frame.
    """
    shares = cv2.resize(shares, (frame.width, frame.height), interpolation=cv2.INTER_LINEAR)
    hard = (shares > 0.5).astype(np.uint8)
    disc = _disc(_BAND * face)
    inside, reached = cv2.erode(hard, disc, borderValue=1), cv2.dilate(hard, disc)
    at = np.nonzero(reached & ~inside & 1)
    if not len(at[0]):
        return np.asarray(shares)
    half = frame.width // 2, frame.height // 2
    colors = np.dstack([cv2.resize(frame.y, half, interpolation=cv2.INTER_AREA), *frame.uv]).astype(np.float32) / 255
    size = (2 * max(2, round(_NEAR * face / 2)) + 1,) * 2
    person, behind = (
        _around(colors, cv2.resize(mask.astype(np.float32), half, interpolation=cv2.INTER_AREA), size)
        for mask in (inside, 1 - reached)
    )
    halved = at[0] // 2, at[1] // 2
    seen = np.stack([frame.y[at].astype(np.float32) / 255, colors[halved][:, 1], colors[halved][:, 2]], axis=1)
    toward = person[halved] - behind[halved]
    apart = (toward * toward).sum(1)
    mixed = (((seen - behind[halved]) * toward).sum(1) / (apart + 1e-4)).clip(0, 1)
    trust = 0.5 * apart / (apart + _NOISE)
    fine: np.ndarray = shares.copy()
    fine[at] += trust * (mixed - shares[at])
    return fine


def _around(colors: np.ndarray, mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the mean colours (h, w, 3) of those pixels near each place that a mask has."""

    def mean(values: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.blur(cv2.blur(values, size), size))

    around: np.ndarray = mean(colors * mask[..., None]) / (mean(mask) + 1e-6)[..., None]
    return around


def _screen(frame: Frame, answer: np.ndarray) -> tuple[int, int] | None:
    """Return U and V of a green or blue screen behind a person; None if what is behind them is something else."""
    half = frame.uv[0].shape[1], frame.uv[0].shape[0]
    coarse = cv2.resize(answer, half, interpolation=cv2.INTER_LINEAR)
    behind = cv2.dilate((coarse > _NOBODY).astype(np.uint8), _disc(0.02 * half[0])) == 0
    if behind.mean() < 0.05:
        return None
    chroma = np.stack([plane[behind] for plane in frame.uv], axis=1).astype(np.float32)
    middle = np.median(chroma, axis=0)
    u, v = middle - 128
    green, blue = u < 0 and v < 0, u > 0 and abs(v) < u
    even = np.linalg.norm(chroma - middle, axis=1) < _EVEN
    if not (green or blue) or np.hypot(u, v) < _SATURATED or even.mean() < _MOST:
        return None
    return round(float(middle[0])), round(float(middle[1]))


def _keyed(frame: Frame, shares: np.ndarray, face: float, key: tuple[int, int]) -> np.ndarray:
    """Return shares in the size of a frame in front of a screen: how little of its colour each pixel has.

    Args:
        frame: The picture.
        shares: (h, w) float32, smaller: the network's.
        face: Height of the face in pixels of the frame.
        key: U and V of the screen.
    """
    half = frame.width // 2, frame.height // 2
    toward = np.array(key, np.float32) - 128
    chroma = np.stack(frame.uv, axis=-1).astype(np.float32) - 128
    share = (chroma @ toward) / float(toward @ toward)
    low, high = _KEYED
    keyed = (1 - (share - low) / (high - low)).clip(0, 1)
    coarse = (cv2.resize(shares, half, interpolation=cv2.INTER_LINEAR) > 0.5).astype(np.uint8)
    keyed[cv2.dilate(coarse, _disc(_REACH * face / 2)) == 0] = 0
    keyed[cv2.erode(coarse, _disc(_CORE * face / 2), borderValue=1) == 1] = 1
    return np.asarray(cv2.resize(keyed.astype(np.float32), (frame.width, frame.height), interpolation=cv2.INTER_LINEAR))
