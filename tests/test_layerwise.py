"""Perceptrons for the steps of a chain: shared or not, they are the same function of the same inputs."""

from __future__ import annotations

import pytest
import torch

from diffusion_notes.diffusion import Schedule
from diffusion_notes.layerwise import StepMLP
from diffusion_notes.networks import NoiseMLP, time_waves

SCHEDULE = Schedule.cosine(T=5)


def network(shared: bool, **sizes) -> StepMLP:
    """One whose last layer does not start at zero."""
    made = StepMLP(SCHEDULE, 2, 3, shared, width=8, features=4, generator=torch.Generator().manual_seed(0), **sizes)
    torch.nn.init.normal_(made.weights[-1], generator=torch.Generator().manual_seed(1))
    return made.double()


@pytest.mark.parametrize("shared", [True, False])
def test_a_tensor_of_steps_is_each_of_them(shared, generator):
    made, z = network(shared), torch.randn(40, 2, generator=generator, dtype=torch.float64)
    t = torch.randint(1, 6, (40,), generator=generator)
    together = made(z, t)
    for k in range(40):
        torch.testing.assert_close(together[k : k + 1], made(z[k : k + 1], int(t[k])))


@pytest.mark.parametrize("shared", [True, False])
def test_it_starts_at_zero(shared):
    made = StepMLP(SCHEDULE, 2, 3, shared)
    assert (made(torch.randn(7, 2), 3) == 0).all()


def test_what_is_not_shared_is_learned_alone():
    made = network(False)
    made(torch.ones(4, 2, dtype=torch.float64), 2).sum().backward()
    for parameter in made.parameters():
        touched = parameter.grad.flatten(1).abs().sum(1) > 0
        assert touched.tolist() == [False, True, False, False, False]


def test_the_gradient_of_a_tensor_of_steps_is_the_sum_of_the_steps(generator):
    made, z = network(False), torch.randn(9, 2, generator=generator, dtype=torch.float64)
    t = torch.tensor([1, 5, 2, 2, 4, 1, 1, 5, 4])
    made(z, t).square().sum().backward()
    together = [p.grad.clone() for p in made.parameters()]
    made.zero_grad()
    sum(made(z[k : k + 1], int(t[k])).square().sum() for k in range(9)).backward()
    for one, other in zip(together, made.parameters(), strict=True):
        torch.testing.assert_close(one, other.grad)


def test_the_counts_are_those_of_the_layers():
    inputs = 2 + 2 * 4 + 9
    each = inputs * 8 + 8 + 8 * 8 + 8 + 8 * 3 + 3
    assert network(True).parameters_of_a_step == each
    assert sum(p.numel() for p in network(True).parameters()) == each
    assert sum(p.numel() for p in network(False).parameters()) == 5 * each


def test_it_sees_what_the_noise_prediction_sees():
    waves = time_waves(SCHEDULE)
    ratio = SCHEDULE.alpha_bar[1:] / (1 - SCHEDULE.alpha_bar[1:])
    torch.testing.assert_close(waves[1:, 0], ratio.log() / 8)
    torch.testing.assert_close(waves[:, 1:5].square() + waves[:, 5:].square(), torch.ones(6, 4, dtype=torch.float64))
    torch.testing.assert_close(NoiseMLP(SCHEDULE).time, waves.float())
    assert waves.isfinite().all()
