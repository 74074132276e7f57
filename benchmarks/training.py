"""How fast the swiss roll is learned, and how well, by this book's recipes and by others' models: one measurement.

    python benchmarks/training.py [--peers] [--seeds K ...] [--only NAME ...]

For each seed there are points of its own, and all contestants with as many points learn from the same ones; they take
turns, seed by seed, so that a busy hour of the machine meets all of them. What is scored is the end of a training whose
length was fixed before; shorter ones are run too, to see what comes when. One thread. Each run is a file of its own as
soon as it has ended, so a series that is interrupted goes on where it was. With seeds that are not in the plan nothing
goes to the package: what comes out is printed beside what is there.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from recipes import (
    RECIPES,
    SCHEDULE,
    TIMES,
    Recipe,
    exact_noise,
    knowledge,
    over_all_times,
    ratios,
    variance_of_exact_noise,
)
from stopwatch import Stopwatch
from torch import Generator, Tensor

from diffusion_notes.ddpm import DDPM
from diffusion_notes.experiment.results import STORED, load_results, provenance
from diffusion_notes.experiment.runs import Runs, write_whole
from diffusion_notes.measured import REFERENCES, scores
from diffusion_notes.swiss_roll import SwissRoll

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "_build" / "training"
PYTHON = ROOT / ".venv-peers" / "bin" / "python"
SEEDS = range(100, 105)  # no recipe was tuned with these


@dataclass(frozen=True)
class Contestant:
    """Who is trained, on how many points, for how many steps: the last number is the length that counts."""

    name: str
    steps: tuple[int, ...]
    points: int = 10_000
    peer: bool = False
    at_once: bool = False  # all the numbers of steps in one run, where the rate of learning does not end at 0

    def runs(self) -> list[tuple[int, ...]]:
        """The numbers of steps of each run."""
        return [self.steps] if self.at_once else [(steps,) for steps in self.steps]


# with the variances β_t, or with the best ones
EXACT = ("exact noise", "exact noise, best")
CONTESTANTS = [
    *[Contestant(name, (0,)) for name in (*REFERENCES, "exact noise")],
    Contestant("this book", (50, 100, 200, 400, 600)),
    Contestant("this book, group targets", (200, 500)),  # as long, since its steps cost more
    Contestant("this book, t by weight", (600,)),
    Contestant("this book, uniform t", (600,)),
    Contestant("this book, exact targets", (600,)),
    Contestant("diffusers", (1000, 3000, 10_000), peer=True, at_once=True),
    Contestant("smalldiffusion, annealed", (1500, 15_000), peer=True),
    Contestant("smalldiffusion", (500, 1500, 5000, 10_000, 12_500, 15_000), peer=True, at_once=True),
    *[Contestant(name, (0,), points=100_000) for name in (*REFERENCES, *EXACT)],
    Contestant("this book, 100,000 points", (6500,), points=100_000),
]


def data(seed: int, points: int) -> Tensor:
    """The points that all contestants learn from: the roll's, others for each seed."""
    return SwissRoll().sample(points, Generator().manual_seed(seed))


def ours(one: Contestant, steps: int, seed: int) -> dict:
    """A recipe of the book, or what needs no training, with as many samples as there are points."""
    generator, found = Generator().manual_seed(1000 + seed), {}
    points, watch = data(seed, one.points), Stopwatch()
    if one.name in REFERENCES:
        samples = REFERENCES[one.name](points, one.points, generator)
    else:
        ddpm = DDPM(exact_noise, SCHEDULE, "beta" if one.name != EXACT[1] else variance_of_exact_noise())
        if one.name in RECIPES:
            ddpm, found["training"] = RECIPES[one.name].train(points, steps, generator)
        with watch:
            samples = ddpm.sample(torch.randn(one.points, 2, generator=generator), generator)
        found["sampling"] = watch.seconds()
        if steps == one.steps[-1]:
            found |= knowledge(ddpm, seed)
    return {"steps": steps} | found | scores(samples, seed)


def theirs(one: Contestant, steps: tuple[int, ...], seed: int) -> list[dict]:
    """A peer in its own environment; its samples come back as a file, and are scored here."""
    with tempfile.TemporaryDirectory() as folder:
        points, out = f"{folder}/points.npy", f"{folder}/out.npz"
        np.save(points, data(seed, one.points).numpy())
        command = [str(PYTHON), str(ROOT / "benchmarks" / "peers.py"), one.name, points, out, "--seed", str(seed)]
        subprocess.run([*command, "--steps", *map(str, steps)], check=True, capture_output=True, env=ALONE)
        with np.load(out) as found:
            notes, samples = json.loads(str(found["notes"])), torch.from_numpy(found["samples"])
    return [note | scores(x, seed) for note, x in zip(notes, samples, strict=True)]


