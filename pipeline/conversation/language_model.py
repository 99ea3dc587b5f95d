"""Answers of a language model, as they are written: any service with OpenAI's chat protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any

from pipeline import messages
from pipeline.conversation.dialogue import Saying
from pipeline.conversation.endpoints import Endpoint
from pipeline.errors import LanguageModelFailed, LanguageModelUnavailable, PipelineError

LONGEST_ANSWER = 4000
"""Characters after which an answer is cut off."""
LONGEST_SECONDS = 180.0
"""Seconds after which an answer is cut off."""


class LanguageModel:
    """A model that answers.

    Args:
        endpoint: Where it is.
        longest: Characters after which an answer is cut off.
    """

    def __init__(self, endpoint: Endpoint, longest: int = LONGEST_ANSWER) -> None:
        self._endpoint = endpoint
        self._longest = min(longest, LONGEST_ANSWER)

    @property
    def configured(self) -> bool:
        """Whether there is such a service."""
        return self._endpoint.configured

    def check(self) -> None:
        """Check that there is such a service.

        Raises:
            LanguageModelUnavailable: There is none; the message names the variables to set.
        """
        if not self.configured:
            raise LanguageModelUnavailable(messages.conversation.LANGUAGE_MODEL_MISSING())

    async def answer(self, conversation: Iterable[Saying]) -> AsyncGenerator[str]:
        """Yield the answer to a conversation in pieces, as they arrive.

        Args:
            conversation: The system prompt and what was said so far.

        Raises:
            LanguageModelUnavailable: There is no model, it does not begin to answer, or it refuses to.
            LanguageModelFailed: The answer broke off, stalled, has no end, or is empty. What was yielded counts.
        """
        self.check()
        ends_at = asyncio.get_running_loop().time() + LONGEST_SECONDS
        length = 0
        try:
            async with aclosing(self._pieces(conversation)) as pieces:
                while True:
                    async with asyncio.timeout(self._endpoint.seconds):  # comments that keep a connection are no words
                        piece = await anext(pieces, None)
                    if piece is None:
                        break
                    piece = piece[: self._longest - length]
                    length += len(piece)
                    yield piece
                    if length >= self._longest or asyncio.get_running_loop().time() > ends_at:
                        raise LanguageModelFailed(messages.conversation.ANSWER_TOO_LONG(limit=self._longest))
        except PipelineError:
            raise
        except Exception as error:
            failed = LanguageModelFailed if length else LanguageModelUnavailable
            raise self._endpoint.error(error, failed) from None
        if not length:
            raise LanguageModelFailed(messages.conversation.ANSWER_EMPTY())

    async def _pieces(self, conversation: Iterable[Saying]) -> AsyncGenerator[str]:
        async with self._endpoint.client() as client:
            sayings: Any = [one.to_json() for one in conversation]
            stream = await client.chat.completions.create(model=self._endpoint.model, messages=sayings, stream=True)
            async with stream:
                async for chunk in stream:
                    text = chunk.choices[0].delta.content if chunk.choices else None
                    if text:
                        yield text
