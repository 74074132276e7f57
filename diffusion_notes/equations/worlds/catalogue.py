"""The worlds in which the equations of a chapter are tried: the usual ones, the swiss roll, and limiting cases.

A limiting case is a Gaussian world at the edge of what is possible: there a bound is reached, or broken. The data are
narrow or wide, the noise is tiny or nearly all, the network is perfect, or no good at all, the variances are the best
ones, or far from them; the encoder is exact, or says nothing. There are few coordinates and many. Two of the points are
special: at one of them everything is zero, at the other everything is the centre of the data.
"""

from __future__ import annotations

from functools import cache
from typing import Self

import numpy as np

from diffusion_notes.equations.worlds.continuous_worlds import ContinuousMixture, ContinuousWorld
from diffusion_notes.equations.worlds.gaussian_world import GaussianWorld
from diffusion_notes.equations.worlds.histogram_world import HistogramWorld
from diffusion_notes.equations.worlds.line_world import LineWorld
from diffusion_notes.equations.worlds.non_gaussian_worlds import LearnedDeviationsWorld, MixtureWorld, SwissRollWorld
from diffusion_notes.equations.worlds.world import ATTACHED, Point, World

__all__ = [
    "LimitingCase",
    "continuous_worlds",
    "limiting_cases",
    "line_worlds",
    "spread_worlds",
    "swiss_rolls",
    "usual_worlds",
]

MANY = 6
NARROW = 0.02
WIDE = 30.0
HEAVY_TAILS = (0.5, 8.0)
SLOW = tuple(np.linspace(1e-3, 0.02, 5))
FAST = (0.97, 0.985, 0.95)
FALLING = (0.98, 0.5, 0.1, 0.005)
RISING = (0.005, 0.1, 0.5, 0.98)


@cache
def usual_worlds(context: str) -> tuple[World, ...]:
    """The worlds of a chapter: histograms, some with a model that is q turned round, and Gaussians."""
    histograms = [
        HistogramWorld(context, 1),
        HistogramWorld(context, 2, sharp=2.0, small=0.03),
        HistogramWorld(context, 3, tight=1.0, small=0.2),
        HistogramWorld(context, 4, sharp=0.7, tight=0.97, small=0.02),
        HistogramWorld(context, 5, sharp=1.5, small=4.0),
        *(HistogramWorld(context, seed, sharp=2.0, narrow=4.0, small=0.1) for seed in (6, 7, 8)),
        HistogramWorld(context, 9, sharp=0.5, tight=0.999, narrow=3.0, small=1.0),
        HistogramWorld(context, 10, sharp=3.0, small=0.3),
        HistogramWorld(context, 11, T=5),
        HistogramWorld(context, 12, sharp=1.5, small=0.5, T=3),
    ]
    smooth = [
        GaussianWorld(context, 1, 1),
        GaussianWorld(context, 2, 2, bent=0.3, T=3),
        GaussianWorld(context, 3, 2, T=3),
        GaussianWorld(context, 4, 1, tight=True, sharp=0.3),
        GaussianWorld(context, 5, 1, bent=0.4, sharp=0.4, T=3),
        GaussianWorld(context, 6, 1, sharp=0.6, T=3),
        GaussianWorld(context, 7, 3, T=2),
        GaussianWorld(context, 8, 1, T=5),
    ]
    if context in ("vae", "hvae"):
        smooth += [GaussianWorld(context, seed, 1, sharp=0.8) for seed in (9, 10, 11)]
        smooth += [LearnedDeviationsWorld(seed, D) for seed, D in ((12, 1), (13, 2)) if context == "vae"]
    else:
        smooth += [GaussianWorld(context, seed, 1, T=3, wide=True) for seed in (9, 10, 11)]
        smooth += [MixtureWorld(context, 12, 3), MixtureWorld(context, 13, 4)]
    found = (*histograms, *smooth)
    for i, world in enumerate(found):
        world.K = 1 + i % 3
        world.temper = (0.4, 2.5, 5.0)[i % 3]
    return found


@cache
def swiss_rolls(context: str) -> tuple[World, ...]:
    """Worlds with the book's own data, and more or less noise around the spiral."""
    return SwissRollWorld(context, 7, 4, 0.15), SwissRollWorld(context, 8, 3, 0.25)


@cache
def spread_worlds(context: str, kind: str) -> tuple[World, ...]:
    """Worlds in which the deviations of q are a vector, `diagonal`, or its covariance is any, `full`."""
    if context != "vae":
        return ()
    return GaussianWorld(context, 31, 2, spread=kind), GaussianWorld(context, 32, 3, bent=0.3, spread=kind)


@cache
def line_worlds(context: str) -> tuple[World, ...]:
    """Worlds with a law on the line that has a distribution function."""
    return tuple(LineWorld(context, seed) for seed in (1, 2, 3))


