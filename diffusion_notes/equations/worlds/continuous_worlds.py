r"""Worlds in continuous time: t is a real number in [0, T], and so are the levels of noise.

A world has four variables, $x_0$, $x_s$, $x_t$ and $x_T$ with $0 < s < t < T$. They are jointly Gaussian, or a
mixture of such laws. To differentiate by time, or to integrate over it, t is moved, and s with it. The noise that a
network predicts is a smooth function of the point and the level, or it is the exact expectation.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Self

import numpy as np

from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld, Rule, Told, log_normal
from diffusion_notes.equations.worlds.non_gaussian_worlds import (
    CENTRES,
    LABEL,
    WEIGHTS,
    WIDTH,
    log_shares,
    log_sum,
)
from diffusion_notes.equations.worlds.world import Point, Unsuited, Values

__all__ = ["NOW", "ContinuousMixture", "ContinuousWorld"]

EARLIER = 1
NOW = 2
"""Where s and t stand among the variables."""

FINE = 160  # steps along a curve


class ContinuousWorld(GaussianWorld):
    """Gaussian data of D coordinates, at every time.

    Args:
        seed: For the random numbers.
        D: How many coordinates each variable has.
        perfect: Whether the network predicts the expectation of the noise.
        context: The chapter; in those about conditions something is seen of the data.
    """

    def __init__(self, seed: int, D: int, perfect: bool = False, context: str = "score") -> None:
        super().__init__(context, seed, D, T=3)
        self.title = f"continuous time, D = {D}, seed {seed}"
        self._begin(seed, perfect)

    def _begin(self, seed: int, perfect: bool) -> None:
        """Time, levels and network; all that is not the data."""
        rng = np.random.default_rng(seed)
        self.perfect = perfect
        self.eta = rng.uniform(0.4, 1.4)
        self.pace = (rng.uniform(0.4, 0.8), rng.uniform(0.1, 0.4), rng.uniform(0.05, 0.3))
        self.falling = (rng.uniform(0.5, 2.0), rng.uniform(-2.0, 2.0), rng.uniform(1.8, 2.5))
        self.horizon = rng.uniform(1.5, 2.5)
        shape = (self.D, self.D)
        self.waves = [
            (rng.normal(size=shape) * 0.4, rng.normal(size=self.D), rng.normal(size=self.D) * 0.1) for _ in range(3)
        ]
        self.times = np.array([0.0, 0.3, 0.6, 1.0]) * self.horizon
        self._set_levels(self.level_at(self.times))

    # Time and levels

    def level_at(self, times: np.ndarray) -> np.ndarray:
        """ᾱ at some times."""
        a, b, c = self.pace
        return np.exp(-(a * times + b * times**2 / 2 + c * (1 - np.cos(times))))

    @property
    def rates(self) -> np.ndarray:
        """β at the times of the variables, with d log ᾱ / dt = -β."""
        a, b, c = self.pace
        return a + b * self.times + c * np.sin(self.times)

    def _set_levels(self, alpha_bar: np.ndarray) -> None:
        """Other levels of the four variables."""
        self.alpha_bar = alpha_bar
        self.beta = np.concatenate([[0.0], 1 - alpha_bar[1:] / alpha_bar[:-1]])
        self.rebuild()

    def at_time(self, time: complex, place: int = NOW) -> Self:
        """The same world at another time t, with s as far along; or with another s alone."""
        other = self._copied()
        times = np.array(self.times, dtype=np.result_type(time, float))
        if place == NOW:
            times[EARLIER] = time * (self.times[EARLIER] / self.times[NOW])
        times[place] = time
        other.times = times
        other._set_levels(self.level_at(times))
        return other

    def at_level(self, level: float) -> Self:
        """The same world where ᾱ_t is this, whatever the time is."""
        other = self._copied()
        other.times = np.array([0.0, np.nan, np.nan, np.nan])
        part = self.times[EARLIER] / self.times[NOW]
        other._set_levels(
            np.array([1.0, level**part, level, level * min(1.0, self.alpha_bar[-1] / self.alpha_bar[NOW])])
        )
        return other

    def choosing(self, variance: str) -> Self:
        """The same world with another η; there are no variances of steps."""
        if variance not in ("eta 0", "eta 1"):
            raise Unsuited("the variance of a step in continuous time")
        other = self._copied()
        other.eta = float(variance[-1])
        return other

    def moved(self, parameters: str, direction: int, by: complex) -> Self:
        """The network of this world has no parameters to move."""
        raise Unsuited("a derivative by the parameters in continuous time")

    def with_sigma(self, t: int, sigma: complex) -> Self:
        """There are no variances of steps."""
        raise Unsuited("the variance of a step in continuous time")

    def mean_down(self, x: np.ndarray, t: int, told: Told = None) -> np.ndarray:
        """There are no steps."""
        raise Unsuited("the mean of a step in continuous time")

    def _copied(self) -> Self:
        return self.with_rule(self.rule)

    def rebuild(self) -> None:
        """The joint law of the variables under q; p has no chain here."""
        self.steps_up = [self._step_up(t) for t in range(1, self.T + 1)]
        self.joint = {"q": self._chain(self.start, self.steps_up, range(self.T + 1))}
        if self.attached:
            self.joint["q"] = self._with_attached(*self.joint["q"])
        self._regressions = {}

    def perfected(self, kind: str = "perfect") -> Self:
        """The same world with a network that predicts the expectation of the noise."""
        if kind == "exact":
            raise Unsuited("a classifier in continuous time")
        other = self._copied()
        other.perfect = other.flawless = True
        return other

    # The noise

    def network(self, x: np.ndarray, t: int) -> np.ndarray:
        """ε_θ(x, t), a smooth function of x and the level; or the expectation of the noise."""
        return self.expected_noise(x, t) if self.perfect else self._wave(x, self.alpha_bar[t])

    def _wave(self, x: np.ndarray, level: complex) -> np.ndarray:
        sizes = (1.0, np.sin(3 * level), np.cos(2 * level))
        terms = [size * (x @ a.T + b + c * x * x) for size, (a, b, c) in zip(sizes, self.waves, strict=True)]
        return terms[0] + terms[1] + terms[2]

    def expected_noise(self, x: np.ndarray, t: int) -> np.ndarray:
        """E[ε | x_t]."""
        start = self.moments("q", (self.keys[0],), (self.keys[t],), Point({self.keys[t]: x}))[0]
        bar = self.alpha_bar[t]
        return (x - np.sqrt(bar) * start) / np.sqrt(1 - bar)

    # The curves of the differential equation

    def followed(self, y: np.ndarray, kappas: np.ndarray, exact: bool) -> np.ndarray:
        """Where the curve through y at the first level is at the last, by Runge and Kutta: dy/dκ is the noise."""
        for kappa, after in pairwise(kappas):
            middle = (kappa + after) / 2
            once = self._step(y, kappa, after, exact)
            twice = self._step(self._step(y, kappa, middle, exact), middle, after, exact)
            y = twice + (twice - once) / 15  # what half the step says of the error
        return y

    def _step(self, y: np.ndarray, kappa: complex, after: complex, exact: bool) -> np.ndarray:
        h = after - kappa
        first = self._slope(y, kappa, exact)
        second = self._slope(y + h / 2 * first, kappa + h / 2, exact)
        third = self._slope(y + h / 2 * second, kappa + h / 2, exact)
        return y + h / 6 * (first + 2 * second + 2 * third + self._slope(y + h * third, after, exact))

    def _slope(self, y: np.ndarray, kappa: complex, exact: bool) -> np.ndarray:
        level = 1 / (1 + kappa**2)
        if not exact and not self.perfect:
            return self._wave(y * np.sqrt(level), level)
        return self.exact_slope(y, kappa)

    def exact_slope(self, y: np.ndarray, kappa: complex) -> np.ndarray:
        """E[ε | y] where y = x_0 + κ ε."""
        mean, cov = self.start
        return kappa * np.linalg.solve(cov + kappa**2 * np.eye(self.D), (y - mean).T).T

    def along(self, x0: np.ndarray, level: float, exact: bool) -> np.ndarray:
        """Where the curve that begins at x_0 is at another level, as an x_t."""
        kappa = np.sqrt((1 - level) / level)
        return np.sqrt(level) * self.followed(x0, np.linspace(0.0, kappa, FINE + 1), exact)

    def neighbours(self, above: float, below: float) -> GaussianWorld:
        """A world with steps, in which x_1 and x_2 have two values of the log SNR."""
        if self.perfect:
            raise Unsuited("steps of a perfect network with levels of their own")
        return _Steps(self, above, below)

    # Laws

    def log_density(self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point) -> np.ndarray:
        """The logarithm of a density of q, or of the law p that the differential equation makes of its prior."""
        if model != "p":
            return super().log_density(model, about, given, point)
        if given or len(about) != 1 or about[0] not in (self.keys[0], self.keys[-1]):
            raise Unsuited("of p the first and the last variable have a law in continuous time")
        x = point.values[about[0]]
        eye = np.eye(self.D)
        if about[0] == self.keys[-1]:
            return log_normal(x, np.zeros((1, self.D)), eye[None])
        level = self.alpha_bar[-1].real
        end = self.along(x, level, exact=False)
        tilted = [self.along(x + 1e-30j * way, level, exact=False).imag / 1e-30 for way in eye]
        growth = np.linalg.det(np.stack(tilted, axis=-1))
        return log_normal(end, np.zeros((1, self.D)), eye[None]) + np.log(growth)

    def nodes(
        self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point
    ) -> tuple[Values, np.ndarray]:
        """Nodes and weights under q."""
        if model == "p":
            raise Unsuited("an expectation under p in continuous time")
        return super().nodes(model, about, given, point)


class _Steps(GaussianWorld):
    """A chain x_0, …, x_3 with the data and the network of a world in continuous time, and σ_t² = β̃_t."""

    def __init__(self, origin: ContinuousWorld, above: float, below: float) -> None:
        super().__init__("score", 1, origin.D, bent=0.3, T=3)
        self.title = origin.title
        self.start = origin.start
        self.origin = origin
        levels = 1 / (1 + np.exp(-np.array([above, below])))
        self.alpha_bar = np.array([1.0, *levels, levels[1] / 2])
        self.beta = np.concatenate([[0.0], 1 - self.alpha_bar[1:] / self.alpha_bar[:-1]])
        tilde = (1 - self.alpha_bar[:-1]) / (1 - self.alpha_bar[1:]) * self.beta[1:]
        self.sigma = np.sqrt(np.array([0.0, self.beta[1], *tilde[1:]]))
        self.rebuild()

    def network(self, x: np.ndarray, t: int) -> np.ndarray:
        """ε_θ(x, t), that of the world in continuous time."""
        return self.origin._wave(x, self.alpha_bar[t])

    def moved(self, parameters: str, direction: int, by: complex) -> Self:
        """The network has no parameters to move."""
        raise Unsuited("a derivative by the parameters in continuous time")


class ContinuousMixture(ContinuousWorld):
    """Data of two clusters on the line, at every time.

    Args:
        seed: For the random numbers.
        perfect: Whether the network predicts the expectation of the noise.
        context: The chapter.
    """

    rules: tuple[tuple[Rule, Rule], ...] = (("mixed 10 181 4", "mixed 9 141 6"), ("grid 12 401", "grid 9 401"))

    def __init__(self, seed: int, perfect: bool = False, context: str = "score") -> None:
        self.clusters: list[ContinuousWorld] = []
        super().__init__(seed, 1, perfect, context)
        self.title = f"continuous time, two clusters, seed {seed}"
        self.rule = self.rules[0][0]
        self.clusters = [ContinuousWorld(seed, 1, context=context) for _ in CENTRES]
        for cluster, centre in zip(self.clusters, CENTRES, strict=True):
            cluster.start = (np.array([centre]), np.eye(1) * WIDTH**2)
            cluster.rebuild()

    def neighbours(self, above: float, below: float) -> GaussianWorld:
        """There is none."""
        raise Unsuited("steps of a mixture with levels of their own")

    def _set_levels(self, alpha_bar: np.ndarray) -> None:
        super()._set_levels(alpha_bar)
        self.clusters = [cluster._copied() for cluster in self.clusters]
        for cluster in self.clusters:
            cluster._set_levels(alpha_bar)

    def _log_shares(self, keys: tuple[str, ...], point: Point) -> np.ndarray:
        """The logarithm of each cluster's weight times its density of some variables, `(2, S)`."""
        return log_shares(self.clusters, self.attached, "q", keys, point)

    def expected_start(self, given: tuple[str, ...], point: Point) -> np.ndarray:
        """E[x_0 | …]."""
        seen = tuple(key for key in given if key != LABEL or LABEL not in self.attached)
        starts = np.stack([cluster.moments("q", (self.keys[0],), seen, point)[0] for cluster in self.clusters])
        return (self._shares(given, point)[..., None] * starts).sum(0)

    def _shares(self, given: tuple[str, ...], point: Point) -> np.ndarray:
        logs = self._log_shares(given, point)
        return np.exp(logs - log_sum(logs))

    def expected_noise(self, x: np.ndarray, t: int) -> np.ndarray:
        """E[ε | x_t]."""
        shares = self._shares((self.keys[t],), Point({self.keys[t]: x}))[..., None]
        return (shares * np.stack([cluster.expected_noise(x, t) for cluster in self.clusters])).sum(0)

    def exact_slope(self, y: np.ndarray, kappa: complex) -> np.ndarray:
        """E[ε | y] where y = x_0 + κ ε."""
        variance = WIDTH**2 + kappa**2
        logs = np.stack([np.log(w) - (y - c) ** 2 / (2 * variance) for w, c in zip(WEIGHTS, CENTRES, strict=True)])
        shares = np.exp(logs - log_sum(logs))
        return (shares * np.stack([kappa * (y - c) / variance for c in CENTRES])).sum(0)

    def log_density(self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point) -> np.ndarray:
        """The logarithm of a density of q, or of the law p that the differential equation makes of its prior."""
        if model == "p":
            return super().log_density(model, about, given, point)
        self.regress(model, about, given)  # refuses a variable twice
        return log_sum(self._log_shares((*about, *given), point)) - log_sum(self._log_shares(given, point))

    def nodes(
        self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point
    ) -> tuple[Values, np.ndarray]:
        """Nodes and weights of each cluster, weighted by how likely it is; the noisiest variable is on a fine grid."""
        if model == "p":
            raise Unsuited("an expectation under p in continuous time")
        found: list[Values] = []
        weights: list[np.ndarray] = []
        self.regress(model, about, given)  # refuses a variable twice
        hidden = {LABEL} & set(self.attached)
        seen, under = (tuple(key for key in keys if key not in hidden) for keys in (about, given))
        for i, (cluster, share) in enumerate(zip(self.clusters, self._shares(given, point), strict=True)):
            values, weight = self._of_cluster(cluster, seen, under, point) if seen else ({}, np.ones((1, 1)))
            if hidden & set(about):
                values = values | {LABEL: np.full((1, weight.shape[-1]), i)}
            found.append(values)
            weights.append(weight * share[:, None])
        both = {key: np.concatenate(np.broadcast_arrays(*(f[key] for f in found)), axis=1) for key in about}
        return both, np.concatenate(np.broadcast_arrays(*weights), axis=1)

    def _of_cluster(
        self, cluster: ContinuousWorld, about: tuple[str, ...], given: tuple[str, ...], point: Point
    ) -> tuple[Values, np.ndarray]:
        mixed = isinstance(self.rule, str) and self.rule.startswith("mixed")
        if not mixed:
            return cluster.with_rule(self.rule).nodes("q", about, given, point)
        wide, places, few = self.rule.split()[1:]  # type: ignore[union-attr] # it is a string
        polynomial = cluster.with_rule(int(few))
        if given:
            return polynomial.nodes("q", about, given, point)
        fine = cluster.with_rule(f"grid {wide} {places}")
        last = max(about, key=self.keys.index)
        values, weight = fine.nodes("q", (last,), (), point)
        rest = tuple(key for key in about if key != last)
        if not rest:
            return values, weight
        here = Point({last: values[last][0]})
        inner, more = polynomial.nodes("q", rest, (last,), here)
        count = more.shape[-1]
        joint = {key: value.reshape(1, -1, 1) for key, value in inner.items()}
        joint[last] = np.repeat(values[last], count, axis=1)
        return joint, (weight[0][:, None] * more).reshape(1, -1)

    @property
    def rule_of_noise(self) -> Rule:
        """The rule of integration for noise: what is averaged is no polynomial here."""
        mixed = isinstance(self.rule, str) and self.rule.startswith("mixed")
        return f"grid {' '.join(str(self.rule).split()[1:3])}" if mixed else self.rule

    def draws(self, count: int) -> Point:
        """Points of both clusters."""
        first, second = (cluster.draws(count) for cluster in self.clusters)
        odd = np.arange(count)[:, None] % 2
        values = {key: np.where(odd, first.values[key], second.values[key]) for key in first.values}
        return Point(values | ({LABEL: 1 - odd[:, 0]} if LABEL in self.attached else {}))
