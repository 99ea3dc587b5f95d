"""Every sentence for people, in Korean and English, by the room that says it: ``messages.tts.VOICE_UNKNOWN``."""

from pipeline.messages import (
    avatars,
    cluster,
    conversation,
    core,
    engines,
    face,
    jobs,
    live,
    preparing,
    server,
    speech,
    text,
    tools,
    tts,
    video,
)
from pipeline.messages.sentence import Language, Message, Sentence, printable

__all__ = [
    "Language",
    "Message",
    "Sentence",
    "avatars",
    "cluster",
    "conversation",
    "core",
    "engines",
    "face",
    "jobs",
    "live",
    "preparing",
    "printable",
    "server",
    "speech",
    "text",
    "tools",
    "tts",
    "video",
]
