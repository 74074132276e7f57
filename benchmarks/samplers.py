"""How good samples are after how many calls of the network: methods, levels, starts and ends, one measurement.

    python benchmarks/samplers.py [--seeds K ...] [--models NAME ...] [--calls N ...] [--threads N] [--anew]

Each way to sample is run with the exact prediction and with trained networks, so that what is left of the exact one's
error is discretisation, and what is added by the others is the network. All ways start from the same draws of a seed. A
run is a file of its own as soon as it has ended, so a series that is interrupted goes on where it was. What the package
has stored counts as run too, so a longer plan costs no more than what is new in it; with --anew it does not. Nothing
goes to the package unless the whole plan has been run.

How long a run takes is not measured: a series this long meets busy hours. Speeds are, apart from the runs, in rounds of
which the best counts.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch
from stopwatch import Stopwatch
from torch import Generator, Tensor

from diffusion_notes.ddpm import DDPM
from diffusion_notes.experiment.results import STORED, load_results, provenance
from diffusion_notes.experiment.runs import Runs, write_whole
from diffusion_notes.metrics import binned_kl, stray_share
from diffusion_notes.pretrained import swiss_roll_ddpm, swiss_roll_precise_ddpm
from diffusion_notes.samplers import (
    ExactNoise,
    Last,
    Method,
    Spacing,
    best_levels,
    choose_levels,
    on_levels,
    sample,
    start,
)
from diffusion_notes.schedule import Schedule, mmse
from diffusion_notes.swiss_roll import SwissRoll

ROLL, SCHEDULE = SwissRoll(), Schedule.linear(T=1000)
RUNS = Path(__file__).resolve().parents[1] / "_build" / "samplers"
SEEDS = range(3)
POINTS, FEWER, FEWEST = 50_000, 20_000, 10_000  # samples of a run
CALLS = [4, 6, 8, 12, 16, 25, 50, 100, 250, 1000]
LONG = (*CALLS,)
GOAL = [8, 16]
FINER = 6  # steps for one


@dataclass(frozen=True)
class Way:
    """A way to sample: what is called textbook starts from N(0, I) at T and ends with a jump from t = 1."""

    name: str
    method: Method
    eta: float = 0.0
    spacing: Spacing | None = "uniform"  # None for those of the dynamic program
    rho: float = 7.0  # of Karras's spacing
    largest: float | None = None  # kappa at the start, if it is not that of T
    matched: bool = False  # whether the start has the mean and the covariance of the points
    data_noise: float = 0.0  # what the walk takes the noise of the data for
    spaced: float = 0.0  # the same, for the choice of the levels
    last: Last = "jump"
    finer: str = ""  # "first", "middle" or "last": the steps that are cut into finer ones
    calls: tuple[int, ...] = (4, 6, 8, 12, 16, 25, 50)
    models: tuple[str, ...] = ("exact", "stored network", "better network")

    def levels(self, calls: int) -> list[int] | None:
        """The steps that are visited; None if there are not so many."""
        count = calls // 2 + 1 if self.method == "heun" else calls
        if count > self.highest:
            return None
        if self.spacing is None:
            return best_levels(SCHEDULE, mmses(), count)
        t = choose_levels(SCHEDULE, count, self.spacing, highest=self.highest, rho=self.rho, data_noise=self.spaced)
        return self.cut(t) if self.finer else t

    @property
    def highest(self) -> int:
        """The step at which the walk starts."""
        return SCHEDULE.T if self.largest is None else SCHEDULE.nearest(self.largest)

    def between(self, calls: int) -> Tensor:
        """Noise levels where the steps are too few for so many calls: between them too, and evenly spaced.

        None is below that of t = 1, for which the networks were not trained.
        """
        count = calls // 2 + 1 if self.method == "heun" else calls
        lowest, highest = SCHEDULE.kappa[[1, self.highest]].square() + self.spaced**2
        evenly = torch.linspace(lowest.log().item(), highest.log().item(), count, dtype=torch.float64).exp()
        return (evenly - self.spaced**2).sqrt()

    def cut(self, t: list[int]) -> list[int]:
        """The levels with finer ones between some; the data are at 0."""
        steps = list(pairwise([0, *t]))
        chosen = {"last": steps[:1], "middle": steps[1:-1], "first": steps[-1:]}[self.finer]
        log_kappa = -SCHEDULE.log_snr / 2
        more: set[int] = set()
        for below, above in chosen:
            low = log_kappa[max(1, below)]
            wanted = torch.linspace(low.item(), log_kappa[above].item(), 1 + FINER, dtype=torch.float64)
            more |= {SCHEDULE.nearest(level) for level in wanted.exp().tolist()}
        return sorted(more | set(t))


@functools.cache
def mmses() -> Tensor:
    """The smallest loss at each t, for the dynamic program; between a few by interpolation of the logarithms."""
    some = [*range(1, 20), *range(20, 100, 5), *range(100, 1000, 25), 1000]
    known = mmse(ROLL, SCHEDULE.alpha_bar[some]).log()
    place = torch.searchsorted(torch.tensor(some), torch.arange(1, 1001)).clamp(min=1)
    low, high = torch.tensor(some)[place - 1], torch.tensor(some)[place]
    share = (torch.arange(1, 1001) - low) / (high - low)
    return torch.cat((torch.ones(1), (known[place - 1] * (1 - share) + known[place] * share).exp())).double()


TRUST = ("exact", "stored network", "better network", "wrong network")  # of ways with more noise and less
FITTED = {
    "spacing": "log_snr",
    "largest": 1.5,
    "matched": True,
    "data_noise": ROLL.noise,
    "spaced": ROLL.noise,
}
AT_GOAL = {"calls": (8, 16), "models": ("exact", "better network")}
WAYS = [
    Way("ancestral", "ancestral", calls=LONG, models=TRUST),
    Way("DDIM", "ddim", calls=LONG, models=TRUST),
    Way("DDIM, η = 1/2", "ddim", eta=0.5, calls=LONG, models=TRUST),
    Way("DDIM, η = 1", "ddim", eta=1.0, calls=LONG, models=TRUST),
    Way("DDIM, log SNR", "ddim", spacing="log_snr", calls=LONG),
    Way("Heun, log SNR", "heun", spacing="log_snr", calls=LONG),
    Way("2M, uniform", "dpmpp_2m", calls=LONG[:-2]),
    Way("2M, log SNR", "dpmpp_2m", spacing="log_snr", calls=LONG),
    Way("2M, best levels", "dpmpp_2m", spacing=None),
    Way("DDIM, fitted", "ddim", **FITTED, models=TRUST),
    Way("Heun, fitted", "heun", **FITTED),
    Way("2M, fitted", "dpmpp_2m", **FITTED),
    Way("3M, fitted", "dpmpp_3m", **FITTED, calls=LONG, models=TRUST),
    Way("3M, fitted, ρ = 4", "dpmpp_3m", **(FITTED | {"spacing": "karras", "rho": 4.0})),
    Way("DDIM, fitted, η = 1/2", "ddim", eta=0.5, **FITTED, models=TRUST),
    Way("DDIM, fitted, η = 1", "ddim", eta=1.0, **FITTED, models=TRUST),
    # the same but for one thing: what the start, the walk and the end are worth
    Way("3M, fitted, from N(0, I)", "dpmpp_3m", **(FITTED | {"matched": False}), **AT_GOAL),
    Way("3M, fitted, from κ = 4", "dpmpp_3m", **(FITTED | {"largest": 4.0}), **AT_GOAL),
    Way("3M, fitted, with a jump", "dpmpp_3m", **(FITTED | {"data_noise": 0.0}), **AT_GOAL),
    Way("3M, fitted, with a half", "dpmpp_3m", **(FITTED | {"data_noise": 0.0, "last": "half"}), **AT_GOAL),
    # with finer steps in one place: what is gained is that place's share of the error
    Way("3M, fitted, first step finer", "dpmpp_3m", finer="first", **FITTED, **AT_GOAL),
    Way("3M, fitted, middle finer", "dpmpp_3m", finer="middle", **FITTED, **AT_GOAL),
    Way("3M, fitted, last step finer", "dpmpp_3m", finer="last", **FITTED, **AT_GOAL),
]
MODELS = ["exact", "stored network", "better network", "wrong network"]


class WrongNoise:
    """A good network's prediction, and beside it a wave of fixed size that no data have put there."""

    def __init__(self, network: torch.nn.Module, size: float = 0.1) -> None:
        self.network, self.size = network, size

    def __call__(self, xt: Tensor, t: int | Tensor) -> Tensor:
        """The prediction for points of shape (n, 2)."""
        return self.network(xt, t) + self.size * (4 * xt.flip(-1)).sin()


