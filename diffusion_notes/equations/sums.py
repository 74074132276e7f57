"""Sums, products and integrals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np

from diffusion_notes.equations.names import is_index_letter
from diffusion_notes.equations.nodes import Node, NotUnderstood
from diffusion_notes.equations.worlds import Point, Undefined, Unsuited

__all__ = ["Sums"]


class Sums:
    """The part of an evaluator that sums and integrates."""

    def steps(self, node: Node, point: Point) -> Iterator[Point]:
        """The points of a sum or product, one count after another."""
        _, letter, relation = node.value
        if not is_index_letter(letter):
            raise NotUnderstood("sums count with t, s, i, j or k", node.place)
        low = self.integer(node.parts[0], point)
        if len(node.parts) == 3:
            if relation != "=":
                raise NotUnderstood("a sum over t = 2, …, T, or over t > 1, not a mixture", node.place)
            last = self.integer(node.parts[1].parts[0], point)
        else:
            if relation not in (r"\gt", r"\ge") or letter.base != "t":
                raise NotUnderstood("the sum has no upper end", node.place)
            low, last = low + (relation == r"\gt"), self.world.T
        for i in range(low, last + 1):
            yield self.remade(point.at(**{letter.base: i}), letter.base)

    def _total(self, node: Node, point: Point) -> np.ndarray:
        values = [self.value(node.parts[-1], inner) for inner in self.steps(node, point)]
        summing = node.value[0] == "SUM"
        if not values:
            self._is_meant(node.parts[-1], point.at(**{node.value[1].base: 2}))
            return np.zeros(1) if summing else np.ones(1)
        if not summing and values[0].ndim > 1:
            raise NotUnderstood("a product of what are not numbers", node.place)
        total = values[0]
        for value in values[1:]:
            total = total + value if summing else total * value
        return total

    def _is_meant(self, node: Node, point: Point) -> None:
        """What stands after an empty sum has to have a meaning too."""
        with suppress(Undefined, Unsuited):
            self.value(node, point)

    def remade(self, point: Point, letter: str = "t") -> Point:
        """Where the noise is drawn, x_t follows from it, for the current t only."""
        if letter != "t" or "eps" not in point.values or not self.world.diffusing or "t" not in point.counts:
            return point
        keep = {key: value for key, value in point.values.items() if not key.startswith("x") or key == "x0"}
        return replace(point, values=keep | self.world.noised(point))

    def _integral(self, node: Node, point: Point) -> np.ndarray:
        keys, body = self.variables(node.value, point), node.parts[-1]
        if len(node.parts) == 3:
            ends = [self.number(part, point) for part in (node.parts[0], node.parts[1].parts[0])]
            if keys != ("u",) or any(len(end) != 1 for end in ends) or not 0 <= ends[0][0] < ends[1][0] <= 1:
                raise NotUnderstood("limits between 0 and 1 belong to an integral over u", node.place)
            line, weights = np.polynomial.legendre.leggauss(400)
            half = (ends[1] - ends[0]) / 2
            found, weights = {"u": (ends[0] + half * (line + 1))[None]}, (half * weights)[None]
            wide = point.spread(found, weights.shape[1])
            return self.summed(lambda inner: self.value(body, inner), wide, weights)
        if len(set(keys)) < len(keys) or not keys:
            raise NotUnderstood("one differential for each variable", node.place)

        def over(left: tuple[str, ...], inner: Point) -> np.ndarray:
            if not left:
                return self.value(body, inner)
            found, weights = self.world.measure(left[0], inner)
            wide = inner.spread(found, weights.shape[1])
            return self.summed(lambda there: over(left[1:], there), wide, weights)

        return over(keys, point)
