"""The recipes of this book that are measured, and what only an exact density can say of what they have learned."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from stopwatch import Stopwatch
from torch import Generator, Tensor
from torch.nn.functional import linear
from torch.utils.benchmark import Timer

from diffusion_notes.ddpm import DDPM
from diffusion_notes.diffusion import bound_terms
from diffusion_notes.distributions import draw, randn_like
from diffusion_notes.fitting import train
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.parameterisations import best_variance, variational_weight
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll

ROLL, SCHEDULE = SwissRoll(), Schedule.linear(T=1000)
# where the loss is compared with the smallest one; the quadrature takes a moment for each
TIMES = [1, 2, 3, 5, 8, 13, 20, 30, 45, 65, 90, 120, 160, 200, 250, 300, 360, 430, 500, 580, 660, 740, 820, 900, 1000]


class ExactTargets(DDPM):
    """Learns from E[ε | x_t] and not from ε: the same minimum, without the noise. Where the density is known, that is.

    What is left of the excess then is the network's and the optimiser's.
    """

    def loss(self, x0: Tensor, generator: Generator | None = None) -> Tensor:
        """The loss of a batch; its smallest value is 0."""
        t, weight = self._draw_t(x0, generator)
        xt = draw(self.q.marginal(x0, t), generator)
        with torch.no_grad():
            target = ROLL.expected_noise(xt, SCHEDULE.alpha_bar[t].to(xt))
        return (weight * (target - self.network(xt, t)).square().sum(-1)).mean()


class GroupTargets(DDPM):
    """Learns from E[ε | x_t, its group]: any of a group's points may have become x_t, and a softmax says which.

    Groups are random, so the mean of this is E[ε | x_t], whatever their size: the same minimum, with less noise, and
    nothing needs to be known but the points. A group has one t, so these are drawn one from each of as many equal
    shares. (Xu, Tong and Jaakkola 2023 have such targets from a larger batch.)
    """

    group = 64

    def loss(self, x0: Tensor, generator: Generator | None = None) -> Tensor:
        """The loss of a batch; its smallest value is that of E[ε | x_t] against these targets."""
        groups = x0.unflatten(0, (-1, self.group))
        share = (torch.arange(len(groups)) + torch.rand(len(groups), generator=generator)) / len(groups)
        t = torch.searchsorted(self.tables.whole("cdf", x0), share, right=True).clamp(max=self.schedule.T)
        xt = draw(self.q.marginal(groups, t.unsqueeze(1).expand(groups.shape[:2])), generator)
        signal, noise = (self.schedule.at(name, t, x0).unsqueeze(-1) for name in ("alpha_bar", "one_minus_alpha_bar"))
        # log N(x_t; √ᾱ_t x, 1 − ᾱ_t) of each point x of the group, without what they have in common
        close = (signal.sqrt() * xt @ groups.mT - signal / 2 * groups.square().sum(-1).unsqueeze(-2)) / noise
        target = (xt - signal.sqrt() * close.softmax(-1) @ groups) / noise.sqrt()
        predicted = self.network(xt.flatten(0, 1), t.repeat_interleave(self.group)).view_as(xt)
        return (self.tables.at("importance_weight", t, x0) * (target - predicted).square().sum(-1)).mean()


@dataclass(frozen=True)
class Recipe:
    """How a network is made and trained. What is not said is as in :func:`~diffusion_notes.fitting.train`.

    The variances are σ_t² = β_t, or, if ``fitted``, the best ones for the loss that the network has at each t.

    How t is drawn: ``"worth"`` is by its weight in the bound times the root of the loss that Gaussian data would have
    at that t, for a gradient with little noise; ``"weight"`` its weight alone; ``"uniform"`` has the simple loss.

    >>> Recipe().ddpm(Generator()).objective
    'variational'
    """

    draw: str = "worth"
    size: dict = field(default_factory=lambda: {"width": 64, "depth": 3, "features": 32})
    how: dict = field(default_factory=lambda: {"batch_size": 1024, "learning_rate": 2e-2, "decay": 0.99})
    fitted: bool = False
    kind: type[DDPM] = DDPM

    def ddpm(self, generator: Generator) -> DDPM:
        """The model before its training."""
        network = NoiseMLP(SCHEDULE, generator=generator, **self.size)
        worth = variational_weight(SCHEDULE, SCHEDULE.beta) * network.left_over.squeeze(-1)
        t_sampling = worth if self.draw == "worth" else self.draw
        objective = "simple" if self.draw == "uniform" else "variational"
        return self.kind(network, SCHEDULE, "beta", objective, t_sampling)

    def train(self, points: Tensor, steps: int, generator: Generator) -> tuple[DDPM, dict]:
        """The average of the last steps, and the seconds."""
        ddpm, watch = self.ddpm(generator), Stopwatch()
        with watch:
            states = train(ddpm, points, steps=steps, generator=generator, progress=False, **self.how)
            ddpm = deque(states, maxlen=1).pop().average
            if self.fitted:
                ddpm = DDPM(ddpm.network, SCHEDULE, fitted_variance(ddpm, points, generator))
        return ddpm, watch.seconds()


class LargeGroups(GroupTargets):
    """Of twice as many points: less noise in the targets, more in t, of which there are fewer."""

    group = 128


RECIPES = {
    "this book": Recipe(),
    "this book, group targets": Recipe(kind=GroupTargets),
    "this book, t by weight": Recipe(draw="weight"),
    "this book, uniform t": Recipe(draw="uniform"),
    "this book, exact targets": Recipe(kind=ExactTargets),
    "this book, 100,000 points": Recipe(
        how={"batch_size": 1024, "learning_rate": 8e-3, "decay": 0.998},
        fitted=True,
        kind=LargeGroups,
    ),
}


@torch.no_grad()
def fitted_variance(ddpm: DDPM, points: Tensor, generator: Generator, draws: int = 500) -> Tensor:
    """The best σ_t² for a network, equation (5.12) of the book, from its loss on some points at each t."""
    loss = torch.ones(SCHEDULE.T + 1, dtype=torch.float64)
    for t in range(1, SCHEDULE.T + 1):
        x0 = points[torch.randint(len(points), (draws,), generator=generator)]
        noise = randn_like(x0, generator)
        xt = level(t) ** 0.5 * x0 + (1 - level(t)) ** 0.5 * noise
        loss[t] = (noise - ddpm.network(xt, t)).square().sum(-1).mean()
    return best_variance(SCHEDULE, loss, points.shape[-1])


def exact_noise(xt: Tensor, t: int) -> Tensor:
    """What no training can better: E[ε | x_t]."""
    return ROLL.expected_noise(xt, level(t))


def variance_of_exact_noise() -> Tensor:
    """The best σ_t² for it, equation (5.12) of the book, with the smallest loss."""
    loss = torch.ones(SCHEDULE.T + 1, dtype=torch.float64)
    loss[1:] = ROLL.noise_mmse(SCHEDULE.alpha_bar[1:])
    return best_variance(SCHEDULE, loss, 2)


def level(t: int) -> float:
    """ᾱ_t as a number."""
    return SCHEDULE.alpha_bar[t].item()


def excess_loss(network: Callable[[Tensor, int], Tensor], times: list[int] = TIMES) -> list[float]:
    r""":math:`\mathbb E\lVert\varepsilon_\theta(x_t, t) - \mathbb E[\varepsilon \mid x_t]\rVert^2`, by quadrature.

    It is :math:`\mathbb E\lVert\varepsilon - \varepsilon_\theta\rVert^2` less the smallest possible one.

    >>> excess_loss(exact_noise, [1000])[0] < 1e-9
    True
    """

    def at(t: int) -> float:
        def wrong(x: Tensor) -> Tensor:
            return (network(x.float(), t).double() - ROLL.expected_noise(x, level(t))).square().sum(-1)

        return ROLL.diffuse(level(t)).expect(wrong).item()

    with torch.no_grad():
        return [at(t) for t in times]


def over_all_times(values: list[float], times: list[int] = TIMES) -> float:
    """The mean over t = 1, ..., T of what is known at some of them, by the trapezium rule.

    >>> over_all_times([3.0, 3.0], [1, 1000])
    3.0
    """
    first, last = times[0], times[-1]
    return torch.trapezoid(torch.tensor(values), torch.tensor(times, dtype=torch.float)).item() / (last - first)


@torch.no_grad()
def bound_gap(ddpm: DDPM, points: int, generator: Generator) -> dict[str, float]:
    """−ELBO − H(q) in nats on fresh points, with its standard error; each point's −log q stands for the entropy."""
    x0 = ROLL.sample(points, generator)
    gaps = [bound_terms(ddpm, x, generator).total.double() + ROLL.log_prob(x.double()) for x in x0.split(2000)]
    gap = torch.cat(gaps)
    return {"mean": gap.mean().item(), "error": gap.std().item() / points**0.5}


