"""A VAE whose deviations are learned: that of the encoder depends on x, that of the decoder on z.

Each step is Gaussian given what it starts from, so it has a density and nodes; what would turn a step round, or need a
marginal of what comes after it, is unsuited.
"""

from __future__ import annotations

import numpy as np

from diffusion_notes.equations.gaussians import Gaussians
from diffusion_notes.equations.nodes import NotUnderstood
from diffusion_notes.equations.normal import gauss_nodes, log_normal
from diffusion_notes.equations.worlds import Point, Undefined, Unsuited, Values

__all__ = ["Learned"]


class Learned(Gaussians):
    """A VAE with deviations that are functions.

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

    def _step(self, model: str, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mean and the covariance of z given x under q, of x given z under p."""
        turn, shift = self.up[0]
        mean = value @ turn.T + shift if model == "q" else self.mean_down(value, 1)
        return mean, self.deviation(model, value)[:, None, None] ** 2 * np.eye(self.D)

    def _plan(self, model: str, about: tuple[str, ...], given: tuple[str, ...]) -> tuple[str, str, bool]:
        """What a model starts with, what follows from it, and whether the start is given."""
        start, after = ("x", "z") if model == "q" else ("z", "x")
        names = [self.original(key) for key in (*about, *given)]
        if len(set(names)) < len(names):
            raise Undefined("a variable twice in one density")
        if [self.original(key) for key in given] not in ([], [start]) or not set(names) <= {"x", "z"}:
            raise Unsuited("a step of a VAE with learned deviations, turned round")
        return start, after, bool(given)

    def _value(self, name: str, keys: tuple[str, ...], point: Point) -> np.ndarray | None:
        return next((point.values[key] for key in keys if self.original(key) == name), None)

    def _prior(self, model: str) -> tuple[np.ndarray, np.ndarray]:
        return self.start if model == "q" else (np.zeros(self.D), np.eye(self.D))

    def log_density(self, model, about, given, point):  # noqa: D102
        start, after, _ = self._plan(model, about, given)
        first, second = (self._value(name, (*about, *given), point) for name in (start, after))
        if first is None:
            raise Unsuited("a marginal of a VAE with learned deviations")
        total = np.zeros(len(first))
        if not given:
            mean, cov = self._prior(model)
            total = total + log_normal(first, mean[None], cov[None])
        return total if second is None else total + log_normal(second, *self._step(model, first))

    def nodes(self, model, about, given, point):  # noqa: D102
        start, after, known = self._plan(model, about, given)
        if known:
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

    def measure(self, key, point):  # noqa: D102
        raise Unsuited("an integral of a VAE with learned deviations")

    def regress(self, model, about, given):  # noqa: D102
        raise Unsuited("the joint law of a VAE with learned deviations")
