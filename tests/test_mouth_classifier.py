"""The network that tells which mouth makes a sound, and how it is trained."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.speech.mouth_classifier import BANDS, MOUTHS, SAME_MOUTH, MouthClassifier, load_mouth_classifier
from pipeline.tools.train_mouth_classifier import Recording, examples_of, in_another_room, learn, make_recording


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    rng = np.random.default_rng(5)
    return [make_recording(voice, rng) for voice in ("f3", "m7", "m3", "f5")]


def test_every_mouth_stands_for_its_own_letters() -> None:
    letters = "".join(SAME_MOUTH)
    assert len(SAME_MOUTH) == len(MOUTHS)
    assert len(set(letters)) == len(letters)
    assert all(mouth in same for mouth, same in zip(MOUTHS, SAME_MOUTH, strict=True))


def test_recordings_are_named_where_something_sounds(recordings: list[Recording]) -> None:
    for recording in recordings:
        level = recording.power.sum(axis=1)
        named = recording.mouths >= 0
        assert recording.power.shape == (len(recording.mouths), BANDS)
        assert level[named].mean() > 2 * level[~named].mean()  # stops are silent, too


def test_the_network_that_ships_classifies_voices_it_was_not_trained_on(recordings: list[Recording]) -> None:
    classifier, rng = load_mouth_classifier(), np.random.default_rng(6)
    for place in (lambda power: power, lambda power: in_another_room(power, rng)):
        right = []
        for recording in recordings:
            features = classifier.features(place(recording.power))
            found = classifier.log_likelihoods(features, 0, len(features)).argmax(axis=1)
            right.append((found == recording.mouths)[recording.mouths >= 0])
        assert np.concatenate(right).mean() > 0.4  # of sixteen


def test_features_hardly_depend_on_loudness_and_microphone(recordings: list[Recording]) -> None:
    classifier = load_mouth_classifier()
    power = recordings[0].power
    plain = classifier.features(power)
    np.testing.assert_allclose(classifier.features(power * 100), plain, atol=0.01)
    microphone = 10 ** (np.linspace(-6, 6, BANDS) / 10)
    changed = np.abs(classifier.features(power * microphone) - plain).mean()
    assert 0 < changed < np.abs(np.linspace(-6, 6, BANDS)).mean() / 15


@pytest.mark.slow
def test_training_learns(recordings: list[Recording]) -> None:
    rng = np.random.default_rng(7)
    usual = np.zeros(BANDS)
    inputs, mouths = examples_of(recordings * 10, MouthClassifier(usual, ()), rng)
    layers = learn(inputs, mouths, rng)
    trained = MouthClassifier(usual, tuple(layers))
    features = np.concatenate([trained.features(recording.power) for recording in recordings])
    truth = np.concatenate([recording.mouths for recording in recordings])
    found = trained.log_likelihoods(features, 0, len(features)).argmax(axis=1)
    most_frequent = np.bincount(truth[truth >= 0]).max() / np.count_nonzero(truth >= 0)
    assert (found == truth)[truth >= 0].mean() > 2 * most_frequent