def model(name: str, seed: int) -> DDPM:
    """The exact prediction, or a network; of the better one there are three, a seed each."""
    if name == "exact":
        return DDPM(ExactNoise(ROLL, SCHEDULE), SCHEDULE, "beta")
    if name == "stored network":
        return swiss_roll_ddpm("beta")
    better = swiss_roll_precise_ddpm(seed % 3)
    return better if name == "better network" else DDPM(WrongNoise(better.network), SCHEDULE, "beta")


def run(way: Way, name: str, calls: int, seed: int, points: int) -> dict:
    """One run: sampled and scored."""
    its, levels = model(name, seed), way.levels(calls)
    if levels is None:
        its = on_levels(its, way.between(calls))
        levels = list(range(1, its.schedule.T + 1))
    asked = len(levels) if way.finer else calls
    generator = Generator().manual_seed(seed)
    known = ROLL.sample(10_000, Generator().manual_seed(1000 + seed)) if way.matched else None
    xT = start(its.schedule, torch.empty(points, 2), known, levels[-1], generator)
    x = sample(its, xT, way.method, asked, way.eta, levels, way.last, generator, way.data_noise)
    return {
        "way": way.name,
        "model": name,
        "calls": calls,
        "seed": seed,
        "points": points,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "KL500": binned_kl(x, ROLL),
        "off the spiral": stray_share(x, ROLL),
    }


