"""The networks: what they are before training, and that the shortcuts of the one that predicts noise are right."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch

from diffusion_notes.ladder import LadderChain, Rung
from diffusion_notes.networks import GaussianMLP, NoiseMLP, TimestepMLP, timestep_embedding
from diffusion_notes.schedule import Schedule

# where the variance of the signal or of the noise has no digit left beside 1, or is no number any more
EXTREMES = {
    "long": lambda: Schedule.linear(T=5000),
    "very long": lambda: Schedule.linear(T=100_000),
    "almost nothing left": lambda: Schedule.cosine(T=1000, largest=1 - 1e-12),
    "steep": lambda: Schedule.linear(10, 0.99, 0.99),
    "steepest": lambda: Schedule.linear(100, 1 - 1e-16, 1 - 1e-16),
    "faint": lambda: Schedule.linear(1000, 1e-9, 1e-9),
    "faintest": lambda: Schedule.linear(1000, 1e-100, 1e-100),
    "from the faintest to the steepest": lambda: Schedule.linear(1000, 1e-100, 1 - 1e-16),
}
extremes = pytest.mark.parametrize("make", EXTREMES.values(), ids=EXTREMES)


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


def gaussian_network(dim_in=2, dim_out=3, **kwargs) -> GaussianMLP:
    return GaussianMLP(dim_in, dim_out, generator=torch.Generator().manual_seed(0), **kwargs)


def some(n: int, dim: int) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(5))


def test_a_given_std_is_that_of_every_coordinate():
    z, x = some(7, 2), some(7, 3)
    p = gaussian_network(std=0.05)(z)
    expected = torch.distributions.Normal(p.mean, 0.05).log_prob(x).sum(-1)
    torch.testing.assert_close(p.log_prob(x), expected)
    assert gaussian_network(std=0.05).layers[-1].out_features == 3


def test_a_learned_std_is_positive_however_far_away_z_is():
    net = gaussian_network(dim_out=1, depth=0)
    net.layers[0].weight.data[:] = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    net.layers[0].bias.data.zero_()
    p = net(torch.tensor([[-1000.0, 0.0], [0.0, 0.0], [50.0, 0.0]]))
    assert torch.equal(p.mean, torch.zeros(3, 1))  # the first half of the outputs
    near_zero, middle, large = p.stddev.squeeze().tolist()
    assert 1e-4 < near_zero < 1e-2
    assert middle == pytest.approx(math.log(2), abs=2e-3)
    assert large == pytest.approx(50, abs=0.1)


def test_a_gaussian_is_learned(generator):
    """The likelihood's maximum is the conditional mean and standard deviation that made the data."""
    z = 2 * torch.rand(2000, 1, generator=generator) - 1
    mean, std = torch.cat((z, -z), 1), 0.5 + 0.3 * torch.cat((z, z.square()), 1)
    x = mean + std * torch.randn(2000, 2, generator=generator)
    net = gaussian_network(1, 2, width=16)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        (-net(z).log_prob(x).mean()).backward()
        optimizer.step()
    found = net(z)
    assert (found.mean - mean).square().mean().sqrt() < 0.06
    assert (found.stddev - std).square().mean().sqrt() < 0.06


def test_without_hidden_layers_the_mean_is_affine():
    net = gaussian_network(std=1.0, depth=0).double()
    a, b = some(4, 2).double(), some(8, 2)[4:].double()
    torch.testing.assert_close(net(0.3 * a + 0.7 * b).mean, 0.3 * net(a).mean + 0.7 * net(b).mean)
    assert [type(layer) for layer in net.layers] == [torch.nn.Linear]


def test_features_are_waves_of_z():
    net = gaussian_network(2, 2, std=1.0, depth=0, features=1).double()
    net.layers[0].weight.data[:] = torch.tensor([[0, 0, 1, 0], [0, 0, 0, 1]])
    net.layers[0].bias.data.zero_()
    z = some(6, 2).double()
    phase = z[:, 0] * net.frequency[0, 0] + z[:, 1] * net.frequency[1, 0]
    torch.testing.assert_close(net(z).mean, torch.stack((phase.sin(), phase.cos()), 1))
    assert gaussian_network(features=10_000).frequency.std().item() == pytest.approx(2, rel=0.02)
    assert gaussian_network().frequency.shape == (2, 0)


