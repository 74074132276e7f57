"""What the chapter on the score measures over several networks: losses at all noise levels, log p, and flow matching.

    python benchmarks/score.py [--seeds K ...]

The smallest losses of the roll over the log signal-to-noise ratio; the network that is stored with the book; and, seed
by seed, networks that learn from the same points for the same number of steps: the noise with the simple loss, the
velocity of flow matching, and, to tell the loss from the levels, the noise with the simple loss at the levels of flow
matching. Of each network: what it adds to the smallest loss at every level, how much
lower its log density by the ODE is than the roll's, and samples with the levels of either camp. Each run is a file of
its own as soon as it has ended, so a series that is interrupted goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from collections import deque
from pathlib import Path

import torch
from torch import Generator, Tensor

from diffusion_notes.ddpm import DDPM
from diffusion_notes.experiment.results import STORED, provenance
from diffusion_notes.experiment.runs import Runs, write_whole
from diffusion_notes.fitting import train
from diffusion_notes.metrics import binned_kl, stray_share
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.pretrained import swiss_roll_ddpm
from diffusion_notes.samplers import choose_levels, on_levels, sample
from diffusion_notes.schedule import Schedule
from diffusion_notes.score import ContinuousSchedule, network_losses, ode_log_prob
from diffusion_notes.swiss_roll import SwissRoll

ROLL, LINEAR = SwissRoll(), Schedule.linear(T=1000)
FLOW = ContinuousSchedule("flow", last=1e-6).steps(1000)  # tau from 0.001 to 0.999
RUNS = Path(__file__).resolve().parents[1] / "_build" / "score"
SEEDS = range(5)
CAMPS = {"t": LINEAR, "tau": FLOW}  # in what the levels are even
# what is trained: the loss, and the levels from which it draws
KINDS = {"simple": ("simple", "t"), "flow": ("flow", "tau"), "simple in tau": ("simple", "tau")}
STEPS, POINTS, BATCH = 2000, 10_000, 512
FRESH, SAMPLES = 1000, 20_000
CALLS = (8, 16, 50)
SMALLEST = (-16.0, 24.0, 81)  # of the log signal-to-noise ratio, for the smallest losses
PLACES = 40  # levels at which a network is looked at


def smallest() -> dict:
    """The smallest losses of the roll, evenly in the log signal-to-noise ratio."""
    log_snr = torch.linspace(*SMALLEST, dtype=torch.float64)
    return {"log_snr": log_snr.tolist(), "loss": ROLL.noise_mmse(log_snr.sigmoid()).tolist()}


def trained(kind: str, seed: int) -> DDPM:
    """A network of the book's size; its points depend on the seed, and not on the kind."""
    objective, camp = KINDS[kind]
    points = ROLL.sample(POINTS, Generator().manual_seed(seed))
    generator = Generator().manual_seed(1000 + seed)
    schedule = CAMPS[camp]
    network = NoiseMLP(schedule, generator=generator)
    model = DDPM(network, schedule, "beta", objective)
    state = deque(
        train(model, points, steps=STEPS, batch_size=BATCH, generator=generator, progress=False), maxlen=1
    ).pop()
    return DDPM(state.average.network, schedule, "beta")


def measured(model: DDPM, seed: int) -> dict:
    """What it has learned, and what comes out of it; all at the levels of the linear schedule."""
    network = model.network.double().requires_grad_(False).on(LINEAR)
    precise = DDPM(network, LINEAR, "beta")
    log_snr = torch.linspace(LINEAR.log_snr[1].item(), LINEAR.log_snr[-1].item(), PLACES, dtype=torch.float64)
    least, excess = network_losses(precise, ROLL, log_snr.sigmoid())
    x = ROLL.sample(FRESH, Generator().manual_seed(500 + seed), dtype=torch.float64)
    found = ode_log_prob(precise, x, steps=64)
    behind = ROLL.log_prob(x) - found.value
    return {
        "log_snr": log_snr.tolist(),
        "smallest": least.tolist(),
        "excess": excess.tolist(),
        "behind": behind.mean().item(),
        "behind, two standard errors": 2 * behind.std().item() / FRESH**0.5,
        "solver": found.error.mean().item(),
        "samples": [scores(model, levels, calls, seed) for levels in CAMPS for calls in CALLS],
    }


def levels_of(camp: str, calls: int) -> Tensor:
    """The noise levels kappa that each camp would visit: evenly in t, or in tau from the noise on."""
    if camp == "t":
        return LINEAR.kappa[choose_levels(LINEAR, calls)]
    tau = torch.arange(1, calls + 1, dtype=torch.float64) / calls
    tau[-1] = 0.999
    return tau / (1 - tau)


def scores(model: DDPM, camp: str, calls: int, seed: int) -> dict:
    """Samples by DDIM without noise, which is Euler's method for the velocity."""
    asked = on_levels(model, levels_of(camp, calls)).float()
    xT = torch.randn(SAMPLES, 2, generator=Generator().manual_seed(900 + seed))
    x = sample(asked, xT, "ddim", calls, levels=range(1, calls + 1))
    return {"levels": camp, "calls": calls, "KL500": binned_kl(x, ROLL), "off the spiral": stray_share(x, ROLL)}


def divergence_of_stored() -> float:
    """How much lower its log density is on average, over the plane: nothing is sampled."""
    precise = swiss_roll_ddpm("beta").double()

    def behind(x: Tensor) -> Tensor:
        return ROLL.log_prob(x) - ode_log_prob(precise, x, steps=48).value

    return ROLL.expect(behind).item()


def run(name: str, seed: int) -> dict:
    """One network."""
    model = swiss_roll_ddpm("beta") if name == "stored" else trained(name, seed)
    return {"network": name, "seed": seed} | measured(model, seed)


def main() -> None:
    """Run what is missing, and say what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    runs = Runs(RUNS)
    runs.once("smallest", smallest)
    plan = [("stored", 0), *((name, seed) for seed in SEEDS for name in KINDS)]
    for name, seed in plan:
        if seed in chosen.seeds:
            runs.once(f"{name}, {seed}", run, name, seed)
    runs.once("divergence", divergence_of_stored)
    keys = [f"{name}, {seed}" for name, seed in plan]
    for key in keys:
        if key in runs:
            print(key, {k: v for k, v in runs[key].items() if k in ("behind", "samples")})
    if all(key in runs for key in ("smallest", "divergence", *keys)):
        recipe = {"steps": STEPS, "points": POINTS, "batch_size": BATCH, "fresh": FRESH, "samples": SAMPLES}
        stored = {
            "provenance": provenance("make score"),
            "recipe": recipe,
            "smallest": runs["smallest"],
            "divergence of the stored network": runs["divergence"],
            "networks": [runs[key] for key in keys],
        }
        write_whole(STORED / "score.json", json.dumps(stored) + "\n")


if __name__ == "__main__":
    main()