def run(one: Contestant, steps: tuple[int, ...], seed: int) -> list[dict]:
    """One run: trained, sampled and scored, at each number of steps."""
    found = theirs(one, steps, seed) if one.peer else [ours(one, each, seed) for each in steps]
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    about = {"contestant": one.name, "points": one.points, "seed": seed, "date": day}
    return [about | each | {"final": each["steps"] == one.steps[-1]} for each in found]


def planned(seeds: Iterable[int]) -> Iterator[tuple[Contestant, tuple[int, ...], int]]:
    """All the runs, in their order."""
    return ((one, steps, seed) for seed in seeds for one in CONTESTANTS for steps in one.runs())


def name_of(one: Contestant, steps: tuple[int, ...], seed: int) -> str:
    """The key of a run."""
    return f"{one.name}, {one.points}, {'-'.join(map(str, steps))}, {seed}"


def noted(one: Contestant, steps: tuple[int, ...], seed: int, before: list[dict]) -> list[dict]:
    """What a run has found; where it was not run anew, what is stored with the package."""
    found = Runs(RUNS).get(name_of(one, steps, seed))
    if found is not None:
        return found
    about = (one.name, one.points, seed)
    return [each for each in before if key(each) == about and each["steps"] in steps]


def key(found: dict) -> tuple[str, int, int]:
    """Whose it is, how many points it had, and with which seed."""
    return found["contestant"], found["points"], found["seed"]


def gather() -> dict:
    """All the runs of the plan that have ended, and what has to be known to read them."""
    stored = load_results("training") if (STORED / "training.json").exists() else {"runs": []}
    before = stored["runs"]
    runs = [each for one in planned(SEEDS) for each in noted(*one, before)]
    smallest = SwissRoll().noise_mmse(SCHEDULE.alpha_bar[TIMES]).tolist()
    wanted = (ROOT / "benchmarks" / "peers.txt").read_text(encoding="utf-8")
    return {
        "provenance": provenance("make bench-peers"),
        "versions of others": dict(re.findall(r"([a-z]+)==([\d.]+\d)", wanted)),
        "groups": {name: getattr(recipe.kind, "group", 1) for name, recipe in RECIPES.items()},
        "times": TIMES,
        "smallest loss at": smallest,
        "smallest loss": over_all_times(smallest, TIMES),
        "steps": Runs(RUNS).get("steps", stored.get("steps", {})),
        "runs": runs,
    }


def costs_of_a_step() -> dict[str, dict[str, float]]:
    """What a step of each recipe costs, compiled and wider ones too, against its matrix products."""
    found = {name: ratios(RECIPES[name]) for name in ("this book", "this book, group targets")}
    found["this book, compiled"] = ratios(Recipe(), compiled=True)
    return found | {f"this book, width {width}": ratios(Recipe(size={"width": width})) for width in (128, 256)}


def summary(runs: list[dict]) -> str:
    """The ends of the trainings: median and worst of the seeds."""
    lines = []
    for one in CONTESTANTS:
        mine = [each for each in runs if each["final"] and key(each)[:2] == (one.name, one.points)]
        if mine:
            seconds = median(each.get("training", {}).get("processor", 0) for each in mine)
            divergence, off = ([each[key] for each in mine] for key in ("KL500", "off the spiral"))
            lines.append(
                f"{one.name:27}{one.points:8,}{len(mine):3} seeds {seconds:7.2f} s"
                f"  KL500 {median(divergence):.4f}, worst {max(divergence):.4f}"
                f"  off {median(off):.2%}, worst {max(off):.2%}"
            )
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, or other seeds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", action="store_true", help="also those of other projects, in .venv-peers")
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--only", nargs="*", default=[one.name for one in CONTESTANTS], metavar="NAME")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    RECIPES["this book"].train(data(0, 100), 1, Generator())  # what is loaded at the first step is not the training's
    runs = Runs(RUNS)
    runs.once("steps", costs_of_a_step)
    for one in planned(chosen.seeds):
        wanted = (chosen.peers or not one[0].peer) and one[0].name in chosen.only
        if wanted and runs.once(name_of(*one), run, *one):
            print(summary(runs[name_of(*one)]) or name_of(*one), flush=True)
    if set(chosen.seeds) <= set(SEEDS):
        found = gather()
        write_whole(STORED / "training.json", json.dumps(found) + "\n")
        print(summary(found["runs"]))
    elif (STORED / "training.json").exists():
        print("stored:\n" + summary(load_results("training")["runs"]))


ALONE = os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}

if __name__ == "__main__":
    main()
