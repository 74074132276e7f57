"""The values of the two sides of a relation, exact or not given at all.

A Gaussian world integrates by rules: what two rules agree on is exact. Each side has its own rules, since one may be a
polynomial and the other not.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np

from diffusion_notes.equations.anatomy import terms
from diffusion_notes.equations.conditions import Said
from diffusion_notes.equations.evaluate import Evaluator
from diffusion_notes.equations.nodes import Index, Node, NotUnderstood
from diffusion_notes.equations.worlds import Point, Undefined, Unsuited

__all__ = ["BOUNDS", "STRICT", "TOLERANCE", "Fails", "Sides", "size_of"]

TOLERANCE = 1e-8
STRICT = 1e-6
BOUNDS = (r"\ge", r"\gt", r"\le", r"\lt")


class Fails(Exception):  # noqa: N818 it is a verdict, not an error
    """A counterexample was found."""


def size_of(value: np.ndarray) -> np.ndarray:
    """The largest entry at each point."""
    return np.abs(value).reshape(len(value), -1).max(1)


class Sides:
    """The part of a step that computes its sides."""

    left: Node
    relation: str
    right: Node
    said: Said

    def side(self, evaluator: Evaluator, point: Point, which: int) -> np.ndarray:
        """The value of one side. A law that names no variable is one of the variable on the other side."""
        node, other = (self.left, self.right)[:: 1 - 2 * which]
        if self.relation == r"\approx":
            return self._expected(evaluator, node, point)
        if node.kind != "normal_law" and other.kind != "normal_law":
            return evaluator.value(node, point)
        density = other if node.kind == "normal_law" else node
        if density.kind != "density" or len(evaluator.about(density, point)) != 1:
            raise NotUnderstood("a law is compared with what is not the law of one variable")
        return np.exp(evaluator.log_law(node, point, evaluator.about(density, point)[0]))

    def _expected(self, evaluator: Evaluator, node: Node, point: Point) -> np.ndarray:
        """An estimate is right if its expectation over what is drawn is."""
        items = []
        for draw in self.said.draws:
            symbol, law = draw.sides[0].value, draw.sides[1]
            if symbol.copy is not None:
                copies = [replace(symbol, copy=Index(None, k + 1)) for k in range(evaluator.world.K)]
                items += [evaluator.drawn_from([copy], law, point) for copy in copies]
        drawn = [i for i in (self.left, self.right) if any(key.startswith("z^") for key in evaluator.free(i, point))]
        if drawn not in ([self.left], [self.right]):
            raise NotUnderstood("≈ is read between a number and an estimate of it by what is drawn", node.place)
        if not items:
            raise NotUnderstood("nothing is drawn here, so ≈ says nothing that can be checked")
        return evaluator.average(items, lambda inner: evaluator.value(node, inner), point)

    def settled(self, evaluator: Evaluator, point: Point) -> tuple[np.ndarray, np.ndarray]:
        """Both sides, each by a rule of integration that is exact for it."""
        if evaluator.world.cells:
            return self.alike(*(self.side(evaluator, point, i) for i in (0, 1)))
        if self.relation in ("=", ":="):  # by the first rule, if that is good enough
            with suppress(Unsuited):
                a, b = self.alike(*(self.side(evaluator, point, i) for i in (0, 1)))
                if (size_of(a - b) <= TOLERANCE * self.floor(evaluator, a, b)).all():
                    return a, b
        (a, doubt), (b, more) = (self.by_rules(evaluator, point, i) for i in (0, 1))
        a, b = self.alike(a, b)
        exact = 0.1 * TOLERANCE * self.floor(evaluator, a, b)
        if (doubt + more > exact).any() and not self.plainly_wrong(a, b, doubt + more):
            raise Unsuited("an integral that is not exact here")
        return a, b

    def plainly_wrong(self, a: np.ndarray, b: np.ndarray, doubt: np.ndarray) -> bool:
        """Whether the sides are further apart than any doubt about them explains."""
        far = 100 * doubt + STRICT * (size_of(a) + size_of(b))
        if self.relation == "=":
            return bool((size_of(a - b) > far).any())
        return self.relation in BOUNDS and a.ndim == 1 and bool((self.over(a, b) < -far).any())

    def over(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """How much larger the side is that is said to be larger."""
        gap = (a - b).real
        return gap if self.relation in (r"\ge", r"\gt") else -gap

    def floor(self, evaluator: Evaluator, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The size of the sides, or a little of what was summed to get them, if that cancelled."""
        return np.maximum(np.maximum(size_of(a), size_of(b)), 1e-5 * evaluator.scale[0])

    def by_rules(self, evaluator: Evaluator, point: Point, which: int) -> tuple[np.ndarray, np.ndarray]:
        """One side and how far two rules are apart on it, for the pair of rules that agree best."""
        found: list[tuple[np.ndarray, np.ndarray]] = []
        for pair in evaluator.world.rules:
            there = [replace(evaluator, world=evaluator.world.with_rule(rule)) for rule in pair]
            try:
                one, other = (self.side(e, point, which) for e in there)
            except Unsuited:
                continue
            doubt = size_of(one - other)
            if (doubt <= 0.1 * TOLERANCE * self.floor(evaluator, one, other)).all():
                return one, doubt
            if pair[0] != 4:  # four nodes may agree with six and both be wrong
                found.append((one, doubt))
        if not found:
            raise Unsuited("an integral that is not exact here")
        return min(found, key=lambda pair: pair[1].max())

    def alike(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Two sides of the same shape and finite; a zero is a zero of any kind."""
        zero = [node.kind == "number" and float(node.value) == 0 for node in (self.left, self.right)]
        a, b = (np.zeros_like(b) if zero[0] else a), (np.zeros_like(a) if zero[1] else b)
        if a.shape[1:] != b.shape[1:]:
            raise NotUnderstood("a number and a vector, or vectors of different kinds, are compared")
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            raise Undefined("a side that is not finite")
        a, b = np.broadcast_arrays(a, b)
        return a, b

    def scale(self, evaluator: Evaluator, point: Point, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The size against which a difference counts; where sides cancel to nothing, a little of their largest term."""
        size = self.floor(evaluator, a, b)
        if (size_of(a - b) <= TOLERANCE * size).all() or self.relation == r"\approx":
            return size
        parts = [term for side in (self.left, self.right) for term in terms(side)]
        if len(parts) < 3:
            return size
        sizes = [size_of(evaluator.value(term, point)) for term in parts]
        return np.maximum(size, 1e-3 * np.max(np.stack(np.broadcast_arrays(*sizes, size)[:-1]), axis=0))
