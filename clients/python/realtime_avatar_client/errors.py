"""What can go wrong."""

from __future__ import annotations


class AvatarError(Exception):
    """Any error of this client."""


class ServerError(AvatarError):
    """The server has refused a request, or a task has failed.

    Attributes:
        code: The kind of error, for programs; it does not change (``queue_full``, ``avatar_not_found``...).
        status: The HTTP status.
        message: A sentence for people, in the client's language.
        retry_after: Seconds after which the server says to try again; None if it does not.
    """

    def __init__(self, code: str, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.retry_after = retry_after


class ConnectionLost(AvatarError):
    """The server cannot be reached, or a connection was lost and could not be resumed."""
