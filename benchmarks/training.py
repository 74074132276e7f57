"""How fast the swiss roll is learned, and how well: seconds, KL500, and what of a step is matrix products.

    python benchmarks/training.py

Five seeds, each with its own 10,000 points, a budget fixed in advance, the last average scored on 10,000 samples. The
recipes take turns, so that a busy moment of the machine meets all of them. Printed as JSON.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections import deque
from collections.abc import Callable
from statistics import median

import torch
from torch import Generator
from torch.nn.functional import linear

from diffusion_notes.ddpm import DDPM
from diffusion_notes.diffusion import Schedule
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.quality import cell_divergence, off_spiral_share
from diffusion_notes.swiss_roll import SwissRoll
from diffusion_notes.training import train

POINTS, SEEDS, BATCH = 10_000, range(5), 512
SCHEDULE = Schedule.linear(T=1000)
RECIPES = {
    "uniform t": {"objective": "simple", "importance": False},
    "t by its weight in the bound": {"objective": "variational", "importance": True},
}
SIZE = {"width": 96, "depth": 2, "features": 64}
HOW = {"steps": 1600, "batch_size": BATCH, "learning_rate": 1e-2, "decay": 0.99}


def model(recipe: dict, generator: Generator) -> DDPM:
    """A network of the size that is measured, before its training; σ_t² = β_t."""
    return DDPM(NoiseMLP(SCHEDULE, generator=generator, **SIZE), SCHEDULE, "beta", **recipe)


def scores(samples: torch.Tensor) -> dict:
    """The two numbers that have a floor."""
    return {"KL500": cell_divergence(samples), "off the spiral": off_spiral_share(samples)}


def learned(recipe: dict, seed: int) -> dict:
    """Train once, sample once."""
    generator = Generator().manual_seed(seed)
    data, ddpm = SwissRoll().sample(POINTS, generator), model(recipe, generator)
    start = time.perf_counter()
    state = deque(train(ddpm, data, generator=generator, progress=False, **HOW), maxlen=1).pop()
    trained = time.perf_counter()
    samples = state.average.sample(torch.randn(POINTS, 2, generator=generator), generator)
    sampled = time.perf_counter()
    return {"training, s": trained - start, "sampling, s": sampled - trained} | scores(samples)


def fastest(f: Callable[[], object], times: int) -> float:
    """Seconds for one call: the best of several rounds, since others use the machine too."""
    rounds = []
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(times):
            f()
        rounds.append((time.perf_counter() - start) / times)
    return min(rounds)


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


def ratios() -> dict:
    """A step of the training and one of the sampler, against their matrix products."""
    ddpm = model(RECIPES["t by its weight in the bound"], Generator().manual_seed(0))
    layers = list(ddpm.network.layers[::2])
    steps = train(ddpm, SwissRoll().sample(POINTS), progress=False, **HOW | {"steps": 10**6})
    samples = torch.randn(POINTS, 2)
    with torch.no_grad():
        walk = fastest(lambda: ddpm.sample(samples), 1) / SCHEDULE.T
    return {
        "training step / its products": fastest(lambda: next(steps), 100) / fastest(products(layers, BATCH, True), 100),
        "sampler's products / its step": fastest(products(layers, POINTS, False), 50) / walk,
    }


def main() -> None:
    """Measure, and print what was found."""
    runs: dict[str, list] = {name: [] for name in RECIPES}
    for seed in SEEDS:
        for name, recipe in RECIPES.items():
            runs[name].append(learned(recipe, seed))
    generator = Generator().manual_seed(99)
    true = SwissRoll().sample(POINTS, generator)
    again = true[torch.randint(POINTS, (POINTS,), generator=generator)]
    found: dict[str, object] = {
        "machine": platform.machine(), "cores": os.cpu_count(), "threads": torch.get_num_threads(),
        "torch": torch.__version__, "recipe": SIZE | HOW,
        "true samples": scores(true), "who resamples the training points": scores(again),
    }  # fmt: skip
    for name, results in runs.items():
        columns = {key: [result[key] for result in results] for key in results[0]}
        found[name] = {key: {"median": median(column), "worst": max(column)} for key, column in columns.items()}
    print(json.dumps(found | ratios(), indent=2))


if __name__ == "__main__":
    main()
