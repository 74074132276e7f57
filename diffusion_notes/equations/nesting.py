"""Which brackets belong together, and how deep a word lies in them."""

from __future__ import annotations

from diffusion_notes.equations.latex import Word

__all__ = ["CLOSER", "matching", "nesting"]

CLOSER = {"LP": "RP", "LB": "RB", "LC": "RC", "OPEN": "CLOSE", "LANGLE": "RANGLE", "LNORM": "RNORM"}


def nesting(found: list[Word]) -> list[int]:
    """How many brackets are open around each word."""
    depth, depths = 0, []
    for word in found:
        depth -= word.kind in CLOSER.values()
        depths.append(depth)
        depth += word.kind in CLOSER
    return depths


def matching(some: list[Word], start: int) -> int:
    """Where the bracket that opens at `start` is closed."""
    depths = nesting(some)
    return next(i for i in range(start + 1, len(some)) if depths[i] == depths[start])
