r"""A world with the curve of an ordinary differential equation in it, at levels as near to each other as one likes.

The noise that is predicted is a smooth function of a point and its level, so there is a curve $y(\kappa)$ with
$dy / d\kappa = \varepsilon_\theta$, and how the error of a step shrinks with its length can be measured.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld
from diffusion_notes.equations.worlds.world import Point

__all__ = ["MIDDLE", "CurveWorld"]

MIDDLE = 3
"""The step t; the next one is t - 1, the one before t + 1."""
UNEVEN = 0.7
FINE = 200


class CurveWorld(GaussianWorld):
    """Three neighbouring levels of DDIM's chapter, and points that lie on one curve.

    Args:
        seed: For the random numbers.
        D: How many coordinates each variable has.
        length: How far the level of t is from that of t - 1.
    """

    def __init__(self, seed: int, D: int, length: float) -> None:
        super().__init__("samplers", seed, D, bent=0.3, T=5)
        self.title = f"a smooth network, D = {D}, steps of length {length}"
        self.eta = 0.0
        self.kappa = np.array([0.0, 0.3, 1 - length, 1.0, 1 + UNEVEN * length, 3.0])
        rng = np.random.default_rng(seed)
        self.waves = [(rng.normal(size=(D, D)) * 0.5, rng.normal(size=D), rng.normal(size=D) * 0.1) for _ in range(3)]
        self.alpha_bar = 1 / (1 + self.kappa**2)
        self.beta = np.concatenate([[0.0], 1 - self.alpha_bar[1:] / self.alpha_bar[:-1]])
        self.rebuild()

    def network(self, x: np.ndarray, t: int) -> np.ndarray:
        """ε_θ(x, t), which depends on the level of t alone."""
        return self._noise(x, self.kappa[t])

    def _noise(self, x: np.ndarray, kappa: float) -> np.ndarray:
        sizes = (1.0, np.sin(2 * kappa), np.cos(3 * kappa))
        terms = [size * (x @ a.T + b + c * x * x) for size, (a, b, c) in zip(sizes, self.waves, strict=True)]
        return terms[0] + terms[1] + terms[2]

    def draws(self, count: int) -> Point:
        """Points of which each goes through all three levels along a curve."""
        point = super().draws(count)
        start = point.values[f"x{MIDDLE}"] / np.sqrt(self.alpha_bar[MIDDLE])
        found = {f"x{MIDDLE + i}": self._followed(start, MIDDLE + i) for i in (-1, 0, 1)}
        return Point(point.values | found)

    def _followed(self, y: np.ndarray, to: int) -> np.ndarray:
        """Where the curve through y is at another level, as an x, by Runge and Kutta."""
        for kappa, after in pairwise(np.linspace(self.kappa[MIDDLE], self.kappa[to], FINE + 1)):
            h = after - kappa
            first = self._slope(y, kappa)
            second = self._slope(y + h / 2 * first, kappa + h / 2)
            third = self._slope(y + h / 2 * second, kappa + h / 2)
            y = y + h / 6 * (first + 2 * second + 2 * third + self._slope(y + h * third, after))
        return y * np.sqrt(self.alpha_bar[to])

    def _slope(self, y: np.ndarray, kappa: float) -> np.ndarray:
        return self._noise(y / np.sqrt(1 + kappa**2), kappa)
