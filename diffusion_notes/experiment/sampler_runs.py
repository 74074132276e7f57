"""The stored runs of samplers: how good samples are after how many calls of the network.

Each run says its way to sample, its model, the number of calls, the seed, the number of samples, and what came out. All
ways of a seed start from the same draws. ``benchmarks/samplers.py`` makes the runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from diffusion_notes._arguments.values import check_choice, check_kind

__all__ = ["curve", "names"]

_KEYS = ("KL500", "off the spiral")


def names(runs: Sequence[Mapping[str, Any]], what: str = "way") -> list[str]:
    """The ways to sample that there are runs of, or the models, in the order in which they were run.

    Arguments:
        runs: as :func:`~diffusion_notes.experiment.results.load_results` has them.
        what: ``"way"`` or ``"model"``.

    Raises:
        TypeError, ValueError: an argument is of another kind.

    >>> names([{"way": "DDIM"}, {"way": "ancestral"}, {"way": "DDIM"}])
    ['DDIM', 'ancestral']
    """
    check_kind("runs", runs, (list, tuple), "a list of runs")
    check_choice("what", what, ("way", "model"))
    return list(dict.fromkeys(_field(run, what) for run in runs))


def curve(
    runs: Sequence[Mapping[str, Any]], way: str, model: str, key: str = "KL500"
) -> dict[int, tuple[float, float, float]]:
    """For each number of calls, rising, the median of the seeds, the lowest and the highest.

    Arguments:
        runs: as :func:`~diffusion_notes.experiment.results.load_results` has them.
        way: one of their ways to sample.
        model: one of their models. There need be no run of both; nothing comes back then.
        key: ``"KL500"``, in nats, or ``"off the spiral"``, the share of strays.

    Raises:
        TypeError: ``runs`` are no list of dictionaries.
        ValueError: there is no such way, model or key.

    >>> run = {"way": "DDIM", "model": "exact", "off the spiral": 0.0}
    >>> curve([run | {"calls": calls, "KL500": 4 / calls} for calls in (8, 16, 8)], "DDIM", "exact")
    {8: (0.5, 0.5, 0.5), 16: (0.25, 0.25, 0.25)}
    """
    check_choice("way", way, tuple(names(runs, "way")))
    check_choice("model", model, tuple(names(runs, "model")))
    check_choice("key", key, _KEYS)
    mine = [run for run in runs if (run["way"], run["model"]) == (way, model)]
    found: dict[int, list[float]] = {calls: [] for calls in sorted({run["calls"] for run in mine})}
    for run in mine:
        found[run["calls"]].append(run[key])
    return {calls: (median(each), min(each), max(each)) for calls, each in found.items()}


def _field(run: Mapping[str, Any], what: str) -> str:
    check_kind("runs", run, Mapping, "a list of dictionaries")
    if what not in run:
        raise ValueError(f"runs must each have the key {what!r}")
    return run[what]