def knowledge(ddpm: DDPM, seed: int, points: int = 4000) -> dict:
    """How far the predicted noise and the bound are from the best possible."""
    excess = excess_loss(ddpm.network)
    gap = bound_gap(ddpm, points, Generator().manual_seed(20_000 + seed))
    return {"excess at": excess, "excess": over_all_times(excess), "gap": gap["mean"], "gap's error": gap["error"]}


def fastest(calls: dict[str, Callable[[], object]], times: int) -> dict[str, float]:
    """Seconds of the processor for one call of each: the best of several rounds, since others use the machine too.

    They take turns, round by round, so that what is compared has met the same machine.
    """
    timers = {name: Timer("call()", globals={"call": call}, timer=time.process_time) for name, call in calls.items()}
    rounds = [{name: timer.timeit(times).mean for name, timer in timers.items()} for _ in range(9)]
    return {name: min(each[name] for each in rounds) for name in calls}


def products(layers: list, n: int, backward: bool) -> Callable[[], None]:
    """The matrix products of a step alone, on n points."""
    inputs = [torch.randn(n, layer.in_features) for layer in layers]
    outputs = [torch.randn(n, layer.out_features) for layer in layers]

    @torch.no_grad()
    def multiply() -> None:
        for x, layer in zip(inputs, layers, strict=True):
            linear(x, layer.weight, layer.bias)
        for i, (x, y, layer) in enumerate(zip(inputs, outputs, layers, strict=True)):
            if backward:
                y.T @ x
            if backward and i > 0:  # nobody asks for the gradient of the data
                y @ layer.weight

    return multiply


