"""Worlds that are Gaussian step by step, and not as a whole: clusters, learned deviations, the swiss roll.

What is true of Gaussians alone is false in one of them: that the doubt about x_0 is the same for every x_t, that third
moments vanish, that a step can be turned round and stays what it was. Each keeps what it can compute exactly of a
Gaussian world, and says of the rest that it is unsuited.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from diffusion_notes.equations.language.syntax_tree import NotUnderstood
from diffusion_notes.equations.worlds.gaussian_world import (
    GaussianWorld,
    Regression,
    Rule,
    gauss_nodes,
    log_normal,
)
from diffusion_notes.equations.worlds.world import Point, Undefined, Unsuited, Values

__all__ = [
    "CENTRES",
    "LABEL",
    "WEIGHTS",
    "WIDTH",
    "LearnedDeviationsWorld",
    "MixtureWorld",
    "SwissRollWorld",
    "log_shares",
    "log_sum",
]

WEIGHTS = np.array([0.7, 0.3])
CENTRES = (-1.2, 1.6)
WIDTH = 0.4
"""The two clusters of a mixture: their weights, their centres, their standard deviation."""

LABEL = "c"
"""The label of a cluster, in the chapters in which it is a variable."""

GRID = 9.0
FINE = 1201
"""How far a grid of the data goes, and how fine it is."""

PLACES = 3001
"""How fine an integral over z is."""


class MixtureWorld(GaussianWorld):
    """A diffusion of two clusters of different weight on the line.

    Every law of q is a mixture of the same two Gaussians, so it is exact all the same.

    Args:
        context: The chapter, one about a chain x_0, …, x_T.
        seed: For the random numbers.
        T: How many steps.
        width: The standard deviation of each cluster, or of one and the other.
        betas: The variances of the steps of q, if they are not at random; then the network is perfect.
    """

    rules: tuple[tuple[Rule, Rule], ...] = ((12, 16), ("grid 12 401", "grid 9 401"))

    def __init__(
        self,
        context: str,
        seed: int,
        T: int,
        width: float | tuple[float, float] = WIDTH,
        betas: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__(context, seed, 1, bent=0.3, T=T)
        self.title = f"two clusters, seed {seed}"
        self.clusters = [GaussianWorld(context, seed, 1, bent=0.3, T=T) for _ in CENTRES]
        widths = (width, width) if isinstance(width, float) else width
        for cluster, centre, own in zip(self.clusters, CENTRES, widths, strict=True):
            cluster.start = (np.array([centre]), np.eye(1) * own**2)
        if betas:
            for world in (self, *self.clusters):
                world.beta = np.array([0.0, *betas])
                world.alpha_bar = np.cumprod(1 - world.beta)
        for world in (self, *self.clusters):
            world.rebuild()
        self.perfect = bool(betas)
        self.rule = self.rules[0][0]

    def choosing(self, variance: str) -> MixtureWorld:
        """The same world with other variances of p; DDIM's steps are those of the clusters too."""
        other = super().choosing(variance)
        if self.eta is not None:
            other.clusters = [cluster.choosing(variance) for cluster in self.clusters]
        return other

    def with_blur(self, blur: float) -> MixtureWorld:
        """The same world with an observation that is the data and noise of this size."""
        other = super().with_blur(blur)
        other.clusters = [cluster.with_blur(blur) for cluster in self.clusters]
        return other

    def with_levels(self, alpha_bar: np.ndarray) -> MixtureWorld:
        """The same world with other levels of noise."""
        other = super().with_levels(alpha_bar)
        other.clusters = [cluster.with_levels(alpha_bar) for cluster in self.clusters]
        return other

    def _log_joint(self, model: str, keys: tuple[str, ...], point: Point) -> np.ndarray:
        """The logarithm of each cluster's weight times its density of some variables, `(2, S)`; c is its label."""
        return log_shares(self.clusters, self.attached, model, keys, point)

    def _tilted(self, about: tuple[str, ...], given: tuple[str, ...], point: Point) -> np.ndarray:
        """The logarithm of a density of q_w, the law that is tilted by p(c | x_0)^w, by a fine grid of x_0."""
        if LABEL not in given or not {*about, *given} <= {*self.keys, LABEL}:
            raise Unsuited("the tilted law of what")
        rest = tuple(key for key in given if key != LABEL)
        return self._log_tilted((*about, *rest), point) - self._log_tilted(rest, point)

    def _log_tilted(self, keys: tuple[str, ...], point: Point) -> np.ndarray:
        """The logarithm of ∫ q(…, x_0) p(c | x_0)^w dx_0, or of what stands under the integral."""

        def under(there: Point) -> np.ndarray:
            odds = self._log_joint("q", ("x0", LABEL), there)
            label = log_sum(odds) - log_sum(self._log_joint("q", ("x0",), there))
            return log_sum(self._log_joint("q", tuple(dict.fromkeys(("x0", *keys))), there)) + self.weight * label

        if "x0" in keys:
            return under(point)
        line = np.linspace(-GRID, GRID, FINE)
        wide = replace(point, values={key: point.values[key] for key in (*keys, LABEL)})
        wide = wide.spread({"x0": line[None, :, None]}, FINE)
        return log_sum(under(wide).reshape(-1, FINE).T) + np.log(line[1] - line[0])

    def network_told(self, x: np.ndarray, t: int, key: str, value: np.ndarray) -> np.ndarray:
        """The noise that a network predicts that is told the label, or what else is seen."""
        if key == LABEL and not self.flawless:
            value = 2.0 * value[:, None] - 1
        return super().network_told(x, t, key, value)

    def _guess(self, about: tuple[str, ...], given: tuple[str, ...], point: Point) -> np.ndarray:
        """What a trained classifier says of a label, given one variable of the chain."""
        if about != (LABEL,) or len(given) != 1 or given[0] not in self.keys:
            raise Unsuited("a classifier tells the label of one variable")
        if self.certain:
            return self.log_density("q", about, given, point)
        x = point.values[given[0]][:, 0]
        odds = (0.4 + self.guessed[self.keys.index(given[0]), 0, 0] * x + 0.1 * x**2) * (1 - 2 * point.values[LABEL])
        return -np.log(1 + np.exp(odds))

    def _shares(self, model: str, given: tuple[str, ...], point: Point) -> np.ndarray:
        """How likely each cluster is, given some variables, `(2, S)`."""
        logs = self._log_joint(model, given, point)
        return np.exp(logs - log_sum(logs))

    def network(self, x: np.ndarray, t: int) -> np.ndarray:
        """ε_θ(x, t): the expectation of the noise given x_t, if the network is perfect."""
        return self.expected_noise_given(x, t, None) if self.perfect else super().network(x, t)

    def expected_start(self, given: tuple[str, ...], point: Point) -> np.ndarray:
        """E[x_0 | …]."""
        shares = self._shares("q", given, point)[..., None]
        seen = tuple(key for key in given if key != LABEL)
        starts = np.stack([cluster.moments("q", ("x0",), seen, point)[0] for cluster in self.clusters])
        return (shares * starts).sum(0)

    def log_density(self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point) -> np.ndarray:
        """The logarithm of a density, `(S,)`."""
        if model.startswith("p"):
            return super().log_density(model, about, given, point)
        self.regress(model, about, given)  # refuses a variable twice
        if model == "q_w":
            return self._tilted(about, given, point)
        return log_sum(self._log_joint(model, (*about, *given), point)) - log_sum(self._log_joint(model, given, point))

    def nodes(
        self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point
    ) -> tuple[Values, np.ndarray]:
        """Nodes and weights: those of each cluster, weighted by how likely it is."""
        if model.startswith("p"):
            return super().nodes(model, about, given, point)
        if model == "q_w":
            raise Unsuited("an average over the tilted law of clusters")
        self.regress(model, about, given)  # refuses a variable twice
        found = []
        weights = []
        seen = tuple(key for key in about if key != LABEL)
        under = tuple(key for key in given if key != LABEL)
        for i, (cluster, share) in enumerate(zip(self.clusters, self._shares(model, given, point), strict=True)):
            values: Values = {}
            weight = np.ones((1, 1))
            if seen:
                values, weight = cluster.with_rule(self.rule).nodes(model, seen, under, point)
            if LABEL in about:
                values[LABEL] = np.full((1, weight.shape[-1]), i)
            found.append(values)
            weights.append(weight * share[:, None])
        both = {key: np.concatenate(np.broadcast_arrays(*(f[key] for f in found)), axis=1) for key in about}
        return both, np.concatenate(np.broadcast_arrays(*weights), axis=1)

    def draws(self, count: int) -> Point:
        """Points of both clusters."""
        first, second = (cluster.draws(count) for cluster in self.clusters)
        odd = np.arange(count)[:, None] % 2
        values = {key: np.where(odd, first.values[key], second.values[key]) for key in first.values}
        if LABEL in self.attached:
            values[LABEL] = 1 - odd[:, 0]
        return Point(values)

    def measure(self, key: str, point: Point) -> tuple[Values, np.ndarray]:
        """Values and weights whose weighted sums are integrals over a variable, or the sum over the labels."""
        if self.original(key) == LABEL:
            return {key: np.arange(2)[None]}, np.ones((1, 2))
        return super().measure(key, point)


