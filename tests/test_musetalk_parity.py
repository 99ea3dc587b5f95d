"""Every step of MuseTalk beside the published method, written here again as its paper and its facts describe it."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from pipeline.engines.musetalk.audio import SpeechFeatures, features_of, positions, windows
from pipeline.engines.musetalk.blend import Blender, Place
from pipeline.engines.musetalk.colors import rgb_of, yuv_matrix
from pipeline.engines.musetalk.face_crop import Box, face_box, face_crop
from pipeline.engines.musetalk.latents import face_latents, pixels_of
from pipeline.engines.musetalk.mask import face_mask
from pipeline.engines.musetalk.network import Network
from pipeline.face.basis import OVAL, neutral
from pipeline.video.frame import Frame
from pipeline.video.reader import ColorTags
from tests.tiny_musetalk import make_extractor, make_unet, make_vae, make_whisper

WIDTH, HEIGHT = 320, 240
BT709 = ColorTags(1, 1, 1, 1)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """A face's points, 110 pixels wide, in the middle of the picture."""
    points = neutral() - neutral().mean(0)
    points *= 110 / np.ptp(points[list(OVAL), 0])
    return np.asarray(points + np.array([WIDTH / 2 + 0.3, HEIGHT / 2 + 0.7, 0]), np.float32)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A smooth picture of many colours, (h, w, 3) uint8 RGB."""
    noise = np.random.default_rng(4).uniform(0, 255, (12, 16, 3)).astype(np.float32)
    large = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(large, 0, 255), np.uint8)


# --- the face


def _box(face: np.ndarray) -> Box:
    box = face_box(face, WIDTH, HEIGHT)
    assert box is not None
    return box


def test_the_box_reaches_from_ear_to_ear_with_the_nose_bridge_in_the_middle(face: np.ndarray) -> None:
    left, top, right, bottom = _box(face)
    outline, chin, bridge = face[list(OVAL)].astype(int), int(face[152, 1]), int(face[5, 1])
    assert (left, right) == (outline[:, 0].min(), outline[:, 0].max())
    assert bottom == chin + 10
    assert bridge - top == chin - bridge


def test_the_box_ends_at_the_pictures_edge(face: np.ndarray) -> None:
    up = face + np.array([0, -face[5, 1] + 20, 0], np.float32)
    box = face_box(up, WIDTH, HEIGHT)
    assert box is not None and box[1] == 0
    low = face + np.array([0, HEIGHT - 5 - face[152, 1], 0], np.float32)
    box = face_box(low, WIDTH, HEIGHT)
    assert box is not None and box[3] == HEIGHT
    assert face_box(face + np.array([WIDTH, 0, 0]), WIDTH, HEIGHT) is None
    assert face_box(face + np.array([0, 2 * HEIGHT, 0]), WIDTH, HEIGHT) is None


def test_the_crop_is_the_box_at_256_pixels(face: np.ndarray, picture: np.ndarray) -> None:
    left, top, right, bottom = box = _box(face)
    bgr = picture[..., ::-1]
    published = cv2.resize(bgr[top:bottom, left:right], (256, 256), interpolation=cv2.INTER_LANCZOS4)[..., ::-1]
    np.testing.assert_array_equal(face_crop(picture, box), published)


def test_colours_survive_the_way_to_rgb_and_back(picture: np.ndarray) -> None:
    for colors in (BT709, ColorTags(1, 6, 6, 6), ColorTags(1, 9, 9, 1), ColorTags(2, 1, 1, 1), ColorTags()):
        matrix, offset = yuv_matrix(colors, 12 * 2 // 3)
        flat = np.full((8, 8, 3), (200, 90, 40), np.float32) / 255
        yuv = np.rint(flat @ matrix.T + offset).astype(np.uint8)
        planes = np.concatenate([yuv[..., 0].ravel(), yuv[::2, ::2, 1].ravel(), yuv[::2, ::2, 2].ravel()])
        back = rgb_of(Frame(planes.reshape(12, 8)), colors)
        assert np.abs(back.astype(int) - (200, 90, 40)).max() <= 3, colors


# --- the latents


def _published_pixels(crop: np.ndarray, half: bool) -> torch.Tensor:
    """A crop (256, 256, 3) BGR as the encoder gets it: RGB, 0..1, the mask multiplied, then (x - 0.5) / 0.5."""
    tensor: torch.Tensor = torch.FloatTensor(
        np.transpose(crop[..., ::-1] / 255.0, (2, 0, 1))
    )  # as laid out there: by rows
    if half:
        mask = torch.zeros(256, 256)
        mask[:128] = 1
        tensor = tensor * mask
    return ((tensor - 0.5) / 0.5)[None]


def test_the_lower_half_is_hidden_before_normalising(face: np.ndarray, picture: np.ndarray) -> None:
    crop = face_crop(picture, _box(face))
    for hidden in (True, False):
        ours = pixels_of(crop[None], hidden)
        assert ours.is_contiguous()  # or a CPU's encoder rounds coarsely
        torch.testing.assert_close(ours, _published_pixels(crop[..., ::-1], hidden), atol=1e-6, rtol=0)
    assert (pixels_of(crop[None], True)[:, :, 128:] == -1).all()


def test_latents_are_scaled_samples_of_the_posterior_hidden_first(face: np.ndarray, picture: np.ndarray) -> None:
    vae = make_vae()
    crop = face_crop(picture, _box(face))
    with torch.no_grad():
        halves = []
        for hidden in (True, False):
            distribution = vae.encode(_published_pixels(crop[..., ::-1], hidden)).latent_dist
            halves.append(0.18215 * distribution.sample(torch.Generator().manual_seed(1)))
        published = torch.cat(halves, dim=1)
    ours = face_latents(vae, np.stack([crop, crop]))
    assert ours.shape == (2, 8, 32, 32)
    for latents in ours:  # the same noise for every frame
        torch.testing.assert_close(latents[None], published, atol=2e-6, rtol=0)


# --- the sound


def _published_states(whisper: Any, samples: np.ndarray) -> torch.Tensor:
    """(1, time, 5, channels): 30-second segments through the extractor and the encoder, layer by layer."""
    extractor, encoder = make_extractor(), whisper.encoder
    parts = []
    with torch.no_grad():
        for start in range(0, len(samples), 480_000):
            mel = extractor(samples[start : start + 480_000], return_tensors="pt", sampling_rate=16_000).input_features
            hidden = torch.nn.functional.gelu(encoder.conv1(mel))
            hidden = torch.nn.functional.gelu(encoder.conv2(hidden)).permute(0, 2, 1) + encoder.embed_positions.weight
            states = [hidden]
            for layer in encoder.layers:
                out = layer(states[-1], attention_mask=None)
                states.append(out[0] if isinstance(out, tuple) else out)
            states[-1] = encoder.layer_norm(states[-1])
            parts.append(torch.stack(states, dim=2))
    return torch.cat(parts, dim=1)[:, : math.floor(len(samples) / 16_000 * 50)]


def _published_windows(states: torch.Tensor, frames: int, fps: int) -> torch.Tensor:
    """(frames, 50, channels): zero rows around, ten rows per frame; as far as the published padding reaches."""
    padding = math.ceil(50 / fps)
    left = torch.zeros(1, 2 * padding, *states.shape[2:])
    right = torch.zeros(1, 3 * 2 * padding, *states.shape[2:])
    padded = torch.cat([left, states, right], dim=1)
    chunks = [padded[:, math.floor(i * 50 / fps) : math.floor(i * 50 / fps) + 10] for i in range(frames)]
    return torch.cat(chunks).flatten(1, 2)


def _speech(seconds: float, rate: int = 16_000) -> np.ndarray:
    rng = np.random.default_rng(7)
    times = np.arange(round(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * 180 * times) * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * times))
    return (0.3 * tone + 0.02 * rng.standard_normal(len(times))).astype(np.float32)


@pytest.mark.parametrize("fps", [25, 30, 48])  # below and above, the published windows lie beside their frames
def test_sound_features_are_the_published_ones_from_the_first_frame_to_the_last(fps: int) -> None:
    whisper, samples = make_whisper(), _speech(2.13)
    states = SpeechFeatures(whisper.encoder, make_extractor()).states(samples, 16_000)
    frames = math.floor(2.13 * fps)
    published = _published_windows(_published_states(whisper, samples), frames, fps)
    ours = windows(states, Fraction(fps), range(frames)).flatten(1, 2)
    assert ours.shape == (frames, 50, 32)
    torch.testing.assert_close(ours, published, atol=1e-4, rtol=0)


def test_sound_over_30_seconds_goes_through_whisper_in_segments() -> None:
    whisper, samples = make_whisper(), _speech(31.5)
    states = SpeechFeatures(whisper.encoder, make_extractor()).states(samples, 16_000)
    assert len(states) == 1575
    frames = [0, 1, 745, 748, 749, 750, 751, 786]
    published = _published_windows(_published_states(whisper, samples), 787, 25)
    torch.testing.assert_close(
        windows(states, Fraction(25), frames).flatten(1, 2), published[frames], atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), 24, 25, Fraction(30000, 1001), 30, 48, 50, 60, 120])
def test_at_every_rate_four_states_before_a_frame_are_used_and_four_after_its_own(fps: Fraction | int) -> None:
    states = torch.arange(2000).float()[:, None, None]
    frames = np.arange(10, 400)
    windowed = windows(states, Fraction(fps), frames.tolist())[:, :, 0, 0].numpy()
    begins = np.array([math.floor(i * 50 / Fraction(fps)) for i in frames.tolist()])
    np.testing.assert_array_equal(windowed, begins[:, None] + np.arange(-4, 6))


@pytest.mark.parametrize("fps", [1, 5, Fraction(25, 2), 15, 20, 24, 25, 30, 50, 60])
def test_at_every_rate_the_window_lies_around_the_frame(fps: Fraction | int) -> None:
    states = torch.arange(3000).float()[:, None, None]
    frames = np.arange(10, 50)
    middle = windows(states, Fraction(fps), frames.tolist())[:, :, 0, 0].numpy().mean(axis=1) + 0.5
    late = middle / 50 - (frames + 0.5) / float(fps)
    assert np.abs(late).max() <= 0.021  # a state lasts 20 ms
    assert abs(late.mean()) <= 0.0125


def test_zeros_lie_before_the_sound_and_beyond_its_end() -> None:
    states = torch.arange(1, 101).float()[:, None, None].expand(-1, 5, 2)
    windowed = windows(states, Fraction(30000, 1001), [0, 30, 59])[:, :, 0, 0]
    assert windowed[0].tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 5, 6]
    assert windowed[1].tolist() == list(range(47, 57))  # 30 frames last 1.001 s: state 50 less the four before
    assert windowed[2].tolist()[:3] == [95, 96, 97] and windows(states, Fraction(25), [49])[0, -1, 0, 0] == 0
    assert windows(states, Fraction(60), [119])[0, :, 0, 0].tolist() == [96, 97, 98, 99, 100, 0, 0, 0, 0, 0]


def test_speech_at_other_rates_is_encoded_alike() -> None:
    listener = SpeechFeatures(make_whisper().encoder, make_extractor())
    low, high = listener.states(_tone(16_000), 16_000), listener.states(_tone(44_100), 44_100)
    assert low.shape == high.shape
    assert float((low - high).abs().mean()) < 0.02


def _tone(rate: int) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 220 * np.arange(rate) / rate)).astype(np.float32)


def test_the_positional_encoding_is_sinusoidal_and_added_once() -> None:
    table = torch.zeros(50, 384)
    for position in range(50):
        for i in range(0, 384, 2):
            angle = position / 10_000 ** (i / 384)
            table[position, i], table[position, i + 1] = math.sin(angle), math.cos(angle)
    torch.testing.assert_close(positions(50, 384), table, atol=1e-4, rtol=0)
    states = torch.randn(100, 5, 32)
    bare = windows(states, Fraction(25), [3]).flatten(1, 2)
    torch.testing.assert_close(features_of(states, Fraction(25), [3]), bare + positions(50, 32))


# --- the network


def test_the_network_takes_one_step_at_time_0_and_decodes() -> None:
    unet, vae = make_unet(), make_vae()
    latents, features = torch.randn(3, 8, 32, 32), torch.randn(3, 50, 32)
    with torch.no_grad():
        predicted = unet(latents, torch.tensor([0]), encoder_hidden_states=features).sample
        decoded = vae.decode((1 / 0.18215) * predicted).sample
        published = (decoded / 2 + 0.5).clamp(0, 1)
    ours = Network(unet, vae).draw(latents, features)
    assert ours.shape == (3, 3, 256, 256)
    torch.testing.assert_close(ours, published, atol=5e-4, rtol=0)
    with torch.no_grad():
        other = unet(latents, torch.tensor([500]), encoder_hidden_states=features).sample
    assert float((other - predicted).abs().mean()) > 1e-4  # time 0 is not just any time


# --- the picture


def _published_blend(body: np.ndarray, drawn: np.ndarray, box: tuple[int, ...], mask: np.ndarray) -> np.ndarray:
    """The drawn face, resized into its box, over the picture by a mask (0..1) of the box's size; nothing is rounded."""
    left, top, right, bottom = box
    out = body.astype(np.float64)
    small = cv2.resize(drawn, (right - left, bottom - top))
    out[top:bottom, left:right] += (small - out[top:bottom, left:right]) * mask
    return out


