"""How like the filmed person a drawn mouth looks: a table and a contact sheet for each clip of somebody talking.

    python -m benchmarks.reenact --clip seated=seated.mp4 --clip grid=grid.mpg [--out results/reenact]

The first half of a clip makes the avatar. In the second half the movement of the mouth is read from its points, as
weights of face units, and drawn by the engine into the same frames with the mouth closed. What it draws is compared
with what was filmed, and beside it the closed mouth as it is, and the filmed frame of the first half whose mouth has
the nearest shape, moved to the same place and light.

    psnr, ssim          in the box around the mouth (dB; 1 is identical)
    psnr in, ssim in    in the opening between the lips alone, where they are apart
    color in            mean colour error in the opening, CIEDE2000
    color teeth         the same on the pixels of the opening that show teeth in the film
    gradient            difference of the gradients in the box, as a share of the film's
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from scipy.optimize import nnls
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

from benchmarks.machine import describe_machine
from pipeline.avatars.avatar import Avatar
from pipeline.engines.mesh.geometry import FaceGeometry
from pipeline.engines.mesh.interior import light_of
from pipeline.engines.mesh.mover import FaceMover
from pipeline.face.basis import LOWER_LIP, UPPER_LIP, head_pose, mouth_reach
from pipeline.face.mesh_basis import LOWER_INNER, LOWER_OUTER, UPPER_INNER, UPPER_OUTER, load_basis
from pipeline.preparing.blur import softness_of
from pipeline.preparing.closed_mouth import closed_mouth
from pipeline.preparing.footage import Footage, PictureSource, read_footage
from pipeline.preparing.lend_mouth import LentMouth, lend_mouth
from pipeline.preparing.open_clip import open_clip, pictures
from pipeline.preparing.own_mouth import find_mouth
from pipeline.preparing.own_teeth import find_teeth
from pipeline.preparing.person import Person, as_filmed, measure_person
from pipeline.preparing.photo import BACKGROUND
from pipeline.preparing.prepare import size_at
from pipeline.preparing.teeth_white import teeth_by_eyes
from pipeline.preparing.usable_frames import mouth_gap
from pipeline.video.frame import Frame

MEASURES = ("psnr", "ssim", "psnr in", "ssim in", "color in", "color teeth", "gradient")
SIDE = 720
"""Short side of the pictures, in pixels."""
OPEN = 0.06
"""Gap between the lips, in distances between the outer corners of the eyes, from which the opening is measured."""
MARGIN = 0.15
"""How far the box reaches beyond the lips, in the same distances."""
WINDOW = 11
"""Least side of a box: the window of SSIM."""
LIPS = np.unique(np.concatenate([UPPER_LIP.ravel(), LOWER_LIP.ravel(), UPPER_OUTER, UPPER_INNER]))
LIPS_COUNT = 4.0
"""How much more an error of the lips counts than one of jaw and cheeks when movement is read."""
LEAST_MOVEMENT = 0.02
"""Cost of a unit's weight, in basis units: of several ways to the same shape the smallest movement is taken."""
READINGS = 3
"""Times that the movement is read: what the engine adds to it, such as the lips' volume, is taken off each time."""
BRIGHT, RED = 0.5, 0.7
"""Teeth are brighter than this share of the skin, and less red than this share of the lips."""
SHOWN = 10
"""Frames on a contact sheet."""

Draw = Callable[[int], Frame]
"""Returns a frame of the second half with a mouth drawn."""


@dataclass(frozen=True)
class Scene:
    """A clip of which the first half is known.

    Attributes:
        film: What was filmed.
        person: The person in it.
        closed: The same frames with the mouth closed.
        avatar: The person in `closed`, with all that the first half shows of the mouth.
        half: Number of the first frame of the second half.
    """

    film: Footage
    person: Person
    closed: Footage
    avatar: Avatar
    half: int

    @property
    def judged(self) -> list[int]:
        """Numbers of the frames in which the mouth is drawn and compared."""
        return [n for n in range(self.half, len(self.film.frames)) if self.person.findings.usable[n]]


