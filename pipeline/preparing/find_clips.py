"""Finds the clips of an avatar in one recording: where the person waits, listens, nods and talks.

Talking is detected by the mouth, which opens and closes again and again. A nod is detected by the point between the
eyes, as by Kawato & Ohya 2000 ("Real-time detection of nodding and head-shaking by directly detecting and tracking the
between-eyes"): it swings down and back within a second, and hardly aside. What is left is calm where the head makes no
other gesture and the eyes look where they usually do; the calmest part of it is waiting, and another part, in which the
head moves a little more, is listening. What might be something else gets no name: a wrong one shows at every turn of a
conversation.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, median_filter, uniform_filter1d

from pipeline.avatars.clip_joins import distances
from pipeline.face.basis import STILL
from pipeline.face.gaze import gaze
from pipeline.preparing.footage import Footage
from pipeline.preparing.further_clip import FARTHEST
from pipeline.preparing.person import Person
from pipeline.preparing.stabilise import mouth_activity
from pipeline.preparing.usable_frames import OPEN_GAP, runs

Part = tuple[int, int]
"""The first frame and the one after the last."""
SHORTEST, LONGEST = 3.0, 8.0
"""Seconds of a part in which somebody waits, listens or talks."""
TALKS, AROUND_TALK = 0.5, 0.4
"""Activity of a mouth that talks (see ``mouth_activity``), and seconds around it that count as talking."""
NOD, ASIDE = 0.045, 0.6
"""Least way of a nod, in face widths, and the largest share of it by which the head may move aside."""
NOD_SECONDS = 0.1, 0.7
"""Width of its peak at half its height."""
GESTURE, AROUND_GESTURE = 0.027, 0.9
"""Least way down or up of a head that does not just wait, in face widths, and seconds around its farthest point that
belong to it.

Heads that wait go up to 0.02, the smaller half of a double nod 0.03 and more, a bow 0.06.
"""
AWAY, GLANCE_SECONDS = 4.0, 0.5
"""Degrees past their usual direction from which eyes look elsewhere, and for how long, so that blinks do not count.

Eyes that rest are measured within 2.5 degrees of it, those of somebody who thinks 5 degrees away and more.
"""
TALKS_MOSTLY = 0.5
"""Mean activity of a mouth that talks, over the `SHORTEST` seconds; a yawn or an open mouth has less."""
NODS_APART, MOST_NODS = 1.3, 4
"""Seconds within which peaks belong together, and most of them."""
NOD_BEFORE, NOD_AFTER = (0.4, 0.9), (0.4, 1.0)
"""Seconds before its first peak and after its last one within which a nod's clip begins and ends, where the head is
calmest."""
DRIFT_SECONDS = 0.6
"""Width (sigma) of what is no nod but another posture."""
RESTLESS = 0.5
"""Face widths in a second that a head moves on average at most while it waits or listens."""
_BETWEEN_EYES = 168


def find_clips(footage: Footage, person: Person) -> dict[str, Part]:
    """Return the parts of a recording by what they show: "idle", "listening", "nod", "speaking", as far as found.

    Parts do not overlap, and the face is usable throughout.

    Args:
        footage: The frames.
        person: Their points, with the mouth as it was filmed.
    """
    fps, points = float(footage.fps), person.landmarks
    usable = person.findings.usable
    width = float(np.median(np.ptp(points[:, :, 0], axis=1)))
    speed = _speed(points, fps) / width
    activity = mouth_activity(points, fps)
    moves = (activity > TALKS) | (person.findings.gap > OPEN_GAP)
    talks = maximum_filter1d(moves, 1 + 2 * round(AROUND_TALK * fps))
    found: dict[str, Part] = {}
    between_eyes = points[:, _BETWEEN_EYES, :2] / width
    nods = list(_nods(between_eyes, speed, usable & ~talks, fps))
    calm = usable & ~talks & ~_gestures(between_eyes, fps)
    for _, (begin, end) in nods:
        calm[begin:end] = False
    calm &= ~_looks_away(points, calm, fps)
    if nods:
        found["nod"] = max(nods)[1]
    idle = _best(calm, -speed, fps)
    if idle is not None and speed[slice(*idle)].mean() < RESTLESS:
        found["idle"] = idle
        calm[slice(*idle)] = False
        listening = _best(calm & (uniform_filter1d(speed, round(fps)) < RESTLESS), speed, fps)
        if listening is not None:
            found["listening"] = listening
    speaking = _best(usable & talks, activity, fps)
    if speaking is not None and _highest(activity[slice(*speaking)], round(SHORTEST * fps)) > TALKS_MOSTLY:
        found["speaking"] = speaking
    own = points[slice(*found["idle"])] if "idle" in found else points
    return {name: part for name, part in found.items() if _meet(own, points[slice(*part)]) <= FARTHEST * width}


def _meet(own: np.ndarray, points: np.ndarray) -> float:
    """Return how far apart the faces of two clips are where they are most alike, in pixels."""
    return min(float(distances(one, points).min()) for one in own[:: max(1, len(own) // 50)])


def _speed(points: np.ndarray, fps: float) -> np.ndarray:
    """Return how fast the head moves in each frame, (frames,) pixels in a second."""
    still = gaussian_filter1d(points[:, list(STILL), :2], 0.06 * fps, axis=0)
    steps = np.linalg.norm(np.gradient(still, axis=0), axis=2).mean(1) if len(points) > 1 else np.zeros(len(points))
    return np.asarray(steps * fps)


def _best(where: np.ndarray, wanted: np.ndarray, fps: float) -> Part | None:
    """Return the part of `where` that holds the `SHORTEST` seconds in which `wanted` is highest, up to `LONGEST`."""
    shortest, longest = round(SHORTEST * fps), round(LONGEST * fps)
    sums = np.concatenate([[0.0], np.cumsum(wanted)])
    cores = [
        (float(sums[core + shortest] - sums[core]), core, begin, end)
        for begin, end in runs(where)
        for core in range(begin, end - shortest + 1)
    ]
    if not cores:
        return None
    _, core, begin, end = max(cores)
    more = longest - shortest
    begin = max(begin, core - more // 2)
    return begin, min(end, begin + longest)


def _highest(values: np.ndarray, count: int) -> float:
    """Return the highest mean of some values that follow each other."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return float((sums[count:] - sums[:-count]).max() / count)


