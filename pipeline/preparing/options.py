"""What can be chosen when packs are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.avatars.store import RESOLUTIONS
from pipeline.face.finder import FaceChoice
from pipeline.preparing.fit_photo import Shape
from pipeline.preparing.photo import BACKGROUND, Color


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How a file is read.

    Attributes:
        start: Beginning of the part to use, in seconds; None for the beginning of the file. Photos have no parts.
        end: End of the part to use, in seconds; None for the end of the file.
        background: Colour behind transparent parts.
    """

    start: float | None = None
    end: float | None = None
    background: Color = BACKGROUND


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareOptions(ReadOptions):
    """Which packs are made of a file, and how.

    Attributes:
        name: Name of the avatar.
        resolutions: One pack for each, "360p", "480p", "720p" or "1080p".
        face: Which face speaks.
        gender: "female" or "male", whose voice the avatar gets if none is chosen; "" leaves it open.
        shape: Of a photo's avatar; clips and animated pictures keep theirs.
        out: Folder of the packs; ``Settings.precomputed`` by default.
        report: Folder for a report on the clip (see ``write_report``); None writes none.
        clips: Further recordings of the same person by what they show (see ``pipeline.avatars.avatar.CLIPS``).
        matte: Whether to find out where the person is in each frame, so that videos can have another background.
        find_clips: Whether further clips are found in the recording itself (see ``pipeline.preparing.find_clips``);
            where the person waits becomes the avatar's own clip. What is not found is left out.
        musetalk: Folder of that engine's weights, to prepare the packs for it, too; None prepares them for the mesh
            alone.
    """

    name: str
    resolutions: Sequence[str] = RESOLUTIONS
    face: FaceChoice = "center"
    gender: str = ""
    shape: Shape = "wide"
    out: Path | None = None
    report: Path | None = None
    clips: Mapping[str, Path] = field(default_factory=dict)
    matte: bool = True
    find_clips: bool = False
    musetalk: Path | None = None
