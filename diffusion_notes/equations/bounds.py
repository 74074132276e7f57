"""Inequalities: they have to hold in every world, also where the sides are equal, and the sides have to come near.

What no world breaks may be broken by a world that is not here. So a bound is tried in extreme worlds too, and a bound
that no world comes near, such as a number that just happens to be larger, is not accepted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from diffusion_notes.equations.anatomy import terms
from diffusion_notes.equations.evaluate import Evaluator
from diffusion_notes.equations.nodes import NotUnderstood
from diffusion_notes.equations.sides import BOUNDS, TOLERANCE, Sides, size_of
from diffusion_notes.equations.worlds import Point

__all__ = ["Bounds"]

NEAR = 0.1


@dataclass
class Bounds(Sides):
    """The part of a step that compares two numbers.

    Args:
        near: The kinds of worlds in which the sides came near to each other, by their number of coordinates.
        tried: The kinds of worlds in which they had a value.
        single: Whether it is one term alone whose sign is told.
    """

    near: set[int | None] = field(default_factory=set, init=False)
    tried: set[int | None] = field(default_factory=set, init=False)
    single: bool = field(default=True, init=False)

    @property
    def bounding(self) -> bool:
        """Is it an inequality?"""
        return self.relation in BOUNDS

    def broken(self, gap: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Where an inequality does not hold."""
        if gap.ndim > 1:
            raise NotUnderstood("which of two vectors is larger?")
        return gap <= TOLERANCE * size if self.relation in (r"\gt", r"\lt") else gap < -TOLERANCE * size

    def approached(self, evaluator: Evaluator, point: Point, sides: tuple[np.ndarray, np.ndarray]) -> None:
        """Remember whether the sides came near, against the largest of their terms."""
        gap, found = self.over(*sides), []
        for node, value in zip((self.left, self.right), sides, strict=True):
            parts = terms(node)
            found += [value] if len(parts) == 1 else [evaluator.value(part, point) for part in parts]
        sizes = np.stack(np.broadcast_arrays(gap, *(size_of(value) for value in found)))[1:]
        kind = evaluator.world.D
        self.tried.add(kind)
        self.single &= bool(((sizes > 0).sum(axis=0) < 2).all())
        if (gap <= NEAR * sizes.max(axis=0)).any():
            self.near.add(kind)

    def is_near(self) -> bool:
        """Whether the bound is one: a sign, or something that is nearly reached whatever the number of coordinates."""
        return self.single or len(self.near) >= min(2, len(self.tried))
