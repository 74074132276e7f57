"""The noise network: what it is before training, and that its shortcuts are the right ones."""

from __future__ import annotations

import pytest
import torch

from diffusion_notes.diffusion import Schedule
from diffusion_notes.networks import NoiseMLP


def network(**kwargs) -> NoiseMLP:
    return NoiseMLP(Schedule.linear(T=100), generator=torch.Generator().manual_seed(0), **kwargs)


def test_untrained_it_is_the_best_prediction_for_gaussian_data():
    net = network(data_std=0.7).double()
    schedule = Schedule.linear(T=100)
    xt = torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for t in (1, 50, 100):
        level = schedule.alpha_bar[t]
        best = (1 - level).sqrt() * xt / (level * 0.49 + 1 - level)
        torch.testing.assert_close(net(xt, t), best, rtol=1e-6, atol=1e-7)


def test_what_is_left_over_has_variance_one():
    """The perceptron's target is (ε − linear answer) / left_over; for Gaussian data its variance is 1."""
    schedule, generator = Schedule.linear(T=100), torch.Generator().manual_seed(2)
    net = network(data_std=0.7)
    x0 = 0.7 * torch.randn(200_000, 2, generator=generator)
    noise = torch.randn(200_000, 2, generator=generator)
    for t in (1, 30, 100):
        xt = schedule.sqrt_alpha_bar[t].float() * x0 + schedule.sqrt_one_minus_alpha_bar[t].float() * noise
        target = (noise - net.linear[t] * xt) / net.left_over[t]
        assert target.var().item() == pytest.approx(1, abs=0.01)


def test_a_batch_of_t_is_each_t():
    net = network()
    net.layers[-1].weight.data.normal_(generator=torch.Generator().manual_seed(3))
    xt = torch.randn(4, 2, generator=torch.Generator().manual_seed(4))
    t = torch.tensor([1, 5, 50, 100])
    torch.testing.assert_close(net(xt, t), torch.cat([net(xt[i : i + 1], int(t[i])) for i in range(4)]))
    assert not torch.equal(net(xt, 1), net(xt, 2))


def test_the_generator_decides_and_the_global_one_is_not_needed():
    a, b = network().state_dict(), network().state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
    other = NoiseMLP(Schedule.linear(T=100), generator=torch.Generator().manual_seed(1)).state_dict()
    assert not torch.equal(a["layers.0.weight"], other["layers.0.weight"])


def test_sizes():
    net = network(dim=5, width=16, depth=2, features=3)
    assert net(torch.zeros(7, 5), 1).shape == (7, 5)
    assert [layer.out_features for layer in net.layers[::2]] == [16, 16, 5]


def test_it_starts_as_torchs_own_layers_do():
    net, torch_layer = network(width=400), torch.nn.Linear(400, 400)
    for ours, theirs in ((net.layers[2].weight, torch_layer.weight), (net.layers[2].bias, torch_layer.bias)):
        assert ours.abs().max().item() == pytest.approx(theirs.abs().max().item(), rel=0.02)
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.1)


def test_times_out_of_range_are_refused():
    for t in (0, -1, 101):
        with pytest.raises(ValueError, match="t must lie in 1"):
            network()(torch.zeros(1, 2), t)


def test_tables_are_not_weights():
    assert set(network().state_dict()) == {"frequency"} | {
        f"layers.{i}.{name}" for i in (0, 2, 4, 6) for name in ("weight", "bias")
    }


@pytest.mark.parametrize(
    ("kwargs", "error", "words"),
    [
        ({"schedule": 100}, TypeError, "schedule must be"),
        ({"width": 0}, ValueError, "width must be at least 1"),
        ({"depth": 1.5}, TypeError, "depth must be an integer"),
        ({"dim": -1}, ValueError, "dim must be at least 1"),
        ({"features": "8"}, TypeError, "features must be an integer"),
        ({"data_std": 0}, ValueError, "data_std must be positive"),
    ],
)
def test_bad_input_is_named(kwargs, error, words):
    with pytest.raises(error, match=words):
        NoiseMLP(**({"schedule": Schedule.linear(T=10)} | kwargs))


def test_points_of_another_dimension_are_refused():
    with pytest.raises(ValueError, match=r"xt must have shape \(..., 2\)"):
        network()(torch.zeros(4, 3), 1)
    with pytest.raises(TypeError, match="xt must be"):
        network()([[0.0, 0.0]], 1)
