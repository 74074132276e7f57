"""The committed weights: what the pages say of them, and that they are what the recipe makes."""

from __future__ import annotations

import torch

from diffusion_notes.checkpoints import load_weights
from diffusion_notes.ddpm import DDPM
from diffusion_notes.diffusion import Schedule
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.pretrained import SWISS_ROLL_RECIPE, SWISS_ROLL_WEIGHTS, swiss_roll_ddpm
from diffusion_notes.quality import cell_divergence, off_spiral_share
from diffusion_notes.swiss_roll import SwissRoll


def test_the_file_says_how_it_was_made():
    schedule = Schedule.linear(T=1000)
    about = load_weights(DDPM(NoiseMLP(schedule), schedule), SWISS_ROLL_WEIGHTS)
    assert about == {"model": "swiss_roll_ddpm", "recipe": SWISS_ROLL_RECIPE}


def test_it_is_nearly_perfect_at_every_noise_level():
    roll, ddpm = SwissRoll(), swiss_roll_ddpm().double()
    for t in (1, 10, 50, 100, 300, 1000):
        level = ddpm.schedule.alpha_bar[t].item()
        excess = roll.diffuse(level).expect(
            lambda x, level=level, t=t: (ddpm.network(x, t) - roll.expected_noise(x, level)).square().sum(-1)
        )
        assert excess < 0.005


def test_its_samples_are_nearly_true(generator):
    x = swiss_roll_ddpm("beta").sample(torch.randn(10_000, 2, generator=generator), generator)
    assert cell_divergence(x) < 0.01
    assert off_spiral_share(x) < 0.008


def test_it_is_not_to_be_trained_by_accident():
    ddpm = swiss_roll_ddpm()
    assert not ddpm.training
    assert not any(parameter.requires_grad for parameter in ddpm.parameters())
    assert swiss_roll_ddpm("beta").variance == "beta"
