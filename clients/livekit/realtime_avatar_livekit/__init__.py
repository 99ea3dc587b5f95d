"""An avatar for LiveKit Agents: a talking person from a server of your own."""

from realtime_avatar_livekit.session import AvatarSession, RealtimeAvatarGenerator

__all__ = ["AvatarSession", "RealtimeAvatarGenerator"]
