"""A diffusion world whose data are no Gaussian: two clusters of different weight.

What is true of Gaussian data only is false here: that the doubt about x_0 is the same for every x_t, that third moments
vanish. Every law of q is a mixture of the same two Gaussians, so it is exact all the same.
"""

from __future__ import annotations

import numpy as np

from diffusion_notes.equations.gaussians import Gaussians
from diffusion_notes.equations.worlds import Point

__all__ = ["Clusters"]

WEIGHTS = np.array([0.7, 0.3])
CENTRES = (-1.2, 1.6)
WIDTH = 0.4


class Clusters(Gaussians):
    """Two clusters on the line.

    Args:
        context: The chapter, one about a chain x_0, …, x_T.
        seed: For the random numbers.
        T: How many steps.
        width: The standard deviation of each cluster.
        betas: The variances of the steps of q, if they are not at random; then the network is perfect.
    """

    rules = ((12, 16), ("grid 12 401", "grid 9 401"))

    def __init__(
        self, context: str, seed: int, T: int, width: float = WIDTH, betas: tuple[float, ...] | None = None
    ) -> None:
        super().__init__(context, seed, 1, bent=0.3, T=T)
        self.title = f"two clusters, seed {seed}"
        if betas:
            self.beta = np.array([0.0, *betas])
            self.alpha_bar = np.cumprod(1 - self.beta)
            self._build()
        self.perfect = bool(betas)
        self.parts = [self.with_rule(self.rule) for _ in CENTRES]
        for part, centre in zip(self.parts, CENTRES, strict=True):
            start = (np.array([centre]), np.eye(1) * width**2)
            part.joint = {"q": part._chain(start, part.steps_up, range(T + 1))}
        self.rule = self.rules[0][0]

    def _each(self, given: tuple[str, ...], point: Point) -> np.ndarray:
        """The logarithm of each part's weight times its density of what is given, `(2, S)`."""
        logs = [np.log(weight) * np.ones(1) for weight in WEIGHTS]
        if given:
            logs = [
                log + super(Clusters, p).log_density("q", given, (), point)
                for log, p in zip(logs, self.parts, strict=True)
            ]
        return np.stack(logs)

    def network(self, x, t):  # noqa: D102
        if not self.perfect:
            return super().network(x, t)
        point, bar = Point({f"x{t}": x}), self.alpha_bar[t]
        shares = self._each((f"x{t}",), point)
        shares = np.exp(shares - _together(shares))[..., None]
        starts = np.stack([part.moments("q", ("x0",), (f"x{t}",), point)[0] for part in self.parts])
        return (x - np.sqrt(bar) * (shares * starts).sum(0)) / np.sqrt(1 - bar)

    def log_density(self, model, about, given, point):  # noqa: D102
        if model == "p":
            return super().log_density(model, about, given, point)
        super().regress(model, about, given)  # refuses a variable twice
        return _together(self._each((*about, *given), point)) - _together(self._each(given, point))

    def nodes(self, model, about, given, point):  # noqa: D102
        if model == "p":
            return super().nodes(model, about, given, point)
        shares = self._each(given, point)
        shares = np.exp(shares - _together(shares))
        found, weights = [], []
        for part, share in zip(self.parts, shares, strict=True):
            part.rule = self.rule
            values, weight = super(Clusters, part).nodes(model, about, given, point)
            found.append(values)
            weights.append(weight * share[:, None])
        values = {key: np.concatenate(np.broadcast_arrays(*(f[key] for f in found)), axis=1) for key in about}
        return values, np.concatenate(np.broadcast_arrays(*weights), axis=1)

    def draws(self, count: int) -> Point:
        """Points of both clusters."""
        drawn = [super(Clusters, part).draws(count) for part in self.parts]
        return Point(
            {key: np.where(np.arange(count)[:, None] % 2, *(d.values[key] for d in drawn)) for key in self.keys}
        )


def _together(logs: np.ndarray) -> np.ndarray:
    top = logs.real.max(axis=0)
    return top + np.log(np.exp(logs - top).sum(axis=0))