def main() -> None:
    """Measure clips and write the table and the sheets."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clip", action="append", required=True, metavar="NAME=FILE")
    options.add_argument("--out", type=Path, default=Path("results/reenact"))
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    lines = [f"| clip | mouth | {' | '.join(MEASURES)} |", "|---" * (2 + len(MEASURES)) + "|"]
    for entry in given.clip:
        name, file = entry.split("=", 1)
        with tempfile.TemporaryFile() as store, tempfile.TemporaryFile() as closed:
            scene = scene_of(Path(file), store, closed)
            draws = {"engine": engine(scene), "closed": closed_mouths(scene), "nearest filmed": nearest_filmed(scene)}
            for label, draw in draws.items():
                found = compare(scene, draw)
                cells = " | ".join("-" if np.isnan(found[m]) else f"{found[m]:.3f}" for m in MEASURES)
                lines.append(f"| {name} | {label} | {cells} |")
                print(lines[-1], flush=True)
            cv2.imwrite(str(given.out / f"{name}.png"), sheet(scene, [filmed(scene), *draws.values()]))
    table = "\n".join((f"machine: {describe_machine()}", "", *lines))
    (given.out / "reenact.md").write_text(table + "\n")
    print(f"\n{table}")


def scene_of(path: Path, store: BinaryIO, closed: BinaryIO) -> Scene:
    """Read a clip and learn from its first half what the person looks like.

    Args:
        path: The clip.
        store: An empty file for its frames.
        closed: An empty file for those with the mouth closed.

    Raises:
        BadClip: As ``prepare`` raises it.
        SystemExit: Nobody talks in one of the halves.
    """
    clip = open_clip(path)
    size = size_at(clip.width, clip.height, SIDE)
    count = round((clip.end - clip.start) * clip.wanted_fps)
    frames = pictures(clip, *size, BACKGROUND)
    source = PictureSource(frames=frames, fps=clip.wanted_fps, colors=clip.shown_colors, count=count)
    film = replace(read_footage(source, "center", store, lambda share, doing: None), scale=clip.height / size[1])
    person = measure_person(film)
    half = len(film.frames) // 2
    known = person.findings.usable & (np.arange(len(film.frames)) < half)
    opened = mouth_gap(person.landmarks) > OPEN
    if not (known & opened).any() or not (person.findings.usable & opened)[half:].any():
        raise SystemExit(f"{path}: nobody talks in both halves")
    person = replace(person, rest=closed_mouth(person.landmarks, known))
    first = replace(person, findings=replace(person.findings, usable=known))
    teeth = find_teeth(film, first).teeth or teeth_by_eyes(film, first)
    softness = softness_of(film, first)
    mouth = find_mouth(film, first)
    shut, shut_person = lend_mouth(film, person, closed, known)
    avatar = replace(as_filmed(shut, shut_person), teeth=teeth, softness=softness, mouth=mouth)
    return Scene(film, person, shut, avatar, half)


def filmed(scene: Scene) -> Draw:
    """Return what was filmed."""
    return scene.film.frame


def closed_mouths(scene: Scene) -> Draw:
    """Return the closed mouth as it is."""
    return scene.closed.frame


def engine(scene: Scene) -> Draw:
    """Return what the engine draws when the mouth moves as it was filmed."""
    delta = load_basis().delta
    units = tuple(delta)
    mover, geometry = FaceMover(scene.avatar, units), FaceGeometry(scene.avatar, load_basis())
    read = _movement(scene, np.stack([delta[name] for name in units]), geometry)

    def draw(number: int) -> Frame:
        frame = Frame(scene.closed.frames[number].copy())
        mover.move(frame, number, read(number))
        return frame

    return draw


def _movement(scene: Scene, delta: np.ndarray, geometry: FaceGeometry) -> Callable[[int], np.ndarray]:
    """Return the function that reads the weights (units,), 0..1, of the mouth's movement in a frame."""
    counts = mouth_reach()
    counts[LIPS] *= LIPS_COUNT
    moving = np.flatnonzero(counts > 0.5)
    root = np.sqrt(counts[moving])[:, None]

    def read(number: int) -> np.ndarray:
        carry = geometry.carry[number]
        scale = float(np.linalg.norm(carry, axis=1).max())
        filmed = (scene.person.landmarks[number] - scene.avatar.rest[number])[:, :2]
        columns = np.stack([(root * (unit[moving] @ carry / scale)).ravel() for unit in delta], axis=1)
        small = LEAST_MOVEMENT * np.eye(len(delta))
        more = np.zeros_like(filmed)
        for _ in range(READINGS):
            moved = (filmed - more)[moving] / scale
            weights, _ = nnls(
                np.vstack([columns, small]), np.concatenate([(root * moved).ravel(), np.zeros(len(delta))])
            )
            weights = np.minimum(weights, 1)
            movement = np.tensordot(weights, delta, 1)
            target = geometry.moved(number, movement)
            more = (target - geometry.rest[number])[:478] - movement @ carry
        return np.asarray(weights, np.float32)

    return read


def nearest_filmed(scene: Scene) -> Draw:
    """Return the mouth of the frame of the first half whose lips have the nearest shape, in the place of the other."""
    heads = head_pose(scene.person.landmarks).to_head(scene.person.landmarks.astype(np.float64))
    shapes = heads[:, LIPS, :2]
    shapes -= shapes.mean(1, keepdims=True)
    known = np.flatnonzero(scene.person.findings.usable[: scene.half])
    as_they_are = as_filmed(scene.film, scene.person)
    lent: dict[int, LentMouth] = {}

    def draw(number: int) -> Frame:
        apart = np.linalg.norm(shapes[known] - shapes[number], axis=2).mean(1)
        nearest = int(known[apart.argmin()])
        if nearest not in lent:
            lent[nearest] = LentMouth(as_they_are, scene.film.frame(nearest), nearest)
        return lent[nearest].lend(scene.film.frame(number), number, 1.0)

    return draw


