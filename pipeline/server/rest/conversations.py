"""Conversations of live sessions over HTTP: chats with a language model, and interviews."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.responses import Response

from pipeline import messages
from pipeline.conversation.conversation import Conversation, ConversationPlan, sound_name
from pipeline.conversation.conversation_parser import parse_conversation
from pipeline.conversation.endpoints import Endpoint
from pipeline.conversation.language_model import LanguageModel
from pipeline.conversation.transcription import make_transcriber
from pipeline.errors import InterviewNotFound
from pipeline.live.session_request import SessionRequest
from pipeline.live.workers import RemoteSession, Workers
from pipeline.server.rest.files import file_response
from pipeline.settings import Settings

FOREVER = 1e9
"""Seconds that stand for no limit."""


def llm_of(settings: Settings) -> Endpoint:
    """Return the language model of the settings, which may not be configured."""
    return Endpoint(
        prefix="LLM",
        base_url=settings.llm_base_url,
        key=settings.llm_api_key,
        model=settings.llm_model,
        seconds=settings.llm_timeout or FOREVER,
    )


class Conversations:
    """The conversations of all sessions; use it from the event loop.

    Args:
        settings: Uses those of the language model and of transcription, and the results folder.
        workers: The sessions.
    """

    def __init__(self, settings: Settings, workers: Workers) -> None:
        self._settings = settings
        self._workers = workers
        endpoint = llm_of(settings)
        endpoint.load()
        self._model = LanguageModel(endpoint, settings.max_text)
        self._transcriber = make_transcriber(settings)
        self._all: dict[str, Conversation] = {}

    def check(self, body: object, asked: SessionRequest) -> ConversationPlan:
        """Check what a request for a session says of its conversation.

        Raises:
            BadRequest: A field is invalid; the message names it.
        """
        fields = body if isinstance(body, dict) else {}
        return parse_conversation(fields, asked.language, self._settings.max_text, asked.record)

    def open(self, session: RemoteSession, plan: ConversationPlan) -> None:
        """Begin the conversation of a session that was just opened."""
        self._all = {key: one for key, one in self._all.items() if self._workers.known(key) is not None}
        conversation = Conversation(session, plan, self._model, self._transcriber, self._settings.results)
        session.listeners.append(conversation.handle)
        self._all[session.id] = conversation

    def of(self, session: RemoteSession) -> Conversation:
        """Return the conversation of a session."""
        return self._all[session.id]

    def interview(self, session: RemoteSession, address: str, token: str) -> dict[str, Any]:
        """Return what came of an interview so far.

        Args:
            session: The session.
            address: Its address, for those of the sounds.
            token: What their addresses end with.

        Raises:
            InterviewNotFound: The session holds none.
        """
        interview = self.of(session).interview
        if interview is None:
            raise InterviewNotFound(messages.conversation.NO_INTERVIEW())
        answers = [asdict(one) for one in interview.answers]
        for one in answers:
            sound = one.pop("sound")
            one["sound_url"] = None if sound is None else f"{address}/interview/{one['number']}.wav{token}"
            for name in ("asked", "asked_until", "begin", "end"):
                one[name] = None if one[name] is None else round(one[name], 3)
        return {"success": True, "session_id": session.id, "state": interview.state.value, "answers": answers}

    def sound(self, session: RemoteSession, number: str, request: Request) -> Response:
        """Respond with the sound of an answer.

        Raises:
            InterviewNotFound: There is none.
        """
        interview = self.of(session).interview
        kept = {str(one.number) for one in interview.answers if one.sound} if interview is not None else set()
        path: Path = self._settings.results / sound_name(session.id, int(number) if number in kept else 0)
        if number not in kept or not path.is_file():
            raise InterviewNotFound(messages.conversation.NO_SUCH_ANSWER(number=number[:20]))
        return file_response(path, "audio/wav", request)
