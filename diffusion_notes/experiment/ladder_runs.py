"""The experiment of the ladder: which rungs there are, on what data, with what budget, and what is measured.

Everything that a rung may spend is fixed in advance and counted, not timed, so that a rerun on another
machine does the same: a budget is a number of multiplications and additions, or a number of steps.
"""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from itertools import islice
from typing import cast

import torch
from torch import Generator, Tensor

from diffusion_notes._arguments.tensors import check_generator, check_points
from diffusion_notes._arguments.values import check_choice, check_integer, check_kind, check_positive
from diffusion_notes.chains import Chain, elbo, importance_bound, sample
from diffusion_notes.chains.protocol import check_chain
from diffusion_notes.data import Clusters
from diffusion_notes.experiment.results import load_results
from diffusion_notes.fitting import train
from diffusion_notes.ladder import LadderChain, Rung
from diffusion_notes.metrics import binned_kl
from diffusion_notes.schedule import Schedule, best_schedule
from diffusion_notes.swiss_roll import SwissRoll

__all__ = [
    "BUDGETS", "DATA", "LADDER", "LEARNING_RATE", "RUNGS",
    "gradient_noise", "measure", "schedule_of", "steps_and_width", "train_rung",
]  # fmt: skip

DATA: dict[str, SwissRoll | Clusters] = {"swiss roll": SwissRoll(), "clusters": Clusters()}

_VAE = Rung(1, "learned", "informative", "own", objective="bound")
RUNGS = {
    "VAE, one coordinate": replace(_VAE, latent=1),
    "VAE": _VAE,
    "four layers": replace(_VAE, layers=4),
    "shared network": replace(_VAE, layers=4, networks="shared"),
    "last latent noise": replace(_VAE, layers=4, networks="shared", last="noise"),
    # a rung as it stands is that of DDPM: what is said from here on is in what it differs
    "inference fixed": Rung(4, objective="bound"),
    "one random layer": Rung(4, objective="layer"),
    "32 layers": Rung(32, objective="layer"),
    "1000 layers": Rung(1000, objective="layer"),
    "DDPM": Rung(1000, objective="simple"),
    # beside the ladder
    "DDPM, layers by weight": Rung(1000, objective="weighted"),
    "hierarchical VAE": replace(_VAE, layers=2),
    "hierarchical VAE, shared": replace(_VAE, layers=2, networks="shared"),
    "VAE, fixed encoder": replace(_VAE, inference="fixed"),
    "VAE, fixed encoder, one coordinate": replace(_VAE, latent=1, inference="fixed"),
    "VAE, noise": replace(_VAE, last="noise"),
    **{f"learned forward, {n}": Rung(n, "learned", objective="layer") for n in (4, 8, 16)},
    **{f"learned q, {n}": Rung(n, "learned", objective="bound") for n in (8, 16)},
    "own networks, 4": Rung(4, networks="own", objective="layer"),
    "own networks, 32": Rung(32, networks="own", objective="layer"),
    "whole bound, 32": Rung(32, objective="bound"),
    **{f"diffusion, {n}": Rung(n, objective="layer") for n in (1, 2, 8, 16, 64, 128)},
    **{f"simple, {n}": Rung(n, objective="simple") for n in (8, 32, 128)},
}
LADDER = tuple(RUNGS)[:10]

_BATCH = 512
_WIDTH = 64
_STEPS = 4000
_MEMORIES = 20  # what an average reaches back over is one of so many parts of the training
BUDGETS = ("time", "steps", "parameters", "four times")
LEARNING_RATE = 1e-2


def schedule_of(rung: Rung, data: str) -> Schedule:
    """The noise levels of a rung: the cheapest for its number of layers, and for 1000 those of Ho et al. 2020.

    Where the last latent may be informative, the cheapest end is chosen too.

    Raises:
        TypeError: ``rung`` is no :class:`~diffusion_notes.ladder.Rung`.
        ValueError: there are no such ``data``.

    >>> schedule_of(RUNGS["four layers"], "clusters").T
    4
    """
    check_kind("rung", rung, Rung)
    check_choice("data", data, tuple(DATA))
    return _schedule(rung.layers, rung.last, data)


@functools.cache
def _schedule(layers: int, last: str, data: str) -> Schedule:
    if layers == 1000:
        return Schedule.linear(T=1000)
    known = load_results("levels")[data]
    levels = torch.tensor(known["levels"], dtype=torch.float64, device="cpu")
    mmses = torch.tensor(known["mmse"], dtype=torch.float64, device="cpu")
    schedule, _ = best_schedule(levels, mmses, layers, known["second moment"] if last == "informative" else None)
    return schedule


def steps_and_width(rung: Rung, budget: str = "time") -> tuple[int, int]:
    """How many steps of the training a rung may take, and how wide its networks are.

    With ``"time"`` all networks have the same width, and a rung that evaluates more of them takes fewer steps. With
    ``"steps"`` all rungs take as many steps as DDPM. With ``"parameters"`` no rung has more parameters than DDPM, so
    that several networks must be narrow. ``"four times"`` is four times the ``"time"``.

    Raises:
        TypeError: ``rung`` is no :class:`~diffusion_notes.ladder.Rung`.
        ValueError: ``budget`` is none of these.

    >>> steps_and_width(RUNGS["DDPM"]), steps_and_width(RUNGS["inference fixed"])
    ((4000, 64), (1000, 64))
    """
    check_kind("rung", rung, Rung)
    check_choice("budget", budget, BUDGETS)
    most, cost_of_ddpm = _parameters_and_cost(Rung(), _WIDTH)
    width = _WIDTH
    parameters, cost = _parameters_and_cost(rung, width)
    while budget == "parameters" and parameters > most and width > 1:
        width -= 1
        parameters, cost = _parameters_and_cost(rung, width)
    steps = _STEPS if budget == "steps" else _STEPS * cost_of_ddpm // cost * (4 if budget == "four times" else 1)
    return max(1, steps), width


