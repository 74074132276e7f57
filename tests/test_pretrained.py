"""The committed weights: what the pages say of them, and that they are what the recipe makes."""

from __future__ import annotations

import torch

from diffusion_notes import pretrained
from diffusion_notes.checkpoints import load_weights
from diffusion_notes.ddpm import DDPM
from diffusion_notes.diffusion import Schedule
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.pretrained import SWISS_ROLL_RECIPE, SWISS_ROLL_WEIGHTS, swiss_roll_ddpm
from diffusion_notes.quality import cell_divergence, off_spiral_share
from diffusion_notes.swiss_roll import SwissRoll
from diffusion_notes.training import train


def test_the_file_says_how_it_was_made():
    schedule = Schedule.linear(T=1000)
    about = load_weights(DDPM(NoiseMLP(schedule), schedule), SWISS_ROLL_WEIGHTS)
    assert about == {"model": "swiss_roll_ddpm", "recipe": SWISS_ROLL_RECIPE}


def test_the_recipe_is_followed_and_the_average_is_what_is_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "SWISS_ROLL_RECIPE", SWISS_ROLL_RECIPE | {"points": 100, "steps": 20})
    for name in ("one", "two"):
        pretrained._make(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    schedule, generator = Schedule.linear(T=1000), torch.Generator().manual_seed(0)
    model = DDPM(NoiseMLP(schedule, generator=generator), schedule)
    data = SwissRoll().sample(100, generator)
    states = train(model, data, steps=20, batch_size=1024, learning_rate=5e-3, generator=generator, progress=False)
    average = list(states)[-1].average
    made = DDPM(NoiseMLP(schedule), schedule)
    load_weights(made, tmp_path / "one")
    assert all(torch.equal(a, b) for a, b in zip(made.parameters(), average.parameters(), strict=True))


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