def _frame(picture: np.ndarray) -> Frame:
    """PICTURE (RGB) in BT.709."""
    matrix, offset = yuv_matrix(BT709, HEIGHT)
    yuv = picture.astype(np.float32) / 255 @ matrix.T + offset
    planes = np.empty((HEIGHT * 3 // 2, WIDTH), np.uint8)
    frame = Frame(planes)
    frame.y[:] = np.rint(yuv[..., 0])
    for i, plane in enumerate(frame.uv):
        plane[:] = np.rint(cv2.resize(yuv[..., 1 + i], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return frame


def test_the_drawn_face_is_blended_as_published(face: np.ndarray, picture: np.ndarray) -> None:
    left, top, right, bottom = box = _box(face)
    drawn = cv2.resize(picture[::-1, ::-1], (256, 256), interpolation=cv2.INTER_AREA)
    mask = face_mask(face, box)
    at_size = cv2.resize(mask.astype(np.float32), (right - left, bottom - top)) / 255
    frame = _frame(picture)
    untouched = frame.planes.copy()
    matrix, offset = yuv_matrix(BT709, HEIGHT)
    shown = drawn.astype(np.float32) / 255 @ matrix.T + offset
    expected = _published_blend(frame.y, shown[..., 0], box, at_size)
    tensor = torch.from_numpy(np.ascontiguousarray(drawn)).permute(2, 0, 1)[None].float() / 255
    blender = Blender(WIDTH, HEIGHT, BT709, (right - left, bottom - top), torch.device("cpu"))
    finish = blender.blend(tensor, [frame], [Place(box, mask, 1.0)])
    np.testing.assert_array_equal(frame.planes, untouched)  # only when the device is done
    finish()
    assert np.abs(frame.y - expected).max() <= 0.5 + 255e-3  # rounded, and within 1e-3 before
    for i, ours in enumerate(frame.uv):
        whole = cv2.resize(Frame(untouched).uv[i], (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
        theirs = _published_blend(whole, shown[..., 1 + i], box, at_size)
        assert np.abs(ours - cv2.resize(theirs, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)).mean() < 0.3
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[top:bottom, left:right] = False
    np.testing.assert_array_equal(frame.y[outside], Frame(untouched).y[outside])


def _filmed(colors: ColorTags, seed: int) -> Frame:
    """A frame of skin and shadows that are smooth, with a little grain, in the planes of a video with COLORS."""
    rng = np.random.default_rng(seed)
    rough = rng.uniform((90, 70, 60), (210, 170, 150), (6, 8, 3)).astype(np.float32)
    rgb = cv2.resize(rough, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    matrix, offset = yuv_matrix(colors, HEIGHT)
    yuv = rgb / 255 @ matrix.T + offset
    yuv[..., 0] += rng.normal(0, 0.5, (HEIGHT, WIDTH))
    planes = np.empty((HEIGHT * 3 // 2, WIDTH), np.uint8)
    frame = Frame(planes)
    frame.y[:] = np.rint(yuv[..., 0])
    for i, plane in enumerate(frame.uv):
        plane[:] = np.rint(cv2.resize(yuv[..., 1 + i], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return frame


@pytest.mark.parametrize("box", [(32, 0, 288, 240), (100, 50, 220, 190), (101, 51, 220, 190), (7, 3, 300, 238)])
@pytest.mark.parametrize(
    "colors",
    [BT709, ColorTags(1, 6, 6, 6), ColorTags(1, 9, 9, 1), ColorTags(2, 1, 1, 1), ColorTags(2, 6, 6, 6), ColorTags()],
    ids=["709", "601", "2020", "709 full", "601 full", "none"],
)
def test_a_network_that_returns_its_input_changes_nothing(colors: ColorTags, box: Box) -> None:
    frame = _filmed(colors, 5)
    before = Frame(frame.planes.copy())
    crop = face_crop(rgb_of(frame, colors), box)
    seen = (pixels_of(crop[None], False) + 1) / 2
    blender = Blender(WIDTH, HEIGHT, colors, (box[2] - box[0], box[3] - box[1]), torch.device("cpu"))
    blender.blend(seen, [frame], [Place(box, np.full((128, 128), 255, np.uint8), 1.0)])()
    left, top, right, bottom = box
    inside = np.s_[top:bottom, left:right]
    change = frame.y[inside].astype(int) - before.y[inside]
    assert abs(change.mean()) < 0.05 and np.abs(change).mean() < 0.6 and np.abs(change).max() <= 3
    for ours, theirs in zip(frame.uv, before.uv, strict=True):
        change = ours.astype(int) - theirs
        assert abs(change.mean()) < 0.05 and np.abs(change).max() <= 2


def test_at_half_strength_half_of_it_shows(face: np.ndarray, picture: np.ndarray) -> None:
    box = _box(face)
    frames = [_frame(picture) for _ in range(3)]
    blender = Blender(WIDTH, HEIGHT, BT709, (120, 160), torch.device("cpu"))
    black = torch.zeros(3, 3, 256, 256)
    full = np.full((128, 128), 255, np.uint8)
    blender.blend(black, frames, [Place(box, full, strength) for strength in (0.0, 0.5, 1.0)])()
    kept, half, gone = (frame.y[box[1] : box[3], box[0] : box[2]].astype(int) for frame in frames)
    np.testing.assert_array_equal(kept, _frame(picture).y[box[1] : box[3], box[0] : box[2]])
    assert np.abs(half - (kept + gone) / 2).max() <= 1 and gone.max() == 16


def test_the_mask_is_the_lower_face_with_a_soft_edge(face: np.ndarray) -> None:
    left, top, right, bottom = box = _box(face)
    mask = face_mask(face, box).astype(int)
    x, y = ((face[:, :2] - (left, top)) / (right - left, bottom - top) * 128).astype(int).T
    assert mask[y[14], x[14]] == 255  # the mouth
    assert mask[y[33], x[33]] == mask[y[10] + 3, x[10]] == 0  # an eye, the forehead
    assert 100 < mask[y[152], x[152]] < 256  # the chin, which will move
    edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert edge.max() < 32
    assert max(mask[115, 8], mask[115, 119]) < 8  # beside the chin lies no face
    assert np.abs(np.diff(mask, axis=0)).max() < 60 and np.abs(np.diff(mask, axis=1)).max() < 60


def _published_mask(points: np.ndarray, box: Box) -> np.ndarray:
    """The published jaw mask in BOX, (128, 128), where a face-parsing network would find just what the points outline.

    In a picture of 512 pixels, one and a half boxes wide: skin, spread downwards and a little upwards, its cheeks
    narrowed, without the nose; the lower half of that, blurred.
    """
    left, top, right, bottom = box
    across, down, side = (left + right) // 2, (top + bottom) // 2, int(max(right - left, bottom - top) // 2 * 1.5)
    places = (points[:, :2] - (across - side, down - side)) * 256 / side

    def area(part: tuple[int, ...]) -> np.ndarray:
        drawn = np.zeros((512, 512), np.uint8)
        cv2.fillConvexPoly(drawn, cv2.convexHull(np.round(places[list(part)]).astype(np.int32)), 255)
        return drawn

    nose, lips = area((6, 129, 358, 64, 294, 98, 327, 2)), area((61, 291, 0, 17, 37, 267, 84, 314, 40, 270, 91, 321))
    spread = np.zeros((33, 33), np.uint8)
    for row in range(10, 33):
        half = min(row, 20) - 10
        spread[row, 16 - half : 17 + half] = 1
    skin = cv2.dilate(area(OVAL) & ~nose & ~lips, spread)
    narrow = cv2.erode(skin, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (35, 3)), iterations=2)
    narrow[:, 256 - 80 : 256 + 80] = skin[:, 256 - 80 : 256 + 80]
    jaw = cv2.resize((narrow & ~nose) | lips, (2 * side, 2 * side), interpolation=cv2.INTER_NEAREST)
    jaw[:side] = 0
    inside = np.s_[top - down + side : bottom - down + side, left - across + side : right - across + side]
    kept = np.zeros_like(jaw)
    kept[inside] = jaw[inside]
    kernel = int(0.1 * 2 * side // 2 * 2) + 1
    soft = cv2.GaussianBlur(kept, (kernel, kernel), 0)
    return np.asarray(cv2.resize(soft[inside], (128, 128), interpolation=cv2.INTER_AREA))


def test_the_mask_is_as_wide_as_the_published_one_and_spares_the_nose(face: np.ndarray) -> None:
    left, top, right, bottom = box = _box(face)
    ours, published = (mask.astype(float) / 255 for mask in (face_mask(face, box), _published_mask(face, box)))
    assert ours.mean() == pytest.approx(published.mean(), abs=0.04) and 0.26 < ours.mean() < 0.31
    upper = np.s_[56:96]
    np.testing.assert_allclose(ours[upper].mean(axis=1), published[upper].mean(axis=1), atol=0.1)
    assert ours[70].mean() < 0.57  # beside the nose
    x, y = ((face[:, :2] - (left, top)) / (right - left, bottom - top) * 128).astype(int).T
    assert max(ours[y[4], x[4]], ours[y[1], x[1]]) < 0.1  # the tip of the nose
    assert max(ours[y[132], x[132]], ours[y[361], x[361]]) < 0.1  # the edge of the cheeks
    for mouth in (13, 14, 61, 291, 17):
        assert ours[y[mouth], x[mouth]] > 0.99


def test_the_mask_follows_the_face(face: np.ndarray) -> None:
    turned = face + np.array([17, 3, 0], np.float32)
    before, after = _box(face), _box(turned)
    assert np.subtract(after, before).tolist() == [17, 3, 17, 3]
    assert np.abs(face_mask(face, before).astype(int) - face_mask(turned, after)).max() <= 1