@cache
def continuous_worlds(context: str = "score") -> tuple[World, ...]:
    """Worlds in which time is a real number; in some the network is perfect."""
    found = (
        ContinuousWorld(1, 1, context=context),
        ContinuousWorld(2, 2, context=context),
        ContinuousMixture(3, context=context),
    )
    if context in ATTACHED:  # where a page says of its networks whether they are perfect
        return found
    return (*found, ContinuousWorld(4, 2, perfect=True), ContinuousMixture(5, perfect=True))


@cache
def limiting_cases(context: str) -> tuple[World, ...]:
    """Worlds at the edge of what is possible, in which a bound is reached or broken."""
    found: list[GaussianWorld] = []
    if context in ("vae", "hvae"):
        found += _limiting_latents(context)
    else:
        found += _limiting_chains(context)
        found.append(MixtureWorld(context, 14, 3, width=0.05, betas=(0.02, 0.03, 0.6)))
        found.append(MixtureWorld(context, 15, 3, width=HEAVY_TAILS, betas=(0.02, 0.03, 0.6)))
    for world in found:
        world.K = 1 if world.D == 1 else 9
    return tuple(found)


class LimitingCase(GaussianWorld):
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
                values[0] = 0.0
                values[1] = self.start[0]
        return point

    def with_noise(self, betas: tuple[float, ...]) -> Self:
        """This world, with these variances of the steps of q."""
        self.beta = np.array([0.0, *betas])
        self.alpha_bar = np.cumprod(1 - self.beta)
        return self

    def with_network(self, network: str) -> Self:
        """This world, with a network that is `perfect`, right if the data are their `centre`, `zero` or `huge`."""
        eye = np.eye(self.D)
        centre = self.start[0]
        bars = self.alpha_bar[1:]
        if network == "centre":
            steps = [(eye / np.sqrt(1 - bar), -np.sqrt(bar / (1 - bar)) * centre, 0 * centre) for bar in bars]
        else:
            scale = {"zero": 0.0, "huge": 50.0}.get(network, 1)
            steps = [(eye * scale, 0 * centre, 0 * centre) for _ in bars]
        self.net[1:] = steps
        self.tight = network == "perfect"
        self.rebuild()
        return self

    def with_variances(self, variance: str | float) -> Self:
        """This world, with `tilde` or `plain` for the variances of p, or one deviation for all; or those it has."""
        if self.eta is not None:  # DDIM's follow from η
            return self.choosing(variance) if variance == "tilde" else self
        if isinstance(variance, float):
            self.sigma = np.full(self.T + 1, variance)
            self.rebuild()
            return self
        return self.choosing(variance) if variance else self


def _limiting_chains(context: str) -> list[LimitingCase]:
    """Limiting cases of a chapter about x_0, …, x_T."""
    table: tuple[tuple[str, int, tuple[float, ...], float, str, str | float], ...] = (
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
        LimitingCase(context, title, D, len(betas), width)
        .with_noise(betas)
        .with_network(network)
        .with_variances(variance)
        for title, D, betas, width, network, variance in table
    ]


def _limiting_latents(context: str) -> list[LimitingCase]:
    """Limiting cases of a chapter about x and its latents."""
    table = (
        ("a decoder that ignores z", 1.0, 0.0, 0.7, "nothing"),
        ("an exact model", 1.0, 0.8, 0.5, "exact"),
        ("narrow data", NARROW, 1.0, 0.02, "free"),
        ("wide data", WIDE, 5.0, 0.02, "exact"),
        ("wide data", WIDE, 1.0, 30.0, "free"),
        ("a decoder that ignores z, narrow data", NARROW, 0.0, 0.02, "nothing"),
    )
    return [
        _limiting_latent(context, f"{title}, an encoder that is {encoder}", D, width, decoder, deviation, encoder)
        for D in (1, MANY)
        for title, width, decoder, deviation, encoder in table
    ]


def _limiting_latent(
    context: str, title: str, D: int, width: float, decoder: float, deviation: float, encoder: str
) -> LimitingCase:
    """A world in which every step of the decoder multiplies by a number and turns."""
    world = LimitingCase(context, title, D, width=width)
    turn, _ = np.linalg.qr(np.random.default_rng(D).normal(size=(D, D)))
    still = np.zeros(D)
    world.net[1:] = [(decoder * turn, b, 0 * b) for _, b, _ in world.net[1:]]
    world.sigma = np.full(world.T + 1, deviation)
    if not decoder:  # the data are where the decoder puts them
        world.start = (world.net[1][1], world.start[1])
    if encoder == "nothing":  # every latent has the law of the prior, whatever is below it
        world.up = [(0 * turn, still)] * world.T
        world.sigma_phi = np.ones(world.T + 1)
        world.net[2:] = [(0 * turn, still, still)] * (world.T - 1)
        world.sigma[2:] = 1.0
    world.tight = encoder == "exact"
    world.rebuild()
    if encoder == "exact":
        mean, _, cov = world.regress("p", (world.keys[0],), ())
        world.start = (mean, cov)
        world.rebuild()
    return world
