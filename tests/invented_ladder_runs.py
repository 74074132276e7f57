"""Runs of the ladder's experiment that were never made, for what shows them: numbers from a seed."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from diffusion_notes.experiment.ladder_runs import LADDER, RUNGS

SWITCHES = {name: asdict(rung) for name, rung in RUNGS.items()}
MADE = {"swiss roll": (*LADDER, "hierarchical VAE", "learned forward, 8", "DDPM, layers by weight"), "clusters": LADDER}


def made_run(random: np.random.Generator, data: str, budget: str, name: str, seed: int) -> dict:
    """One run, as the experiment stores it."""
    gap, kl, *terms = random.uniform((0.05, 0.01, 1, -4, -4), (0.5, 0.3, 3, 0, 0)).tolist()
    run = {
        "data": data,
        "budget": budget,
        "rung": name,
        "seed": seed,
        "gap": gap,
        "KL": kl,
        "steps": 4000 - 333 * seed // 2,
    }
    run |= {"terms": dict(zip(("reconstruction", "layers", "prior"), terms, strict=True)), "seconds": 3.7 + seed}
    return run if seed else run | {"samples": random.normal(size=(300, 2)).round(2).tolist()}


def made_runs(seeds: int = 3) -> list[dict]:
    """Those of two data sets with equal work, and some with equal steps, which are the same from the seventh rung on.

    Those with as many parameters are not drawn anywhere, and so have no samples.
    """
    random = np.random.default_rng(0)
    plan = [(data, "time", name) for data, names in MADE.items() for name in names]
    plan += [("swiss roll", "steps", name) for name in LADDER[:3]] + [("clusters", "steps", "VAE")]
    runs = [made_run(random, *one, seed) for one in plan for seed in range(seeds)]
    few = [made_run(random, "swiss roll", "parameters", "VAE", seed) for seed in range(1, seeds)]
    slow = [run | {"budget": "steps"} for run in runs if run["budget"] == "time" and run["rung"] in LADDER[6:]]
    return runs + slow + few
