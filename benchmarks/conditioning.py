"""How near to a posterior draws are that a model makes without being trained for it: methods, steps, particles.

    python benchmarks/conditioning.py [--seeds K ...] [--models NAME ...] [--threads N]

The tasks are a coordinate of a point of the roll that is known, and a noisy point. All ways of a seed start from the
same draws. A run is a file of its own as soon as it has ended, so a series that is interrupted goes on where it was.
Nothing goes to the package unless the whole plan has been run.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import Generator, Tensor

from diffusion_notes.conditioning import (
    denoised,
    enter,
    gradient_guidance,
    multiplied,
    particles,
    replacement,
)
from diffusion_notes.data import GaussianMixture, Seen
from diffusion_notes.ddpm import DDPM
from diffusion_notes.experiment.results import STORED, provenance
from diffusion_notes.experiment.runs import Runs, write_whole
from diffusion_notes.metrics import plug_in_kl
from diffusion_notes.pretrained import swiss_roll_precise_ddpm
from diffusion_notes.samplers import ExactNoise, choose_levels, sample
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll

SCHEDULE = Schedule.linear(T=1000)
RUNS = Path(__file__).resolve().parents[1] / "_build" / "conditioning"
SEEDS = range(3)
POINTS = 4000
STEPS = 100
CELLS = 100
MORE = (25, 250)  # steps
SIZES = (8, 40, 200, 1000)  # particles of a run
NODES = 192  # of the roll where it is a model; its density is then right to four digits
MODELS = ["exact", "network"]
TASKS = {
    "x1 = 0.3": Seen((0.3, 0.0), (0.0, math.inf)),
    "x1 = 0.7": Seen((0.7, 0.0), (0.0, math.inf)),
    "x1 = -0.5": Seen((-0.5, 0.0), (0.0, math.inf)),
    "y = (0, 0)": Seen((0.0, 0.0), (0.3, 0.3)),
    "y = (-0.2, 0.3)": Seen((-0.2, 0.3), (0.3, 0.3)),
}


@functools.cache
def roll(nodes: int | None = None) -> GaussianMixture:
    """The roll as a mixture."""
    return SwissRoll().mixture(nodes=nodes)


@functools.cache
def posterior(task: str) -> GaussianMixture:
    """What is to be drawn from."""
    return roll().given(TASKS[task])


@functools.cache
def model(name: str, seed: int) -> DDPM:
    """The exact prediction, or one of three networks."""
    if name == "network":
        return swiss_roll_precise_ddpm(seed % 3)
    return DDPM(ExactNoise(roll(NODES), SCHEDULE), SCHEDULE, "beta")


@dataclass(frozen=True)
class Start:
    """What a way is given."""

    task: str
    model: DDPM
    xT: Tensor  # noqa: N815
    steps: int
    generator: Generator

    @property
    def seen(self) -> Seen:
        """The observation."""
        return TASKS[self.task]

    @property
    def noise(self) -> float:
        """Of a noisy point."""
        return self.seen.noise[0].item()

    def levels(self, noisy: bool = False) -> list[int]:
        """Those to visit, evenly spaced in log SNR, from the top or from where a noisy point is."""
        highest = SCHEDULE.nearest(self.noise) if noisy else SCHEDULE.T
        return choose_levels(SCHEDULE, min(self.steps, highest), "log_snr", highest=highest)

    def rest(self) -> dict:
        """What all walks are given."""
        return {"levels": self.levels(), "generator": self.generator}


def last(states) -> Tensor:
    """Where a walk ends."""
    return deque(states, maxlen=1).pop()[1]


def noisy(start: Start) -> Tensor:
    """The noisy point, as often as there are draws."""
    return start.seen.value.to(start.xT).expand_as(start.xT)


def exact_score(start: Start) -> Tensor:
    """The floor of the steps: ancestral sampling with the score of q(x_t | y)."""
    exact = DDPM(ExactNoise(posterior(start.task), SCHEDULE), SCHEDULE, "beta")
    levels = start.levels()
    return sample(exact, start.xT, "ancestral", len(levels), levels=levels, generator=start.generator)


def entered(start: Start) -> Tensor:
    """The rest of the chain from the level of a noisy point."""
    levels = start.levels(noisy=True)
    return last(enter(start.model, noisy(start), start.noise, levels=levels, generator=start.generator))


def without_noise(start: Start) -> Tensor:
    """DDIM from the level of a noisy point."""
    levels = start.levels(noisy=True)
    top = SCHEDULE.sqrt_alpha_bar[levels[-1]].item()
    return sample(start.model, top * noisy(start), "ddim", len(levels), levels=levels)


def one_call(start: Start) -> Tensor:
    """The posterior mean, as often as there are draws."""
    return denoised(start.model, noisy(start)[:1], start.noise).expand_as(start.xT)


def swarm(start: Start, size: int, twisted: bool = True) -> tuple[Tensor, dict]:
    """Independent runs of so many particles, as many as make up all points."""
    ends = []
    least = []
    for xT in start.xT.split(size):
        *before, end = particles(start.model, xT, start.seen, twisted, **start.rest())
        ends.append(end)
        least.append(min(each.effective.item() for each in (*before, end)) / len(xT))
    evidence = torch.stack([end.log_evidence for end in ends]).double()
    about = {
        "effective": median(least),
        "log evidence": (evidence.logsumexp(0) - math.log(len(ends))).item(),
    }
    return torch.cat([end.x for end in ends]), about


INPAINTING = tuple(name for name in TASKS if name.startswith("x1"))
DENOISING = tuple(name for name in TASKS if name.startswith("y"))
FIRST = INPAINTING[:1]


@dataclass(frozen=True)
class Way:
    """A way to draw given something."""

    name: str
    draw: Callable[[Start], Tensor | tuple[Tensor, dict]]
    tasks: tuple[str, ...] = INPAINTING
    models: tuple[str, ...] = ("exact", "network")
    steps: tuple[int, ...] = (STEPS,)
    calls: Callable[[int], int] = int  # of the network, for so many steps
    once: bool = False  # for one seed only


def replaced(resamplings: int = 1, noised: bool = True) -> Callable[[Start], Tensor]:
    """The replacement method, and its resampling."""
    return lambda s: last(replacement(s.model, s.xT, s.seen, resamplings, noised, **s.rest()))


def guided(guess: str, step_size: float | None = None) -> Callable[[Start], Tensor]:
    """The gradient of a guess."""
    return lambda s: last(gradient_guidance(s.model, s.xT, s.seen, guess, step_size, **s.rest()))


def again(resamplings: int) -> Callable[[int], int]:
    """The calls of RePaint."""
    return lambda steps: resamplings * (steps - 1) + 1


NETWORK = ("network",)
WAYS = [
    Way("exact score", exact_score, INPAINTING + DENOISING, ("exact",)),
    Way("replacement", replaced()),
    Way("clean replacement", replaced(noised=False)),
    *[Way(f"RePaint, {r}", replaced(r), calls=again(r)) for r in (2, 5)],
    Way("RePaint, 10", replaced(10), FIRST, calls=again(10)),
    Way("RePaint, 10", replaced(10), INPAINTING[1:], NETWORK, calls=again(10)),
    Way("DPS, 0.05", guided("dps", 0.05)),
    *[Way(f"DPS, {zeta}", guided("dps", zeta), models=NETWORK) for zeta in (0.02, 0.1, 0.3)],
    Way("ΠGDM", guided("pigdm"), INPAINTING + DENOISING),
    Way("twisted particles", lambda s: swarm(s, POINTS), INPAINTING + DENOISING),
    Way("untwisted particles", lambda s: swarm(s, POINTS, twisted=False), FIRST),
    Way("untwisted particles", lambda s: swarm(s, POINTS, twisted=False), INPAINTING[1:], NETWORK),
    Way("entered", entered, DENOISING),
    Way("entered, without noise", without_noise, DENOISING),
    Way("one call", one_call, DENOISING, calls=lambda steps: 1),
    Way("DPS, its likelihood", guided("dps"), DENOISING),
    Way("multiplied", lambda s: last(multiplied(s.model, s.xT, s.seen, **s.rest())), DENOISING),
    Way("multiplied, rising", lambda s: last(multiplied(s.model, s.xT, s.seen, "rising", **s.rest())), DENOISING),
    # more of it, for one observation
    Way("exact score", exact_score, FIRST, ("exact",), MORE),
    Way("replacement", replaced(), FIRST, ("exact",), MORE),
    Way("ΠGDM", guided("pigdm"), FIRST, ("exact",), MORE),
    Way("twisted particles", lambda s: swarm(s, POINTS), FIRST, ("exact",), MORE),
    Way("RePaint, 20", replaced(20), FIRST, NETWORK, calls=again(20), once=True),
    *[Way(f"twisted particles, {n}", lambda s, n=n: swarm(s, n), FIRST, NETWORK, once=True) for n in SIZES],
    *[
        Way(f"untwisted particles, {n}", lambda s, n=n: swarm(s, n, twisted=False), FIRST, NETWORK, once=True)
        for n in SIZES
    ],
]


def cuts(task: str) -> list[float]:
    """Where the line of a known coordinate leaves one arm of the roll for the next."""
    line = torch.linspace(-1.7, 1.7, 1701, dtype=torch.float64)
    points = torch.stack((torch.full_like(line, TASKS[task].value[0].item()), line), -1)
    density = posterior(task).log_prob(points)
    lowest = (density[1:-1] < density[:-2]) & (density[1:-1] <= density[2:])
    peak = line[1:-1][(density[1:-1] > density[:-2]) & (density[1:-1] >= density[2:]) & (density[1:-1] > -3)]
    inside = line[1:-1][lowest]
    return inside[(inside > peak.min()) & (inside < peak.max())].tolist()


def measured(x: Tensor, task: str) -> dict:
    """KL in cells, strays and, of a known coordinate, the shares of the arms. What is no number is far away."""
    x = x.nan_to_num(nan=1e3, posinf=1e3, neginf=-1e3).clamp(-1e3, 1e3)
    exact = posterior(task)
    along = CELLS if len(exact.free) == 1 else round(CELLS**0.5)
    found = {
        "KL": plug_in_kl(*exact.cells(x, along)),
        "strays": exact.strays(x).double().mean().item(),
    }
    if task in INPAINTING:
        arm = torch.bucketize(x[:, 1].double(), torch.tensor(cuts(task), dtype=torch.float64))
        found["arms"] = (torch.bincount(arm, minlength=1 + len(cuts(task))) / len(x)).tolist()
    return found


def run(way: Way, task: str, name: str, steps: int, seed: int) -> dict:
    """One run: drawn and measured."""
    xT = torch.randn(POINTS, 2, generator=Generator().manual_seed(1000 + seed))
    start = Start(task, model(name, seed), xT, steps, Generator().manual_seed(seed))
    drawn = way.draw(start)
    x, about = drawn if isinstance(drawn, tuple) else (drawn, {})
    asked = start.levels(noisy=way.name.startswith("entered"))
    return {
        "way": way.name,
        "task": task,
        "model": name,
        "steps": steps,
        "calls": way.calls(len(asked)),
        "seed": seed,
        **measured(x, task),
        **about,
    }


def truth(task: str) -> dict:
    """What is exact about a task, and the floor: draws from the posterior itself, three times as many."""
    exact = posterior(task)
    floors = []
    for seed in SEEDS:
        floors.append(measured(exact.sample(POINTS, Generator().manual_seed(2000 + seed)), task))
    about = {"task": task, "floor": floors, "evidence": roll().evidence(TASKS[task]), "entropy": exact.entropy().item()}
    if task in INPAINTING:
        line = torch.linspace(-2.5, 2.5, 20_001, dtype=torch.float64)
        points = torch.stack((torch.full_like(line, TASKS[task].value[0].item()), line), -1)
        mass = exact.log_prob(points).exp() * (line[1] - line[0])
        arm = torch.bucketize(line, torch.tensor(cuts(task), dtype=torch.float64))
        about["arms"] = torch.zeros(1 + len(cuts(task)), dtype=torch.float64).index_add(0, arm, mass).tolist()
        about["cuts"] = cuts(task)
    return about


def plan(models: Sequence[str], seeds: Sequence[int]) -> list[tuple[Way, str, str, int, int]]:
    """All the runs, in their order: of the exact prediction, which is slow, and of crowds, one seed."""
    return [
        (way, task, name, steps, seed)
        for seed in seeds
        for way in WAYS
        for task in way.tasks
        for name in models
        if name in way.models and (seed == 0 or (name == "network" and not way.once))
        for steps in way.steps
    ]


def name_of(way: str, task: str, model: str, steps: int, seed: int) -> str:
    """The key of a run."""
    return f"{way}, {task}, {model}, {steps}, {seed}"


def summary(runs: list[dict]) -> str:
    """The median of the seeds, a line a way, task and model."""
    lines = []
    for key in dict.fromkeys((each["way"], each["task"], each["model"], each["steps"]) for each in runs):
        mine = [each for each in runs if (each["way"], each["task"], each["model"], each["steps"]) == key]
        kl, strays = (median(each[what] for each in mine) for what in ("KL", "strays"))
        arms = " ".join(f"{share:.3f}" for share in mine[0].get("arms", []))
        lines.append(f"{', '.join(map(str, key)):55} KL {kl:9.4f}  strays {100 * strays:6.2f} %  {arms}")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, and say what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--models", nargs="*", choices=MODELS, default=MODELS)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    runs = Runs(RUNS)
    for way, *rest in plan(chosen.models, chosen.seeds):
        key = name_of(way.name, *rest)
        runs.once(key, run, way, *rest)
        if key in runs:  # another process may be at it
            print(summary([runs[key]]), flush=True)
    whole = [name_of(way.name, *rest) for way, *rest in plan(MODELS, list(SEEDS))]
    if all(key in runs for key in whole):
        stored = {
            "provenance": provenance("make bench-conditioning"),
            "points": POINTS,
            "truth": [truth(task) for task in TASKS],
            "runs": [runs[key] for key in whole],
        }
        write_whole(STORED / "conditioning.json", json.dumps(stored) + "\n")


if __name__ == "__main__":
    main()
