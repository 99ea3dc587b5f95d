"""What is done to face points: smoothing, the closed mouth."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.face.basis import STILL, head_pose, mouth_reach, neutral, unit
from pipeline.preparing.closed_mouth import closed_mouth
from pipeline.preparing.footage import PATCH
from pipeline.preparing.stabilise import mouth_activity, stabilise
from pipeline.preparing.usable_frames import mouth_gap

FRAMES = 120
LIPS = [61, 291, 0, 17, 13, 14, 78, 308]


def _head(turn: np.ndarray, opened: np.ndarray) -> np.ndarray:
    """A face of 200 pixels that turns by TURN (degrees) and opens its mouth by OPENED, (frames, 478, 3) pixels."""
    angle = np.radians(turn)
    zero, one = np.zeros_like(angle), np.ones_like(angle)
    rotation = np.array(
        [[np.cos(angle), zero, np.sin(angle)], [zero, one, zero], [-np.sin(angle), zero, np.cos(angle)]]
    )
    closed = neutral() - 0.085 * unit("jawOpen")  # the basis' own lips do not quite touch
    own = closed + opened[:, None, None] * (unit("jawOpen") + 0.3 * unit("mouthFunnel"))
    shown: np.ndarray = (own @ rotation.transpose(2, 1, 0)) * 140 + np.array([400.0, 300.0, 0.0])
    return shown


def test_the_pose_that_was_given_is_found() -> None:
    turn = np.linspace(-40, 40, 9)
    pose = head_pose(_head(turn, np.zeros(9)))
    np.testing.assert_allclose(np.abs(pose.yaw), np.abs(turn), atol=0.1)
    np.testing.assert_allclose(pose.scale, 140, rtol=1e-3)
    points = _head(turn, np.linspace(0, 0.5, 9))
    np.testing.assert_allclose(pose.to_picture(pose.to_head(points)), points, atol=1e-6)


def test_trembling_goes_and_movement_stays() -> None:
    rng = np.random.default_rng(2)
    time = np.arange(FRAMES) / 25
    shift = np.stack([30 * np.sin(2 * time), 10 * np.sin(5 * time)], axis=1)  # a head that moves, without lag
    true = np.repeat(_head(np.zeros(1), np.zeros(1)), FRAMES, axis=0)
    true[..., :2] += shift[:, None]
    motion = np.tile(np.eye(2, 3), (FRAMES, 1, 1))
    motion[1:, :, 2] = np.diff(shift, axis=0)
    noisy = true + rng.normal(0, 0.5, true.shape)
    smooth = stabilise(noisy, motion, 25)[:, LIPS, :2]
    apart = smooth - true[:, LIPS, :2]
    assert apart.std() < 0.2
    assert np.diff(apart, axis=0).std() < 0.06
    raw = noisy[:, LIPS, :2] - true[:, LIPS, :2]
    assert np.diff(raw, axis=0).std() > 0.5  # what it was


def test_a_mouth_that_speaks_keeps_its_closures() -> None:
    opened = np.clip(0.3 + 0.3 * np.sin(np.arange(FRAMES) * 2 * np.pi / 8), 0, 1)  # three syllables a second
    true = _head(np.zeros(FRAMES), opened)
    still = np.tile(np.eye(2, 3), (FRAMES, 1, 1))
    assert mouth_activity(true, 25)[10:-10].min() > 0.9
    assert mouth_activity(_head(np.zeros(FRAMES), np.zeros(FRAMES)), 25).max() == 0
    kept = np.ptp(mouth_gap(stabilise(true, still, 25))[20:-20]) / np.ptp(mouth_gap(true)[20:-20])
    assert kept > 0.75


@pytest.mark.parametrize("lowest", [0.0, 0.2])
def test_the_closed_mouth_is_found_under_any_opening_and_turn(lowest: float) -> None:
    time = np.arange(FRAMES) / 25
    opened = lowest + np.clip(np.sin(9 * time), 0, 1) * 0.4
    turn = 20 * np.sin(1.3 * time)
    rest = closed_mouth(_head(turn, opened).astype(np.float32), np.ones(FRAMES, bool))
    assert mouth_gap(rest).max() < 0.02
    closed = _head(turn, np.zeros(FRAMES))
    jaw = np.linalg.norm(rest[:, 152] - closed[:, 152], axis=1).max()
    assert jaw < (2.0 if lowest == 0 else 6.0)  # pixels, of a jaw that goes down by 30 to 45
    assert np.abs(rest - _head(turn, opened))[:, mouth_reach() == 0].max() < 1e-2


def test_frames_that_are_not_usable_do_not_shape_the_mouth() -> None:
    opened = np.full(40, 0.3)
    opened[:10] = 0.0
    points = _head(np.zeros(40), opened).astype(np.float32)
    points[20:30, LIPS] += 40.0  # a hand
    usable = np.ones(40, bool)
    usable[20:30] = False
    with_hand = closed_mouth(points, usable)
    np.testing.assert_allclose(with_hand[:20], closed_mouth(points[:20], usable[:20]), atol=1.5)


def test_still_points_are_still() -> None:
    assert np.linalg.norm(unit("jawOpen")[list(STILL)], axis=1).max() < 0.02
    assert PATCH % 8 == 0
