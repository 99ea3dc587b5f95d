"""Finds where a clip is cut: hard, by a fade into another picture, or through black."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from pipeline.video.frame import Frame

Shot = tuple[int, int]
"""The first frame of a part of a clip that shows one view, and the one after its last."""
SIDE = 64
"""Side of the thumbnails in which cuts are found, in pixels."""
_TILES = 4
"""Tiles in each direction, which are compared separately: another person may take the same seat."""
_TOUCHED = 6
"""Tiles that change when the view does."""
_TEXTURE = 1.5
"""Grey levels; tiles that vary less have no recognisable content."""
_CUTS = ((0.45, 3.0), (0.15, 8.0))
"""A cut changes this share of the picture, and so many times more than the frames around it do.

Into another view, or within the same one.
"""
_AROUND_SECONDS, _FLASH_SECONDS = 0.35, 0.12
"""Length of the surroundings of a cut; longest flash or error, which is no shot."""
_FADES = (0.15, 0.3, 0.6, 1.2)
"""Halves of fades (seconds) that are searched."""
_MIXED, _ANOTHER, _STILL = 0.12, 0.6, 0.85
"""In a fade a frame is a mixture of the views before and after it, except for this share of their difference.

These correlate less than the second value with each other, and more than the third with their neighbours.
"""


def thumbnail(frame: Frame) -> np.ndarray:
    """Return the luma of a frame, (`SIDE`, `SIDE`) uint8."""
    small: np.ndarray = cv2.resize(frame.y, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return small


def find_shots(thumbnails: np.ndarray, fps: float) -> list[Shot]:
    """Return the shots of a clip, in order, without the fades between them.

    Args:
        thumbnails: (frames, `SIDE`, `SIDE`).
        fps: Frames per second.
    """
    grey = thumbnails.astype(np.float32)
    detail = grey - gaussian_filter(grey, (0, SIDE / 20, SIDE / 20))
    between = np.zeros(len(grey), bool)  # frames that belong to no shot
    for begin, end in (*_fades(grey, detail, fps), *_blanks(detail, fps)):
        between[begin:end] = True
    starts = np.zeros(len(grey), bool)
    starts[[0, *_cuts(detail, fps)]] = True
    # numbered by the cuts before them, so that neither a cut nor a fade is within one
    part = np.where(between, 0, np.cumsum(starts | (between & ~np.r_[False, between[:-1]])))
    edges = np.flatnonzero(np.diff(part, prepend=0, append=0))
    shots = [(int(begin), int(end)) for begin, end in itertools.pairwise(edges) if part[begin]]
    return shots or [(0, len(grey))]


def _change(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return how much of one picture's content another one lacks, (frames,) 0..1.

    This is the change of the sixth most changed tile: a line of text that appears or disappears touches fewer. A tile
    without content in either picture is ignored.
    """
    tiles = [x.reshape(-1, _TILES, SIDE // _TILES, _TILES, SIDE // _TILES) for x in (one, other)]
    both, first, second = ((a * b).mean((2, 4)).reshape(-1, _TILES**2) for a, b in _pairs(*tiles))
    shown = np.minimum(first, second) >= _TEXTURE**2
    alike = np.where(shown, both / np.sqrt(np.where(shown, first * second, 1.0)), 1.0)
    change: np.ndarray = np.sort(1 - alike, axis=1)[:, -_TOUCHED]
    return change


def _pairs(one: np.ndarray, other: np.ndarray) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    return (one, other), (one, one), (other, other)


def _blanks(detail: np.ndarray, fps: float) -> list[Shot]:
    """Return the runs without content, except flashes within a shot."""
    blank = (detail**2).mean((1, 2)) < _TEXTURE**2
    edges = np.flatnonzero(np.diff(blank.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    found = []
    for begin, end in edges.tolist():
        inner = begin > 0 and end < len(detail) and end - begin <= _FLASH_SECONDS * fps
        if not inner or _change(detail[[begin - 1]], detail[[end]])[0] > _CUTS[0][0]:
            found.append((begin, end))
    return found


def _cuts(detail: np.ndarray, fps: float) -> list[int]:
    """Return the frames with which another view begins at once."""
    if len(detail) < 3:
        return []
    change = _change(detail[:-1], detail[1:])
    around, flash = max(3, round(_AROUND_SECONDS * fps)), max(1, round(_FLASH_SECONDS * fps))
    found = []
    for number in np.flatnonzero(change > min(least for least, _ in _CUTS)).tolist():
        near = np.delete(change[max(0, number - around) : number + around + 1], min(number, around))
        usual = np.sort(near)[-max(1, len(near) // 8)]
        before, after = max(0, number - flash), min(len(detail) - 1, number + 1 + flash)
        stays = _change(detail[[before]], detail[[after]])[0]
        # near an end there is too little context for a cut within the same view
        rules = _CUTS if around <= number < len(change) - around else _CUTS[:1]
        if any(min(change[number], stays) > least and change[number] > times * usual for least, times in rules):
            found.append(number + 1)
    return found


def _fades(grey: np.ndarray, detail: np.ndarray, fps: float) -> list[Shot]:
    """Return the runs in which one view becomes another, or black."""
    found: list[Shot] = []
    if len(grey) < 3:
        return found
    # a moving camera mixes its own pictures; on both sides of a fade they hardly change
    step = _likeness(detail[:-1], detail[1:]) > _STILL
    until = np.r_[True, step] & np.r_[True, True, step[:-1]]
    since = np.r_[step, True] & np.r_[step[1:], True, True]
    for half in (max(2, round(seconds * fps)) for seconds in _FADES):
        if len(grey) < 2 * half + 1:
            break
        before, now, after = grey[: -2 * half], grey[half:-half], grey[2 * half :]
        apart = before - after
        size = (apart**2).sum((1, 2))
        share = ((now - after) * apart).sum((1, 2)) / np.maximum(size, 1)
        rest = now - after - share[:, None, None] * apart
        mixed = (rest**2).sum((1, 2)) < _MIXED * size
        other = _likeness(detail[: -2 * half], detail[2 * half :]) < _ANOTHER
        seen = size > (4.0 * SIDE) ** 2  # four grey levels apart, at least
        unchanged = until[: -2 * half] & since[2 * half :]
        for middle in np.flatnonzero(mixed & other & seen & unchanged & (share > 0.3) & (share < 0.7)):
            near = slice(middle, middle + 2 * half + 1)
            shares = ((grey[near] - after[middle]) * apart[middle]).sum((1, 2)) / size[middle]
            inside = np.flatnonzero((shares > 0.04) & (shares < 0.96))
            steps = np.diff(shares[inside[0] : inside[-1] + 1]) if len(inside) else np.ones(1)
            # all are mixtures with ever less of the view before; a cut is abrupt, and a shaken camera returns
            if len(steps) and steps.max() < 0.05 and np.abs(np.diff(shares)).max() < 0.5:
                made = shares[inside, None, None] * apart[middle] + after[middle]
                if ((grey[near][inside] - made) ** 2).sum((1, 2)).mean() < _MIXED * size[middle]:
                    found.append((int(middle + inside[0]), int(middle + inside[-1]) + 1))
    return found


def _likeness(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the correlation of the details of whole pictures, (frames,)."""
    both, first, second = ((a * b).mean((1, 2)) for a, b in _pairs(one, other))
    floor = _TEXTURE**2
    likeness = both / np.sqrt(np.maximum(first, floor) * np.maximum(second, floor))
    return np.where((first < floor) & (second < floor), 1.0, likeness)