@functools.cache
def _parameters_and_cost(rung: Rung, width: int) -> tuple[int, int]:
    """The number of parameters of a rung, and the cost of a step of its training."""
    with torch.device("meta"):
        chain = LadderChain(rung, Schedule.linear(T=rung.layers), width)
    return sum(parameter.numel() for parameter in chain.parameters()), chain.cost


def train_rung(
    rung: Rung,
    data: str,
    budget: str = "time",
    seed: int = 0,
    progress: bool = False,
    learning_rate: float = LEARNING_RATE,
) -> tuple[LadderChain, dict[str, float]]:
    """Train a rung on 10,000 points within a budget: the chain with the averaged parameters, and what was spent.

    The average reaches back over a twentieth of the steps, or over 200 where there are more than 4000.
    The gradient's noise is taken after a tenth of the steps. The learning rate is the largest that is reached, see
    :func:`~diffusion_notes.fitting.loop.train`; with another one a seed has the same points and initial weights.

    Raises as :func:`schedule_of` and :func:`steps_and_width`, or a TypeError or ValueError unless ``seed`` is an
    integer and not negative, and ``learning_rate`` a positive number.
    """
    schedule = schedule_of(rung, data)
    steps, width = steps_and_width(rung, budget)
    seed = check_integer("seed", seed, least=0)
    check_kind("progress", progress, bool)
    learning_rate = check_positive("learning_rate", learning_rate)
    generator = Generator().manual_seed(seed)
    chain = LadderChain(rung, schedule, width, generator=generator)
    points = DATA[data].sample(10_000, generator)
    # an average that forgets its beginning, which a training of few steps would keep
    decay = max(0.0, 1 - _MEMORIES / min(steps, _STEPS))
    start = time.perf_counter()
    states = train(
        chain,
        points,
        steps=steps,
        batch_size=_BATCH,
        learning_rate=learning_rate,
        decay=decay,
        generator=generator,
        progress=progress,
    )
    for _ in islice(states, max(1, steps // 10)):
        pass
    paused = time.perf_counter()
    noise = gradient_noise(chain, points, generator)
    resumed = time.perf_counter()
    for state in states:
        average = state.average
    seconds = time.perf_counter() - resumed + paused - start
    spent = {"steps": steps, "width": width, "learning rate": learning_rate, "seconds": seconds}
    return cast(LadderChain, average), spent | {"gradient noise": noise}


def gradient_noise(chain: LadderChain, points: Tensor, generator: Generator | None = None, draws: int = 32) -> float:
    r"""How noisy a batch's gradient is, :math:`\operatorname{tr}\operatorname{Cov}(g) / \lVert\mathbb E g\rVert^2`.

    Of the parameters of p alone, since not every rung has others. The mean's square is corrected for the noise in it.
    """
    check_kind("chain", chain, LadderChain)
    check_points("points", points, dim=2, least=1, finite=True)
    check_generator("generator", generator, points.device)
    check_integer("draws", draws, least=2)
    parameters = [p for name, p in chain.named_parameters() if not name.startswith(("encoder", "top"))]
    rows = []
    for _ in range(draws):
        row = torch.randint(len(points), (_BATCH,), generator=generator, device=points.device)
        loss = chain.loss(points[row], generator)
        gradient = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        rows.append(torch.cat([g.flatten() for g in gradient]))
    each = torch.stack(rows)
    spread = each.var(0).sum()
    return (spread / (each.mean(0).square().sum() - spread / draws).clamp(min=1e-12)).item()


@torch.no_grad()
def measure(chain: Chain, data: str, generator: Generator | None = None) -> dict:
    r"""How far a chain is from the truth: its bound, with 16 paths too, and 10,000 samples.

    The gap is :math:`\mathbb E[\log q(x) - \text{bound}]`, on points of its own. It is no less than zero on average,
    and its noise goes away with itself, since both terms are taken at the same points.
    """
    check_chain(chain)
    check_choice("data", data, tuple(DATA))
    check_generator("generator", generator)
    truth = DATA[data]
    x = truth.sample(10_000 if chain.length <= 128 else 4000, generator)
    bound = elbo(chain, x, generator)
    few = x[:500]
    gap = truth.log_prob(x) - bound.total
    tight = truth.log_prob(few) - importance_bound(chain, few, 16, generator)
    drawn = sample(chain, x.new_empty(10_000, 2), generator)
    parts = {"reconstruction": bound.reconstruction, "layers": bound.layers.sum(0), "prior": bound.prior}
    return {
        "gap": gap.mean().item(),
        "error": (gap.std() / len(gap) ** 0.5).item(),
        "terms": {name: part.mean().item() for name, part in parts.items()},
        "importance gap": tight.mean().item(),
        "importance error": (tight.std() / len(tight) ** 0.5).item(),
        "KL": binned_kl(drawn, truth),
        "samples": [[round(value, 2) for value in point] for point in drawn[:300].tolist()],
    }
