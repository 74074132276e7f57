"""Gaussian worlds at the edge of what is possible: there a bound is reached, or broken.

The data are narrow or wide, the noise is tiny or nearly all, the network is perfect, or no good at all, the variances
are the best ones, or far from them; the encoder is exact, or says nothing. There are few coordinates and many. Two of
the points are special: at one of them everything is zero, at the other everything is the centre of the data.
"""

from __future__ import annotations

import numpy as np

from diffusion_notes.equations.gaussians import Gaussians
from diffusion_notes.equations.worlds import Point

__all__ = ["Extreme", "chains", "latents"]

MANY = 6
NARROW, WIDE = 0.02, 30.0
SLOW = tuple(np.linspace(1e-3, 0.02, 5))
FAST = (0.97, 0.985, 0.95)
FALLING = (0.98, 0.5, 0.1, 0.005)
RISING = (0.005, 0.1, 0.5, 0.98)


class Extreme(Gaussians):
    """A Gaussian world with data of the same width in every direction.

    Args:
        context: The chapter.
        title: What is extreme about it.
        D: How many coordinates each variable has.
        T: How many steps, in a diffusion chapter.
        width: The standard deviation of the data.
    """

    def __init__(self, context: str, title: str, D: int, T: int = 4, width: float = 1.0) -> None:
        super().__init__(context, 20 + D, D, T=T)
        self.title = f"{title}, D = {D}"
        if D > 1 or T > 5:
            self.rules = (("star 1", "star 4"),)
            self.rule = self.rules[0][0]
        self.start = (self.start[0], width**2 * np.eye(D))
        self.generic = {name: np.repeat(values[:1], 3, axis=0) for name, values in self.generic.items()}

    def draws(self, count: int) -> Point:
        """Points from q; of many, the first is at zero and the second at the centre of the data."""
        point = super().draws(count)
        if count > 2:
            for values in point.values.values():
                values[0], values[1] = 0.0, self.start[0]
        return point

    def noising(self, betas: tuple[float, ...]) -> Extreme:
        """The same world with these variances of the steps of q."""
        self.beta = np.array([0.0, *betas])
        self.alpha_bar = np.cumprod(1 - self.beta)
        return self

    def knowing(self, network: str) -> Extreme:
        """The same world with a network that is `perfect`, right if the data are their `centre`, `zero` or `huge`."""
        eye, centre, bar = np.eye(self.D), self.start[0], self.alpha_bar[1:]
        scales = {"zero": 0.0, "huge": 50.0}
        if network == "centre":
            steps = [(eye / np.sqrt(1 - b), -np.sqrt(b / (1 - b)) * centre, 0 * centre) for b in bar]
        else:
            steps = [(eye * scales.get(network, 1), 0 * centre, 0 * centre) for _ in bar]
        self.net[1:] = steps
        self.tight = network == "perfect"
        self._build()
        return self

    def spreading(self, variance: str | float) -> Extreme:
        """The same world with `tilde` or `plain` for the variances of p, or one deviation for all; or those it has."""
        if isinstance(variance, float):
            self.sigma = np.full(self.T + 1, variance)
            self._build()
            return self
        return self.choosing(variance) if variance else self


def chains(context: str) -> list[Extreme]:
    """Extreme worlds of a chapter about x_0, …, x_T."""
    table = (
        ("data that are noise already", 1, SLOW, 1.0, "perfect", ""),
        ("data that are noise already", MANY, FALLING, 1.0, "perfect", "tilde"),
        ("hardly any noise", 1, tuple(np.linspace(1e-4, 0.02, 40)), 1.0, "zero", "plain"),
        ("much noise, narrow data", MANY, FAST, NARROW, "centre", "tilde"),
        ("much noise, wide data", 1, FAST, WIDE, "zero", 1e-2),
        ("falling noise, wide data", MANY, FALLING, WIDE, "huge", 1e-2),
        ("rising noise, wide data", 1, RISING, WIDE, "zero", 1e2),
        ("rising noise, narrow data", 1, RISING, NARROW, "centre", "tilde"),
        ("rising noise, narrow data", MANY, RISING, NARROW, "huge", 1e2),
        ("little noise, narrow data", 1, SLOW, NARROW, "huge", 1e-2),
        ("little noise, wide data", MANY, SLOW, WIDE, "perfect", ""),
        ("one step", 1, (0.3,), 1.0, "zero", "plain"),
        ("one step", MANY, (0.01,), WIDE, "zero", 0.1),
    )
    return [
        Extreme(context, title, D, len(betas), width).noising(betas).knowing(network).spreading(variance)
        for title, D, betas, width, network, variance in table
    ]


def _latent(context: str, title: str, D: int, width: float, decoder: float, deviation: float, encoder: str) -> Extreme:
    """A world in which every step of the decoder multiplies by a number and turns."""
    world = Extreme(context, title, D, width=width)
    turn, _ = np.linalg.qr(np.random.default_rng(D).normal(size=(D, D)))
    still = np.zeros(D)
    world.net[1:] = [(decoder * turn, b, 0 * b) for _, b, _ in world.net[1:]]
    world.sigma = np.full(world.T + 1, deviation)
    if encoder == "nothing":  # every latent has the law of the prior, whatever is below it
        world.up, world.sigma_phi = [(0 * turn, still)] * world.T, np.ones(world.T + 1)
        world.net[2:] = [(0 * turn, still, still)] * (world.T - 1)
        world.sigma[2:] = 1.0
    world.tight = encoder == "exact"
    world._build()
    if encoder == "exact":
        mean, _, cov = world.regress("p", (world.keys[0],), ())
        world.start = (mean, cov)
        world._build()
    return world


def latents(context: str) -> list[Extreme]:
    """Extreme worlds of a chapter about x and its latents."""
    return [
        _latent(context, f"{title}, an encoder that is {encoder}", D, width, decoder, deviation, encoder)
        for D in (1, MANY)
        for title, width, decoder, deviation, encoder in (
            ("a decoder that ignores z", 1.0, 0.0, 0.7, "nothing"),
            ("an exact model", 1.0, 0.8, 0.5, "exact"),
            ("narrow data", NARROW, 1.0, 0.02, "free"),
            ("wide data", WIDE, 5.0, 0.02, "exact"),
            ("wide data", WIDE, 1.0, 30.0, "free"),
        )
    ]
