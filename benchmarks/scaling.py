"""What training and sampling cost as the work grows: more points, more steps T, larger batches, wider, more dimensions.

    python benchmarks/scaling.py

One size is changed at a time, from those of STANDARD. Each measurement is a process of its own with one
thread, so that its memory is its own; they take turns, round by round, and the quickest round counts, since others may
use the machine too. What is counted is processor time, and the most memory above what the process had before.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch.utils.benchmark import Timer

from diffusion_notes.ddpm import DDPM
from diffusion_notes.experiment.results import STORED, provenance
from diffusion_notes.experiment.runs import write_whole
from diffusion_notes.fitting import TrainingState, train
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.schedule import Schedule

STANDARD = {"points": 10_000, "T": 1000, "batch": 512, "width": 96, "D": 2}
SIZES = {
    "points": (100, 1000, 10_000, 100_000, 1_000_000),
    "T": (10, 100, 1000, 10_000),
    "batch": (32, 128, 512, 2048, 8192),
    "width": (24, 48, 96, 192, 384, 768),
    "D": (2, 8, 32, 128, 512, 1024),
}
ROUNDS = 5
SAMPLES = 1000  # that are drawn at once
_AT_LEAST = 0.3  # seconds that a timing lasts


def settings() -> list[dict[str, int]]:
    """The standard sizes, and each of the others in its place.

    >>> settings()[0] == STANDARD, len(settings()) == 1 + sum(map(len, SIZES.values())) - len(SIZES)
    (True, True)
    """
    others = [STANDARD | {name: size} for name, sizes in SIZES.items() for size in sizes]
    return [STANDARD] + [each for each in others if each != STANDARD]


def training_costs(size: dict[str, int]) -> dict[str, float]:
    """Milliseconds of a step of the training, and megabytes of memory."""
    steps = _training(size | {"points": 100, "batch": 32, "width": 24})
    for _ in range(3):
        next(steps)  # what is loaded at the first step is not the step's
    before = _memory(reset=True)
    steps = _training(size)
    return {"training step, ms": 1000 * _seconds(lambda: next(steps)), "training memory, MB": _memory() - before}


def sampler_costs(size: dict[str, int]) -> dict[str, float]:
    """Milliseconds of a step of the sampler, for a thousand samples at once, and megabytes of memory."""
    small = size | {"width": 24, "D": 2}
    next(_model(small).walk(torch.randn(10, 2)))
    before = _memory(reset=True)
    ddpm = _model(size)
    walk = iter(())

    def down() -> None:
        nonlocal walk
        if next(walk, None) is None:
            walk = ddpm.walk(torch.randn(SAMPLES, size["D"]))
            next(walk)

    return {"sampler's step, ms": 1000 * _seconds(down), "sampler's memory, MB": _memory() - before}


COSTS = {"training": training_costs, "sampler": sampler_costs}


def _model(size: dict[str, int]) -> DDPM:
    """The book's network in these sizes; its noise levels begin, and end, at nearly the same place for each T."""
    schedule = Schedule.linear(T=size["T"], beta_1=min(0.1 / size["T"], 0.5), beta_T=min(20 / size["T"], 0.9))
    network = NoiseMLP(schedule, dim=size["D"], width=size["width"], depth=2, features=64)
    return DDPM(network, schedule, "beta", "variational", t_sampling="weight")


def _training(size: dict[str, int]) -> Iterator[TrainingState]:
    points = torch.randn(size["points"], size["D"])
    return train(_model(size), points, steps=10**9, batch_size=size["batch"], learning_rate=1e-3, progress=False)


def _seconds(f: Callable[[], object]) -> float:
    """Processor seconds of one call, from as many as take a while."""
    f()
    timer = Timer("f()", globals={"f": f}, timer=time.process_time)
    return timer.blocked_autorange(min_run_time=_AT_LEAST).mean


def _memory(reset: bool = False) -> float:
    """The most memory that this process has had, in megabytes; where ``reset``, what it has now, to count from there.

    Linux tells; elsewhere it is not known.
    """
    status = Path("/proc/self/status")
    forget = Path("/proc/self/clear_refs")
    if not status.exists():
        return float("nan")
    if reset:
        forget.write_text("5", encoding="ascii")
    (most,) = re.findall(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"))
    return int(most) / 1024


def alone(size: dict[str, int]) -> dict[str, float]:
    """All the costs, each in a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    found: dict[str, float] = {}
    for what in COSTS:
        command = [sys.executable, __file__, what, json.dumps(size)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        found |= json.loads(done.stdout)
    return found


def main() -> None:
    """Measure one setting, or all of them in turn."""
    if len(sys.argv) > 1:
        torch.set_num_threads(1)
        print(json.dumps(COSTS[sys.argv[1]](json.loads(sys.argv[2]))))
        return
    rounds = []
    for number in range(ROUNDS):
        rounds.append([alone(size) for size in settings()])
        print(f"round {number + 1} of {ROUNDS}", flush=True)
    found = [
        size | {key: round(min(one[key] for one in each), 4) for key in each[0]}
        for size, each in zip(settings(), zip(*rounds, strict=True), strict=True)
    ]
    text = json.dumps({"provenance": provenance("make bench"), "standard": STANDARD, "costs": found})
    write_whole(STORED / "scaling.json", text + "\n")


if __name__ == "__main__":
    main()