def ratios(recipe: Recipe, n: int = 10_000, times: int = 100, compiled: bool = False) -> dict[str, float]:
    """A step of the training and one of the sampler, in milliseconds and against their matrix products."""
    ddpm, batch = recipe.ddpm(Generator().manual_seed(0)), recipe.how["batch_size"]
    if compiled:  # which asks for a C++ compiler
        ddpm.network.compile()
    layers = list(ddpm.network.layers[::2])
    steps, walk = train(ddpm, ROLL.sample(n), steps=10**6, progress=False, **recipe.how), ddpm.walk(torch.randn(n, 2))
    calls = {"step": lambda: next(steps), "its products": products(layers, batch, True)}
    calls |= {"walked": lambda: next(walk), "all at once": products(layers, n, False)}
    # a walk has T steps: nine rounds, in each of which two more calls are for warming up
    times = min(times, SCHEDULE.T // 9 - 2)
    found = fastest(calls | {"a part": products(layers, n // 5, False)}, times)
    return {
        "training step, ms": 1000 * found["step"],
        "training step / its products": found["step"] / found["its products"],
        "sampler's step, ms": 1000 * found["walked"],
        # a part of the points may stay in the cache, as in the sampler, so take what is faster
        "sampler's products / its step": min(found["all at once"], 5 * found["a part"]) / found["walked"],
    }
