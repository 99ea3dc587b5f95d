"""What was said in a conversation, as a language model gets it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

KEPT_SAYINGS = 60
"""Sayings that are kept; the oldest are forgotten first."""
KEPT_LETTERS = 24_000
"""Characters that are kept in all."""
PROMPT = (
    "You are a person on video who talks with a visitor. Your text is spoken aloud: use short, complete sentences, no "
    "lists, no markup and no emoji. Answer in the visitor's language, in one to three sentences unless asked for more."
)
"""The system prompt of sessions that bring none."""


@dataclass(frozen=True)
class Saying:
    """What one person said at a stretch.

    Attributes:
        role: "user" is the visitor, "assistant" the avatar.
        content: The text.
    """

    role: Literal["system", "user", "assistant"]
    content: str

    def to_json(self) -> dict[str, str]:
        """Return it as the protocol has it."""
        return {"role": self.role, "content": self.content}


class Dialogue:
    """The sayings of one session.

    Args:
        prompt: The system prompt, which is never forgotten.
    """

    def __init__(self, prompt: str = PROMPT) -> None:
        self._prompt = Saying("system", prompt)
        self._sayings: deque[Saying] = deque()

    def __iter__(self) -> Iterator[Saying]:
        """Yield the system prompt, then the sayings, visitor and avatar in turns, from the visitor's on."""
        yield self._prompt
        yield from self._sayings

    def add(self, role: Literal["user", "assistant"], text: str) -> None:
        """Append a message. Two messages of one person in a row become one: some models accept nothing else."""
        text = text.strip()
        if not text:
            return
        if self._sayings and self._sayings[-1].role == role:
            text = f"{self._sayings.pop().content}\n{text}"
        self._sayings.append(Saying(role, text[-KEPT_LETTERS:]))
        while len(self._sayings) > 1 and self._too_much():
            self._sayings.popleft()
        while self._sayings and self._sayings[0].role != "user" and len(self._sayings) > 1:
            self._sayings.popleft()

    def withdraw(self, text: str) -> None:
        """Forget the visitor's last message, which got no answer."""
        if self._sayings and self._sayings[-1].role == "user":
            rest = self._sayings.pop().content.removesuffix(text.strip()).rstrip("\n")
            if rest:
                self._sayings.append(Saying("user", rest))

    def _too_much(self) -> bool:
        return len(self._sayings) > KEPT_SAYINGS or sum(len(one.content) for one in self._sayings) > KEPT_LETTERS