def compare(scene: Scene, draw: Draw) -> dict[str, float]:
    """Return the mean of each measure over the second half; nan where no frame shows what is measured."""
    rows = [_compared(scene, number, draw(number)) for number in scene.judged]
    found = {name: np.array([row[name] for row in rows]) for name in MEASURES}
    return {name: float(np.nanmean(values)) if (~np.isnan(values)).any() else np.nan for name, values in found.items()}


def _compared(scene: Scene, number: int, drawn: Frame) -> dict[str, float]:
    film, points = scene.film.frame(number), scene.person.landmarks[number][:, :2]
    left, top, right, bottom = box = _box(film, points)
    one, other = (cv2.cvtColor(frame.planes, cv2.COLOR_YUV2RGB_I420)[top:bottom, left:right] for frame in (film, drawn))
    luma = [frame.y[top:bottom, left:right].astype(np.float32) for frame in (film, drawn)]
    _, alike = structural_similarity(
        *luma, data_range=219.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    error = ((one.astype(np.float32) - other) ** 2).mean(2)
    slopes = [np.stack([cv2.Sobel(y, cv2.CV_32F, *way, scale=1 / 8) for way in ((1, 0), (0, 1))]) for y in luma]
    measures = dict.fromkeys(MEASURES, np.nan)
    measures["psnr"], measures["ssim"] = _psnr(error), float(alike.mean())
    measures["gradient"] = float(
        np.linalg.norm(slopes[0] - slopes[1], axis=0).sum() / np.linalg.norm(slopes[0], axis=0).sum()
    )
    opening = _opening(points, box)
    if mouth_gap(scene.person.landmarks[number : number + 1])[0] > OPEN and opening.any():
        color = deltaE_ciede2000(rgb2lab(one), rgb2lab(other))
        measures["psnr in"], measures["ssim in"] = _psnr(error[opening]), float(alike[opening].mean())
        measures["color in"] = float(color[opening].mean())
        teeth = opening & _teeth(film, points, box)
        if teeth.any():
            measures["color teeth"] = float(color[teeth].mean())
    return measures


def _psnr(squared_error: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(float(squared_error.mean()), 1e-3)))


def _box(frame: Frame, points: np.ndarray) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom around the filmed lips, in pixels."""
    lips = points[np.concatenate([UPPER_OUTER, LOWER_OUTER])]
    margin = MARGIN * float(np.linalg.norm(points[33] - points[263]))
    size = np.array([frame.width, frame.height])
    low = np.clip((lips.min(0) - margin).astype(int), 0, size - WINDOW)
    high = np.clip((lips.max(0) + margin).astype(int), low + WINDOW, size)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _opening(points: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return (h, w) bool over a box: between the filmed inner lips."""
    left, top, right, bottom = box
    outline = np.concatenate([points[UPPER_INNER], points[LOWER_INNER][-2:0:-1]]) - (left, top)
    inside = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillPoly(inside, [np.round(outline * 16).astype(np.int32)], 1, shift=4)
    return inside > 0


def _teeth(film: Frame, points: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return (h, w) bool over a box: bright, and not as red as the lips."""
    left, top, right, bottom = box
    light = light_of(film, points)
    luma = film.y.astype(np.float32) - 16
    red = cv2.resize(film.uv[1], (film.width, film.height)).astype(np.float32) - 128
    usual = max(float(light.lips[2] - 128) / max(float(light.lips[0]) - 16, 1), 0.05)
    teeth = (luma > BRIGHT * (light.skin[0] - 16)) & (red / np.maximum(luma, 1) < RED * usual)
    return np.asarray(teeth[top:bottom, left:right])


def sheet(scene: Scene, draws: list[Draw]) -> np.ndarray:
    """Return mouths of the second half, (h, w, 3) uint8 BGR: one column each, and a row for each way to draw them."""
    gap = mouth_gap(scene.person.landmarks)
    by_gap = sorted(scene.judged, key=lambda number: float(gap[number]))
    chosen = [by_gap[i] for i in np.linspace(0, len(by_gap) - 1, min(SHOWN, len(by_gap))).astype(int)]
    return np.vstack(
        [np.hstack([_mouth(draw(number), scene.person.landmarks[number]) for number in chosen]) for draw in draws]
    )


def _mouth(frame: Frame, points: np.ndarray) -> np.ndarray:
    """Return the mouth of a frame enlarged, (120, 160, 3) uint8 BGR."""
    corners = points[[61, 291], :2]
    scale = 110 / max(float(np.linalg.norm(corners[0] - corners[1])), 1.0)
    x, y = points[[61, 291, 0, 17], :2].mean(0)
    place = np.array([[scale, 0, 80 - scale * x], [0, scale, 60 - scale * y]])
    picture = cv2.cvtColor(frame.planes, cv2.COLOR_YUV2BGR_I420)
    return np.asarray(cv2.warpAffine(picture, place, (160, 120), flags=cv2.INTER_CUBIC))


if __name__ == "__main__":
    main()
