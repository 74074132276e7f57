"""Gaussians and their draws, against torch.distributions itself."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Bernoulli, MultivariateNormal, kl_divergence

from diffusion_notes.distributions import draw, gaussian, randn_like, standard_normal


def test_gaussian_is_a_diagonal_multivariate_normal(generator):
    mean = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    std = torch.rand(5, 3, generator=generator, dtype=torch.float64) + 0.1
    x = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    ours, theirs = gaussian(mean, std), MultivariateNormal(mean, torch.diag_embed(std.square()))
    torch.testing.assert_close(ours.log_prob(x), theirs.log_prob(x))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())
    prior = MultivariateNormal(torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(kl_divergence(ours, standard_normal(x)), kl_divergence(theirs, prior))


def test_one_variance_for_all_coordinates():
    wide = gaussian(torch.zeros(4, 2), torch.full((4, 1), 2.0))
    assert wide.batch_shape == (4,)
    assert wide.event_shape == (2,)
    assert (wide.variance == 4).all()


def test_draws_are_reparameterised_and_follow_the_seed():
    mean = torch.zeros(3, 2, requires_grad=True)
    std = torch.ones(3, 2, requires_grad=True)
    one, two = (draw(gaussian(mean, std), torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, two)
    one.sum().backward()
    assert torch.equal(mean.grad, torch.ones(3, 2))
    torch.testing.assert_close(std.grad, one.detach())  # with mean 0 and std 1, d x / d std is the noise, which is x


def test_a_draw_is_the_mean_plus_the_noise_times_sigma(generator):
    mean, std = torch.randn(4, 2, generator=generator), torch.rand(4, 2, generator=generator)
    noise = torch.randn(4, 2, generator=torch.Generator().manual_seed(5))
    drawn = draw(gaussian(mean, std), torch.Generator().manual_seed(5))
    torch.testing.assert_close(drawn, mean + std * noise, rtol=0, atol=0)


def test_no_value_is_looked_at_since_that_would_synchronise():
    strange = gaussian(torch.full((1, 2), torch.nan), -torch.ones(1, 2))
    assert strange.log_prob(torch.full((1, 2), torch.nan)).isnan().all()
    assert strange.base_dist._validate_args is False
    assert strange._validate_args is False


def test_draws_have_the_moments(generator):
    sample = draw(gaussian(torch.full((200_000, 1), 3.0), torch.full((200_000, 1), 0.5)), generator)
    assert sample.mean().item() == pytest.approx(3, abs=0.005)
    assert sample.std().item() == pytest.approx(0.5, abs=0.005)


def test_randn_like_follows_its_argument(generator):
    x = randn_like(torch.zeros(2, 3, dtype=torch.float64), generator)
    assert x.shape == (2, 3)
    assert x.dtype == torch.float64


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: gaussian([0.0], torch.ones(1)), TypeError, "mean must be"),
        (lambda: gaussian(torch.zeros(1), 1.0), TypeError, "std must be"),
        (lambda: gaussian(torch.zeros(1, dtype=torch.int), torch.ones(1)), TypeError, "int32"),
        (lambda: gaussian(torch.tensor(0.0), torch.tensor(1.0)), ValueError, r"mean must have shape \(\.\.\., D\)"),
        (lambda: standard_normal(3), TypeError, "like must be"),
        (lambda: draw(Bernoulli(torch.tensor(0.5))), TypeError, "distribution must be a Gaussian"),
        (lambda: randn_like("x"), TypeError, "x must be"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