def test_its_sizes_and_its_generator():
    net = gaussian_network(width=16, depth=3, features=4)
    assert [layer.in_features for layer in net.layers[::2]] == [2 + 8, 16, 16, 16]
    assert net.layers[-1].out_features == 6
    same, other = gaussian_network(width=16, depth=3, features=4), GaussianMLP(2, 3, width=16, depth=3, features=4)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[name])
        assert not torch.equal(tensor, other.state_dict()[name])
    ours, theirs = gaussian_network(width=400).layers[2].weight, torch.nn.Linear(400, 400).weight
    assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.1)


def test_its_repr_tells_a_given_std_from_a_learned_one():
    assert "std=0.05" in repr(gaussian_network(std=0.05))
    assert "std=learned" in repr(gaussian_network())


@pytest.mark.parametrize(
    ("kwargs", "error", "words"),
    [
        ({"dim_in": 0}, ValueError, "dim_in must be at least 1"),
        ({"dim_out": 2.0}, TypeError, "dim_out must be an integer"),
        ({"width": 0}, ValueError, "width must be at least 1"),
        ({"depth": -1}, ValueError, "depth must be at least 0"),
        ({"features": -1}, ValueError, "features must be at least 0"),
        ({"features": None}, TypeError, "features must be an integer"),
        ({"std": 0}, ValueError, "std must be positive and finite, got 0"),
        ({"std": math.inf}, ValueError, "std must be positive and finite"),
        ({"std": "learned"}, TypeError, "std must be a number"),
    ],
)
def test_bad_input_to_a_gaussian_is_named(kwargs, error, words):
    with pytest.raises(error, match=words):
        gaussian_network(**kwargs)


@pytest.mark.parametrize(
    ("z", "error", "words"),
    [
        (torch.zeros(4, 3), ValueError, r"z must have shape \(n, 2\), got \(4, 3\)"),
        (torch.zeros(2), ValueError, r"z must have shape \(n, 2\), got \(2,\)"),
        ([[0.0, 0.0]], TypeError, "z must be a floating-point tensor"),
    ],
)
def test_what_a_gaussian_is_given_must_fit(z, error, words):
    with pytest.raises(error, match=words):
        gaussian_network()(z)


@extremes
def test_each_level_has_a_row_of_its_own_and_every_row_is_finite(make):
    schedule = make()
    for rows in (timestep_embedding(schedule), NoiseMLP(schedule, width=4).time, TimestepMLP(schedule, 2, 2).time):
        assert rows.isfinite().all()
        assert len(rows[1:].unique(dim=0)) == schedule.T


@extremes
def test_a_row_is_that_of_exact_arithmetic(make):
    """Half the log signal-to-noise ratio, by mpmath, which has no smallest number."""
    schedule = make()
    rows = timestep_embedding(schedule)[:, 0]
    with mpmath.workdps(150):
        alpha_bar = mpmath.mpf(1)
        for t, beta in enumerate(schedule.beta[1:101].tolist(), 1):
            alpha_bar *= 1 - mpmath.mpf(beta)
            assert 8 * rows[t].item() == pytest.approx(float(mpmath.log(alpha_bar / (1 - alpha_bar))), rel=1e-12)


