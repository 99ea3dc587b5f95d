"""What ElevenLabs refuses, and why: its errors become ours, over HTTP and over its socket."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pipeline import messages
from pipeline.errors import PipelineError, SpeechFailed, Unavailable
from pipeline.messages import Message

if TYPE_CHECKING:
    from elevenlabs.client import AsyncElevenLabs

logger = logging.getLogger(__name__)

POLICY = 1008
"""The status with which the service closes a socket, whatever the reason."""
_CONCURRENT = ("concurrent", "too_many", "rate_limit")


class NoCredit(Exception):
    """The plan's characters are used up."""


def service_error(status: int, body: Any, key: str) -> Exception:
    """Return our error for a refusal of the service, ``NoCredit`` where it asks for more than is left.

    Args:
        status: HTTP status, or the code with which a socket was closed.
        body: Parsed body or message; or the reason of the closing.
        key: The API key, which the message must not contain.
    """
    detail = body.get("detail", body) if isinstance(body, dict) else body
    code, reason = "", str(detail or "")
    if isinstance(detail, dict):
        code = str(detail.get("status") or detail.get("error") or detail.get("code") or "")
        reason = str(detail.get("message") or detail)
    reason = " ".join(reason.replace(key, "***").split())[:200]
    logger.warning("ElevenLabs answered %d %s: %s", status, code, reason)
    why = code.lower() if code else reason.lower()
    closed = status >= 1000
    if "quota" in why or "credits" in why:
        return NoCredit()
    if status == 402 or "payment" in why:
        return Unavailable(messages.tts.ELEVENLABS_QUOTA())
    if status in (401, 403) or (closed and ("api_key" in why or "api key" in why or "unauthorized" in why)):
        return refused_key()
    if any(word in why for word in _CONCURRENT):
        return Unavailable(messages.tts.ELEVENLABS_CONCURRENT())
    if status == 404 or (closed and "voice" in why):
        return Unavailable(messages.tts.ELEVENLABS_VOICE_UNKNOWN())
    if status == 429 or "busy" in why:
        return Unavailable(messages.tts.ELEVENLABS_BUSY())
    if 500 <= status < 600 or (closed and (status != POLICY or "server_error" in why)):
        return Unavailable(messages.tts.ELEVENLABS_ERROR(status=status))
    return SpeechFailed(messages.tts.ELEVENLABS_REJECTED(status=status, reason=reason or code))


async def without_credit(client: AsyncElevenLabs) -> PipelineError:
    """Return the error for a text beyond the credit, with what is left of it if the service says."""
    with suppress(Exception):  # the refusal is reported all the same
        plan = await client.user.subscription.get(request_options={"max_retries": 0})
        left, limit = max(plan.character_limit - plan.character_count, 0), plan.character_limit
        credit = messages.tts.ELEVENLABS_CREDIT(left=f"{left:,}", limit=f"{limit:,}")
        return Unavailable(messages.tts.ELEVENLABS_QUOTA_LEFT(why=messages.tts.ELEVENLABS_QUOTA(), credit=credit))
    return Unavailable(messages.tts.ELEVENLABS_QUOTA())


def refused_key() -> Unavailable:
    """Return the error for a key that the service does not accept."""
    return Unavailable(messages.tts.ELEVENLABS_KEY_REFUSED())


def unusable(why: Message) -> SpeechFailed:
    """Return the error for an answer that cannot be used."""
    return SpeechFailed(messages.tts.ELEVENLABS_REPLY_UNUSABLE(why=why))
