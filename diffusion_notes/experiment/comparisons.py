"""What many stored runs say together: the mean over seeds, and what the turn of a switch is worth.

An error is two standard errors, everywhere. A difference is taken seed by seed, because the rungs of a seed are
trained on the same points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from diffusion_notes._arguments.values import check_choice, check_kind, check_number, check_positive, describe
from diffusion_notes.experiment.ladder_runs import BUDGETS, DATA, LEARNING_RATE, RUNGS, steps_and_width

__all__ = ["average", "bought", "runs_of"]

Runs = Mapping[int, Mapping[str, Any]]


def runs_of(
    runs: Sequence[Mapping[str, Any]],
    rung: str,
    data: str = "swiss roll",
    budget: str = "time",
    learning_rate: float = LEARNING_RATE,
) -> dict[int, Mapping[str, Any]]:
    """The stored runs of a rung, by their seeds; none, if it was not run so.

    A rung that takes as many steps as DDPM with equal work is stored once, and stands for equal steps as well.

    Arguments:
        runs: as :func:`~diffusion_notes.experiment.results.load_results` has them.
        rung: its name, one of ``RUNGS``.
        data: the name of the distribution, one of ``DATA``.
        budget: what was held equal, one of ``BUDGETS``.
        learning_rate: the one it was trained with.

    Raises:
        TypeError, ValueError: an argument is of another kind, or no such name.

    >>> run = {"rung": "DDPM", "data": "swiss roll", "budget": "time", "learning rate": 0.01, "seed": 3, "gap": 0.1}
    >>> list(runs_of([run], "DDPM", budget="steps"))
    [3]
    """
    check_kind("runs", runs, (list, tuple), "a list of runs")
    check_choice("rung", rung, tuple(RUNGS))
    check_choice("data", data, tuple(DATA))
    check_choice("budget", budget, BUDGETS)
    learning_rate = check_positive("learning_rate", learning_rate)
    most = steps_and_width(RUNGS["DDPM"])[0]
    if budget == "steps" and steps_and_width(RUNGS[rung])[0] >= most:
        budget = "time"
    wanted = (rung, data, budget, learning_rate)
    return {run["seed"]: run for run in runs if _identity(run) == wanted}


def _identity(run: Mapping[str, Any]) -> tuple:
    check_kind("runs", run, Mapping, "a list of dictionaries")
    return tuple(run[key] for key in ("rung", "data", "budget", "learning rate"))


def average(runs: Runs, key: str = "gap") -> tuple[float, float]:
    """The mean over the seeds, and two standard errors of it.

    The error comes from the scatter of the seeds. Where gaps agree by luck, it comes from each run's own measuring
    error.

    Arguments:
        runs: by their seeds, two at least, as :func:`runs_of` returns them.
        key: which of a run's numbers.

    Raises:
        TypeError: an argument is of another kind, or the numbers are none.
        ValueError: there are less than two runs, or they have no such number.

    >>> average({0: {"KL": 0.0}, 1: {"KL": 1.0}}, "KL")
    (0.5, 1.0)
    """
    check_kind("runs", runs, Mapping, "runs by their seeds")
    check_kind("key", key, str, "a text")
    values = [_number("runs", run, key) for run in runs.values()]
    _check_enough("runs", len(values))
    spread = stdev(values)
    if key == "gap":
        own = [_number("runs", run, "error") for run in runs.values()]
        spread = max(spread, math.hypot(*own) / math.sqrt(len(own)))
    return mean(values), 2 * spread / math.sqrt(len(values))


def bought(before: Runs, after: Runs) -> tuple[float, float]:
    """By how many nats the gap falls from one rung to another, and two standard errors of that.

    Arguments:
        before: the runs of the one by their seeds, as :func:`runs_of` returns them.
        after: those of the other. Seeds that only one of them has are left out.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: there are less than two seeds that both have.

    >>> bought({0: {"gap": 0.5}, 1: {"gap": 0.75}}, {0: {"gap": 0.25}, 1: {"gap": 0.5}, 2: {"gap": 9.0}})
    (0.25, 0.0)
    """
    check_kind("before", before, Mapping, "runs by their seeds")
    check_kind("after", after, Mapping, "runs by their seeds")
    gaps_before = {seed: _number("before", run, "gap") for seed, run in before.items()}
    gaps_after = {seed: _number("after", run, "gap") for seed, run in after.items()}
    nats = [gap - gaps_after[seed] for seed, gap in gaps_before.items() if seed in gaps_after]
    _check_enough("before and after", len(nats))
    return mean(nats), 2 * stdev(nats) / math.sqrt(len(nats))


def _number(name: str, run: Mapping[str, Any], key: str) -> float:
    check_kind(name, run, Mapping, "runs by their seeds")
    if key not in run:
        raise ValueError(f"{name} must each have the key {key!r}, got {describe(dict(run))}")
    return check_number(f"{key} in {name}", run[key])


def _check_enough(name: str, seeds: int) -> None:
    if seeds < 2:
        raise ValueError(f"{name} must be of two seeds at least, or no error can be known, got {seeds}")
