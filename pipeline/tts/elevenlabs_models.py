"""What the models of ElevenLabs can do: as the service lists it, or as it documents it where the list is not there."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import PipelineError

logger = logging.getLogger(__name__)

LISTED_FOR, MISSED_FOR = 3600.0, 300.0
"""Seconds for which the list is kept, and after which one that did not come is asked for again."""


def _codes(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_V2 = _codes("ar bg cs da de el en es fi fil fr hi hr id it ja ko ms nl pl pt ro ru sk sv ta tr uk zh")
_V2_5 = _V2 | {"hu", "no", "vi"}
_V3 = _codes(
    "af ar hy as az be bn bs bg ca ceb ny hr cs da nl en et fil fi fr gl ka de el gu ha he hi hu is id ga it ja jv kn "
    "kk ky ko lv ln lt lb mk ms ml zh mr ne no ps fa pl pt pa ro ru sr sd sk sl so es sw sv ta te th tr uk ur vi cy"
)


@dataclass(frozen=True)
class Model:
    """A model.

    Attributes:
        longest: Most characters of a request; None if that is not known.
        languages: ISO 639 codes of the languages that it speaks; empty if they are not known.
    """

    longest: int | None = None
    languages: frozenset[str] = frozenset()


DOCUMENTED = {
    "eleven_v3": Model(5_000, _V3),
    "eleven_multilingual_v2": Model(10_000, _V2),
    "eleven_turbo_v2": Model(30_000, frozenset(["en"])),
    "eleven_flash_v2": Model(30_000, frozenset(["en"])),
    "eleven_turbo_v2_5": Model(40_000, _V2_5),
    "eleven_flash_v2_5": Model(40_000, _V2_5),
}
"""What the service's documents say."""
_CODES = {"cmn": "zh", "yue": "zh", "nb": "no"}
"""Codes of the service that differ from eSpeak NG's."""


def takes_live_text(model: str) -> bool:
    """Return whether a model speaks text over a socket while it arrives; the list of models does not say it."""
    return not model.startswith("eleven_v3")


class Models:
    """The models, asked for once in a while; safe to use from any thread.

    Args:
        ask: Returns what the service lists; may raise a PipelineError.
    """

    def __init__(self, ask: Callable[[], Sequence[Any]]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._listed: dict[str, Model] = {}
        self._until = 0.0

    def longest(self, model: str) -> int | None:
        """Return the most characters of a request to a model; None if that is not known."""
        return self._known(model).longest

    def speaks(self, model: str, language: str) -> bool:
        """Return whether a model speaks a language, as eSpeak NG calls it; True if that is not known."""
        languages = self._known(model).languages
        return not languages or _CODES.get(language, language.split("-")[0]) in languages

    def _known(self, name: str) -> Model:
        """Return what is known of a model."""
        with self._lock:
            if time.monotonic() >= self._until:
                try:
                    self._listed = dict(map(_model, self._ask()))
                    self._until = time.monotonic() + LISTED_FOR
                except (PipelineError, TypeError, ValueError) as error:  # the request that needs the service tells it
                    logger.info("ElevenLabs lists no models: %s", error)
                    self._until = time.monotonic() + MISSED_FOR
            listed, documented = self._listed.get(name, Model()), DOCUMENTED.get(name, Model())
        return Model(listed.longest or documented.longest, listed.languages or documented.languages)


def _model(listed: Any) -> tuple[str, Model]:
    """Return the name of a model that the service lists, and what it says of it."""
    longest = listed.maximum_text_length_per_request
    languages = frozenset(str(one.language_id).lower().split("-")[0] for one in listed.languages or ())
    return str(listed.model_id), Model(longest if isinstance(longest, int) and longest > 0 else None, languages)
