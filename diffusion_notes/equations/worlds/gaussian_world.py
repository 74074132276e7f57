"""Gaussian worlds: every step is Gaussian, so marginals, conditionals and expectations are exact.

The steps of q are linear: its joint distribution is one Gaussian, and every conditional is read off it by regression,
not from the formulas of the book. The steps of p have any mean: linear, or with a square, so that nothing holds only
because a network is linear; then p has no closed marginals, and what needs them is unsuited.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Self

import numpy as np

from diffusion_notes.equations.language.syntax_tree import NotUnderstood
from diffusion_notes.equations.worlds.world import LATER, Point, Undefined, Unsuited, Values, World

__all__ = ["GaussianWorld", "Regression", "Rule", "gauss_nodes", "log_normal"]

Rule = str | int
"""A rule of integration, see `gauss_nodes`."""

Affine = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A step of a chain: the matrix and the shift of its mean, and its covariance."""

ETAS = {"tilde": 1.0, "eta 1": 1.0, "eta 0": 0.0}
"""How much noise DDIM's steps have, by the choice of a display."""

Regression = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A mean, the matrix that maps the deviation of what is given to it, and the covariance that is left."""


class GaussianWorld(World):
    """A chain of Gaussian vectors.

    Args:
        context: The chapter.
        seed: For the random numbers.
        D: How many coordinates each variable has.
        bent: How much of a square is in the means of p.
        tight: Whether the steps of p are those of q turned round.
        sharp: How small the variances of p are; a small number makes densities large.
        T: How many steps, in a diffusion chapter.
        wide: Whether all numbers vary more than usual.
    """

    D: int
    rules: tuple[tuple[Rule, Rule], ...] = ((4, 6), ("grid 12 401", "grid 9 401"))
    """Rules of integration, in pairs: what the two of a pair agree on is exact."""

    def __init__(
        self,
        context: str,
        seed: int,
        D: int,
        bent: float = 0.0,
        tight: bool = False,
        sharp: float = 1.0,
        T: int = 4,
        wide: bool = False,
    ) -> None:
        super().__init__(context, f"Gaussian, D = {D}, seed {seed}", T)
        self.D = D
        self.bent = bent
        self.tight = tight
        self.rule: Rule = 4
        n = self.T
        rng = np.random.default_rng(seed)

        def square(size: float) -> np.ndarray:
            return rng.normal(size=(D, D)) * size

        def slope() -> np.ndarray:
            return np.eye(D) * rng.uniform(0.5, 1.2) * rng.choice([-1, 1]) if D == 1 else square(0.7)

        self.beta = np.concatenate([[0], rng.uniform(0.04, 0.9, n) if wide else rng.uniform(0.08, 0.6, n)])
        self.alpha_bar = np.cumprod(1 - self.beta)
        self.sigma = np.concatenate([[0], rng.uniform(0.3, 0.9, n) * sharp * (rng.uniform(0.3, 6.0, n) if wide else 1)])
        self.sigma_phi = rng.uniform(0.4, 0.9, n + 1) * (1.0 if context == "vae" else sharp)
        self.sigma_phi *= rng.uniform(0.5, 4.0, n + 1) if wide else 1
        root = (square(0.6) + np.eye(D) * 0.9) * (8 if wide else 1)
        self.start = (rng.normal(size=D) * (8 if wide else 1), root @ root.T)
        # the means of q's steps where it is no diffusion: matrix, shift
        self.up = [(slope(), rng.normal(size=D)) for _ in range(n)]
        # the network of each step: matrix, shift, and how much of a square
        self.net = [(np.zeros((D, D)), np.zeros(D), np.zeros(D))]
        self.net += [(slope(), rng.normal(size=D), rng.normal(size=D) * bent) for _ in range(n)]
        # directions in which the parameters can be moved
        self.shapes = (rng.normal(size=(8, n + 1, D, D)), rng.normal(size=(8, n + 1, D)), rng.normal(size=(8, n + 1)))
        # the coefficients of any function of a vector: constant, linear, square
        self.functions: dict[str, tuple[complex, np.ndarray, np.ndarray]] = {
            name: (rng.normal(), rng.normal(size=D), square(1.0)) for name in ("f", "f_phi")
        }
        # how much noise DDIM's steps have, in its chapter: p and q_sigma are its own there
        self.eta = rng.uniform(0.3, 0.95) if context == "samplers" else None
        # means and variances of Gaussians that are no variable's
        size = 8 if wide else 1
        self.generic = {"m": rng.normal(size=(3, D)) * size, "v": rng.uniform(0.1, 2.0, 3) * size}
        self.length = float(self.generic["v"][0])  # of a step that keeps a law: any
        self.rebuild()

    # The joint laws

    def rebuild(self) -> None:
        """The joint Gaussians, mean and covariance, from the steps; p's only if its means are linear."""
        if self.eta is not None:
            self.sigma = self._deviations_of_ddim(self.eta)
        self.steps_up = [self._step_up(t) for t in range(1, self.T + 1)]
        self.joint = {"q": self._chain(self.start, self.steps_up, range(self.T + 1))}
        self._regressions: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Regression] = {}
        if self.tight:
            self.tight = False
            if self.diffusing:
                self._turn_q_round()
                self.sigma = self.sigma if self.eta is None else self._deviations_of_ddim(self.eta)
            else:
                self._turn_p_round()
        if not self.bent:
            eye = np.eye(self.D)
            down = [(*self._mean_down(t), self.sigma[t] ** 2 * eye) for t in range(self.T, 0, -1)]
            self.joint["p"] = self._chain((np.zeros(self.D), eye), down, range(self.T, -1, -1))
        if self.eta:
            self.joint["q_sigma"] = self._walked_from_the_top()

    def _step_up(self, t: int) -> Affine:
        eye = np.eye(self.D)
        if self.diffusing:
            return np.sqrt(1 - self.beta[t]) * eye, np.zeros(self.D), self.beta[t] * eye
        return (*self.up[t - 1], self.sigma_phi[t] ** 2 * eye)

    def _chain(
        self, start: tuple[np.ndarray, np.ndarray], steps: Sequence[Affine], order: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The mean and the covariance of all variables, from the law of the first and the steps to the others."""
        D = self.D
        n = self.T + 1
        kind = np.result_type(*(part for step in steps for part in step), float)
        mean = np.zeros(n * D, dtype=kind)
        cov = np.zeros((n * D, n * D), dtype=kind)
        spot = [slice(i * D, (i + 1) * D) for i in order]
        mean[spot[0]] = start[0]
        cov[spot[0], spot[0]] = start[1]
        for i, (a, b, noise) in enumerate(steps, start=1):
            mean[spot[i]] = a @ mean[spot[i - 1]] + b
            for j in range(i):
                cov[spot[i], spot[j]] = a @ cov[spot[i - 1], spot[j]]
                cov[spot[j], spot[i]] = cov[spot[i], spot[j]].T
            cov[spot[i], spot[i]] = a @ cov[spot[i - 1], spot[i - 1]] @ a.T + noise
        return mean, cov

    # DDIM's chain

    def _deviations_of_ddim(self, eta: complex) -> np.ndarray:
        """σ_t = η √β̃_t; of the first step, where the data are given, √β_1."""
        before = self.alpha_bar[1:-1]
        tilde = (1 - before) / (1 - self.alpha_bar[2:]) * self.beta[2:]
        return np.concatenate([[0.0], np.sqrt(self.beta[1:2]), eta * np.sqrt(tilde)])

    def ddim_weights(self, t: int) -> tuple[complex, complex]:
        """What x_0 and x_t count in the mean of DDIM's q_σ(x_{t-1} | x_t, x_0)."""
        if t == 1:
            return 1.0, 0.0
        before, now = self.alpha_bar[t - 1 : t + 1]
        of_xt = np.sqrt((1 - before - self.sigma[t] ** 2) / (1 - now))
        return np.sqrt(before) - of_xt * np.sqrt(now), of_xt

    def _walked_from_the_top(self) -> tuple[np.ndarray, np.ndarray]:
        """The joint Gaussian of DDIM's q_σ: x_0, then x_T given it, then each x_{t-1} given x_t and x_0."""
        n = self.T + 1
        makes = np.zeros((n, n), dtype=np.result_type(self.alpha_bar, self.sigma, float))  # from x_0, and from noise
        makes[0, 0] = 1.0
        makes[-1, 0] = np.sqrt(self.alpha_bar[-1])
        makes[-1, -1] = np.sqrt(1 - self.alpha_bar[-1])
        for t in range(self.T, 1, -1):
            of_x0, of_xt = self.ddim_weights(t)
            makes[t - 1] = of_x0 * makes[0] + of_xt * makes[t]
            makes[t - 1, t - 1] = self.sigma[t]
        mean, cov = self.start
        of_data = makes[:, :1]
        of_noise = makes[:, 1:]
        return (of_data * mean).ravel(), np.kron(of_data @ of_data.T, cov) + np.kron(
            of_noise @ of_noise.T, np.eye(self.D)
        )

    def _turn_q_round(self) -> None:
        """Make the steps of p those of q turned round."""
        eye = np.eye(self.D)
        for t in range(1, self.T + 1):
            mean, gain, cov = self.regress("q", (self.keys[t - 1],), (self.keys[t],))
            shift = mean - gain @ self.regress("q", (self.keys[t],), ())[0]
            self.sigma[t] = np.sqrt(np.trace(cov) / self.D)
            scale = self.beta[t] / np.sqrt(1 - self.alpha_bar[t])
            root = np.sqrt(1 - self.beta[t])
            self.net[t] = ((eye - root * gain) / scale, -root * shift / scale, np.zeros(self.D))

    def _turn_p_round(self) -> None:
        """Make the steps of q the exact posteriors, so that the bound is reached; they are round for D = 1."""
        self.rebuild()
        for t in range(1, self.T + 1):
            mean, gain, cov = self.regress("p", (self.keys[t],), (self.keys[t - 1],))
            self.up[t - 1] = (gain, mean - gain @ self.regress("p", (self.keys[t - 1],), ())[0])
            self.sigma_phi[t] = np.sqrt(np.trace(cov) / self.D)
        self.rebuild()

    def regress(self, model: str, about: tuple[str, ...], given: tuple[str, ...]) -> Regression:
        """E[about], the matrix that maps given's deviation to about's, and the covariance that is left."""
        if model not in self.joint:
            raise Unsuited("a marginal of a model with bent means")
        known = self._regressions.get((model, about, given))
        if known is None:
            known = self._regress(*self.joint[model], self._spots(about), self._spots(given))
            self._regressions[model, about, given] = known
        return known

    def _regress(self, mean: np.ndarray, cov: np.ndarray, a: list[int], g: list[int]) -> Regression:
        if set(a) & set(g) or len(set(a)) < len(a):
            raise Undefined("a variable twice in one density")
        gain = np.linalg.solve(cov[np.ix_(g, g)], cov[np.ix_(g, a)]).T if g else np.zeros((len(a), 0))
        return mean[a], gain, cov[np.ix_(a, a)] - gain @ cov[np.ix_(g, a)]

    def _spots(self, keys: tuple[str, ...]) -> list[int]:
        """Where the coordinates of some variables stand in the joint Gaussians."""
        names = [self.original(key) for key in keys]
        if any(name not in self.keys for name in names):
            raise Unsuited(f"no joint distribution with {names}")
        return [self.keys.index(name) * self.D + d for name in names for d in range(self.D)]

    def moments(
        self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point
    ) -> tuple[np.ndarray, np.ndarray]:
        """The mean `(S, n)` and the covariance `(1, n, n)` of some variables given others."""
        mean, gain, cov = self.regress(model, about, given)
        if given:
            seen = np.concatenate([point.values[key] for key in given], axis=-1)
            there = self.regress(model, given, ())[0]
            return mean + (seen - there) @ gain.T, cov[None]
        return mean[None], cov[None]

    # The steps down

    def _mean_down(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        """The matrix and the shift of a mean of p that is linear."""
        a, b, _ = self.net[t]
        if not self.diffusing:
            return a, b
        if self.eta is not None:
            of_x0, of_xt = self.ddim_weights(t)
            bar = self.alpha_bar[t]
            back = of_x0 / np.sqrt(bar)
            noise = -back * np.sqrt(1 - bar)
            return (back + of_xt) * np.eye(self.D) + noise * a, noise * b
        scale = self.beta[t] / np.sqrt(1 - self.alpha_bar[t])
        root = np.sqrt(1 - self.beta[t])
        return (np.eye(self.D) - scale * a) / root, -scale * b / root

    def network(self, x: np.ndarray, t: int) -> np.ndarray:
        """ε_θ(x, t) in a diffusion chapter, the mean of the step down elsewhere."""
        a, b, c = self.net[t]
        return np.einsum("ij,sj->si", a, x) + b + c * x * x

    def mean_down(self, x: np.ndarray, t: int) -> np.ndarray:
        """The mean of p_θ of the variable below, given the t-th."""
        if not self.diffusing:
            return self.network(x, t)
        if self.eta is not None:
            of_x0, of_xt = self.ddim_weights(t)
            return of_x0 * self.start_of(x, self.network(x, t), t) + of_xt * x
        scale = self.beta[t] / np.sqrt(1 - self.alpha_bar[t])
        return (x - scale * self.network(x, t)) / np.sqrt(1 - self.beta[t])

    def start_of(self, x: np.ndarray, noise: np.ndarray, t: int) -> np.ndarray:
        """The x_0 of which some noise makes x_t."""
        bar = self.alpha_bar[t]
        return (x - np.sqrt(1 - bar) * noise) / np.sqrt(bar)

    def deviation(self, model: str, value: np.ndarray) -> np.ndarray:
        """The deviation of the first step of p, or of q: the same wherever it starts from."""
        return (self.sigma_phi if model == "q" else self.sigma)[1:2]

    # The noise

    def noised(self, point: Point) -> Values:
        """x_t, where x_0 and the noise have been drawn."""
        t = point.counts["t"]
        bar = self.alpha_bar[t]
        return {f"x{t}": np.sqrt(bar) * point.values["x0"] + np.sqrt(1 - bar) * point.values["eps"]}

    def noise(self, point: Point) -> np.ndarray:
        """The noise that made x_t from x_0, or z from x."""
        below, above = self.linked(point)
        if below not in point.values or above not in point.values:
            raise NotUnderstood(f"{above} and its noise have no value here")
        if self.diffusing:
            bar = self.alpha_bar[point.counts["t"]]
            return (point.values[above] - np.sqrt(bar) * point.values[below]) / np.sqrt(1 - bar)
        a, b = self.up[0]
        return (point.values[above] - point.values[below] @ a.T - b) / self.sigma_phi[1]

    # What a world with the book's own data has

    def spiral(self, u: np.ndarray) -> np.ndarray:
        """The place on the spiral of this book's data."""
        raise Unsuited("other data than the spiral")

    def noise_of_the_data(self) -> np.ndarray:
        """The standard deviation of the noise around the spiral."""
        raise Unsuited("other data than the spiral")

    def normal_cdf(self, z: np.ndarray) -> np.ndarray:
        """The distribution function of a standard normal number."""
        raise Unsuited("other latents than numbers")

    # What every world has

    def log_density(self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point) -> np.ndarray:
        """The logarithm of p(about | given) or of q(about | given), `(S,)`."""
        if model == "p" and self.bent:
            return self._log_run(about, given, point)
        mean, cov = self.moments(model, about, given, point)
        return log_normal(np.concatenate([point.values[key] for key in about], axis=-1), mean, cov)

    def _log_run(self, about: tuple[str, ...], given: tuple[str, ...], point: Point) -> np.ndarray:
        """P of a run of the chain: everything below the top, or below one given variable, is a product of steps."""
        places = sorted(self.keys.index(self.original(key)) for key in about)
        above = [self.keys.index(self.original(key)) for key in given]
        run = places == list(range(places[0], places[-1] + 1))
        if not run or not (above == [places[-1] + 1] or (not above and places[-1] == self.T)):
            raise Unsuited("a marginal of a model with bent means")
        values = {self.keys.index(self.original(key)): point.values[key] for key in (*about, *given)}
        eye = np.eye(self.D)[None]
        total = np.zeros(1) if above else log_normal(values[self.T], np.zeros((1, self.D)), eye)
        for i in places:
            if i < self.T:
                total = total + log_normal(
                    values[i], self.mean_down(values[i + 1], i + 1), self.sigma[i + 1] ** 2 * eye
                )
        return total

    def nodes(
        self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point
    ) -> tuple[Values, np.ndarray]:
        """Values of `about`, `(S, N, …)`, and weights `(S, N)`, whose weighted sums are expectations given `given`."""
        if model == "p" and self.bent:
            mean, cov = self._step_or_prior(about, given, point)
        else:
            mean, cov = self.moments(model, about, given, point)
        found, weights = gauss_nodes(mean, cov, self.rule)
        D = self.D
        return {key: found[..., i * D : (i + 1) * D] for i, key in enumerate(about)}, weights

    def _step_or_prior(
        self, about: tuple[str, ...], given: tuple[str, ...], point: Point
    ) -> tuple[np.ndarray, np.ndarray]:
        """The mean and the covariance of one step of p, or of its prior."""
        eye = np.eye(self.D)[None]
        if not given and len(about) == 1 and self.original(about[0]) == self.keys[-1]:
            return np.zeros((1, self.D)), eye
        if len(about) != 1 or len(given) != 1:
            raise Unsuited("an expectation over several variables of a model with bent means")
        t = self.keys.index(self.original(given[0]))
        if self.keys.index(self.original(about[0])) != t - 1:
            raise Unsuited("a marginal of a model with bent means")
        return self.mean_down(point.values[given[0]], t), self.sigma[t] ** 2 * eye

    def measure(self, key: str, point: Point) -> tuple[Values, np.ndarray]:
        """Values and weights whose weighted sums are integrals over a variable."""
        if self.D > 1 or isinstance(self.rule, int) or self.original(key) not in self.keys:
            raise Unsuited("an integral over several dimensions")
        i = self.keys.index(self.original(key))
        moments = [(mean[i].real, cov[i, i].real) for mean, cov in self.joint.values()]
        wide, count = (float(part) for part in self.rule.split()[1:])
        reach = max(abs(mean) + wide * np.sqrt(var) for mean, var in moments)
        line = np.linspace(-reach, reach, int(count))
        return {key: line[None, :, None]}, np.full((1, len(line)), line[1] - line[0])

    def draws(self, count: int) -> Point:
        """Points from q."""
        mean, cov = self.joint["q"]
        noise = np.random.default_rng(count).normal(size=(count, len(mean)))
        found = noise @ np.linalg.cholesky(cov.real).T + mean.real
        values: Values = {key: found[:, i * self.D : (i + 1) * self.D] for i, key in enumerate(self.keys)}
        if self.context in LATER:  # new noise, of a step
            values["z"] = np.random.default_rng(count + 1).normal(size=(count, self.D))
        return replace(Point(), values=values)

    # The same world with something changed

    def moved(self, parameters: str, direction: int, by: complex) -> Self:
        """The same world with the network's, or the encoder's, parameters moved."""
        other = copy.copy(self)
        turn, shift, scale = (part[direction] for part in self.shapes)
        if parameters == "theta":
            other.net = [(a + by * w, b + by * v, c) for (a, b, c), w, v in zip(self.net, turn, shift, strict=True)]
        else:
            other.up = [(a + by * w, b + by * v) for (a, b), w, v in zip(self.up, turn, shift, strict=False)]
            other.sigma_phi = self.sigma_phi * np.exp(by * scale)
            constant, linear, square = self.functions["f_phi"]
            changed = (constant + by, linear + by * shift[0], square + by * turn[0])
            other.functions = self.functions | {"f_phi": changed}
        other.rebuild()
        return other

    def with_sigma(self, t: int, sigma: complex) -> Self:
        """The same world with another deviation of the t-th step of p."""
        other = copy.copy(self)
        other.sigma = self.sigma.astype(complex)
        other.sigma[t] = sigma
        other.rebuild()
        return other

    def with_length(self, length: float) -> Self:
        """The same world with another h, the length of a step."""
        other = copy.copy(self)
        other.length = length
        return other

    def choosing(self, variance: str) -> Self:
        """The same world with β_t or β̃_t for the variances of p, β_1 for the first step; with another η for DDIM."""
        other = copy.copy(self)
        if self.eta is not None:
            if variance not in ETAS:
                raise Unsuited("β_t is not the variance of DDIM's steps")
            other.eta = ETAS[variance]
            other.rebuild()
            return other
        before = np.concatenate([[1.0], self.alpha_bar[:-1]])
        tilde = (1 - before[1:]) / (1 - self.alpha_bar[1:]) * self.beta[1:]
        chosen = np.sqrt(np.where(tilde > 0, tilde, self.beta[1:]) if variance == "tilde" else self.beta[1:])
        other.sigma = np.concatenate([[0.0], chosen])
        other.rebuild()
        return other

    def with_levels(self, alpha_bar: np.ndarray) -> Self:
        """The same world with other levels of noise, ᾱ_0, …, ᾱ_T, and the same network at each step."""
        other = copy.copy(self)
        other.alpha_bar = alpha_bar
        other.beta = np.concatenate([[0.0], 1 - alpha_bar[1:] / alpha_bar[:-1]])
        other.rebuild()
        return other

    @property
    def rule_of_noise(self) -> Rule:
        """The rule of integration for noise that is drawn by itself."""
        return self.rule

    def with_rule(self, rule: Rule) -> Self:
        """The same world, integrating by another rule."""
        other = copy.copy(self)
        other.rule = rule
        return other


# Gaussians by themselves: a density, and nodes at which expectations are taken


def _root(matrix: np.ndarray) -> np.ndarray:
    """A lower triangular root of a symmetric matrix, `(…, n, n)`; analytic, as numpy's is not for complex entries."""
    n = matrix.shape[-1]
    root = np.zeros(matrix.shape, dtype=np.result_type(matrix, float))
    for i in range(n):
        for j in range(i + 1):
            rest = matrix[..., i, j] - (root[..., i, :j] * root[..., j, :j]).sum(-1)
            root[..., i, j] = np.sqrt(rest) if i == j else rest / root[..., j, j]
    return root


def log_normal(x: np.ndarray, mean: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """The logarithm of a Gaussian density: vectors `(S, n)`, covariance `(S or 1, n, n)`, result `(S,)`."""
    off = x - mean
    n = off.shape[-1]
    if len(cov) == 1:  # one matrix for all points
        solved = np.linalg.solve(cov[0], off.T).T
    else:
        solved = np.linalg.solve(np.broadcast_to(cov, (len(off), n, n)), off[..., None])[..., 0]
    return -0.5 * ((off * solved).sum(-1) + np.log(np.linalg.det(cov)) + n * np.log(2 * np.pi))


def gauss_nodes(mean: np.ndarray, cov: np.ndarray, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """Nodes `(S, N, n)` and weights `(1, N)` for expectations.

    Args:
        mean: The mean of the Gaussian, `(S, n)`.
        cov: Its covariance, `(S or 1, n, n)`.
        rule: A number of nodes a variable, exact for polynomials (Gauss and Hermite); `grid 12 401`, a fine grid of so
            many nodes, so many deviations wide; or `star 1`, for many variables.

    Raises:
        Unsuited: If that were too many nodes.
    """
    grid, weights = _standard_nodes(mean.shape[-1], rule)
    return mean[:, None, :] + np.einsum("...ij,nj->...ni", _root(cov), grid), weights[None]


@cache
def _standard_nodes(n: int, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """Nodes `(N, n)` and weights `(N,)` of the standard normal law of n variables."""
    if isinstance(rule, int):
        line, weight = np.polynomial.hermite_e.hermegauss(rule)
    elif rule.startswith("star"):
        return _star(n, float(rule.split()[1]))
    else:
        if n > 1:
            raise Unsuited("an integral of several variables that is not a polynomial's")
        wide, count = (float(part) for part in rule.split()[1:])
        line = np.linspace(-wide, wide, int(count))
        weight = np.exp(-(line**2) / 2)
    if len(line) ** n > 5e3:
        raise Unsuited("too many nodes")
    grid = np.stack(np.meshgrid(*(line,) * n, indexing="ij")).reshape(n, -1).T
    weights = np.prod(np.stack(np.meshgrid(*(weight / weight.sum(),) * n, indexing="ij")).reshape(n, -1), axis=0)
    return grid, weights


def _star(n: int, centre: float) -> tuple[np.ndarray, np.ndarray]:
    """A centre and two points on each axis, turned at random: exact for cubic polynomials, for many variables."""
    axes, _ = np.linalg.qr(np.random.default_rng(n).normal(size=(n, n)))
    reach = n + centre
    grid = np.concatenate([np.zeros((1, n)), axes * np.sqrt(reach), -axes * np.sqrt(reach)])
    return grid, np.array([centre / reach, *[0.5 / reach] * (2 * n)])