def _swing(between_eyes: np.ndarray, fps: float) -> np.ndarray:
    """Return how far the head is from its posture, (frames, 2), in the units of `between_eyes`."""
    posture = gaussian_filter1d(between_eyes, DRIFT_SECONDS * fps, axis=0, mode="nearest")
    return np.asarray(between_eyes - posture)


def _gestures(between_eyes: np.ndarray, fps: float) -> np.ndarray:
    """Return in which frames the head goes down or up and back, as in a bow, (frames,) bool."""
    from scipy.signal import find_peaks  # imported here: slow to load and seldom needed

    swing = _swing(between_eyes, fps)[:, 1]
    turns = np.zeros(len(swing), bool)
    for way in (swing, -swing):
        turns[find_peaks(way, prominence=GESTURE)[0]] = True
    return np.asarray(maximum_filter1d(turns, 1 + 2 * round(AROUND_GESTURE * fps)))


def _looks_away(points: np.ndarray, calm: np.ndarray, fps: float) -> np.ndarray:
    """Return in which frames the eyes look elsewhere than they usually do in calm frames, (frames,) bool."""
    if not calm.any():
        return np.zeros(len(calm), bool)
    looks = median_filter(gaze(points), (1 + 2 * round(GLANCE_SECONDS * fps / 2), 1), mode="nearest")
    away = np.linalg.norm(looks - np.median(looks[calm], axis=0), axis=1)
    return np.asarray(away > AWAY)


def _nods(between_eyes: np.ndarray, speed: np.ndarray, quiet: np.ndarray, fps: float) -> Iterator[tuple[float, Part]]:
    """Yield each nod: how far the head goes, and its part.

    Args:
        between_eyes: (frames, 2) face widths.
        speed: (frames,) of the head.
        quiet: (frames,) bool, where the face is usable and does not talk.
        fps: Frames per second.
    """
    from scipy.signal import find_peaks

    swing = _swing(between_eyes, fps)
    widths = tuple(seconds * fps for seconds in NOD_SECONDS)
    peaks, about = find_peaks(swing[:, 1], prominence=GESTURE, width=widths)
    if not len(peaks):
        return
    for group in np.split(np.arange(len(peaks)), np.flatnonzero(np.diff(peaks) > NODS_APART * fps) + 1):
        first, last = int(peaks[group[0]]), int(peaks[group[-1]])
        still = np.where(quiet, speed, np.inf)
        begin = _calmest(still, first, -NOD_BEFORE[1] * fps, -NOD_BEFORE[0] * fps)
        end = _calmest(still, last, NOD_AFTER[0] * fps, NOD_AFTER[1] * fps) + 1
        aside = float(np.ptp(swing[begin:end, 0])) / max(float(np.ptp(swing[begin:end, 1])), 1e-6)
        size = float(about["prominences"][group].max())
        whole = quiet[begin:end].all() and begin > 0 and end < len(speed)
        if size >= NOD and len(group) <= MOST_NODS and aside <= ASIDE and whole:
            yield size, (begin, end)


def _calmest(speed: np.ndarray, number: int, low: float, high: float) -> int:
    """Return the frame in which the head is calmest, between two distances (frames) from another."""
    begin, end = (int(np.clip(number + round(away), 0, len(speed) - 1)) for away in (low, high))
    return begin + int(speed[begin : end + 1].argmin())
