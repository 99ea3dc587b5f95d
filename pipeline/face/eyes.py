"""Which points of a face are its eyes, the one on the left in the picture first."""

from __future__ import annotations

UPPER_LIDS = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (362, 398, 384, 385, 386, 387, 388, 466, 263))
"""The edge of each eye's upper lid, from left to right in the picture."""
LOWER_LIDS = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (362, 382, 381, 380, 374, 373, 390, 249, 263))
"""The edge of each lower lid, between the same corners."""
OUTLINES = tuple((*upper, *lower[-2:0:-1]) for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True))
"""The outline of each eye from one corner over the upper lid to the other and back."""
IRISES = (468, 473)
"""The middle of each iris; the four points of its edge follow."""
