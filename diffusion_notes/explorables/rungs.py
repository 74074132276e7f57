"""Two rungs of the ladder from the VAE to DDPM, side by side."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from itertools import product
from statistics import mean, stdev
from typing import Any

import numpy as np
import traitlets

from diffusion_notes._arguments.values import check_choice, check_integer, check_kind, check_number, describe
from diffusion_notes.explorables.arrays import finite
from diffusion_notes.explorables.base import Explorable
from diffusion_notes.explorables.still_pictures import dots, svg, words

__all__ = ["Rungs"]

SWITCHES = ("layers", "inference", "last", "networks", "latent", "objective")
BUDGETS = ("time", "steps")  # those that a reader can choose: equal work, and equal steps
_TERMS = ("reconstruction", "layers", "prior")
_REACH = 1.8  # the coordinate at the border of a panel of the still picture
_Group = tuple[str, str, str]  # data, budget and rung


class Rungs(Explorable):
    """Set the switches of two rungs, and see what the difference between them buys.

    Arguments:
        runs: of the experiment, as they are stored: each a dictionary with its ``"data"``, ``"budget"``, ``"rung"`` and
            ``"seed"``, with ``"steps"``, ``"gap"``, ``"KL"`` and ``"terms"``, and with the ``"samples"`` of seed 0.
            They are averaged over the seeds here. Of the budgets only ``"time"``, which is equal work, and ``"steps"``
            are shown. A rung whose runs are the same in both is stored once.
        switches: those of each rung, by the rung's name, in the order in which they are listed.
        data: what it begins with; the others that were run with the budget it begins with can be chosen.
        budget: what it begins with; the other can be chosen if there are runs of it on all these data.
        a, b: the names of the two rungs it begins with.
        ladder: the names of the rungs that are listed as those of the ladder, apart from all others; if there are any.

    Raises:
        TypeError: an argument, or something in it, is of another kind.
        ValueError: a run lacks something, is not finite, is there twice, or is of a rung without switches; a rung
            has no run with seed 0; there is no run of ``a`` or ``b`` on these data with this budget; or a rung of
            ``ladder`` has no switches.
    """

    name = "rungs"
    parts = ("drawing", "rungs_pictures")

    rungs = traitlets.List(traitlets.Dict()).tag(sync=True, state=True)
    data = traitlets.Unicode().tag(sync=True, state=True)
    budget = traitlets.Unicode().tag(sync=True, state=True)
    a = traitlets.Unicode().tag(sync=True, state=True)
    b = traitlets.Unicode().tag(sync=True, state=True)
    ladder = traitlets.List(traitlets.Unicode()).tag(sync=True, state=True)
    alt = traitlets.Unicode(
        "Samples of two rungs side by side, as dots in the plane on the same axes: A on the left, B on the right. "
        "What is seen of the shape of the data tells how good a rung is."
    ).tag(sync=True, state=True)

    def __init__(
        self,
        runs: Sequence[Mapping],
        switches: Mapping[str, Mapping],
        *,
        data: str = "swiss roll",
        budget: str = "time",
        a: str = "VAE",
        b: str = "DDPM",
        ladder: Sequence[str] = (),
    ) -> None:
        known = _checked_switches(switches)
        grouped = _grouped(runs, known)
        check_kind("ladder", ladder, (list, tuple), "a list of names")
        for name in ladder:
            check_choice("ladder", name, tuple(known))
        kinds = {spent: list(dict.fromkeys(kind for kind, each, _ in grouped if each == spent)) for spent in BUDGETS}
        check_choice("budget", budget, [spent for spent in BUDGETS if kinds[spent]])
        check_choice("data", data, kinds[budget])
        for side, name in (("a", a), ("b", b)):
            check_choice(side, name, [each for kind, spent, each in grouped if (kind, spent) == (data, budget)])
        budgets = [spent for spent in BUDGETS if set(kinds[budget]) <= set(kinds[spent])]
        once: dict[str, list[str]] = {}  # what is drawn, and the budgets of it
        for kind, name, spent in product(kinds[budget], known, budgets):
            if those := grouped.get((kind, spent, name)):
                drawn = {"data": kind, "name": name, "switches": known[name]} | _averaged(name, those)
                once.setdefault(json.dumps(drawn), []).append(spent)
        rungs = [json.loads(drawn) | {"budgets": those} for drawn, those in once.items()]
        super().__init__(rungs=rungs, data=data, budget=budget, a=a, b=b, ladder=list(ladder))

    def still_picture(self) -> str:
        """The samples of the two, and what their bounds cost."""
        shapes = []
        for name, left in ((self.a, 0), (self.b, 300)):
            named = [each for each in self.rungs if (each["data"], each["name"]) == (self.data, name)]
            rung = next(each for each in named if self.budget in each["budgets"])
            points = np.frombuffer(base64.b64decode(rung["samples"]), "<i2").reshape(-1, 2) / 100
            x, y = points[(abs(points) < _REACH).all(1)].T * 150 / _REACH
            shapes.append(dots(left + 150 + x, 150 - y, width=3))
            shapes.append(words(left + 150, 322, name))
            shapes.append(words(left + 150, 344, f"{rung['gap'][0]:.3f} nats above the entropy"))
        return svg(self.alt, (600, 350), *shapes)


def _checked_switches(switches: Mapping[str, Mapping]) -> dict[str, dict]:
    """Those of each rung, in the order of ``SWITCHES``."""
    check_kind("switches", switches, Mapping, "a dictionary of rungs")
    for name, those in switches.items():
        check_kind("switches", those, Mapping, "a dictionary of dictionaries")
        if set(those) != set(SWITCHES):
            raise ValueError(f"switches of {name!r} must be {', '.join(SWITCHES)}, got {', '.join(map(str, those))}")
        for switch, value in those.items():
            check_kind("switches", value, (int, str), f"made of numbers and texts in {switch!r} of {name!r}")
    return {name: {switch: those[switch] for switch in SWITCHES} for name, those in switches.items()}


def _grouped(runs: Sequence[Mapping], known: Mapping[str, dict]) -> dict[_Group, dict[int, Mapping]]:
    """The runs with equal work or equal steps by data, budget and rung, and then by seed."""
    check_kind("runs", runs, (list, tuple), "a list of runs")
    grouped: dict[_Group, dict[int, Mapping]] = {}
    for run in runs:
        check_kind("runs", run, Mapping, "a list of dictionaries")
        data, budget, rung = (_entry(run, name, str, "a text") for name in ("data", "budget", "rung"))
        if budget not in BUDGETS:
            continue
        if rung not in known:
            raise ValueError(f"runs must be of rungs in switches, got one of {rung!r}")
        seed = _entry(run, "seed")
        check_integer("seed of runs", seed, least=0)
        of_rung = grouped.setdefault((data, budget, rung), {})
        if seed in of_rung:
            raise ValueError(f"runs must not repeat themselves, got seed {seed} of {rung!r} twice")
        of_rung[seed] = run
    if not grouped:
        raise ValueError(f"runs must not be empty, got none with a budget of {' or '.join(map(repr, BUDGETS))}")
    return grouped


def _averaged(name: str, runs: Mapping[int, Mapping]) -> dict[str, Any]:
    """What is drawn of a rung: means, with two standard errors, over the seeds, and the samples of seed 0."""
    if 0 not in runs:
        raise ValueError(f"runs must hold seed 0 of each rung, got only {sorted(runs)} of {name!r}")
    samples = finite("samples in runs", _entry(runs[0], "samples"))
    if samples.ndim != 2 or samples.shape[1] != 2:
        raise ValueError(f"samples in runs must have shape (N, 2), got {samples.shape} of {name!r}")
    hundredths = (samples * 100).round().clip(-32767, 32767).astype("<i2")
    every = list(runs.values())
    terms = [_entry(run, "terms", Mapping, "a dictionary") for run in every]
    return {
        "gap": _mean_and_error("gap", every),
        "KL": _mean_and_error("KL", every),
        "terms": [_mean_and_error(term, terms)[0] for term in _TERMS],
        "steps": round(mean(_numbers("steps", every))),
        "seeds": len(runs),
        "samples": base64.b64encode(hundredths.tobytes()).decode("ascii"),
    }


def _mean_and_error(name: str, of: Sequence[Mapping]) -> tuple[float, float | None]:
    """The mean, and twice its standard error; of a single run it is not known."""
    values = _numbers(name, of)
    error = round(2 * stdev(values) / len(values) ** 0.5, 7) if len(values) > 1 else None
    return round(mean(values), 7), error


def _numbers(name: str, of: Sequence[Mapping]) -> list[float]:
    values = [_entry(one, name) for one in of]
    for value in values:
        check_number(f"{name} in runs", value)
    return values


def _entry(run: Mapping, name: str, kind: type = object, what: str = "") -> Any:
    if name not in run:
        raise ValueError(f"runs must each have {name!r}, got {describe(dict(run))}")
    check_kind(f"{name} in runs", run[name], kind, what)
    return run[name]
