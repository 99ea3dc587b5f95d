"""What the signature of Content Credentials leaves out in an mp4, and whether it holds only what belongs there.

A signature seals pictures, sound and claims, and not the frame of the box in which it lies itself, the free space in
it, and the type of the file (``ftyp``). Of a video that this program has signed these are known: the type is repeated
in a claim, frames are always the same, and free space is empty.
https://spec.c2pa.org/specifications/specifications/2.2/specs/C2PA_Specification.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

USER_TYPE = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""The UUID of the box with the credentials."""
_PURPOSE = bytes(4) + b"manifest\0" + bytes(8)
"""Version and flags, what the box holds, and that no other box follows."""
_LABELS = {
    b"c2pa": b"c2pa",
    b"c2as": b"c2pa.assertions",
    b"c2cl": b"c2pa.claim.v2",
    b"c2cs": b"c2pa.signature",
}
"""The labels of the parts that no hash covers, by their kinds."""
_KIND = b"%b\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71\x03%b\0"
"""How such a part describes itself: its kind as a UUID, that it can be referred to, and its label."""
_BYTES = rb"(?:[\x40-\x57]|\x58.|\x59..)"
"""The head of a string of bytes in CBOR."""
_PADDING = rb"[\xa1\xa2]\x63pad" + _BYTES + rb"\0*(?:\x64pad2" + _BYTES + rb"\0*)?"
_SIGNATURE = re.compile(rb"\xd2\x84" + _BYTES + rb".+?" + _PADDING + rb"\xf6" + _BYTES + rb".+", re.DOTALL)
"""A COSE signature whose only part that is not sealed is its padding."""
_MOST = 1 << 20
"""Bytes of the largest box that is looked into: one with credentials has some thousands."""


class Box(NamedTuple):
    """A box of an mp4, or of the credentials.

    Attributes:
        kind: Its four letters.
        content: What follows them.
    """

    kind: bytes
    content: bytes


def file_type(file: BinaryIO) -> str:
    """Return the type of an mp4, its first box, in hex digits; "" if it is none."""
    try:
        first = next(_top(file))
    except (ValueError, StopIteration):
        return ""
    return first.content.hex() if first.kind == b"ftyp" else ""


def is_empty_beside(file: BinaryIO, kind: str) -> bool:
    """Return whether a signed mp4 of this program has nothing where its signature seals nothing.

    Args:
        file: The mp4.
        kind: What its signature says of its type, as ``file_type`` does; "" if nothing.
    """
    try:
        first, credentials, *others = _top(file)
        free = [box.content for box in others if box.kind == b"free"]
        return (
            first.kind == b"ftyp"
            and (not kind or first.content.hex() == kind)
            and credentials.kind == b"uuid"
            and _is_frame(credentials.content)
            and {box.kind for box in others} <= {b"moov", b"mdat", b"free"}
            and not any(free)
        )
    except ValueError:
        return False


def _top(file: BinaryIO) -> Iterator[Box]:
    """Yield the boxes of an mp4, without the contents of large ones; raise ValueError where there is none."""
    end, at = file.seek(0, os.SEEK_END), 0
    while at < end:
        file.seek(at)
        head = file.read(8)
        size, kind = int.from_bytes(head[:4], "big"), head[4:]
        if size == 1:
            size = int.from_bytes(file.read(8), "big")
        if not 8 <= size <= end - at:
            raise ValueError(kind)
        yield Box(kind, file.read(size - 8) if size <= _MOST else b"")
        at += size


def _is_frame(content: bytes) -> bool:
    """Return whether a box with credentials has nothing but them."""
    begin = USER_TYPE + _PURPOSE
    store, *more = _boxes(content[len(begin) :])
    return content.startswith(begin) and not more and _is_part(store)


def _is_part(box: Box) -> bool:
    """Return whether a part of the credentials, and what no hash covers within it, is as it must be."""
    description, *parts = _boxes(box.content)
    kind = description.content[:4]
    label = _LABELS.get(kind)
    if box.kind != b"jumb" or (label is not None and description != Box(b"jumd", _KIND % (kind, label))):
        return False
    if kind == b"c2cs":
        return len(parts) == 1 and _SIGNATURE.fullmatch(parts[0].content) is not None
    return kind not in (b"c2pa", b"c2ma") or all(map(_is_part, parts))


def _boxes(data: bytes) -> Iterator[Box]:
    """Yield the boxes of which some data consists; raise ValueError if it does not."""
    at = 0
    while at < len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if not 8 <= size <= len(data) - at:
            raise ValueError
        yield Box(kind, data[at + 8 : at + size])
        at += size
