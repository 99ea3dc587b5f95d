"""How a Hugging Face Space on ZeroGPU lends its card: through its own package and Gradio's errors."""

from __future__ import annotations

import importlib.util
import os

from pipeline.engines.musetalk.zerogpu import CardLender


def lends_cards() -> bool:
    """Return whether this is a Space on ZeroGPU."""
    told = os.environ.get("SYSTEM") == "spaces" and os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
    return told and importlib.util.find_spec("spaces") is not None


def card_lender() -> CardLender | None:
    """Return how cards are lent here, or None where this is no Space on ZeroGPU."""
    if not lends_cards():
        return None
    import gradio  # whose errors ``spaces`` raises
    import spaces  # there on Spaces alone

    return CardLender(spaces.GPU, gradio.Error)
