"""Relations that leave something open: sides that are equal up to a constant, or up to a factor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffusion_notes.equations.evaluate import Evaluator
from diffusion_notes.equations.nodes import Node, NotUnderstood
from diffusion_notes.equations.sides import STRICT, TOLERANCE, Fails, Sides
from diffusion_notes.equations.worlds import Point

__all__ = ["POINTS", "Constancy"]

POINTS = 3


class Constancy(Sides):
    """The part of a step that looks at what may not depend on something."""

    def constant_at(self, evaluator: Evaluator, point: Point, what: Node) -> bool:
        """The difference of the sides may depend on nothing that the constant does not depend on."""
        sides = []
        if what.kind == "call":
            named = tuple(part.value for part in what.parts if part.kind == "symbol")
            fixed = evaluator.variables(named, point)
            values = {k: (np.repeat(v[:1], len(v), 0) if k in fixed else v) for k, v in point.values.items()}
            here = replace(point, values=values)
            sides = [self.alike(*(self.side(evaluator, here, i) for i in (0, 1)))]
            sides = [(a[i], b[i]) for a, b in sides for i in range(len(a))]
        else:
            learned = ("theta",) if evaluator.world.diffusing else ("theta", "phi")
            moved = (evaluator.world.moved(name, i, 0.6) for name in learned for i in range(2))
            for world in (evaluator.world, *moved):
                there = replace(evaluator, world=world)
                sides.append(self.settled(there, point))
        size = max(np.abs(a).max() for a, _ in sides)
        if max(np.abs(a - sides[0][0]).max() for a, _ in sides) < STRICT * size:
            raise NotUnderstood(
                "the left side does not depend on what the constant must not depend on: it says nothing"
            )
        first = sides[0][0] - sides[0][1]
        if max(np.abs(a - b - first).max() for a, b in sides) > TOLERANCE * size:
            raise Fails(f"in one world ({evaluator.world.title}) the difference of the sides is not constant")
        return False

    def proportional(self, evaluator: Evaluator, point: Point) -> bool:
        """As functions of the variable of the density on the left, the sides have a constant ratio."""
        if self.left.kind != "density":
            raise NotUnderstood("∝ is read after a density: as a function of its variable", self.left.place)
        about = evaluator.about(self.left, point)
        values = {k: (v if k in about else np.repeat(v[:1], len(v), 0)) for k, v in point.values.items()}
        if evaluator.world.cells:
            values |= {k: np.arange(POINTS) for k in about}
        here = replace(point, values=values)
        a, b = self.alike(*(evaluator.logarithm(node, here) for node in (self.left, self.right)))
        gap = a - b
        if a.ndim > 1 or np.abs(gap - gap[0]).max() > TOLERANCE * max(1, np.abs(a).max()):
            raise Fails(f"in one world ({evaluator.world.title}) the ratio of the sides is not constant")
        return False
