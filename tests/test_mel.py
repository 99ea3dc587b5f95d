"""Mel spectra."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.speech.mel import HIGHEST, LOWEST, WINDOW, mel_power


def test_a_tone_is_loudest_in_its_band() -> None:
    sound = np.sin(np.arange(16000) * 2 * np.pi * 440 / 16000)
    # the seventh of 40 bands, evenly spaced on the mel scale from 80 to 7000 Hz
    assert mel_power(sound, 16000, 0.01, 40)[50].argmax() == 6


@pytest.mark.parametrize("bands", [26, 40])
def test_bands_have_the_power_that_another_library_gives_them(bands: int) -> None:
    audio = pytest.importorskip("transformers.audio_utils", reason="pip install -r requirements-gpu.txt")
    sound = np.random.default_rng(1).standard_normal(WINDOW).astype(np.float32)
    power = np.abs(np.fft.rfft(sound * np.hanning(WINDOW + 1)[:-1])) ** 2
    bank = audio.mel_filter_bank(WINDOW // 2 + 1, bands, LOWEST, HIGHEST, 16000, norm="slaney", mel_scale="htk")
    [got] = mel_power(sound, 16000, WINDOW / 2 / 16000, bands)[1:2]
    np.testing.assert_allclose(got, power @ bank, rtol=1e-4)
