"""A video service for Pipecat: a talking avatar from a server of your own."""

from realtime_avatar_pipecat.service import RealtimeAvatarVideoService

__all__ = ["RealtimeAvatarVideoService"]
