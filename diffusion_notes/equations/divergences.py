"""Divergences, entropies, mutual informations: averages of logarithms of laws."""

from __future__ import annotations

import numpy as np

from diffusion_notes.equations.averages import Averages
from diffusion_notes.equations.laws import ANY
from diffusion_notes.equations.nodes import Node, NotUnderstood
from diffusion_notes.equations.worlds import Point

__all__ = ["Divergences"]


class Divergences(Averages):
    """The part of an evaluator that compares laws."""

    def _divergence(self, node: Node, point: Point) -> np.ndarray:
        first, second = (self.whole(law) for law in node.parts)
        mine, other = self.about(first, point), self.about(second, point)
        if sorted(mine) != sorted(other) and (ANY,) not in (mine, other):
            raise NotUnderstood("a divergence between laws of different variables", node.place)
        key = (mine if mine != (ANY,) else other)[0]
        items = self.factors(first, point) if mine != (ANY,) else [("law", (first, (key,)))]

        def ratio(p: Point) -> np.ndarray:
            logs = self.log_law(first, p, key), self.log_law(second, p, key)
            self.seen(logs[0])
            return logs[0] - logs[1]

        return self.average(items, ratio, point)

    def _entropy(self, node: Node, point: Point) -> np.ndarray:
        law = self.whole(node.parts[0])
        values, weights = self.drawn(law, point)
        wide = point.spread(values, weights.shape[-1])
        return self.summed(lambda p: -self.log_law(law, p, next(iter(values))), wide, weights)

    def _mutual(self, node: Node, point: Point) -> np.ndarray:
        symbol, a, b, *given = node.value
        given = given[0] if given else ()
        if symbol.label not in ("", "q", "p") or symbol.index is not None:
            raise NotUnderstood("the mutual information under which law?", node.place)
        model, world = symbol.label or "q", self.world
        first, second, under = (self.variables(s, point) for s in (a, b, given))
        values, weights = world.nodes(model, first + second, under, point)
        wide = point.spread(values, weights.shape[-1])

        def ratio(p: Point) -> np.ndarray:
            single = sum(world.log_density(model, part, under, p) for part in (first, second))
            self.seen(single)
            return world.log_density(model, first + second, under, p) - single

        return self.summed(ratio, wide, weights)