def true_samples(seed: int, points: int) -> dict:
    """The floor."""
    x = ROLL.sample(points, Generator().manual_seed(2000 + seed))
    return {"seed": seed, "points": points, "KL500": binned_kl(x, ROLL), "off the spiral": stray_share(x, ROLL)}


def speed(name: str, calls: int, points: int, rounds: int) -> float:
    """Samples for each second of one processor, by a better network; the best of several rounds."""
    way = next(way for way in WAYS if way.name == name)
    xT, levels, its, seconds = torch.randn(points, 2), way.levels(calls), model("better network", 0), []
    for _ in range(rounds):
        with (watch := Stopwatch()):
            sample(its, xT, way.method, calls, way.eta, levels, way.last, data_noise=way.data_noise)
        seconds.append(watch.processor)
    return points / min(seconds)


def speeds() -> dict[str, float]:
    """Of one processor, as smalldiffusion's, which is that of its stored runs."""
    runs = load_results("training")["runs"]
    small = [each for each in runs if each["contestant"] == "smalldiffusion" and each["final"]]
    return {
        **{f"3M, fitted, {calls} calls": speed("3M, fitted", calls, FEWER, rounds=10) for calls in GOAL},
        "ancestral, 1000 calls": speed("ancestral", 1000, 2000, rounds=2),
        "smalldiffusion, 20 calls": max(each["points"] / each["sampling"]["processor"] for each in small),
    }


def points_of(way: Way, name: str, calls: int) -> int:
    """How many samples a run has: most where small differences count."""
    if calls <= 100:
        return POINTS if calls in GOAL and way.matched else FEWER
    if name == "better network" and way.eta == 0:
        return POINTS
    return FEWER if name in ("better network", "exact") else FEWEST


