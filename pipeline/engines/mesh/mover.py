"""Moves the mouth of a person on video by geometry, in the video's own pixels."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from scipy.ndimage import uniform_filter1d

from pipeline.avatars.avatar import Avatar
from pipeline.engines.mesh.face_expression import FaceExpression
from pipeline.engines.mesh.geometry import FaceGeometry
from pipeline.engines.mesh.interior import Light, MouthInterior, MouthPose, light_of
from pipeline.engines.mesh.mouth_frame import mouth_frame, mouth_shape
from pipeline.engines.mesh.own_mouth_interior import OwnMouthInterior
from pipeline.engines.mesh.sprites import load_sprites
from pipeline.engines.mesh.warp import warp
from pipeline.face.mesh_basis import CHIN, UPPER_INNER, load_basis
from pipeline.speech.mouth_track import PARTING
from pipeline.video.frame import Frame

LOWER_TEETH = 0.9
"""Movement of the lower teeth, as a share of the chin's."""
TONGUE = ("tongueOut", "tongueBack", "tongueThrough")
"""Height of the tongue's tip and of its back, and how far it lies between the teeth; none of them moves the face."""
FRONT_OF_LIPS = [13, 14]
"""Points that move with the lips towards the viewer."""
LIGHT_EVERY = 5
"""Frames after which the light on the face is measured again."""
FADE_FRAMES = 7
"""Frames over which the mouth comes to rest before the face is lost, and starts again after it is found."""


class _Face:
    """The data of an avatar before its mouth can move: the mesh in every frame, the pictures of its teeth."""

    def __init__(self, avatar: Avatar) -> None:
        basis = load_basis()
        self.geometry = FaceGeometry(avatar, basis)
        self.triangles = self.geometry.triangles()
        self.speaks_in_clip = np.abs(self.geometry.source - self.geometry.rest).max((1, 2)) > 0.05
        self.expression = FaceExpression(self.geometry, self.triangles, float(avatar.fps))
        self.gain = fade(avatar.usable)
        if avatar.leads_into is not None:
            following = _face_of(avatar.leads_into)
            self.interior: MouthInterior = following.interior
            self.own: OwnMouthInterior | None = following.own
            return
        rest, units = self.geometry.rest, np.linalg.norm(self.geometry.carry[:, 0], axis=1)
        lip = float(np.median(np.linalg.norm(rest[:, UPPER_INNER[5]] - rest[:, 0], axis=1) / units))
        lip_line = float(basis.neutral[[0, 13], 1].mean()) + lip / 2  # sprites are anchored at the lip's middle
        unit = float(np.median(units))
        sprites = load_sprites(unit, lip_line, avatar.teeth, avatar.softness)
        self.interior = MouthInterior(basis, sprites, avatar.softness * unit)
        self.own = None if avatar.mouth is None else OwnMouthInterior(avatar.mouth)


_faces: WeakKeyDictionary[Avatar, _Face] = WeakKeyDictionary()
"""Kept as long as their avatars: the next request for the same one begins 20 ms sooner."""


def _face_of(avatar: Avatar) -> _Face:
    face = _faces.get(avatar)
    if face is None:
        face = _faces[avatar] = _Face(avatar)
    return face


class FaceMover:
    """Moves the mouth in the frames of one avatar."""

    def __init__(self, avatar: Avatar, units: tuple[str, ...]) -> None:
        basis = load_basis()
        opens = np.array([avatar.opening if u.startswith(PARTING) else 1 for u in units], np.float32)
        delta = np.stack([np.zeros((478, 3), np.float32) if u in TONGUE else basis.delta[u] for u in units])
        self._delta = opens[:, None, None] * delta
        jaw = np.array([[u.startswith("jaw")] for u in units])
        self._teeth_travel = LOWER_TEETH * jaw * self._delta[:, list(CHIN)].mean(1)
        self._tongue = [units.index(u) if u in units else None for u in TONGUE]
        self._face = _face_of(avatar)
        self._light: tuple[int, Light] | None = None

    def move(self, frame: Frame, index: int, weights: np.ndarray, looks: np.ndarray | None = None) -> None:
        """Move the mouth of a frame in place.

        Args:
            frame: The picture.
            index: Its number in the clip.
            weights: (units,) 0..1.
            looks: Weights of the expression (see ``pipeline.speech.expression``), if there is one.
        """
        face = self._face
        gain = face.gain[index]
        weights = weights * gain
        if looks is not None and not looks.any():
            looks = None
        if gain == 0 or not (weights.any() or face.speaks_in_clip[index] or looks is not None):
            return
        geometry = face.geometry
        source = geometry.source[index]
        triangles, movement = face.triangles, _movement(weights, self._delta)
        if looks is not None:
            looks, triangles, source = looks * gain, face.expression.triangles, source.copy()
            movement = movement + face.expression.movement(looks)
        target = geometry.moved(index, movement)
        if looks is not None:
            face.expression.move_eyes(source, target, index, looks)
        target = source + (target - source) * gain if gain < 1 else target
        light = self._light_of(frame, index)
        warp(frame, source, target, triangles)
        if looks is not None:
            face.expression.draw_lashes(frame, target, index, looks, light)
        tip, back, through = (0.0 if unit is None else float(weights[unit]) for unit in self._tongue)
        pose = MouthPose(
            target=target,
            anchor=(geometry.rest[index, 0] + geometry.rest[index, UPPER_INNER[5]]) / 2,
            carry=geometry.carry[index],
            jaw=weights @ self._teeth_travel @ geometry.carry[index],
            tongue=tip,
            back=back,
            through=through,
            forward=max(-float(movement[FRONT_OF_LIPS, 2].mean()), 0.0),
            eyes=float(geometry.eyes[index]),
        )
        if parted := float(geometry.parted[index]):
            face.interior.draw_seam(frame, pose, light, parted)
        if face.own is None:
            face.interior.draw(frame, pose, light)
            return
        shape = mouth_shape(movement)
        if face.own.share(shape) < 1:
            face.interior.draw(frame, pose, light)
        face.own.draw(frame, mouth_frame(target), shape, light.skin)

    def target(self, index: int, weights: np.ndarray) -> np.ndarray:
        """Return where the points of a frame go ((514, 2) pixels, see ``FaceGeometry``) at weights (units,)."""
        return self._face.geometry.moved(index, _movement(weights, self._delta))

    def _light_of(self, frame: Frame, index: int) -> Light:
        """Return the light on the face around a frame; light changes slowly."""
        moment = index // LIGHT_EVERY
        if self._light is None or self._light[0] != moment:
            self._light = moment, light_of(frame, self._face.geometry.source[index])
        return self._light[1]


def _movement(weights: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """Return (478, 3), the weighted sum of `delta` ((units, 478, 3)).

    Without BLAS, whose threads cost more than they save.
    """
    used = np.flatnonzero(weights)
    return np.asarray(np.einsum("u,upc->pc", weights[used], delta[used]))


def fade(usable: np.ndarray) -> np.ndarray:
    """Return a gain per frame of the looping clip: 0 where the face is not usable, rising to 1 around it."""
    gain = uniform_filter1d(usable.astype(np.float32), FADE_FRAMES, mode="wrap")
    gain = np.clip(2 * gain - 1, 0, 1)
    return np.where(usable, gain, 0).astype(np.float32)
