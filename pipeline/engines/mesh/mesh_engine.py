"""The mesh engine: moves the mouth of a person on video by geometry, on any CPU, without a download."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing

from pipeline.avatars.avatar import Avatar
from pipeline.core.cancel import CancelToken
from pipeline.engines.lipsync_engine import Stretch
from pipeline.video.frame import Frame


class MeshEngine:
    """Lipsync by moving a face mesh; see ``LipsyncEngine``."""

    name = "mesh"
    concurrency = 1
    draws_on_gpu = False
    notes: tuple[str, ...] = ()

    def check(self) -> None:
        """Do nothing: the engine needs only the CPU."""

    def load(self) -> None:
        """Load what draws; it takes half a second, too long for the page to wait."""
        from pipeline.engines.mesh import mover  # noqa: F401

    def render(
        self, avatar: Avatar, stretches: Iterable[Stretch], cancel: CancelToken, first: int = 0
    ) -> Generator[Frame, None, None]:
        """Yield the avatar's frames with the mouths of the stretches; see ``LipsyncEngine.render``."""
        from pipeline.engines.mesh.mover import FaceMover  # see ``load``

        mover: FaceMover | None = None
        with closing(avatar.clip.frames(first)) as frames:
            numbered = enumerate(frames, first)
            for stretch in stretches:
                mover = mover or FaceMover(avatar, stretch.mouth.units)
                expression = stretch.expression
                for row, weights in enumerate(stretch.mouth.weights):
                    cancel.check()
                    number, frame = next(numbered)
                    looks = None if expression is None else expression.weights[row]
                    mover.move(frame, number % len(avatar.landmarks), weights, looks)
                    yield frame