def name_of(way: str, model: str, calls: int, seed: int, points: int) -> str:
    """The key of a run."""
    return f"{way}, {model}, {calls}, {seed}, {points}".replace("/", " by ")


def is_worth_it(way: Way, name: str, calls: int, seed: int) -> bool:
    """Whether a run is in the plan: of what the page does not draw, or is expensive, there are fewer seeds, or none."""
    if calls > 100 and name == "stored network":
        return seed == 0 and way.name in ("ancestral", "DDIM")
    if calls > 100 and name == "wrong network":
        return way.method == "ddim"
    if name == "exact" and calls > 100:
        return seed in SEEDS[:2]
    return name != "exact" or seed == 0 or way.calls == LONG or (calls in GOAL and way.matched and not way.finer)


def plan(models: list[str], calls: list[int], seeds: list[int]) -> list[tuple[Way, str, int, int, int]]:
    """All the runs, in their order."""
    return [
        (way, name, count, seed, points_of(way, name, count))
        for seed in seeds
        for name in models
        for way in WAYS
        if name in way.models
        for count in way.calls
        if count in calls and is_worth_it(way, name, count, seed)
    ]


def take_back(runs: Runs, stored: dict) -> None:
    """What the package has stored, as files again, but for what has been run anew."""
    for one in stored["runs"]:
        runs.once(name_of(*(one[key] for key in ("way", "model", "calls", "seed", "points"))), dict, one)
    for one in stored["true samples"]:
        runs.once(f"true samples, {one['seed']}", dict, one)
    runs.once("speeds", dict, stored["samples a second of a processor"])


def summary(runs: list[dict], calls: list[int]) -> str:
    """KL500 and strays in per cent, the median of the seeds: a line a way, a column for each number of calls."""
    lines = [f"{'':45}" + "".join(f"{count:>15}" for count in calls)]
    for name in MODELS:
        for way in WAYS:
            cells = []
            for count in calls:
                mine = [each for each in runs if (each["way"], each["model"], each["calls"]) == (way.name, name, count)]
                scores = [median(each[key] for each in mine) for key in ("KL500", "off the spiral")] if mine else []
                cells.append(f"{scores[0]:8.4f}{100 * scores[1]:7.2f}" if mine else " " * 15)
            if any(cell.strip() for cell in cells):
                lines.append(f"{name + ': ' + way.name:45}" + "".join(cells))
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, and say what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--models", nargs="*", choices=MODELS, default=MODELS)
    parser.add_argument("--calls", nargs="*", type=int, default=CALLS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--anew", action="store_true", help="run what the package has stored once more")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    runs = Runs(RUNS)
    if not chosen.anew and (STORED / "samplers.json").exists():
        take_back(runs, json.loads((STORED / "samplers.json").read_text(encoding="utf-8")))
    wanted = plan(chosen.models, chosen.calls, chosen.seeds)
    keys = [name_of(way.name, *rest) for way, *rest in wanted]
    for key, one in zip(keys, wanted, strict=True):
        runs.once(key, run, *one)
    print(summary([runs[key] for key in keys if key in runs], chosen.calls))
    whole = [name_of(way.name, *rest) for way, *rest in plan(MODELS, CALLS, list(SEEDS))]
    if all(key in runs for key in whole):
        for seed in SEEDS:
            runs.once(f"true samples, {seed}", true_samples, seed, POINTS)
        runs.once("speeds", speeds)
        stored = {
            "provenance": provenance("make bench-samplers"),
            "true samples": [runs[f"true samples, {seed}"] for seed in SEEDS],
            "samples a second of a processor": runs["speeds"],
            "runs": [runs[key] for key in whole],
        }
        write_whole(STORED / "samplers.json", json.dumps(stored) + "\n")


if __name__ == "__main__":
    main()
