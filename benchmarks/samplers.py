"""How good samples are after how many calls of the network: methods, levels, starts and ends, one measurement.

    python benchmarks/samplers.py [--seeds K ...] [--models NAME ...] [--calls N ...] [--points N] [--threads N]

Each way to sample is run with the exact prediction and with the stored network, so that what is left of the exact one's
error is discretisation, and what is added by the other is the network. All ways start from the same draws of a seed. A
run is a file of its own as soon as it has ended, so a series that is interrupted goes on where it was. Nothing goes to
the package unless the whole plan has been run.
"""

from __future__ import annotations

import argparse
import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from stopwatch import Stopwatch
from torch import Generator, Tensor

from diffusion_notes.ddpm import DDPM
from diffusion_notes.experiment.results import STORED, provenance
from diffusion_notes.experiment.runs import Runs, write_whole
from diffusion_notes.metrics import binned_kl, stray_share
from diffusion_notes.pretrained import swiss_roll_ddpm
from diffusion_notes.samplers import ExactNoise, Last, Method, Spacing, choose_levels, sample, start
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll

ROLL, SCHEDULE = SwissRoll(), Schedule.linear(T=1000)
RUNS = Path(__file__).resolve().parents[1] / "_build" / "samplers"
SEEDS = range(3)
POINTS = 50_000
CALLS = [4, 6, 8, 10, 12, 16, 25, 50, 100, 250, 1000]


@dataclass(frozen=True)
class Way:
    """A way to sample: what is called textbook starts from N(0, I) at T and ends with a jump from t = 1."""

    name: str
    method: Method
    eta: float = 0.0
    spacing: Spacing = "uniform"
    largest: float | None = None  # kappa at the start, if it is not that of T
    smallest: float | None = None  # kappa at the end, if it is not that of t = 1
    matched: bool = False  # whether the start has the mean and the covariance of the points
    last: Last = "jump"
    most: int = 1000  # calls: more are of no interest

    def levels(self, calls: int) -> list[int] | None:
        """The steps that are visited; None if there are not so many."""
        count = calls // 2 + 1 if self.method == "heun" else calls
        highest = SCHEDULE.T if self.largest is None else nearest(self.largest)
        lowest = 1 if self.smallest is None else nearest(self.smallest)
        if count > highest - lowest + 1:
            return None
        return choose_levels(SCHEDULE, count, self.spacing, lowest, highest, rho=4)


def nearest(kappa: float) -> int:
    """The step t whose level is the nearest.

    >>> [nearest(kappa) for kappa in (0.01, 1.0, 157.4)]
    [1, 259, 1000]
    """
    return 1 + int((SCHEDULE.kappa[1:].log() - torch.tensor(kappa).log()).abs().argmin())


FITTED = {"spacing": "karras", "largest": 2.0, "smallest": 0.03, "matched": True, "last": "half"}
WAYS = [
    Way("ancestral", "ancestral"),
    Way("DDIM", "ddim"),
    Way("DDIM, η = 1/2", "ddim", eta=0.5),
    Way("DDIM, log-SNR", "ddim", spacing="log_snr"),
    Way("Heun, log-SNR", "heun", spacing="log_snr"),
    Way("2M, uniform", "dpmpp_2m"),
    Way("2M, log-SNR", "dpmpp_2m", spacing="log_snr"),
    Way("DDIM, fitted", "ddim", **FITTED, most=250),
    Way("Heun, fitted", "heun", **FITTED, most=250),
    Way("2M, fitted", "dpmpp_2m", **FITTED, most=250),
    # the same but for one thing: the start's share of the error, the last step's, and the noise's
    Way("2M, fitted, from N(0, I)", "dpmpp_2m", **(FITTED | {"matched": False}), most=250),
    Way("2M, fitted, from κ = 4", "dpmpp_2m", **(FITTED | {"largest": 4.0}), most=250),
    Way("2M, fitted, with a jump", "dpmpp_2m", **(FITTED | {"last": "jump"}), most=250),
    Way("DDIM, η = 1, fitted", "ddim", eta=1.0, **(FITTED | {"last": "jump"}), most=250),
]
MODELS = ["exact", "stored network"]


def model(name: str) -> DDPM:
    """The exact prediction, or the network of the pages."""
    return DDPM(ExactNoise(ROLL, SCHEDULE), SCHEDULE, "beta") if name == "exact" else swiss_roll_ddpm("beta")


def run(way: Way, name: str, calls: int, seed: int, points: int) -> dict:
    """One run: sampled, timed and scored."""
    levels = way.levels(calls)
    generator = Generator().manual_seed(seed)
    known: Tensor | None = ROLL.sample(10_000, Generator().manual_seed(1000 + seed)) if way.matched else None
    xT = start(SCHEDULE, torch.empty(points, 2), known, levels[-1], generator)
    watch, its = Stopwatch(), model(name)
    with watch:
        x = sample(its, xT, way.method, calls, way.eta, levels, way.last, generator)
    return {
        "way": way.name,
        "model": name,
        "calls": calls,
        "seed": seed,
        "points": points,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "KL500": binned_kl(x, ROLL),
        "off the spiral": stray_share(x, ROLL),
        "sampling": watch.seconds(),
    }


def name_of(way: Way, model: str, calls: int, seed: int, points: int) -> str:
    """The key of a run."""
    return f"{way.name}, {model}, {calls}, {seed}, {points}".replace("/", " by ")


def plan(models: list[str], calls: list[int], seeds: list[int], points: int) -> list[tuple[Way, str, int, int, int]]:
    """All the runs, in their order."""
    return [
        (way, name, count, seed, points)
        for seed in seeds
        for name in models
        for way in WAYS
        for count in calls
        if count <= way.most and way.levels(count) is not None
    ]


def summary(runs: list[dict], calls: list[int]) -> str:
    """KL500 and strays in per cent, the median of the seeds: a line a way, a column for each number of calls."""
    lines = [f"{'':40}" + "".join(f"{count:>15}" for count in calls)]
    for name in MODELS:
        for way in WAYS:
            cells = []
            for count in calls:
                mine = [each for each in runs if (each["way"], each["model"], each["calls"]) == (way.name, name, count)]
                scores = [median(each[key] for each in mine) for key in ("KL500", "off the spiral")] if mine else []
                cells.append(f"{scores[0]:8.4f}{100 * scores[1]:7.2f}" if mine else " " * 15)
            if any(cell.strip() for cell in cells):
                lines.append(f"{name + ': ' + way.name:40}" + "".join(cells))
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, and say what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--models", nargs="*", choices=MODELS, default=MODELS)
    parser.add_argument("--calls", nargs="*", type=int, default=CALLS)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    runs = Runs(RUNS)
    wanted = plan(chosen.models, chosen.calls, chosen.seeds, chosen.points)
    for one in wanted:
        runs.once(name_of(*one), run, *one)
    found = [runs[name_of(*one)] for one in wanted if name_of(*one) in runs]
    print(summary(found, chosen.calls))
    whole = plan(MODELS, CALLS, list(SEEDS), POINTS)
    if all(name_of(*one) in runs for one in whole):
        stored = {
            "provenance": provenance("python benchmarks/samplers.py"),
            "runs": [runs[name_of(*one)] for one in whole],
        }
        write_whole(STORED / "samplers.json", json.dumps(stored) + "\n")


if __name__ == "__main__":
    main()
