"""What the demonstrations of the errata are made with: integrals over a line, and chains that are known exactly."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal

from diffusion_notes.chains import Affine, LinearGaussianChain
from diffusion_notes.ddpm import DDPM
from diffusion_notes.schedule import Schedule

__all__ = [
    "DEMONSTRATED",
    "LINE",
    "STEP",
    "at_the_end",
    "average",
    "best_factor",
    "column",
    "covariance",
    "demonstrates",
    "entropy",
    "given",
    "normal",
    "perfect",
    "seeded",
    "standard_normal_nodes",
    "steps_of",
    "walk",
    "x_t",
]

DEMONSTRATED: dict[int, str] = {}
STEP = 0.01
LINE = torch.arange(-1000, 1001, dtype=torch.float64) * STEP
"""Where integrals over a single number are sums."""


def demonstrates(number: int) -> Callable[[Callable], Callable]:
    """Enter a test as the demonstration of one erratum."""

    def enter(test: Callable) -> Callable:
        assert test.__name__.startswith("test_"), f"pytest would not run {test.__name__}"
        assert number not in DEMONSTRATED, f"{number} has a demonstration: {DEMONSTRATED[number]}"
        DEMONSTRATED[number] = test.__name__
        return test

    return enter


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def normal(mean: float | Tensor, variance: float | Tensor) -> Normal:
    mean, variance = (torch.as_tensor(value, dtype=torch.float64) for value in (mean, variance))
    return Normal(mean, variance.sqrt())


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).unsqueeze(-1)


def standard_normal_nodes(count: int = 30) -> tuple[Tensor, Tensor]:
    """Gauss-Hermite nodes, and weights that sum to one."""
    node, weight = (torch.from_numpy(values) for values in np.polynomial.hermite_e.hermegauss(count))
    return node, weight / weight.sum()


def average(f: Callable[..., Tensor], numbers: int = 1) -> float:
    """E f(n), or E f(n, m), of independent standard normal numbers; f is asked for all nodes at once."""
    node, weight = (torch.cartesian_prod(*[each] * numbers).reshape(-1, numbers) for each in standard_normal_nodes())
    return (f(*node.T) * weight.prod(-1)).sum().item()


def entropy(variance: float) -> float:
    return math.log(2 * math.pi * math.e * variance) / 2


def covariance(schedule: Schedule, variance: float = 1.0) -> Tensor:
    """Of x_0, ..., x_T under q, for data N(0, variance): built up step by step, from q(x_t | x_{t-1}) alone."""
    C = torch.tensor([[variance]], dtype=torch.float64)
    for beta in schedule.beta[1:]:
        across = (1 - beta).sqrt() * C[-1:]
        corner = (1 - beta) * C[-1:, -1:] + beta
        C = torch.cat((torch.cat((C, across.T), 1), torch.cat((across, corner), 1)))
    return C


def given(C: Tensor, i: int, *known: int) -> Tensor:
    """The variance of variable i when the others are known, from the covariance of all."""
    known = list(known)
    return C[i, i] - C[i, known] @ torch.linalg.solve(C[known][:, known], C[known, i])


def at_the_end(schedule: Schedule, mean: float | Tensor, variance: float) -> Normal:
    """q(x_T) for data N(mean, variance), step by step; with no variance it is q(x_T | x_0 = mean)."""
    for beta in schedule.beta[1:].tolist():
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
    return normal(mean, variance)


def perfect(schedule: Schedule, variance: float = 1.0, sigma: str = "beta", factor: float = 1.0) -> DDPM:
    """The model with the exact E[ε | x_t] for data N(0, variance), or with a multiple of it."""

    def network(xt: Tensor, t: int | Tensor) -> Tensor:
        noise = schedule.at("one_minus_alpha_bar", t, xt)
        return factor * noise.sqrt() * xt / (schedule.at("alpha_bar", t, xt) * variance + noise)

    return DDPM(network, schedule, sigma)


def steps_of(ddpm: DDPM) -> LinearGaussianChain:
    """The same chain, of one coordinate, for a model whose prediction is linear: its log p and its bound are exact."""
    one, times = column(1.0), range(1, ddpm.length + 1)
    down, up = ([step(one, t) for t in times] for step in (ddpm.step, ddpm.q.step))
    return LinearGaussianChain(*([Affine.scalar(p.mean.item(), p.stddev.item()) for p in way] for way in (down, up)))


def walk(ddpm: DDPM, x0: Tensor) -> list[Tensor]:
    return [x for _, x in ddpm.q.walk(x0, seeded())]


def x_t(schedule: Schedule, t: int, x0: Tensor, noise: Tensor | float) -> Tensor:
    return schedule.sqrt_alpha_bar[t] * x0 + schedule.sqrt_one_minus_alpha_bar[t] * noise


def best_factor(schedule: Schedule, weight: Tensor) -> float:
    """The a with which ε_θ(x_t, t) = a x_t, one number for all t, has the smallest weighted loss; data N(0, 1/4).

    E(ε - a x_t)² = 1 - 2a √(1 - ᾱ_t) + a² Var(x_t) is a parabola in a, and so is the weighted sum.
    """
    variance = covariance(schedule, 1 / 4).diagonal()[1:]
    return ((weight * schedule.sqrt_one_minus_alpha_bar[1:]).sum() / (weight * variance).sum()).item()
