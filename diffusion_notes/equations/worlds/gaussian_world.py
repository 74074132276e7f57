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
import scipy

from diffusion_notes.equations.language.syntax_tree import NotUnderstood
from diffusion_notes.equations.worlds.world import (
    LATER,
    OF_LABELS,
    Point,
    SeveralDimensions,
    Undefined,
    Unsuited,
    Values,
    World,
)

__all__ = ["GaussianWorld", "Regression", "Rule", "Told", "gauss_nodes", "log_normal", "matrix_power"]

Rule = str | int
"""A rule of integration, see `gauss_nodes`."""

Affine = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A step of a chain: the matrix and the shift of its mean, and its covariance."""

Heed = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""A step of a network that is told what is seen of the data: its matrix, its shift, its square, and how it heeds it."""

Told = tuple[str, np.ndarray] | None
"""What is seen of the data: its letter and its value; or nothing."""

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
        spread: How the noise of q is spread where it is no diffusion: evenly, or `diagonal` or `full` for a covariance
            of that kind.
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
        spread: str = "",
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
        if context == "guidance":  # a condition makes a variance smaller than one
            self.generic["v"] = self.generic["v"] / (1 + self.generic["v"])
        self.length = float(self.generic["v"][0])  # of a step that keeps a law: any
        self.spread = self._spread_of(spread, seed)
        self._begin_prior(seed)
        self._begin_attached(seed)
        self.rebuild()

    def _spread_of(self, kind: str, seed: int) -> np.ndarray:
        """The root of a covariance, for the noise of q: a symmetric matrix."""
        rng = np.random.default_rng(seed + 3000)
        root = rng.normal(size=(self.D, self.D))
        match kind:
            case "diagonal":
                return np.diag(rng.uniform(0.4, 2.5, self.D))
            case "full":
                return matrix_power(root @ root.T + 0.3 * np.eye(self.D), 0.5)
        return np.eye(self.D)

    def _begin_prior(self, seed: int) -> None:
        """Where noise leads to: N(0, I), and any Gaussian in the chapter about priors from data."""
        self.prior = (np.zeros(self.D), np.eye(self.D))
        if self.context == "signals":
            rng = np.random.default_rng(seed + 2000)
            root = rng.normal(size=(self.D, self.D)) * 0.5 + np.eye(self.D)
            self.prior = (rng.normal(size=self.D), root @ root.T)
        self.root = matrix_power(self.prior[1], 0.5)
        self.whiten = np.linalg.inv(self.root)

    def _begin_attached(self, seed: int) -> None:
        """What is seen of the data, y = A x_0 + b and noise, and the networks that are told of it."""
        rng = np.random.default_rng(seed + 1000)
        n, D = self.T, self.D
        self.seen: dict[str, Affine] = {}
        self.told: dict[str, list[Heed]] = {}
        self.weight = float(np.exp(rng.uniform(-0.7, 1.1)))
        self.flawless = False
        self.certain = False  # a classifier that is exact
        self.blur = float(rng.uniform(0.3, 1.2))
        self.guessed = rng.normal(size=(n + 1, D, D)) * 0.6
        for key in self.attached:
            self.seen[key] = (np.eye(D) + 0.4 * rng.normal(size=(D, D)), rng.normal(size=D), self.blur**2 * np.eye(D))
            if key == "y" and seed % 2:  # the observation is the data and noise of one size
                self.seen[key] = (np.eye(D), np.zeros(D), self.blur**2 * np.eye(D))
            steps = [
                (0.5 * rng.normal(size=(D, D)), rng.normal(size=D), rng.normal(size=D) * self.bent) for _ in range(n)
            ]
            self.told[key] = [(*step, 0.5 * rng.normal(size=(D, D))) for step in steps]

    # The joint laws

    def rebuild(self) -> None:
        """The joint Gaussians, mean and covariance, from the steps; p's only if its means are linear."""
        if self.eta is not None:
            self.sigma = self._deviations_of_ddim(self.eta)
        self.steps_up = [self._step_up(t) for t in range(1, self.T + 1)]
        self.joint = {"q": self._chain(self.start, self.steps_up, range(self.T + 1))}
        self._regressions: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Regression] = {}
        if self.attached:
            self.joint["q_w"] = self._with_attached(*self.joint["q"], self.weight)
            self.joint["q"] = self._with_attached(*self.joint["q"])
        if self.tight:
            self.tight = False
            if self.diffusing:
                self._turn_q_round()
                self.sigma = self.sigma if self.eta is None else self._deviations_of_ddim(self.eta)
            else:
                self._turn_p_round()
        if not self.bent:
            down = [(*self._mean_down(t), self.sigma[t] ** 2 * self.prior[1]) for t in range(self.T, 0, -1)]
            self.joint["p"] = self._chain(self.prior, down, range(self.T, -1, -1))
        if self.eta:
            self.joint["q_sigma"] = self._walked_from_the_top()
        if self.attached and not self.bent:
            if self.context in OF_LABELS:
                self.joint |= {f"p {key}": self._told_chain(key) for key in self.attached}
            else:
                self.joint["p"] = self._with_attached(*self.joint["p"])

    def _with_attached(self, mean: np.ndarray, cov: np.ndarray, weight: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """A joint Gaussian of the chain, and of what is seen of x_0; p(c | x_0) may have a weight for its power."""
        D = self.D
        ways = [np.eye(len(mean))]
        shifts = [np.zeros(len(mean))]
        noises = [np.zeros((len(mean), len(mean)))]
        for key, (a, b, noise) in self.seen.items():
            ways.append(np.concatenate([a, np.zeros((D, len(mean) - D))], axis=1))
            shifts.append(b)
            noises.append(noise / weight if key == "c" else noise)
        way = np.concatenate(ways)
        return way @ mean + np.concatenate(shifts), way @ cov @ way.T + scipy.linalg.block_diag(*noises)

    def _told_chain(self, key: str) -> tuple[np.ndarray, np.ndarray]:
        """The joint Gaussian of a model that is told what is seen, and of that; it is standard normal in it."""
        D = self.D
        kind = np.result_type(*(part for step in self.told[key] for part in step), self.sigma, float)
        makes = np.zeros((len(self.names), D, self.T + 2, D), dtype=kind)  # of the condition, and of noise
        mean = np.zeros((len(self.names), D), dtype=kind)
        place = self.names.index(key)
        makes[place, :, 0] = np.eye(D)
        mean[self.T] = self.prior[0]
        makes[self.T, :, 1] = self.root
        for t in range(self.T, 0, -1):
            a, b, _, heed = self.told[key][t - 1]
            way, shift = self._mean_down(t, (a, b))
            makes[t - 1] = np.einsum("ij,jnk->ink", way, makes[t])
            makes[t - 1, :, 0] += self._of_noise(t) @ heed
            makes[t - 1, :, t + 1] = self.sigma[t] * self.root
            mean[t - 1] = way @ mean[t] + shift
        flat = makes.reshape(len(self.names) * D, -1)
        return mean.ravel(), flat @ flat.T

    def _step_up(self, t: int) -> Affine:
        eye = np.eye(self.D)
        if self.diffusing:
            root = np.sqrt(1 - self.beta[t])
            return root * eye, (1 - root) * self.prior[0], self.beta[t] * self.prior[1]
        return (*self.up[t - 1], self.sigma_phi[t] ** 2 * self.spread @ self.spread)

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
            self.sigma[t] = np.sqrt(np.trace(self.whiten @ cov @ self.whiten) / self.D)
            root = np.sqrt(1 - self.beta[t])
            way = self.whiten * np.sqrt(1 - self.alpha_bar[t]) / self.beta[t]
            off = (1 - root) * self.prior[0]
            self.net[t] = (way @ (eye - root * gain), -way @ (root * shift + off), np.zeros(self.D))
            for key in self.told if self.context in OF_LABELS else ():
                mean, both, _ = self.regress("q", (self.keys[t - 1],), (self.keys[t], key))
                gain, heed = both[:, : self.D], both[:, self.D :]
                shift = mean - both @ self.regress("q", (self.keys[t], key), ())[0]
                self.told[key][t - 1] = (
                    way @ (eye - root * gain), -way @ (root * shift + off), np.zeros(self.D), -root * way @ heed
                )  # fmt: skip

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
        if any(name not in self.names for name in names):
            raise Unsuited(f"no joint distribution with {names}")
        return [self.names.index(name) * self.D + d for name in names for d in range(self.D)]

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

    def _mean_down(self, t: int, network: tuple[np.ndarray, np.ndarray] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The matrix and the shift of a mean of p that is linear."""
        a, b = network or self.net[t][:2]
        if not self.diffusing:
            return a, b
        if self.eta is not None:
            of_x0, of_xt = self.ddim_weights(t)
            bar = self.alpha_bar[t]
            back = of_x0 / np.sqrt(bar)
            noise = -back * np.sqrt(1 - bar)
            return (back + of_xt) * np.eye(self.D) + noise * a, noise * b
        root = np.sqrt(1 - self.beta[t])
        of_noise = self._of_noise(t)
        off = (1 - 1 / root) * self.prior[0]
        return np.eye(self.D) / root + of_noise @ a, of_noise @ b + off

    def _of_noise(self, t: int) -> np.ndarray:
        """By which matrix the noise that is predicted counts in the mean of a step down."""
        return -self.beta[t] / np.sqrt(1 - self.alpha_bar[t]) / np.sqrt(1 - self.beta[t]) * self.root

    def network(self, x: np.ndarray, t: int) -> np.ndarray:
        """ε_θ(x, t) in a diffusion chapter, the mean of the step down elsewhere."""
        if self.flawless:
            return self.expected_noise_given(x, t, None)
        a, b, c = self.net[t]
        return np.einsum("ij,sj->si", a, x) + b + c * x * x

    def network_told(self, x: np.ndarray, t: int, key: str, value: np.ndarray) -> np.ndarray:
        """ε_θ(x, t, c), the noise that a network predicts that is told what is seen of the data."""
        if self.flawless:
            return self.expected_noise_given(x, t, (key, value))
        a, b, c, heed = self.told[key][t - 1]
        return x @ a.T + b + c * x * x + value @ heed.T

    def deviation_seen(self) -> float:
        """The deviation k of an observation y = x_0 + k n."""
        a, b, _ = self.seen["y"]
        if b.any() or (a != np.eye(self.D)).any():
            raise Unsuited("an observation that is not the data and noise")
        return self.blur

    def expected_noise_given(self, x: np.ndarray, t: int, told: Told) -> np.ndarray:
        """E[ε | x_t], or E[ε | x_t, c]."""
        point = Point({self.keys[t]: x} | (dict([told]) if told else {}))
        start = self.expected_start((self.keys[t], *(told or ())[:1]), point)
        bar = self.alpha_bar[t]
        return (x - np.sqrt(bar) * start - (1 - np.sqrt(bar)) * self.prior[0]) @ self.whiten / np.sqrt(1 - bar)

    def expected_start(self, given: tuple[str, ...], point: Point) -> np.ndarray:
        """E[x_0 | …]."""
        return self.moments("q", (self.keys[0],), given, point)[0]

    def mean_down(self, x: np.ndarray, t: int, told: Told = None) -> np.ndarray:
        """The mean of p_θ of the variable below, given the t-th; and what is seen of the data, if it is told that."""
        if told is not None:
            root = np.sqrt(1 - self.beta[t])
            noise = self.network_told(x, t, *told)
            return x / root + noise @ self._of_noise(t).T + (1 - 1 / root) * self.prior[0]
        if not self.diffusing:
            return self.network(x, t)
        if self.eta is not None:
            of_x0, of_xt = self.ddim_weights(t)
            return of_x0 * self.start_of(x, self.network(x, t), t) + of_xt * x
        root = np.sqrt(1 - self.beta[t])
        return x / root + self.network(x, t) @ self._of_noise(t).T + (1 - 1 / root) * self.prior[0]

    def start_of(self, x: np.ndarray, noise: np.ndarray, t: int) -> np.ndarray:
        """The x_0 of which some noise makes x_t."""
        bar = self.alpha_bar[t]
        return (x - np.sqrt(1 - bar) * noise @ self.root - (1 - np.sqrt(bar)) * self.prior[0]) / np.sqrt(bar)

    def deviation(self, model: str, value: np.ndarray) -> np.ndarray:
        """The deviation of the first step of p, or of q: the same wherever it starts from."""
        if model == "p" or (self.spread == np.eye(self.D)).all():
            return (self.sigma_phi if model == "q" else self.sigma)[1:2]
        if np.count_nonzero(self.spread) > self.D:
            raise Unsuited("deviations that are no vector")
        return self.sigma_phi[1] * self.spread[None]

    def covariance(self, model: str, value: np.ndarray) -> np.ndarray:
        """The covariance of the first step of p, or of q."""
        if model == "q":
            return self.sigma_phi[1] ** 2 * (self.spread @ self.spread)[None]
        return self.deviation(model, value)[:, None, None] ** 2 * np.eye(self.D)

    # The noise

    def noised(self, point: Point) -> Values:
        """x_t, where x_0 and the noise have been drawn."""
        t = point.counts["t"]
        bar = self.alpha_bar[t]
        noise = np.sqrt(1 - bar) * point.values["eps"] @ self.root
        return {f"x{t}": np.sqrt(bar) * point.values["x0"] + (1 - np.sqrt(bar)) * self.prior[0] + noise}

    def noise(self, point: Point) -> np.ndarray:
        """The noise that made x_t from x_0, or z from x."""
        below, above = self.linked(point)
        if below not in point.values or above not in point.values:
            raise NotUnderstood(f"{above} and its noise have no value here")
        if self.diffusing:
            bar = self.alpha_bar[point.counts["t"]]
            off = point.values[above] - np.sqrt(bar) * point.values[below] - (1 - np.sqrt(bar)) * self.prior[0]
            return off @ self.whiten / np.sqrt(1 - bar)
        a, b = self.up[0]
        off = point.values[above] - point.values[below] @ a.T - b
        return off @ np.linalg.inv(self.spread) / self.sigma_phi[1]

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
        if model in ("guess", "proposal"):
            raise Unsuited("a proposal of vectors")
        if model == "p_phi":
            return self._guess(about, given, point)
        if model.startswith("p") and self.bent:
            return self._log_run(model, about, given, point)
        mean, cov = self.moments(model, about, given, point)
        return log_normal(np.concatenate([point.values[key] for key in about], axis=-1), mean, cov)

    def _guess(self, about: tuple[str, ...], given: tuple[str, ...], point: Point) -> np.ndarray:
        """What a trained classifier says of what is seen, given one variable of the chain."""
        if about != ("c",) or len(given) != 1 or given[0] not in self.keys:
            raise Unsuited("a classifier tells the label of one variable")
        if self.certain:
            return self.log_density("q", about, given, point)
        x = point.values[given[0]]
        mean = x @ self.guessed[self.keys.index(given[0])].T + 0.1 * x**2
        return log_normal(point.values["c"], mean, np.eye(self.D)[None])

    def _told(self, model: str, given: tuple[str, ...], point: Point) -> tuple[tuple[str, ...], Told]:
        """What a step of a model is given of the chain, and what it is told of the data."""
        key = model.removeprefix("p").strip()
        return tuple(name for name in given if name != key), (key, point.values[key]) if key else None

    def _log_run(self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point) -> np.ndarray:
        """P of a run of the chain: everything below the top, or below one given variable, is a product of steps."""
        given, told = self._told(model, given, point)
        if any(self.original(key) not in self.keys for key in (*about, *given)):
            raise Unsuited("what is seen of a model with bent means")
        places = sorted(self.keys.index(self.original(key)) for key in about)
        above = [self.keys.index(self.original(key)) for key in given]
        run = places == list(range(places[0], places[-1] + 1))
        if not run or not (above == [places[-1] + 1] or (not above and places[-1] == self.T)):
            raise Unsuited("a marginal of a model with bent means")
        values = {self.keys.index(self.original(key)): point.values[key] for key in (*about, *given)}
        start, cov = self.prior[0][None], self.prior[1][None]
        total = np.zeros(1) if above else log_normal(values[self.T], start, cov)
        for i in places:
            if i < self.T:
                mean = self.mean_down(values[i + 1], i + 1, told)
                total = total + log_normal(values[i], mean, self.sigma[i + 1] ** 2 * cov)
        return total

    def nodes(
        self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point
    ) -> tuple[Values, np.ndarray]:
        """Values of `about`, `(S, N, …)`, and weights `(S, N)`, whose weighted sums are expectations given `given`."""
        if model in ("p_phi", "guess", "proposal"):
            raise Unsuited("an average over what is guessed")
        mean, cov = self.law(model, about, given, point)
        found, weights = gauss_nodes(mean, cov, self.rule)
        D = self.D
        return {key: found[..., i * D : (i + 1) * D] for i, key in enumerate(about)}, weights

    def law(
        self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point
    ) -> tuple[np.ndarray, np.ndarray]:
        """The mean `(S, n)` and the covariance `(1, n, n)` of some variables given others; of p with bent means too."""
        if model.startswith("p") and self.bent:
            return self._step_or_prior(model, about, given, point)
        return self.moments(model, about, given, point)

    def _step_or_prior(
        self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point
    ) -> tuple[np.ndarray, np.ndarray]:
        """The mean and the covariance of one step of p, or of its prior."""
        given, told = self._told(model, given, point)
        start, cov = self.prior[0][None], self.prior[1][None]
        if not given and len(about) == 1 and self.original(about[0]) == self.keys[-1]:
            return start, cov
        if any(self.original(key) not in self.keys for key in (*about, *given)):
            raise Unsuited("what is seen of a model with bent means")
        if len(about) != 1 or len(given) != 1:
            raise Unsuited("an expectation over several variables of a model with bent means")
        t = self.keys.index(self.original(given[0]))
        if self.keys.index(self.original(about[0])) != t - 1:
            raise Unsuited("a marginal of a model with bent means")
        return self.mean_down(point.values[given[0]], t, told), self.sigma[t] ** 2 * cov

    def measure(self, key: str, point: Point) -> tuple[Values, np.ndarray]:
        """Values and weights whose weighted sums are integrals over a variable."""
        if self.D > 1 or isinstance(self.rule, int) or self.original(key) not in self.names:
            raise (SeveralDimensions if self.D > 1 else Unsuited)("an integral over several dimensions")
        i = self.names.index(self.original(key))
        moments = [(mean[i].real, cov[i, i].real) for mean, cov in self.joint.values() if i < len(mean)]
        wide, count = (float(part) for part in self.rule.split()[1:])
        reach = max(abs(mean) + wide * np.sqrt(var) for mean, var in moments)
        line = np.linspace(-reach, reach, int(count))
        return {key: line[None, :, None]}, np.full((1, len(line)), line[1] - line[0])

    def draws(self, count: int) -> Point:
        """Points from q."""
        mean, cov = self.joint["q"]
        noise = np.random.default_rng(count).normal(size=(count, len(mean)))
        found = noise @ np.linalg.cholesky(cov.real).T + mean.real
        values: Values = {key: found[:, i * self.D : (i + 1) * self.D] for i, key in enumerate(self.names)}
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
            other.told = {
                key: [(a + by * w, b + by * v, c, g) for (a, b, c, g), w, v in zip(steps, turn, shift, strict=False)]
                for key, steps in self.told.items()
            }
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

    def with_deviation(self, deviation: float) -> Self:
        """The same world with this deviation of all steps of p."""
        other = copy.copy(self)
        other.sigma = np.full(self.T + 1, deviation)
        other.rebuild()
        return other

    def with_data(self, mean: np.ndarray, cov: np.ndarray) -> Self:
        """The same world with other data."""
        other = copy.copy(self)
        other.start = (mean, cov)
        other.rebuild()
        return other

    def with_blur(self, blur: float) -> Self:
        """The same world with an observation that is the data and noise of this size."""
        other = copy.copy(self)
        other.blur = blur
        other.seen = self.seen | {"y": (np.eye(self.D), np.zeros(self.D), blur**2 * np.eye(self.D))}
        other.rebuild()
        return other

    def perfected(self, kind: str = "perfect") -> Self:
        """The same world with networks that predict the expectation of the noise; or with an exact classifier."""
        other = copy.copy(self)
        if kind == "exact":
            other.certain = True
            return other
        other.flawless = True
        other.bent = other.bent or 1.0  # p has no closed marginals then
        other.rebuild()
        return other

    def with_exact_encoder(self) -> Self | None:
        """The same world with q's steps up those of p turned round, if these have one deviation."""
        if self.D > 1 or self.bent:
            return None
        other = copy.copy(self)
        other.up = list(self.up)
        other.sigma_phi = self.sigma_phi.copy()
        other._turn_p_round()
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


def matrix_power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """A power of a symmetric positive matrix, or of several."""
    values, ways = np.linalg.eigh(matrix)
    return (ways * values[..., None, :] ** exponent) @ np.swapaxes(ways, -1, -2)


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
    if n <= 2:  # by hand, which is several times faster than a solver for many points
        root = _root(cov)
        white = [off[..., 0] / root[..., 0, 0]]
        if n == 2:
            white.append((off[..., 1] - root[..., 1, 0] * white[0]) / root[..., 1, 1])
        squares = sum(white[i] ** 2 + 2 * np.log(root[..., i, i]) for i in range(n))
        return -0.5 * (squares + n * np.log(2 * np.pi))
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
