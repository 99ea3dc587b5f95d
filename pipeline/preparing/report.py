"""Reports what is good and bad about a clip: a JSON report, a picture of each problem, the faces numbered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline import messages
from pipeline.face.finder import Box, box_of
from pipeline.messages import Message, printable
from pipeline.preparing.footage import Footage
from pipeline.preparing.own_teeth import FoundTeeth
from pipeline.preparing.usable_frames import OPEN_GAP, Findings, runs
from pipeline.video.frame import Frame

SOFT = 0.08
"""Faces with less fine detail than this (see ``Footage``) look blurred, and a sharp mouth stands out in them."""
SMALL = 110
"""Width in pixels, in the source and at the working size, below which teeth and lips have too few."""
_MOST_SHOWN = 12
"""Most shots in the picture of a clip that is cut."""
_WHITE, _GREEN, _RED = (255, 255, 255), (60, 200, 60), (60, 60, 230)


@dataclass(frozen=True)
class Problem:
    """A problem of a part of a clip.

    Attributes:
        kind: Its name in the report.
        where: (frames,) bool.
        worst: The frame that shows it best.
        message: What it does to the avatar and how to avoid it.
    """

    kind: str
    where: np.ndarray
    worst: int
    message: Message


def problems(footage: Footage, findings: Findings) -> list[Problem]:
    """Return the problems of a clip."""
    everywhere = findings.usable
    small = SMALL * max(1.0, footage.scale)
    middle = int(np.flatnonzero(everywhere)[everywhere.sum() // 2])
    found = []
    for kind, where, worst, message in (
        ("missing", findings.missing, _middle(findings.missing), messages.preparing.FACE_MISSING()),
        (
            "turned",
            findings.turned,
            int(np.abs(findings.yaw * findings.turned).argmax()),
            messages.preparing.FACE_TURNED(),
        ),
        ("covered", findings.covered, _middle(findings.covered), messages.preparing.FACE_COVERED()),
        (
            "covered",
            everywhere & (findings.doubtful and not findings.covered.any()),
            middle,
            messages.preparing.MOUTH_MAYBE_COVERED(),
        ),
        (
            "small",
            everywhere & (findings.width < small),
            middle,
            messages.preparing.FACE_SMALL(width=findings.width, least=small),
        ),
        (
            "soft",
            everywhere & bool(np.median(footage.sharpness[everywhere]) < SOFT),
            middle,
            messages.preparing.FACE_SOFT(),
        ),
        (
            "mouth_open",
            everywhere & (findings.gap > OPEN_GAP) & findings.speaking,
            int(np.where(everywhere, findings.gap, 0).argmax()),
            messages.preparing.MOUTH_OPEN(),
        ),
    ):
        if where.any():
            found.append(Problem(kind, where, worst, message))
    return found


def write_report(
    folder: Path,
    clip: Path,
    footage: Footage,
    findings: Findings,
    found: FoundTeeth,
    clips: Sequence[Message] = (),
) -> Path:
    """Write report.json, faces.jpg and one picture per problem into a folder; return the path of the JSON.

    `clips` says which clips were found in the recording.

    Times in it are seconds from the first frame used; for the unused parts of a cut clip, from the first frame read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.jpg"):
        old.unlink()
    fps = float(footage.fps)
    listed = []
    if footage.is_cut:
        _save(folder / "cut.jpg", _shots(footage))
        listed.append(_cut(footage))
    for problem in problems(footage, findings):
        picture = f"{problem.kind}.jpg"
        _save(folder / picture, _marked(footage, problem))
        listed.append(
            {
                "kind": problem.kind,
                "frames": int(problem.where.sum()),
                "seconds": [[round(begin / fps, 3), round(end / fps, 3)] for begin, end in runs(problem.where)],
                "picture": picture,
                "message": problem.message.en,
                "message_ko": problem.message.ko,
            }
        )
    shown = footage.frame(footage.chosen)
    chosen = box_of(footage.points[np.flatnonzero(footage.found)[0]])
    _save(folder / "faces.jpg", numbered(_bgr(shown), footage.seen, chosen))
    usable = findings.usable
    report = {
        "clip": printable(clip.name),
        "frames": len(usable),
        "fps": fps,
        "usable": round(float(usable.mean()), 4),
        "faces": len(footage.seen),
        "face_width": round(findings.width, 1),
        "sharpness": round(float(np.median(footage.sharpness[usable])), 3),
        "largest_turn": round(float(np.abs(findings.yaw[~findings.missing]).max()), 1),
        "mouth_open": round(float((findings.gap[usable] > OPEN_GAP).mean()), 4),
        "speaking": findings.speaking,
        "own_teeth": found.teeth is not None and found.teeth.picture is not None,
        "teeth": found.message.en,
        "teeth_ko": found.message.ko,
        "problems": listed,
        "clips": [{"message": message.en, "message_ko": message.ko} for message in clips],
        "left_out": [{"message": message.en, "message_ko": message.ko} for message in footage.left_out],
    }
    path = folder / "report.json"
    path.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return path


