"""Services that speak OpenAI's protocol: their addresses and keys, and what their errors mean."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline import messages
from pipeline.errors import PipelineError
from pipeline.messages import Message

if TYPE_CHECKING:
    from openai import AsyncOpenAI

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
RETRIES = 2
"""Further tries after 429, 5xx and lost connections, before an answer has begun."""
NO_KEY = "none"
"""Sent to services that need no key."""
_SHOWN = 200
"""Most characters of a service's error that are passed on."""


@dataclass(frozen=True)
class Endpoint:
    """A service.

    Attributes:
        prefix: Of the variables that set it: "LLM" or "STT".
        base_url: Its address, up to ``/v1``; "" is OpenAI's.
        key: Its key; "" if it needs none.
        model: Which of its models.
        seconds: How long it may send nothing.
    """

    prefix: str
    base_url: str
    key: str = field(repr=False)
    model: str
    seconds: float

    @property
    def configured(self) -> bool:
        """Whether it can be called: the model is named, and the address is, or the key for OpenAI's."""
        return bool(self.model and (self.base_url or self.key))

    def load(self) -> None:
        """Load the package that calls it, if there is one: a second that a first answer need not wait for."""
        if self.configured:
            importlib.import_module("openai")

    def client(self) -> AsyncOpenAI:
        """Return a client; close it with ``async with``.

        Nothing but this endpoint's own key is sent: the variables of OpenAI's package are not read.
        """
        from openai import AsyncOpenAI, Timeout

        return AsyncOpenAI(
            api_key=self.key or NO_KEY,
            organization="",
            project="",
            base_url=self.base_url or "https://api.openai.com/v1",
            timeout=Timeout(self.seconds, connect=min(self.seconds, CONNECT_SECONDS)),
            max_retries=RETRIES,
        )

    def error(self, error: Exception, kind: Callable[[Message], PipelineError]) -> PipelineError:
        """Return the error for people that an exception of a call means.

        Whatever the service or its package does wrong, the conversation goes on.
        """
        import openai

        said = self._said(error)
        logger.warning("%s: %s: %s", self.prefix, type(error).__name__, said)
        match error:
            case TimeoutError() | openai.APITimeoutError():
                return kind(messages.conversation.SERVICE_SILENT(prefix=self.prefix, seconds=self.seconds))
            case openai.APIConnectionError():
                return kind(messages.conversation.SERVICE_NOT_REACHED(prefix=self.prefix))
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                return kind(messages.conversation.SERVICE_REFUSES_KEY(prefix=self.prefix))
            case openai.RateLimitError():
                return kind(messages.conversation.SERVICE_BUSY(prefix=self.prefix, said=said))
            case openai.NotFoundError():
                return kind(messages.conversation.SERVICE_HAS_NO_MODEL(prefix=self.prefix, model=self.model, said=said))
            case openai.APIStatusError():
                return kind(
                    messages.conversation.SERVICE_FAILED(prefix=self.prefix, status=error.status_code, said=said)
                )
        return kind(messages.conversation.SERVICE_UNUSABLE(prefix=self.prefix))

    def _said(self, error: Exception) -> str:
        """Return the service's own words, without its key."""
        text = str(getattr(error, "message", error))
        return (text.replace(self.key, "***") if self.key else text)[:_SHOWN]
