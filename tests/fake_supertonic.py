"""A stand-in for the package of Supertonic and the names of its weights."""

PACKAGE = '''
"""Stands in for the package: a tone for every sentence."""
import numpy as np


class TTS:
    sample_rate = 16000

    def __init__(self, model, weights, auto_download):
        assert not auto_download

    def get_voice_style(self, voice_name):
        return voice_name

    def synthesize(self, text, voice_style, *, lang, speed):
        tone = 0.3 * np.sin(2 * np.pi * 200 * np.arange(16000) / 16000)
        return tone[None].astype(np.float32), np.ones(1)
'''
WEIGHTS = (
    "onnx/tts.json",
    "onnx/unicode_indexer.json",
    "onnx/duration_predictor.onnx",
    "onnx/text_encoder.onnx",
    "onnx/vector_estimator.onnx",
    "onnx/vocoder.onnx",
    "voice_styles/M1.json",
)