def _cut(footage: Footage) -> dict[str, Any]:
    """Return the entry of report.json for a clip of which one shot is used."""
    fps, total = float(footage.fps), len(footage.read)
    begin, end = footage.begin, footage.begin + len(footage.frames)
    rest = [(low, high) for low, high in ((0, begin), (end, total)) if low < high]
    message = messages.preparing.CLIP_CUT(begin=begin / fps, end=end / fps)
    return {
        "kind": "cut",
        "frames": total - len(footage.frames),
        "seconds": [[round(low / fps, 3), round(high / fps, 3)] for low, high in rest],
        "picture": "cut.jpg",
        "message": message.en,
        "message_ko": message.ko,
    }


def _shots(footage: Footage) -> np.ndarray:
    """Return the middle of each shot of the clip, with its seconds; the one used is green."""
    height = 180
    shown = []
    for begin, end in footage.shots[:_MOST_SHOWN]:
        picture = _bgr(Frame(np.ascontiguousarray(footage.read[(begin + end) // 2])))
        picture = cv2.resize(picture, (round(picture.shape[1] * height / picture.shape[0]), height))
        color = _GREEN if begin == footage.begin else _WHITE
        label = f"{begin / float(footage.fps):.1f} - {end / float(footage.fps):.1f} s"
        cv2.rectangle(picture, (0, 0), (picture.shape[1] - 1, height - 1), color, 3)
        cv2.putText(picture, label, (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 4, cv2.LINE_AA)
        cv2.putText(picture, label, (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, color, 1, cv2.LINE_AA)
        shown.append(picture)
    return np.hstack(shown)


def numbered(picture: np.ndarray, boxes: Sequence[Box], chosen: Box | None = None) -> np.ndarray:
    """Return a picture ((height, width, 3) uint8) with boxes numbered from the left; the chosen one is green."""
    out = picture.copy()
    size = max(1, round(min(picture.shape[:2]) / 360))
    for number, box in enumerate(boxes, 1):
        color = _GREEN if chosen is not None and box.overlap(chosen) > 0.2 else _WHITE
        corner, opposite = (int(box.x), int(box.y)), (int(box.x + box.width), int(box.y + box.height))
        cv2.rectangle(out, corner, opposite, color, size)
        place = corner[0], max(24 * size, corner[1] - 6 * size)
        cv2.putText(out, str(number), place, cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 4 * size, cv2.LINE_AA)
        cv2.putText(out, str(number), place, cv2.FONT_HERSHEY_SIMPLEX, size, color, 2 * size, cv2.LINE_AA)
    return out


def _marked(footage: Footage, problem: Problem) -> np.ndarray:
    picture = _bgr(footage.frame(problem.worst))
    if footage.found[problem.worst]:
        box = box_of(footage.points[problem.worst])
        corner, opposite = (int(box.x), int(box.y)), (int(box.x + box.width), int(box.y + box.height))
        cv2.rectangle(picture, corner, opposite, _RED, 2)
    label = f"{problem.kind} {problem.worst / float(footage.fps):.2f} s"
    cv2.putText(picture, label, (16, 40), cv2.FONT_HERSHEY_SIMPLEX, 1, (0, 0, 0), 5, cv2.LINE_AA)
    cv2.putText(picture, label, (16, 40), cv2.FONT_HERSHEY_SIMPLEX, 1, _WHITE, 2, cv2.LINE_AA)
    return picture


def _middle(where: np.ndarray) -> int:
    """Return the middle of the longest run of true, or 0."""
    start, stop = max(runs(where), key=lambda run: run[1] - run[0], default=(0, 0))
    return (start + stop) // 2


def _bgr(frame: Frame) -> np.ndarray:
    picture: np.ndarray = cv2.cvtColor(frame.planes, cv2.COLOR_YUV2BGR_I420)
    return picture


def _save(path: Path, picture: np.ndarray) -> None:
    """Write a picture as JPEG, also to paths with letters that OpenCV cannot open."""
    path.write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes())
