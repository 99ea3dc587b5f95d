"""How a Hugging Face Space on ZeroGPU lends its card: through its own package and Gradio's errors."""

from __future__ import annotations

import importlib.util
import os

from pipeline.engines.musetalk.zerogpu import CardLender


def lends_cards() -> bool:
    """Return whether this is a Space on ZeroGPU."""
    lends = os.environ.get("SYSTEM") == "spaces" and os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
    return lends and importlib.util.find_spec("spaces") is not None


def card_lender() -> CardLender | None:
    """Return how this machine lends cards; None if it is no Space on ZeroGPU."""
    if not lends_cards():
        return None
    import gradio  # ``spaces`` raises its errors
    import spaces  # only available on Spaces

    return CardLender(spaces.GPU, gradio.Error)
