"""Perceptrons for the steps of a chain: shared or not, they are the same function of the same inputs."""

from __future__ import annotations

import pytest
import torch
from synchronisations import Synchronisations

from diffusion_notes.networks import NoiseMLP, TimestepMLP, timestep_embedding
from diffusion_notes.schedule import Schedule

SCHEDULE = Schedule.cosine(T=5)


def network(shared: bool, **sizes) -> TimestepMLP:
    """One whose last layer does not start at zero."""
    made = TimestepMLP(SCHEDULE, 2, 3, shared, width=8, features=4, generator=torch.Generator().manual_seed(0), **sizes)
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
    made = TimestepMLP(SCHEDULE, 2, 3, shared)
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
    waves = timestep_embedding(SCHEDULE)
    ratio = SCHEDULE.alpha_bar[1:] / (1 - SCHEDULE.alpha_bar[1:])
    torch.testing.assert_close(waves[1:, 0], ratio.log() / 8)
    torch.testing.assert_close(waves[:, 1:5].square() + waves[:, 5:].square(), torch.ones(6, 4, dtype=torch.float64))
    torch.testing.assert_close(NoiseMLP(SCHEDULE).time, waves.float())
    assert waves.isfinite().all()


@pytest.mark.parametrize("shared", [True, False])
def test_it_is_a_perceptron_of_the_point_its_waves_and_those_of_time(shared, generator):
    made, z = network(shared), torch.randn(6, 2, generator=generator, dtype=torch.float64)
    phase = z @ made.frequency
    h = torch.cat((z, phase.sin(), phase.cos(), timestep_embedding(SCHEDULE)[4].float().double().expand(6, -1)), 1)
    for k, (weight, bias) in enumerate(zip(made.weights, made.biases, strict=True)):
        h = h @ weight[0 if shared else 3] + bias[0 if shared else 3]
        h = h * h.sigmoid() if k < 2 else h
    torch.testing.assert_close(made(z, 4), h)


def test_its_usual_size():
    made = TimestepMLP(SCHEDULE, 2, 3)
    assert [tuple(weight.shape) for weight in made.weights] == [(1, 2 + 2 * 16 + 9, 64), (1, 64, 64), (1, 64, 3)]
    assert made.extra_repr() == "T=5, shared=True"
    assert [name for name, _ in made.named_buffers() if name in made.state_dict()] == ["frequency"]


def test_it_starts_as_a_linear_layer_does_with_frequencies_of_two(generator):
    made = TimestepMLP(SCHEDULE, 2, 3, width=200, features=2000, generator=generator)
    for weight, bias in zip(made.weights[:2], made.biases[:2], strict=True):
        bound = weight.shape[1] ** -0.5
        for parameter in (weight, bias):
            assert 0.95 * bound < parameter.max() <= bound
            assert -0.95 * bound > parameter.min() >= -bound
    assert made.frequency.std().item() == pytest.approx(2, rel=0.05)
    assert abs(made.frequency.mean().item()) < 4.5 * 2 / 4000**0.5


@pytest.mark.parametrize("name", ["dim_in", "dim_out", "width", "features"])
def test_a_size_below_one_is_refused(name):
    sizes = {"dim_in": 1, "dim_out": 1, "width": 1, "features": 1}
    assert TimestepMLP(SCHEDULE, **sizes)(torch.zeros(2, 1), 1).shape == (2, 1)
    with pytest.raises(ValueError, match=f"{name} must"):
        TimestepMLP(SCHEDULE, **sizes | {name: 0})


def test_a_shared_network_looks_at_no_step():
    """That would synchronise with the device at every call; networks of their own look once, to count their points."""
    z, t = torch.zeros(3, 2, dtype=torch.float64), torch.tensor([1, 5, 2])
    for shared, made in ((True, network(True)), (False, network(False))):
        with Synchronisations() as found:
            made(z, t)
        assert len(found.seen) == (0 if shared else 1)


def test_a_network_that_has_lost_a_part_says_so():
    z, t = torch.zeros(2, 2, dtype=torch.float64), torch.tensor([1, 2])
    made = network(False)
    made.biases[0] = torch.nn.Parameter(made.biases[0][:4])  # those of four of the five steps
    with pytest.raises(ValueError, match="shorter"):
        made(z, t)
    made = network(True)
    made.biases = made.biases[:2]
    with pytest.raises(ValueError, match="shorter"):
        made(z, t)
