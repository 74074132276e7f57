"""How fast samples come, beside smalldiffusion's: in one process, in turns, as ratios.

    .venv-peers/bin/python benchmarks/speeds.py [--rounds N] [--points N]

In each round every sampler has its turn, so a busy hour of the machine meets all of them, and a ratio within a round
says what they cost beside one another even where their seconds do not. It is the processor's seconds that are compared,
of one thread. smalldiffusion's network is the one of its README, and is not trained here, which makes it no faster or
slower; how good its samples are is measured in benchmarks/training.py.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from peers import without_torchvision
from stopwatch import Stopwatch

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))  # the package is not installed where the peers are

from samplers import WAYS, model  # noqa: E402

from diffusion_notes.experiment.results import STORED, provenance  # noqa: E402
from diffusion_notes.experiment.runs import write_whole  # noqa: E402
from diffusion_notes.samplers import sample  # noqa: E402

PEER = "smalldiffusion, 20 calls"


def ours(name: str, calls: int) -> Callable[[int], object]:
    """A sampler of the book, with one of its networks."""
    way = next(way for way in WAYS if way.name == name)
    its, levels = model("better network", 0), way.levels(calls)
    return lambda n: sample(
        its, torch.randn(n, 2), way.method, calls, way.eta, levels, way.last, data_noise=way.data_noise
    )


def theirs() -> Callable[[int], object]:
    """smalldiffusion's, as in its README."""
    with contextlib.redirect_stdout(io.StringIO()):  # what stands in for transforms of images says what it is given
        lib = without_torchvision()
    network = lib.TimeInputMLP(hidden_dims=(16, 128, 128, 128, 128, 16))
    sigmas = lib.ScheduleLogLinear(N=200, sigma_min=0.005, sigma_max=10).sample_sigmas(20)
    return lambda n: list(lib.samples(network, sigmas, gam=2, batchsize=n))[-1]


def contestants() -> dict[str, tuple[Callable[[int], object], float]]:
    """The samplers, and what share of the points each draws: of a slow one fewer will do."""
    return {
        PEER: (theirs(), 1.0),
        "this book, 8 calls": (ours("3M, fitted", 8), 1.0),
        "this book, 16 calls": (ours("3M, fitted", 16), 1.0),
        "DDPM, 1000 calls": (ours("ancestral", 1000), 0.05),
    }


def take_turns(each: dict[str, tuple[Callable[[int], object], float]], rounds: int, points: int) -> list[dict]:
    """For each round, how many samples one makes while the peer makes one."""
    found = []
    for _ in range(rounds):
        seconds = {}
        for name, (draw, share) in each.items():
            n = max(1, round(share * points))
            with (watch := Stopwatch()):
                draw(n)
            seconds[name] = watch.processor / n
        found.append({name: seconds[PEER] / each_takes for name, each_takes in seconds.items() if name != PEER})
    return found


def main() -> None:
    """Measure, store, and say what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--points", type=int, default=10_000)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    each = contestants()
    take_turns(each, 1, 100)  # what is loaded at the first call is not the sampling's
    rounds = take_turns(each, chosen.rounds, chosen.points)
    wanted = (ROOT / "benchmarks" / "peers.txt").read_text(encoding="utf-8")
    found = {
        "provenance": provenance("make bench-speeds"),
        "versions of others": dict(re.findall(r"(smalldiffusion)==([\d.]+\d)", wanted)),
        "points": chosen.points,
        "against": PEER,
        "times as fast": {name: median(each[name] for each in rounds) for name in rounds[0]},
        "rounds": rounds,
    }
    write_whole(STORED / "speeds.json", json.dumps(found) + "\n")
    for name, times in found["times as fast"].items():
        spread = sorted(each[name] for each in rounds)
        print(f"{name:22}{times:8.3f} times {PEER}, from {spread[0]:.3f} to {spread[-1]:.3f} in {len(rounds)} rounds")


if __name__ == "__main__":
    main()
