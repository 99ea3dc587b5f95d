"""Measures a person in footage: their points, smoothed, and with the mouth closed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.avatars.avatar import Avatar
from pipeline.preparing.closed_mouth import closed_mouth
from pipeline.preparing.footage import Footage
from pipeline.preparing.stabilise import stabilise
from pipeline.preparing.usable_frames import Findings, find_usable, runs


@dataclass(frozen=True)
class Person:
    """A person in a clip.

    Attributes:
        landmarks, rest: As in ``Avatar``, at the working size.
        findings: What the frames show.
    """

    landmarks: np.ndarray
    rest: np.ndarray
    findings: Findings


def as_filmed(footage: Footage, person: Person, gaze: np.ndarray | None = None) -> Avatar:
    """Return a person as an avatar without a video: enough to move the mouth in the footage."""
    height, width = footage.frames.shape[1] * 2 // 3, footage.frames.shape[2]
    return Avatar(
        name="",
        resolution="",
        width=width,
        height=height,
        fps=footage.fps,
        video=b"",
        landmarks=person.landmarks,
        rest=person.rest,
        usable=person.findings.usable,
        gaze=gaze,
    )


def measure_person(footage: Footage) -> Person:
    """Return a person's points, smoothed, and with the mouth closed. Raises BadClip as ``find_usable`` does."""
    findings, points = find_usable(footage)
    fps, usable = float(footage.fps), findings.usable
    for start, stop in runs(usable):  # the head is unknown between them
        points[start:stop] = stabilise(points[start:stop], footage.motion[start:stop], fps)
    landmarks = points[_nearest(usable)]
    rest = closed_mouth(landmarks, usable) if findings.speaking else landmarks
    return Person(landmarks, rest, findings)


def _nearest(flags: np.ndarray) -> np.ndarray:
    """Return for every frame the number of the nearest one whose flag is true."""
    known = np.flatnonzero(flags)
    after = np.searchsorted(known, np.arange(len(flags))).clip(0, len(known) - 1)
    before = (after - 1).clip(0)
    closer = np.abs(known[before] - np.arange(len(flags))) <= np.abs(known[after] - np.arange(len(flags)))
    nearest: np.ndarray = np.where(closer, known[before], known[after])
    return nearest
