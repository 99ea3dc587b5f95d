"""Mel spectra."""

from __future__ import annotations

import numpy as np
import pytest
from librosa.filters import mel

from pipeline.speech.mel import HIGHEST, LOWEST, WINDOW, mel_power


def test_a_tone_is_loudest_in_its_band() -> None:
    sound = np.sin(np.arange(16000) * 2 * np.pi * 440 / 16000)
    # the seventh of 40 bands, evenly spaced on the mel scale from 80 to 7000 Hz
    assert mel_power(sound, 16000, 0.01, 40)[50].argmax() == 6


@pytest.mark.parametrize("bands", [26, 40])
def test_bands_have_the_power_that_librosa_gives_them(bands: int) -> None:
    sound = np.random.default_rng(1).standard_normal(WINDOW).astype(np.float32)
    power = np.abs(np.fft.rfft(sound * np.hanning(WINDOW + 1)[:-1])) ** 2
    bank = mel(sr=16000, n_fft=WINDOW, n_mels=bands, fmin=LOWEST, fmax=HIGHEST, htk=True)
    [got] = mel_power(sound, 16000, WINDOW / 2 / 16000, bands)[1:2]
    np.testing.assert_allclose(got, bank @ power, rtol=1e-4)