def log_shares(
    clusters: Sequence[GaussianWorld], attached: tuple[str, ...], model: str, keys: tuple[str, ...], point: Point
) -> np.ndarray:
    """The logarithm of each cluster's weight times its density of some variables, `(2, S)`; c may be its label."""
    labelled = LABEL in attached and LABEL in keys
    logs = [np.log(weight) * np.ones(1) for weight in WEIGHTS]
    seen = tuple(key for key in keys if key != LABEL or not labelled)
    if seen:
        densities = (cluster.log_density(model, seen, (), point) for cluster in clusters)
        logs = [log + density for log, density in zip(logs, densities, strict=True)]
    if labelled:
        logs = [np.where(point.values[LABEL] == i, log, -np.inf) for i, log in enumerate(logs)]
    return np.stack(logs)


def log_sum(logs: np.ndarray) -> np.ndarray:
    """The logarithm of a sum, along the first axis; analytic, as SciPy's is not for complex entries."""
    top = logs.real.max(axis=0)
    return top + np.log(np.exp(logs - top).sum(axis=0))


class LearnedDeviationsWorld(GaussianWorld):
    """A VAE whose deviations are functions: that of the encoder depends on x, that of the decoder on z.

    Each step is Gaussian given what it starts from, so it has a density and nodes; what would turn a step round, or
    need a marginal of what comes after it, is unsuited.

    Args:
        seed: For the random numbers.
        D: How many coordinates x and z have.
    """

    def __init__(self, seed: int, D: int) -> None:
        rng = np.random.default_rng(seed)
        self.slopes = {"q": rng.uniform(0.4, 0.8, D), "p": rng.uniform(0.4, 0.8, D)}
        super().__init__("vae", seed, D, bent=0.3)
        self.title = f"learned deviations, D = {D}, seed {seed}"

    def deviation(self, model: str, value: np.ndarray) -> np.ndarray:
        """σ_φ(x) under q, σ_θ(z) under p."""
        return (self.sigma_phi if model == "q" else self.sigma)[1] * (1 + (value @ self.slopes[model]) ** 2)

    def covariance(self, model: str, value: np.ndarray) -> np.ndarray:
        """The square of the deviation, in every direction."""
        return self.deviation(model, value)[:, None, None] ** 2 * np.eye(self.D)

    def _step(self, model: str, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mean and the covariance of z given x under q, of x given z under p."""
        turn, shift = self.up[0]
        mean = value @ turn.T + shift if model == "q" else self.mean_down(value, 1)
        return mean, self.covariance(model, value)

    def _order(self, model: str, about: tuple[str, ...], given: tuple[str, ...]) -> tuple[str, str]:
        """What a model starts with, and what follows from it."""
        start, after = ("x", "z") if model == "q" else ("z", "x")
        names = [self.original(key) for key in (*about, *given)]
        if len(set(names)) < len(names):
            raise Undefined("a variable twice in one density")
        if [self.original(key) for key in given] not in ([], [start]) or not set(names) <= {"x", "z"}:
            raise Unsuited("a step of a VAE with learned deviations, turned round")
        return start, after

    def _value(self, name: str, keys: tuple[str, ...], point: Point) -> np.ndarray | None:
        return next((point.values[key] for key in keys if self.original(key) == name), None)

    def _prior(self, model: str) -> tuple[np.ndarray, np.ndarray]:
        return self.start if model == "q" else (np.zeros(self.D), np.eye(self.D))

    def log_density(self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point) -> np.ndarray:
        """The logarithm of a density, `(S,)`."""
        start, after = self._order(model, about, given)
        first = self._value(start, (*about, *given), point)
        second = self._value(after, (*about, *given), point)
        if first is None:
            raise Unsuited("a marginal of a VAE with learned deviations")
        total = np.zeros(len(first))
        if not given:
            mean, cov = self._prior(model)
            total = total + log_normal(first, mean[None], cov[None])
        return total if second is None else total + log_normal(second, *self._step(model, first))

    def nodes(
        self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point
    ) -> tuple[Values, np.ndarray]:
        """Nodes and weights: of the start, and of what follows from each of them."""
        start, after = self._order(model, about, given)
        if given:
            found, weights = gauss_nodes(*self._step(model, point.values[given[0]]), self.rule)
            return {about[0]: found}, weights
        mean, cov = self._prior(model)
        firsts, weight = gauss_nodes(mean[None], cov[None], self.rule)
        values: Values = {key: firsts for key in about if self.original(key) == start}
        later = [key for key in about if self.original(key) == after]
        if not later:
            return values, weight
        seconds, more = gauss_nodes(*self._step(model, firsts[0]), self.rule)
        count = seconds.shape[1]
        values = {key: np.repeat(value, count, axis=1) for key, value in values.items()}
        values[later[0]] = seconds.reshape(1, -1, self.D)
        return values, (weight[0][:, None] * more).reshape(1, -1)

    def noise(self, point: Point) -> np.ndarray:
        """The noise that made z from x."""
        if not {"x", "z"} <= set(point.values):
            raise NotUnderstood("z and its noise have no value here")
        mean, _ = self._step("q", point.values["x"])
        return (point.values["z"] - mean) / self.deviation("q", point.values["x"])[:, None]

    def measure(self, key: str, point: Point) -> tuple[Values, np.ndarray]:
        """Nothing is integrated here."""
        raise Unsuited("an integral of a VAE with learned deviations")

    def regress(self, model: str, about: tuple[str, ...], given: tuple[str, ...]) -> Regression:
        """There is no joint Gaussian."""
        raise Unsuited("the joint law of a VAE with learned deviations")


class SwissRollWorld(GaussianWorld):
    """This book's data, a spiral with noise around it, and what becomes of them.

    In the VAE's chapter it is the decoder that would be perfect for them: p(x | z) around the place Φ(z) of the spiral.

    Args:
        context: The chapter.
        seed: For the random numbers.
        T: How many steps.
        noise: The standard deviation around the spiral.
    """

    def __init__(self, context: str, seed: int, T: int, noise: float) -> None:
        super().__init__(context, seed, 2, T=T)
        self.title = f"the swiss roll with noise {noise}"
        self.roll_noise = noise
        if not self.diffusing:
            self.sigma = np.full_like(self.sigma, noise)
        line, weights = np.polynomial.legendre.leggauss(701)
        self.places = (line + 1) / 2
        self.weights = weights / 2

    def spiral(self, u: np.ndarray) -> np.ndarray:
        """The place on the spiral: as a complex number it is τ e^{iτ} / 10."""
        angle = 1.5 * np.pi * (1 + 2 * u)
        place = angle * np.exp(1j * angle) / 10
        return np.stack([place.real, place.imag], axis=-1)

    def noise_of_the_data(self) -> np.ndarray:
        """The standard deviation of the noise around the spiral."""
        return np.array([self.roll_noise])

    def normal_cdf(self, z: np.ndarray) -> np.ndarray:
        """Φ, for numbers."""
        if z.ndim != 1:
            raise Unsuited("Φ of a vector")
        return np.array([(1 + math.erf(x / math.sqrt(2))) / 2 for x in z])

    def log_density(self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point) -> np.ndarray:
        """The logarithm of the density of the data, of the prior of the VAE, or of a step that is given the data."""
        if given == () and about == (self.keys[0],) and model == "q":
            return self._log_density_of_the_data(point.values[about[0]])
        if (model, about, given) == ("p", ("z",), ()):
            return -(point.values["z"] ** 2) / 2 - np.log(2 * np.pi) / 2
        if model == "q" and self.keys[0] in given and self.keys[0] not in about and self.diffusing:
            return super().log_density(model, about, given, point)
        raise Unsuited("the data are no Gaussian here")

    def _log_density_of_the_data(self, x: np.ndarray) -> np.ndarray:
        cov = self.roll_noise**2 * np.eye(2)[None]
        near = np.exp(np.stack([log_normal(x, self.spiral(u)[None], cov) for u in self.places]))
        return np.log(self.weights @ near)

    def nodes(
        self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point
    ) -> tuple[Values, np.ndarray]:
        """No expectation is taken here."""
        raise Unsuited("the data are no Gaussian here")

    def measure(self, key: str, point: Point) -> tuple[Values, np.ndarray]:
        """Values and weights whose weighted sums are integrals over z."""
        if key != "z":
            raise Unsuited("an integral over several dimensions")
        line = np.linspace(-8, 8, PLACES)
        return {"z": line[None]}, np.full((1, PLACES), line[1] - line[0])

    def draws(self, count: int) -> Point:
        """Points on the roll: a place, the noise around it, and what becomes of them."""
        rng = np.random.default_rng(count)
        u = rng.uniform(size=count)
        n = rng.normal(size=(count, 2))
        values = {"u": u, "n": n, self.keys[0]: self.spiral(u) + self.roll_noise * n}
        if not self.diffusing:
            return Point(values | {"z": rng.normal(size=count)})
        for t in range(1, self.T + 1):
            noise = rng.normal(size=(count, 2)) * np.sqrt(self.beta[t])
            values[f"x{t}"] = np.sqrt(1 - self.beta[t]) * values[f"x{t - 1}"] + noise
        return replace(Point(), values=values)
