"""The ladder from the VAE to DDPM: run what has not been run, and store the results with the package.

    python benchmarks/ladder.py [--rungs NAME ...] [--seeds K ...] [--clock] [--dry-run]

Each run is a file of its own as soon as it has ended, so a series that is interrupted goes on where it was, and several
processes may share it. A training that diverges is a run without a gap. With seeds that are not in the plan, nothing is
stored: what comes out is printed beside what is stored, to see whether it can be reproduced.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import mean, stdev

import torch
from torch import Generator
from torch.utils.benchmark import Timer

from diffusion_notes.experiment.ladder_runs import (
    DATA,
    LADDER,
    LEARNING_RATE,
    RUNGS,
    measure,
    schedule_of,
    steps_and_width,
    train_rung,
)
from diffusion_notes.experiment.results import STORED, load_results, provenance
from diffusion_notes.experiment.runs import Runs, finite, write_whole
from diffusion_notes.fitting import train
from diffusion_notes.ladder import LadderChain
from diffusion_notes.schedule import Schedule, best_bound, log_snr_levels, mmse

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "_build" / "ladder"
CLOCK = ROOT / "_build" / "ladder_clock.json"
# equal work is few steps for some rungs, and a short training is the most uneven
SEEDS = {"time": range(20), "steps": range(10), "parameters": range(10), "four times": range(10)}
# those that take fewer steps than DDPM if the work is equal
SLOW = ("VAE, one coordinate", "VAE", "hierarchical VAE", "four layers", "shared network", "last latent noise",
        "inference fixed")  # fmt: skip
WALKED = ("learned forward, 4", "learned forward, 8", "learned forward, 16")
NARROW = ("VAE", "four layers", "shared network", "own networks, 4")
ELSEWHERE = (
    "learned forward, 4",
    "learned forward, 8",
    "diffusion, 8",
    "VAE, fixed encoder",
    "VAE, fixed encoder, one coordinate",
)
# which rungs are run, on what, with which budget
PLAN = [
    *[("swiss roll", "time", name) for name in LADDER],
    *[("clusters", "time", name) for name in LADDER],
    *[("swiss roll", "steps", name) for name in SLOW],
    *[("swiss roll", "time", name) for name in RUNGS if name not in LADDER],
    *[("clusters", "time", name) for name in ELSEWHERE],
    *[("swiss roll", "parameters", name) for name in NARROW],
    *[("clusters", "steps", name) for name in ("VAE", "last latent noise", "inference fixed")],
    *[("swiss roll", "steps", name) for name in (*WALKED, "learned q, 8", "learned q, 16")],
    *[("clusters", "steps", name) for name in WALKED],
    *[("swiss roll", "four times", name) for name in ("DDPM", "1000 layers", "32 layers", "VAE")],
]
# other learning rates, with equal work and few seeds; how high they may be was tried with seeds from 100 on
RATES, RATE_SEEDS = (3e-3, 3e-2), range(5)
LONGER = ("diffusion, 8", "diffusion, 16", "learned q, 8", "learned q, 16")
# where the highest of them was the best on the roll, a higher one
HIGHER = (6e-2,)
RAISED = (
    "VAE, one coordinate",
    "four layers",
    "shared network",
    "last latent noise",
    "inference fixed",
    "learned q, 8",
    "learned q, 16",
)
# those that compare a learned q with a fixed one, at the rate that the few seeds chose: with all seeds
CHOSEN = [
    *[("swiss roll", name, 3e-2) for name in (*LONGER[2:], "last latent noise", "inference fixed")],
    ("swiss roll", "learned q, 8", 6e-2),
]
RATED = [
    *[("swiss roll", name, RATES, RATE_SEEDS) for name in (*LADDER, *LONGER)],
    *[("clusters", name, RATES, RATE_SEEDS) for name in LADDER[:-2]],  # the longest take longest
    *[("swiss roll", name, HIGHER, RATE_SEEDS) for name in RAISED],
    *[(data, name, (rate,), SEEDS["time"][len(RATE_SEEDS) :]) for data, name, rate in CHOSEN],
]


def store(name: str, found: dict) -> None:
    """Write results to where the package finds them."""
    text = json.dumps({"provenance": provenance("make ladder")} | found, allow_nan=False)
    write_whole(STORED / f"{name}.json", text + "\n")


def know_levels() -> None:
    """What is known of the data at each noise level, by quadrature; and the best bound of the schedule of DDPM."""
    levels, ddpm = log_snr_levels(320), Schedule.linear(T=1000).alpha_bar[1:]
    found = {}
    for name, data in DATA.items():
        second = data.expect(lambda x: x.square().sum(-1)).item()
        found[name] = {
            "levels": levels.tolist(),
            "mmse": mmse(data, levels).tolist(),
            "second moment": second,
            "entropy": data.entropy().item(),
            "best bound of DDPM": best_bound(ddpm, mmse(data, ddpm), second),
        }
    store("levels", found)


def run(data: str, budget: str, name: str, seed: int, rate: float = LEARNING_RATE) -> dict:
    """One run: trained and measured. Where the training has diverged, there is no gap, and nothing else is measured."""
    chain, found = train_rung(RUNGS[name], data, budget, seed, learning_rate=rate)
    found |= {"gap": None}
    try:
        found |= measure(chain, data, Generator().manual_seed(1000 + seed))
    except ValueError as refused:  # samples that are nowhere
        if "must be finite" not in str(refused):
            raise
    return {"data": data, "budget": budget, "rung": name, "seed": seed} | finite(found)


def stored_runs() -> dict[str, dict]:
    """The runs that have been made: those in the package, and those that wait in the folder."""
    known = load_results("ladder")["runs"] if (STORED / "ladder.json").exists() else []
    known += Runs(RUNS).values()
    # those that were made before there was a choice had this rate
    known = [one if "learning rate" in one else one | {"learning rate": LEARNING_RATE} for one in known]
    return {key(*(one[what] for what in ("data", "budget", "rung", "seed", "learning rate"))): one for one in known}


def key(data: str, budget: str, name: str, seed: int, rate: float = LEARNING_RATE) -> str:
    """The name of a run, and of its file."""
    return f"{data}, {budget}, {name}, {seed}" + ("" if rate == LEARNING_RATE else f", {rate}")


def planned() -> Iterator[tuple[str, str, str, int, float]]:
    """All the runs of the plan, in their order."""
    for data, budget, name in PLAN:
        for seed in SEEDS[budget]:
            yield data, budget, name, seed, LEARNING_RATE
    for data, name, rates, seeds in RATED:
        for rate, seed in product(rates, seeds):
            yield data, "time", name, seed, rate


def clock() -> None:
    """How long a step of the training takes, alone on the machine, in milliseconds: the best of several rounds."""
    found: dict[str, float] = {}
    for name, width in sorted({(name, steps_and_width(RUNGS[name], budget)[1]) for _, budget, name in PLAN}):
        chain = LadderChain(RUNGS[name], schedule_of(RUNGS[name], "swiss roll"), width)
        steps = train(chain, DATA["swiss roll"].sample(10_000), steps=10**6, progress=False)
        rounds = Timer("next(steps)", globals={"steps": steps}).blocked_autorange(min_run_time=0.5)
        found[f"{name}, {width}"] = 1000 * min(rounds.times)
        print(name, width, round(found[f"{name}, {width}"], 2), flush=True)
    write_whole(CLOCK, json.dumps(found))


def gather() -> None:
    """Bring the runs of the plan that there are into the file of the package."""
    known = stored_runs()
    took = json.loads(CLOCK.read_text(encoding="utf-8")) if CLOCK.exists() else {}
    runs = [known[key(*one)] for one in planned() if key(*one) in known]
    for one in runs:
        clocked = took.get(f"{one['rung']}, {one['width']}")
        if clocked:  # other runs stood beside this one
            one["seconds"] = one["steps"] * clocked / 1000
        shown = one["budget"] in ("time", "steps") and one["learning rate"] == LEARNING_RATE and not one["seed"]
        if not shown:  # in the page
            one.pop("samples", None)
    store("ladder", {"runs": runs})


def again(name: str, seeds: list[int]) -> None:
    """The same with other seeds, beside what is stored."""
    known = stored_runs().values()
    for data, budget, _ in (one for one in PLAN if one[2] == name):
        same = (data, budget, name, LEARNING_RATE)
        before = [
            one["gap"] for one in known if (one["data"], one["budget"], one["rung"], one["learning rate"]) == same
        ]
        after = [run(data, budget, name, seed)["gap"] for seed in seeds]
        spread = stdev(before) if len(before) > 1 else float("nan")
        found = ", ".join("diverged" if gap is None else f"{gap:.4f}" for gap in after)
        spans = f"{mean(before):.4f} ± {spread:.4f}, from {min(before):.4f} to {max(before):.4f}"
        print(f"{data}, {budget}, {name}: gap {found}; stored {spans}", flush=True)


def is_wanted(one: tuple[str, str, str, int, float], chosen: argparse.Namespace) -> bool:
    """Whether a run of the plan is among those that were asked for."""
    return one[2] in chosen.rungs and (chosen.seeds is None or one[3] in chosen.seeds)


def main() -> None:
    """Run what is missing, or other seeds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rungs", nargs="*", default=list(RUNGS), choices=list(RUNGS), metavar="NAME")
    parser.add_argument("--clock", action="store_true", help="only measure how long the steps take")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be run")
    parser.add_argument("--seeds", nargs="*", type=int, help="those of the plan, unless others are named")
    chosen = parser.parse_args()
    torch.set_num_threads(1)  # the networks are small, and runs may stand side by side
    if not (STORED / "levels.json").exists():
        know_levels()
    if chosen.clock:
        clock()
        gather()
        return
    known = stored_runs()
    others = [seed for seed in chosen.seeds or () if seed not in SEEDS["time"]]
    missing = [one for one in planned() if is_wanted(one, chosen) and key(*one) not in known]
    if chosen.dry_run:
        again_too = [key(*one, seed) for one in PLAN if one[2] in chosen.rungs for seed in others]
        print("\n".join([*(key(*one) for one in missing), *again_too]) or "nothing is missing")
        return
    runs = Runs(RUNS)
    for one in missing:
        if runs.once(key(*one), run, *one):
            print(key(*one), flush=True)
    if runs:
        gather()
    for name in chosen.rungs if others else ():
        again(name, others)


if __name__ == "__main__":
    main()
