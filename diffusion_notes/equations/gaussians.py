"""Gaussian worlds: every step is Gaussian, so marginals, conditionals and expectations are exact.

The steps of q are linear: its joint distribution is one Gaussian, and every conditional is read off it by regression,
not from the formulas of the book. The steps of p have any mean: linear, or with a square, so that nothing holds only
because a network is linear; then p has no closed marginals, and what needs them is unsuited.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffusion_notes.equations.nodes import NotUnderstood
from diffusion_notes.equations.normal import gauss_nodes, log_normal
from diffusion_notes.equations.variations import Variations
from diffusion_notes.equations.worlds import Point, Undefined, Unsuited, Values, World

__all__ = ["Gaussians"]


class Gaussians(Variations, World):
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
        rng = np.random.default_rng(seed)
        self.D, self.bent, self.rule = D, bent, 4
        n = self.T
        square = lambda size: rng.normal(size=(D, D)) * size  # noqa: E731
        self.beta = np.concatenate([[0], rng.uniform(0.04, 0.9, n) if wide else rng.uniform(0.08, 0.6, n)])
        self.alpha_bar = np.cumprod(1 - self.beta)
        self.sigma = np.concatenate([[0], rng.uniform(0.3, 0.9, n) * sharp * (rng.uniform(0.3, 6.0, n) if wide else 1)])
        self.sigma_phi = rng.uniform(0.4, 0.9, n + 1) * (1.0 if context == "vae" else sharp)
        self.sigma_phi *= rng.uniform(0.5, 4.0, n + 1) if wide else 1
        root = (square(0.6) + np.eye(D) * 0.9) * (8 if wide else 1)
        self.start = (rng.normal(size=D) * (8 if wide else 1), root @ root.T)
        scalar = lambda: np.eye(D) * rng.uniform(0.5, 1.2) * rng.choice([-1, 1]) if D == 1 else square(0.7)  # noqa: E731
        self.up = [(scalar(), rng.normal(size=D)) for _ in range(n)]
        self.net = [(np.zeros((D, D)), np.zeros(D), np.zeros(D))]
        self.net += [(scalar(), rng.normal(size=D), rng.normal(size=D) * bent) for _ in range(n)]
        self.shapes = (rng.normal(size=(8, n + 1, D, D)), rng.normal(size=(8, n + 1, D)), rng.normal(size=(8, n + 1)))
        self.any = {name: (rng.normal(), rng.normal(size=D), square(1.0)) for name in ("f", "f phi")}
        self.tight = tight
        size = 8 if wide else 1
        self.generic = {"m": rng.normal(size=(3, D)) * size, "v": rng.uniform(0.1, 2.0, 3) * size}
        self._build()

    def _build(self) -> None:
        """The joint Gaussians, mean and covariance; p's only if its means are linear."""
        D, n = self.D, self.T
        steps = []
        for t in range(1, n + 1):
            a, b = self.up[t - 1]
            noise = self.sigma_phi[t] ** 2 * np.eye(D)
            if self.diffusing:
                a, b, noise = np.sqrt(1 - self.beta[t]) * np.eye(D), np.zeros(D), self.beta[t] * np.eye(D)
            steps.append((a, b, noise))
        self.steps_up = steps
        self.joint = {"q": self._chain(self.start, steps, range(n + 1))}
        if self.tight:
            self._turn()
        if not self.bent:
            down = [(*self._mean_down(t), self.sigma[t] ** 2 * np.eye(D)) for t in range(n, 0, -1)]
            self.joint["p"] = self._chain((np.zeros(D), np.eye(D)), down, range(n, -1, -1))

    def _chain(self, start, steps, order):
        D, n = self.D, self.T + 1
        kind = np.result_type(*(part for step in steps for part in step), float)
        mean, cov = np.zeros(n * D, dtype=kind), np.zeros((n * D, n * D), dtype=kind)
        spot = [slice(i * D, (i + 1) * D) for i in order]
        mean[spot[0]], cov[spot[0], spot[0]] = start
        for i, (a, b, noise) in enumerate(steps, start=1):
            mean[spot[i]] = a @ mean[spot[i - 1]] + b
            for j in range(i):
                cov[spot[i], spot[j]] = a @ cov[spot[i - 1], spot[j]]
                cov[spot[j], spot[i]] = cov[spot[i], spot[j]].T
            cov[spot[i], spot[i]] = a @ cov[spot[i - 1], spot[i - 1]] @ a.T + noise
        return mean, cov

    def _turn(self) -> None:
        """Make one side the other turned round: p's steps those of q for a diffusion, q's those of p elsewhere."""
        self.tight, eye = False, np.eye(self.D)
        if not self.diffusing:  # exact posteriors, so that the bound is reached; the covariances are round for D = 1
            self._build()
            for t in range(1, self.T + 1):
                mean, gain, cov = self.regress("p", (self.keys[t],), (self.keys[t - 1],))
                self.up[t - 1] = (gain, mean - gain @ self.regress("p", (self.keys[t - 1],), ())[0])
                self.sigma_phi[t] = np.sqrt(np.trace(cov) / self.D)
            return self._build()
        for t in range(1, self.T + 1):
            mean, gain, cov = self.regress("q", (self.keys[t - 1],), (self.keys[t],))
            shift = mean - gain @ self.regress("q", (self.keys[t],), ())[0]
            self.sigma[t] = np.sqrt(np.trace(cov) / self.D)
            scale, root = self.beta[t] / np.sqrt(1 - self.alpha_bar[t]), np.sqrt(1 - self.beta[t])
            self.net[t] = ((eye - root * gain) / scale, -root * shift / scale, np.zeros(self.D))

    def _mean_down(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        a, b, _ = self.net[t]
        if not self.diffusing:
            return a, b
        scale, root = self.beta[t] / np.sqrt(1 - self.alpha_bar[t]), np.sqrt(1 - self.beta[t])
        return (np.eye(self.D) - scale * a) / root, -scale * b / root

    def network(self, x: np.ndarray, t: int) -> np.ndarray:
        """ε_θ(x, t) in a diffusion chapter, the mean of the step down elsewhere."""
        a, b, c = self.net[t]
        return np.einsum("ij,sj->si", a, x) + b + c * x * x

    def mean_down(self, x: np.ndarray, t: int) -> np.ndarray:
        """The mean of p_θ of the variable below, given the t-th."""
        if not self.diffusing:
            return self.network(x, t)
        scale = self.beta[t] / np.sqrt(1 - self.alpha_bar[t])
        return (x - scale * self.network(x, t)) / np.sqrt(1 - self.beta[t])

    def deviation(self, model: str, value: np.ndarray) -> np.ndarray:
        """The deviation of the first step of p, or of q: the same wherever it starts from."""
        return (self.sigma_phi if model == "q" else self.sigma)[1:2]

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

    def regress(self, model: str, about: tuple[str, ...], given: tuple[str, ...]):
        """E[about], the matrix that maps given's deviation to about's, and the covariance that is left."""
        if model not in self.joint:
            raise Unsuited("a marginal of a model with bent means")
        mean, cov = self.joint[model]
        spots = []
        for keys in (about, given):
            names = [self.original(key) for key in keys]
            if any(name not in self.keys for name in names):
                raise Unsuited(f"no joint distribution with {names}")
            spots.append([self.keys.index(name) * self.D + d for name in names for d in range(self.D)])
        a, g = spots
        if set(a) & set(g) or len(set(a)) < len(a):
            raise Undefined("a variable twice in one density")
        gain = np.linalg.solve(cov[np.ix_(g, g)], cov[np.ix_(g, a)]).T if g else np.zeros((len(a), 0))
        return mean[a], gain, cov[np.ix_(a, a)] - gain @ cov[np.ix_(g, a)]

    def moments(self, model, about, given, point: Point):
        """The mean `(S, n)` and the covariance `(1, n, n)` of some variables given others."""
        mean, gain, cov = self.regress(model, about, given)
        if given:
            seen = np.concatenate([point.values[key] for key in given], axis=-1)
            there = self.regress(model, given, ())[0]
            return mean + (seen - there) @ gain.T, cov[None]
        return mean[None], cov[None]

    def log_density(self, model, about, given, point):  # noqa: D102
        if model == "p" and self.bent:
            return self._bent(about, given, point)
        mean, cov = self.moments(model, about, given, point)
        return log_normal(np.concatenate([point.values[key] for key in about], axis=-1), mean, cov)

    def _bent(self, about, given, point: Point) -> np.ndarray:
        """P of a run of the chain: everything below the top, or below one given variable, is a product of steps."""
        places = sorted(self.keys.index(self.original(key)) for key in about)
        above = [self.keys.index(self.original(key)) for key in given]
        run = places == list(range(places[0], places[-1] + 1))
        if not run or not (above == [places[-1] + 1] or (not above and places[-1] == self.T)):
            raise Unsuited("a marginal of a model with bent means")
        values = {self.keys.index(self.original(key)): point.values[key] for key in (*about, *given)}
        total = 0.0 if above else log_normal(values[self.T], np.zeros((1, self.D)), np.eye(self.D)[None])
        for i in places:
            if i < self.T:
                cov = self.sigma[i + 1] ** 2 * np.eye(self.D)[None]
                total = total + log_normal(values[i], self.mean_down(values[i + 1], i + 1), cov)
        return total

    def nodes(self, model, about, given, point):  # noqa: D102
        if model == "p" and self.bent and (given or self.original(about[0]) != self.keys[-1] or len(about) > 1):
            if len(about) != 1 or len(given) != 1:
                raise Unsuited("an expectation over several variables of a model with bent means")
            t = self.keys.index(self.original(given[0]))
            if self.keys.index(self.original(about[0])) != t - 1:
                raise Unsuited("a marginal of a model with bent means")
            mean = self.mean_down(point.values[given[0]], t)
            cov = self.sigma[t] ** 2 * np.eye(self.D)[None]
        elif model == "p" and self.bent:
            mean, cov = np.zeros((1, self.D)), np.eye(self.D)[None]
        else:
            mean, cov = self.moments(model, about, given, point)
        found, weights = gauss_nodes(mean, cov, self.rule)
        D = self.D
        return {key: found[..., i * D : (i + 1) * D] for i, key in enumerate(about)}, weights

    def measure(self, key, point):  # noqa: D102
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
        found = (
            np.random.default_rng(count).normal(size=(count, len(mean))) @ np.linalg.cholesky(cov.real).T + mean.real
        )
        values: Values = {key: found[:, i * self.D : (i + 1) * self.D] for i, key in enumerate(self.keys)}
        return replace(Point(), values=values)