@extremes
def test_a_network_is_finite_at_every_level(make):
    schedule = make()
    t = torch.tensor([1, 2, schedule.T // 2, schedule.T])
    for net in (NoiseMLP(schedule, width=4), LadderChain(Rung(layers=schedule.T), schedule, width=4).decoder):
        assert all(buffer.isfinite().all() for buffer in net.buffers())
        assert net(torch.ones(4, 2), t).isfinite().all()
    rung = Rung(layers=schedule.T, objective="weighted")
    assert all(buffer.isfinite().all() for buffer in LadderChain(rung, schedule, width=4).buffers())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_network_is_of_the_dtype_that_is_usual_where_it_is_made(dtype):
    """All of it, and of another one when it is asked to be; the schedule stays in double precision."""
    schedule = Schedule.linear(T=10)
    usual = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        made = (
            NoiseMLP(schedule, width=4),
            TimestepMLP(schedule, 2, 2, shared=False, width=4),
            LadderChain(Rung(10), schedule, width=4),
        )
    finally:
        torch.set_default_dtype(usual)
    for net in made:
        for kind in (dtype, torch.float64, torch.float32):
            assert {tensor.dtype for tensor in (*net.to(kind).parameters(), *net.buffers())} == {kind}
            ask = net.generate if isinstance(net, LadderChain) else net
            result = ask(torch.ones(4, 2, dtype=kind), 3)
            assert (result if isinstance(result, torch.Tensor) else result.mean).dtype == kind
    assert schedule.beta.dtype == torch.float64


# Told something


def test_a_network_that_is_told_nothing_is_what_it_was():
    """Weights, outputs and what is stored, as before there was a condition."""
    net = network()
    assert net.condition == 0
    assert repr(net) == repr(network(condition=0))
    assert "condition" not in repr(net)
    assert [*net.state_dict()] == [
        "frequency",
        *(f"layers.{k}.{kind}" for k in (0, 2, 4, 6) for kind in ("weight", "bias")),
    ]
    assert net.layers[0].in_features == 2 + 32 + 9
    # what the first draws of that seed were
    expected = torch.randn(2, 16, generator=torch.Generator().manual_seed(0)) * 2
    assert torch.equal(net.frequency, expected)
    with pytest.raises(ValueError, match="c must be None: this network is told nothing"):
        net(torch.zeros(3, 2), 1, torch.zeros(3, 1))


def told() -> NoiseMLP:
    net = network(condition=3)
    net.layers[-1].weight.data.normal_(generator=torch.Generator().manual_seed(3))
    return net


def test_what_it_is_told_matters_and_nothing_is_zeros():
    net, xt = told(), torch.randn(4, 2, generator=torch.Generator().manual_seed(4))
    one, other = torch.eye(3)[:2]
    assert torch.equal(net(xt, 5), net(xt, 5, torch.zeros(4, 3)))
    assert not torch.equal(net(xt, 5, one), net(xt, 5))
    assert not torch.equal(net(xt, 5, one), net(xt, 5, other))
    assert "condition=3" in repr(net)


def test_each_point_may_be_told_something_else():
    net, xt = told(), torch.randn(4, 2, generator=torch.Generator().manual_seed(4))
    c = torch.randn(4, 3, generator=torch.Generator().manual_seed(5))
    t = torch.tensor([1, 5, 50, 100])
    each = torch.cat([net(xt[i : i + 1], int(t[i]), c[i]) for i in range(4)])
    torch.testing.assert_close(net(xt, t, c), each)
    assert torch.equal(net(xt, 5, c[0]), net(xt, 5, c[:1].expand(4, 3)))
    torch.testing.assert_close(net(xt.view(2, 2, 2), 5, c.view(2, 2, 3)), net(xt, 5, c).view(2, 2, 2))


def test_told_it_starts_as_the_linear_answer_too():
    net, xt = network(condition=3), torch.randn(4, 2, generator=torch.Generator().manual_seed(4))
    assert torch.equal(net(xt, 5, torch.ones(3)), network()(xt, 5))


def test_it_is_told_the_same_at_other_levels():
    net, xt, c = told(), torch.ones(1, 2), torch.tensor([0.0, 1.0, 0.0])
    fewer = net.on(Schedule.through(net.schedule.alpha_bar[[1, 10, 100]]))
    torch.testing.assert_close(fewer(xt, 2, c), net(xt, 10, c))
    assert fewer.condition == 3
