"""Other people's diffusion models, trained on points that they are given; their samples are scored elsewhere.

    .venv-peers/bin/python benchmarks/peers.py NAME POINTS.npy OUT.npz --seed 0 --steps 1500 15000

POINTS are (n, 2), of which the spiral's outer end is 1.41 from the origin. Each contestant gets them in the scale that
its own settings expect, and its samples are brought back. OUT holds, for each number of steps, as many samples as there
are points, and the seconds. Nothing of this project is imported here but the watch.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import torch
from stopwatch import Stopwatch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

OUTER = 0.45 * math.pi  # where the spiral ends in POINTS
Checkpoints = Iterator[tuple[int, Callable[[int], Tensor]]]


def pauses(loop: Iterator, marks: list[int], watch: Stopwatch) -> Iterator[int]:
    """Run a loop that yields before each step, and stop where as many steps as a mark says have been taken."""
    for mark in range(max(marks) + 1):
        with watch:
            next(loop, None)
        if mark in marks:
            yield mark


def without_torchvision() -> SimpleNamespace:
    """The module smalldiffusion, which asks for transforms of images where it is imported, and not for points."""
    anything = SimpleNamespace(**dict.fromkeys(("Compose", "RandomHorizontalFlip", "ToTensor", "Lambda"), print))
    sys.modules.setdefault("torchvision", SimpleNamespace(transforms=anything))
    import smalldiffusion

    return smalldiffusion


class Batches:
    """Random batches that are taken from a tensor at once, as a DataLoader's are not."""

    def __init__(self, points: Tensor, size: int) -> None:
        self.points, self.size = points, size

    def __iter__(self) -> Iterator[Tensor]:
        yield self.points[torch.randint(len(self.points), (self.size,))]


def small(points: Tensor, marks: list[int], watch: Stopwatch) -> Checkpoints:
    """As smalldiffusion has it in its README, but for the points: its 15,000 epochs of one batch are 15,000 steps."""
    lib = without_torchvision()
    loader = DataLoader(points, batch_size=2048)
    model = lib.TimeInputMLP(hidden_dims=(16, 128, 128, 128, 128, 16))
    schedule = lib.ScheduleLogLinear(N=200, sigma_min=0.005, sigma_max=10)
    loop = lib.training_loop(loader, model, schedule, epochs=1 + max(marks) // len(loader))
    for mark in pauses(loop, marks, watch):
        yield mark, lambda n: list(lib.samples(model, schedule.sample_sigmas(20), gam=2, batchsize=n))[-1]


def small_annealed(points: Tensor, marks: list[int], watch: Stopwatch) -> Checkpoints:
    """The same network and noise; faster batches, a learning rate that ends at 0, an average, and DDPM's sampler."""
    lib = without_torchvision()
    model = lib.TimeInputMLP(hidden_dims=(16, 128, 128, 128, 128, 16))
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.995))
    schedule = lib.ScheduleLogLinear(N=200, sigma_min=0.005, sigma_max=10)
    steps = max(marks)
    states = lib.training_loop(Batches(points, 2048), model, schedule, epochs=steps, lr=RATE)

    def loop() -> Iterator:
        for step, state in enumerate(states):
            average.update_parameters(model)
            for group in state.optimizer.param_groups:
                group["lr"] = RATE * min(20 * step / steps, 0.5 + 0.5 * math.cos(math.pi * step / steps))
            yield

    for mark in pauses(loop(), marks, watch):
        yield mark, lambda n: list(lib.samples(average.module, schedule.sample_sigmas(100), mu=0.5, batchsize=n))[-1]


class PlainMLP(nn.Module):
    """Three hidden layers, and t as the sines and cosines of Transformers: what a tutorial begins with."""

    def __init__(self, width: int = 128, waves: int = 32) -> None:
        super().__init__()
        self.register_buffer("frequency", torch.exp(-math.log(10_000) * torch.arange(waves) / waves))
        hidden = [layer for _ in range(2) for layer in (nn.Linear(width, width), nn.SiLU())]
        self.layers = nn.Sequential(nn.Linear(2 + 2 * waves, width), nn.SiLU(), *hidden, nn.Linear(width, 2))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """The noise in points of shape (n, 2)."""
        phase = t.unsqueeze(-1) * self.frequency
        return self.layers(torch.cat((x, phase.sin().expand(len(x), -1), phase.cos().expand(len(x), -1)), -1))


def plain(points: Tensor, marks: list[int], watch: Stopwatch) -> Checkpoints:
    """The DDPMScheduler of diffusers as it comes, and the loop of its tutorials around a small network."""
    from diffusers import DDPMScheduler

    scheduler, model = DDPMScheduler(), PlainMLP()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def loop() -> Iterator:
        while True:
            for clean in DataLoader(points, batch_size=512, shuffle=True):
                yield
                noise = torch.randn_like(clean)
                t = torch.randint(scheduler.config.num_train_timesteps, clean.shape[:1])
                loss = mse_loss(model(scheduler.add_noise(clean, noise, t), t), noise)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    @torch.no_grad()
    def sample(n: int) -> Tensor:
        x = torch.randn(n, 2)
        for t in scheduler.timesteps:
            x = scheduler.step(model(x, t), t, x).prev_sample
        return x

    for mark in pauses(loop(), marks, watch):
        yield mark, sample


RATE = 1e-3
# the contestants, and where the outer end of the spiral is in the scale that they expect
PEERS = {
    "smalldiffusion": (small, 1.1),  # as that of its own roll
    "smalldiffusion, annealed": (small_annealed, 1.1),
    "diffusers": (plain, 0.9),  # its scheduler cuts what it thinks x_0 to be to [-1, 1]; three deviations more fit in
}


def main() -> None:
    """Train one contestant and sample at each checkpoint."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=list(PEERS))
    parser.add_argument("points")
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, nargs="+", required=True)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    contestant, outer = PEERS[chosen.name]
    points, watch, notes, samples = torch.from_numpy(np.load(chosen.points)), Stopwatch(), [], []
    next(contestant(points, [1], Stopwatch()))  # what is loaded at the first step is not the training's
    torch.manual_seed(chosen.seed)
    for steps, sample in contestant(points * outer / OUTER, chosen.steps, watch):
        with (drawing := Stopwatch()):
            x = sample(len(points)) * OUTER / outer
        samples.append(x.numpy())
        notes.append({"steps": steps, "training": watch.seconds(), "sampling": drawing.seconds()})
    np.savez(chosen.out, samples=np.stack(samples), notes=json.dumps(notes))


if __name__ == "__main__":
    main()
