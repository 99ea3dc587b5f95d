"""Says in files that they are synthetic, as IPTC names the kinds of digital sources.

Laws ask that synthetic people can be recognised by programs, too. Every reader of metadata shows the comment.
https://cv.iptc.org/newscodes/digitalsourcetype/
"""

from __future__ import annotations

import struct
from typing import BinaryIO

_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
COMPOSITE = f"{_IPTC}compositeSynthetic"
"""A filmed or drawn person who is made to say something."""
SPOKEN = f"{_IPTC}trainedAlgorithmicMedia"
"""Sound of a synthetic voice."""
KEY = "comment"
"""The metadata field, as FFmpeg calls it."""


def comment(source: str) -> str:
    """Return what a file says of itself.

    Args:
        source: `COMPOSITE` or `SPOKEN`.
    """
    return f"AI-generated. Digital source type: {source}"


def mark_wav(file: BinaryIO, source: str) -> None:
    """Append the comment to a complete WAV file, which stays open; its sound stays as it is.

    Args:
        file: Can be written and sought in.
        source: `COMPOSITE` or `SPOKEN`.

    Raises:
        OSError: The disk is full.
    """
    text = comment(source).encode("ascii") + b"\0"
    text += b"\0" * (len(text) % 2)
    content = b"INFOICMT" + struct.pack("<I", len(text)) + text
    file.seek(0, 2)
    size = file.tell()
    padding = b"\0" * (size % 2)
    file.write(padding + b"LIST" + struct.pack("<I", len(content)) + content)
    file.seek(4)
    file.write(struct.pack("<I", size + len(padding) + len(content)))
