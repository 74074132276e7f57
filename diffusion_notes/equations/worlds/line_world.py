r"""A world on the line: a law with a distribution function F, numbers X and X' drawn from it, and any number y.

The density is constant between a few places, so F is made of straight lines, and every average of a polynomial, or of
a distance, is exact once it is cut where it has a kink.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from diffusion_notes.equations.worlds.world import Point, Undefined, Unsuited, Values, World

__all__ = ["DRAWN", "NUMBER", "PLACE", "LineWorld"]

DRAWN = ("X", "X'")
"""What is drawn from F."""

NUMBER = "y"
PLACE = "u"
"""A number that is given, and the letter of an integral over the line."""

NODES = 4


class LineWorld(World):
    """A law on the line.

    Args:
        context: The chapter.
        seed: For the random numbers.
    """

    def __init__(self, context: str, seed: int) -> None:
        super().__init__(context, f"a law on the line, seed {seed}", 2)
        rng = np.random.default_rng(seed)
        self.places = np.cumsum(rng.uniform(0.2, 1.5, 5)) - 2.0
        mass = rng.dirichlet(np.ones(len(self.places) - 1))
        self.heights = mass / np.diff(self.places)
        self.numbers = rng.normal(size=8) * 2

    def distribution(self, u: np.ndarray) -> np.ndarray:
        """F(u), the probability of what is no larger."""
        below = np.cumsum(self.heights * np.diff(self.places))[:-1]
        return np.interp(u, self.places, np.array([0.0, *below, 1.0]))

    def _pieces(self, cuts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Nodes `(S, N)` and weights for integrals over the line, from one cut to the next; what is cut is `(S,)`."""
        size = max((len(cut) for cut in cuts), default=1)
        columns = [np.full(size, place) for place in self.places] + [np.broadcast_to(cut, size) for cut in cuts]
        ends = np.sort(np.stack(columns, axis=-1), axis=-1)
        line, weight = np.polynomial.legendre.leggauss(NODES)
        half = np.diff(ends) / 2
        nodes = ends[:, :-1, None] + half[:, :, None] * (line + 1)
        return nodes.reshape(size, -1), (half[:, :, None] * weight).reshape(size, -1)

    def density(self, x: np.ndarray) -> np.ndarray:
        """How dense the law is at a place."""
        piece = np.searchsorted(self.places, x) - 1
        inside = (piece >= 0) & (piece < len(self.heights))
        return np.where(inside, self.heights[np.clip(piece, 0, len(self.heights) - 1)], 0.0)

    def nodes(
        self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point
    ) -> tuple[Values, np.ndarray]:
        """Nodes and weights of X, and of X' drawn after it, cut where they meet what has a value already."""
        if given or not set(about) <= set(DRAWN):
            raise Unsuited("a law on the line")
        known = [value for key, value in point.values.items() if key not in about]
        found: Values = {}
        weights = np.ones((point.size, 1))
        for key in about:
            size, count = weights.shape
            cuts = [np.repeat(np.broadcast_to(value, size), count) for value in known]
            nodes, more = self._pieces([*cuts, *(value.ravel() for value in found.values())])
            nodes = nodes.reshape(size, count, -1)
            more = more.reshape(size, count, -1) * self.density(nodes)
            found = {name: np.repeat(value, nodes.shape[-1], axis=1) for name, value in found.items()}
            found[key] = nodes.reshape(size, -1)
            weights = (weights[:, :, None] * more).reshape(size, -1)
        return found, weights

    def measure(self, key: str, point: Point) -> tuple[Values, np.ndarray]:
        """Nodes and weights of an integral over the line, and two places beyond which nothing may be left."""
        if key != PLACE:
            raise Unsuited("an integral over what has no density here")
        known = list(point.values.values())
        nodes, weights = self._pieces(known)
        low = nodes.min(axis=1, keepdims=True) - 1
        high = nodes.max(axis=1, keepdims=True) + 1
        return {PLACE: np.concatenate([low, high, nodes], axis=1)}, np.concatenate([0 * low, 0 * high, weights], axis=1)

    def score(self, y: np.ndarray) -> np.ndarray:
        """The CRPS of the law for a number: the integral of the squared distance of F from the step at it."""
        nodes, weights = self._pieces([y])
        return (weights * (self.distribution(nodes) - (nodes >= y[:, None])) ** 2).sum(1)

    def draws(self, count: int) -> Point:
        """Any numbers."""
        return Point({NUMBER: self.numbers[:count]})

    def noise(self, point: Point) -> np.ndarray:
        """There is none."""
        raise Unsuited("a law on the line has no noise")

    def log_density(self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point) -> np.ndarray:
        """Nothing but F is known of it."""
        raise Unsuited("a law on the line")

    def moved(self, parameters: str, direction: int, by: complex) -> Self:
        """There are no parameters."""
        raise Undefined("a law on the line has no parameters")
