"""The exact distribution, against scikit-learn's samples, scipy's quadrature and autograd."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from sklearn.datasets import make_swiss_roll

from diffusion_notes.data import integrate_plane
from diffusion_notes.swiss_roll import SwissRoll

LEVELS = [1.0, 0.999, 0.9, 0.5, 0.05]


def density_by_scipy(x: np.ndarray, alpha_bar: float, noise: float = 0.05) -> float:
    """The density from its definition, by adaptive quadrature over u."""
    variance = alpha_bar * noise**2 + 1 - alpha_bar

    def integrand(u: float) -> float:
        angle = 1.5 * math.pi * (1 + 2 * u)
        mean = math.sqrt(alpha_bar) * angle / 10 * np.array([math.cos(angle), math.sin(angle)])
        return math.exp(-((x - mean) ** 2).sum() / (2 * variance)) / (2 * math.pi * variance)

    pieces = np.linspace(0, 1, 40)
    return sum(integrate.quad(integrand, a, b, epsabs=1e-12)[0] for a, b in itertools.pairwise(pieces))


@pytest.fixture(scope="module")
def sklearn_points() -> torch.Tensor:
    points, _ = make_swiss_roll(200_000, noise=0.5, random_state=0)
    return torch.from_numpy(points[:, [0, 2]] / 10)


def test_samples_are_distributed_as_sklearns(sklearn_points, generator):
    ours = SwissRoll().sample(200_000, generator, dtype=torch.float64)
    for direction in ([1, 0], [0, 1], [0.6, 0.8], [0.8, -0.6]):
        along = torch.tensor(direction, dtype=torch.float64)
        assert stats.ks_2samp(ours @ along, sklearn_points @ along).pvalue > 1e-3
    assert stats.ks_2samp(ours.norm(dim=-1), sklearn_points.norm(dim=-1)).pvalue > 1e-3


def test_entropy_is_the_mean_surprise_of_sklearns_points(sklearn_points):
    surprise = torch.cat([-SwissRoll().log_prob(x) for x in sklearn_points.split(500)])
    error = surprise.std() / len(surprise) ** 0.5
    assert abs(SwissRoll().entropy() - surprise.mean()) < 4 * error


def entropy_of_the_spiral(noise: float) -> float:
    """Of places on it, by their length, and of the noise across it: that of a roll without width."""
    length = integrate.quad(lambda u: math.log(3 * math.pi * 0.1 * math.hypot(1, 1.5 * math.pi * (1 + 2 * u))), 0, 1)
    return length[0] + 0.5 * math.log(2 * math.pi * math.e * noise**2)


def test_entropy_tends_to_that_of_the_spiral_as_the_noise_vanishes():
    """What is missing is of the first order in the noise, from the two ends."""
    missing = {noise: SwissRoll(noise).entropy().item() - entropy_of_the_spiral(noise) for noise in (0.04, 0.02, 0.01)}
    assert abs(missing[0.01]) < 5e-3
    assert 2 * missing[0.01] == pytest.approx(missing[0.02], abs=1e-4)
    assert 2 * missing[0.02] == pytest.approx(missing[0.04], abs=1e-3)


@pytest.mark.parametrize(("noise", "alpha_bar"), [(0.05, 1.0), (0.05, 0.9), (0.05, 0.05)])
def test_what_is_left_out_far_from_the_spiral_is_nothing(noise, alpha_bar, monkeypatch):
    roll = SwissRoll(noise).diffuse(alpha_bar)
    entropy = roll.entropy()
    everywhere = integrate_plane(
        lambda x: torch.special.entr(roll.log_prob(x).exp()), 1.5 + 9 * roll._width, roll._width / 3
    )
    assert entropy.item() == pytest.approx(everywhere.item(), abs=1e-8)


def test_entropy_is_the_one_known():
    assert SwissRoll().entropy().item() == pytest.approx(0.5818, abs=5e-5)


@pytest.mark.parametrize("alpha_bar", LEVELS)
def test_log_prob_is_the_integral(alpha_bar):
    roll = SwissRoll().diffuse(alpha_bar)
    points = roll.sample(10, torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = torch.tensor([density_by_scipy(x.numpy(), alpha_bar) for x in points], dtype=torch.float64)
    torch.testing.assert_close(roll.log_prob(points).exp(), expected, rtol=1e-8, atol=0)


@pytest.mark.parametrize("alpha_bar", [1.0, 0.99])
def test_the_quadrature_has_ten_digits(alpha_bar, monkeypatch):
    roll = SwissRoll().diffuse(alpha_bar)
    x = roll.sample(50, torch.Generator().manual_seed(1), dtype=torch.float64)
    usual = roll.log_prob(x)
    monkeypatch.setattr(SwissRoll, "_count", lambda self: 1500)
    torch.testing.assert_close(usual.exp(), roll.log_prob(x).exp(), rtol=1e-10, atol=0)


@pytest.mark.parametrize("alpha_bar", [0.99, 0.5])
def test_entropy_by_an_independent_cubature(alpha_bar):
    roll = SwissRoll().diffuse(alpha_bar)

    def integrand(x: np.ndarray) -> np.ndarray:
        log_prob = roll.log_prob(torch.from_numpy(x)).numpy()
        return -np.exp(log_prob) * log_prob

    reach = 1.5 * math.sqrt(alpha_bar) + 8 * math.sqrt(1 - alpha_bar)
    answer = integrate.cubature(integrand, [-reach] * 2, [reach] * 2, rtol=0, atol=1e-7, max_subdivisions=20_000)
    assert answer.status == "converged"
    assert roll.entropy().item() == pytest.approx(float(answer.estimate), abs=1e-6)


@pytest.mark.parametrize("alpha_bar", LEVELS)
def test_score_is_the_gradient_of_log_prob(alpha_bar):
    roll = SwissRoll().diffuse(alpha_bar)
    x = roll.sample(50, torch.Generator().manual_seed(2), dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(roll.log_prob(x).sum(), x)
    torch.testing.assert_close(roll.score(x), gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("far", [1.0, 10.0, 100.0, 1e4])
def test_the_gradient_is_the_score_in_single_precision_too(far):
    """However far from the roll: the logits are large there, and rounding their sum must not change it."""
    direction = torch.tensor([[1.0, 1.0], [-0.6, 0.8], [1.0, 0.0]])
    x = (far * direction).requires_grad_()
    (gradient,) = torch.autograd.grad(SwissRoll().log_prob(x).sum(), x)
    exact = SwissRoll().score(x.detach().double())
    # how wrong the weights of the nodes may be, which float32 tells apart less and less
    assert (gradient - exact).norm(dim=-1).div(exact.norm(dim=-1)).max() < 1e-3
    assert torch.allclose(gradient, SwissRoll().score(x.detach()), rtol=1e-5, atol=1e-3)


def test_the_gradient_is_differentiable():
    x = torch.tensor([[0.4, -0.7], [3.0, 2.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(SwissRoll().log_prob, x)


def test_no_point_has_a_density_where_the_square_is_no_number():
    assert SwissRoll().log_prob(torch.tensor([1e20, 0.0])) == -math.inf


def test_score_is_differentiable():
    roll = SwissRoll().diffuse(0.9)
    x = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(roll.score, x)


def test_log_prob_is_differentiable_in_the_noise_level():
    x = SwissRoll().sample(4, torch.Generator().manual_seed(0), dtype=torch.float64)
    level = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: SwissRoll().diffuse(a).log_prob(x), level)


@pytest.mark.parametrize("alpha_bar", [0.999, 0.9, 0.3])
def test_expected_noise_is_the_regression_of_the_noise(alpha_bar, generator):
    """E[ε | x_t] is the best predictor: what is left of ε is uncorrelated with functions of x_t."""
    n = 200_000
    x0 = SwissRoll().sample(n, generator, dtype=torch.float64)
    noise = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    xt = alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * noise
    expected = torch.cat([SwissRoll().expected_noise(x, alpha_bar) for x in xt.split(500)])
    for f in (torch.ones_like(xt), xt, xt.flip(-1), xt.sin(), expected, (3 * xt).cos()):
        product = ((noise - expected) * f).sum(-1)
        assert abs(product.mean()) < 4.5 * product.std() / n**0.5


@pytest.mark.parametrize("alpha_bar", [0.9999, 0.99, 0.5, 0.01])
def test_smallest_loss_is_what_the_best_predictor_leaves(alpha_bar):
    roll = SwissRoll().diffuse(alpha_bar)
    explained = roll.expect(lambda x: SwissRoll().expected_noise(x, alpha_bar).square().sum(-1))
    assert SwissRoll().noise_mmse(alpha_bar).item() == pytest.approx(2 - explained.item(), abs=2e-6)


def test_the_true_reverse_step_has_the_variance_that_the_smallest_loss_says(generator):
    """E Var(x_{t−1} | x_t), from its definition: the exact posterior mean, and samples of (x_{t−1}, x_t)."""
    roll, before, now, n = SwissRoll(), 0.9, 0.85, 200_000
    alpha, beta = now / before, 1 - now / before
    earlier = roll.diffuse(before).sample(n, generator, dtype=torch.float64)
    noise = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    later = alpha**0.5 * earlier + beta**0.5 * noise
    predicted = torch.cat([roll.expected_noise(x, now) for x in later.split(500)])
    mean = (later - beta / (1 - now) ** 0.5 * predicted) / alpha**0.5
    square = (earlier - mean).square().mean(-1)
    claimed = (1 - before) / (1 - now) * beta + beta**2 / alpha / (1 - now) * roll.noise_mmse(now) / 2
    assert abs(square.mean() - claimed) < 4 * square.std() / n**0.5


def test_a_step_of_the_prior_term_is_information_and_mismatch():
    """L_T = I(x_0; x_T) + KL(q(x_T) ‖ N(0, I)), with L_T from the closed-form KL of two Gaussians."""
    level = 0.6
    end, log_2pi = SwissRoll().diffuse(level), math.log(2 * math.pi)
    square = SwissRoll().expect(lambda x: x.square().sum(-1))
    prior_term = (level * square + 2 * (1 - level) - 2 - 2 * math.log(1 - level)) / 2
    information = end.entropy() - (log_2pi + 1 + math.log(1 - level))
    mismatch = -end.entropy() + end.expect(lambda x: x.square().sum(-1) / 2 + log_2pi)
    assert (information + mismatch).item() == pytest.approx(prior_term.item(), abs=1e-6)
    assert information > 0
    assert mismatch > 0


def test_smallest_loss_at_the_ends():
    loss = SwissRoll().noise_mmse(torch.tensor([1.0, 1 - 1e-9, 1e-6, 0.0], dtype=torch.float64))
    torch.testing.assert_close(loss[:2], torch.tensor([2.0, 2.0], dtype=torch.float64), rtol=1e-6, atol=0)
    assert loss[2] == pytest.approx(1e-6 * 0.94, rel=0.02)  # ᾱ times the variance of x0
    assert loss[3] == 0


@given(st.floats(0, 1), st.floats(0, 1))
def test_diffusing_twice_is_diffusing_once(a, b):
    x = torch.tensor([[0.3, -0.7], [1.0, 1.0]], dtype=torch.float64)
    twice, once = SwissRoll().diffuse(a).diffuse(b), SwissRoll().diffuse(a * b)
    torch.testing.assert_close(twice.log_prob(x), once.log_prob(x), rtol=1e-12, atol=1e-12)


@given(st.floats(0, 1))
def test_a_probability_distribution_at_every_noise_level(alpha_bar):
    roll = SwissRoll().diffuse(alpha_bar)
    one, mean_score = roll.expect(lambda x: torch.ones_like(x[:, 0])), roll.expect(roll.score)
    assert one.item() == pytest.approx(1, abs=1e-8)
    assert mean_score.abs().max() < 1e-6  # the score has mean zero, whatever the density


def test_pure_noise_at_the_end():
    roll = SwissRoll().diffuse(0.0)
    assert roll.entropy().item() == pytest.approx(math.log(2 * math.pi * math.e), abs=1e-9)
    x = torch.randn(5, 2, dtype=torch.float64)
    torch.testing.assert_close(roll.score(x), -x)


def test_a_tensor_of_noise_levels_is_a_batch(generator):
    levels = torch.tensor([1.0, 0.7, 0.1], dtype=torch.float64)
    roll = SwissRoll().diffuse(levels)
    x = roll.sample(6, generator, dtype=torch.float64)
    assert x.shape == (6, 3, 2)
    for i, level in enumerate(levels):
        one = SwissRoll().diffuse(level.item())
        torch.testing.assert_close(roll.log_prob(x)[:, i], one.log_prob(x[:, i]))
        torch.testing.assert_close(roll.score(x)[:, i], one.score(x[:, i]))
        assert roll.entropy()[i].item() == pytest.approx(one.entropy().item(), abs=1e-9)
    noise = SwissRoll().expected_noise(x[:, 1], levels[1])
    torch.testing.assert_close(SwissRoll().expected_noise(x, levels)[:, 1], noise)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (2, 1, 3)])
def test_points_may_have_any_shape(shape, generator):
    u = torch.rand(shape, generator=generator, dtype=torch.float64)
    x, roll = SwissRoll().spiral(u), SwissRoll().diffuse(0.8)
    assert x.shape == (*shape, 2)
    torch.testing.assert_close(x.reshape(-1, 2), SwissRoll().spiral(u.reshape(-1)))
    for quantity, end in (
        (roll.log_prob, ()),
        (roll.score, (2,)),
        (lambda x: SwissRoll().expected_noise(x, 0.8), (2,)),
    ):
        value = quantity(x)
        assert value.shape == (*shape, *end)
        torch.testing.assert_close(value.reshape(-1, *end), quantity(x.reshape(-1, 2)))


def test_noise_levels_may_have_any_shape(generator):
    levels = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.05, 0.0]], dtype=torch.float64)
    roll, one = SwissRoll().diffuse(levels), SwissRoll().diffuse(levels.reshape(-1))
    x = roll.sample(7, torch.Generator().manual_seed(1), dtype=torch.float64)
    row = x.reshape(7, 6, 2)
    assert x.shape == (7, 2, 3, 2)
    torch.testing.assert_close(row, one.sample(7, torch.Generator().manual_seed(1), dtype=torch.float64))
    torch.testing.assert_close(roll.log_prob(x).reshape(7, 6), one.log_prob(row))
    torch.testing.assert_close(roll.score(x).reshape(7, 6, 2), one.score(row))
    noise = SwissRoll().expected_noise(x, levels)
    torch.testing.assert_close(noise.reshape(7, 6, 2), SwissRoll().expected_noise(row, levels.reshape(-1)))
    each = torch.stack([SwissRoll().noise_mmse(level) for level in levels.reshape(-1)])
    torch.testing.assert_close(SwissRoll().noise_mmse(levels), each.reshape(2, 3))
    assert SwissRoll().noise_mmse(levels[:0]).shape == (0, 3)


@settings(max_examples=5)  # the thinnest of them takes seconds
@given(st.floats(0.05, 0.3), st.floats(0.05, 0.3))
def test_other_rolls_integrate_to_one(noise, scale):
    total = SwissRoll(noise, scale).expect(lambda x: torch.ones_like(x[:, 0]))
    assert total.item() == pytest.approx(1, abs=1e-7)


def test_samples_follow_the_seed_and_the_dtype(generator):
    a, b = (SwissRoll().sample(4, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(a, b)
    assert a.dtype == torch.float32
    assert SwissRoll().sample(4, generator, dtype=torch.float64).dtype == torch.float64
    assert SwissRoll().sample(0).shape == (0, 2)


def test_samples_are_where_they_are_asked_for_or_where_the_noise_level_is():
    assert SwissRoll().sample(4, device="meta").device.type == "meta"
    assert SwissRoll().diffuse(torch.tensor(0.5, device="meta")).sample(4).device.type == "meta"
    assert SwissRoll().sample(4, torch.Generator()).device.type == "cpu"


def test_the_noise_level_is_subtracted_in_its_own_precision():
    x, level = torch.tensor([[0.3, 0.2]]), torch.tensor(1 - 1e-9, dtype=torch.float64)
    expected = SwissRoll().expected_noise(x.double(), level)
    torch.testing.assert_close(SwissRoll().expected_noise(x, level).double(), expected, rtol=1e-3, atol=0)
    assert SwissRoll(noise=0.01, scale=0.1).sample(1000).isfinite().all()


def test_expectations_of_integers_are_not_cut_off():
    share = SwissRoll().expect(lambda x: (x[:, 0] > 0).long())
    assert share.dtype == torch.float64
    assert share == SwissRoll().expect(lambda x: (x[:, 0] > 0).double())


def test_float32_agrees_with_float64(generator):
    x = SwissRoll().sample(100, generator, dtype=torch.float64)
    for alpha_bar in (1.0, 0.9999, 0.5):
        roll = SwissRoll().diffuse(alpha_bar)
        torch.testing.assert_close(roll.log_prob(x.float()).double(), roll.log_prob(x), rtol=0, atol=2e-3)


def test_repr_says_what_it_is():
    assert repr(SwissRoll()) == "SwissRoll(noise=0.05, scale=0.1)"
    assert repr(SwissRoll().diffuse(0.5)) == "SwissRoll(noise=0.05, scale=0.1).diffuse(0.5)"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: SwissRoll(noise=0), ValueError, "noise must be positive"),
        (lambda: SwissRoll(noise="a"), TypeError, "noise must be a number"),
        (lambda: SwissRoll(scale=math.inf), ValueError, "scale must be positive and finite"),
        (lambda: SwissRoll(noise=0.001), ValueError, "at least a tenth of scale"),
        (lambda: SwissRoll(noise=0.0095), ValueError, "at least a tenth of scale, got 0.0095 and 0.1"),
        (lambda: SwissRoll().diffuse(0.5).noise_mmse(0.5), ValueError, "noise_mmse must be asked of a clean roll"),
        (
            lambda: SwissRoll().diffuse(torch.full((5, 1), 0.5)).score(torch.zeros(5, 2)),
            ValueError,
            r"alpha_bar must have a shape that fits the points' \(5,\)",
        ),
        (lambda: SwissRoll().diffuse(1.1), ValueError, "alpha_bar must be between 0 and 1, got 1.1"),
        (lambda: SwissRoll().diffuse(torch.tensor([0.5, -0.1])), ValueError, "alpha_bar"),
        (lambda: SwissRoll().diffuse(math.nan), ValueError, "alpha_bar"),
        (lambda: SwissRoll().diffuse(torch.tensor([math.nan])), ValueError, "alpha_bar"),
        (lambda: SwissRoll().diffuse("0.5"), TypeError, "alpha_bar"),
        (lambda: SwissRoll().diffuse(torch.tensor(1)), TypeError, "alpha_bar"),
        (lambda: SwissRoll().sample(-1), ValueError, "n must be at least 0"),
        (
            lambda: SwissRoll().sample(2, torch.Generator(), device="meta"),
            ValueError,
            "generator must be on meta",
        ),
        (
            lambda: SwissRoll().diffuse(torch.tensor(0.5, device="meta")).sample(2, torch.Generator()),
            ValueError,
            "generator must be on meta",
        ),
        (lambda: SwissRoll().sample(2.0), TypeError, "n must be an integer"),
        (lambda: SwissRoll().log_prob(torch.zeros(3)), ValueError, r"shape \(..., 2\)"),
        (lambda: SwissRoll().log_prob([0.0, 0.0]), TypeError, "x must be a floating-point tensor"),
        (lambda: SwissRoll().score(torch.zeros(2, dtype=torch.int)), TypeError, "int32"),
        (lambda: SwissRoll().spiral(0.5), TypeError, "u must be"),
        (lambda: SwissRoll().expected_noise(torch.zeros(2), 2.0), ValueError, "alpha_bar"),
        (lambda: SwissRoll().noise_mmse(-1.0), ValueError, "alpha_bar"),
        (lambda: SwissRoll().diffuse(torch.tensor([0.1, 0.2])).expect(torch.sin), ValueError, "one noise level"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
