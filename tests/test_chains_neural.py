"""A chain of networks: a chain like any other, and linear-Gaussian where its networks are affine."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import torch

from diffusion_notes.chains import Affine, Chain, LinearGaussianChain, NeuralChain, elbo
from diffusion_notes.networks import GaussianMLP
from diffusion_notes.vae import VAE

float64 = {"dtype": torch.float64}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(n: int, dim: int, seed: int = 9) -> torch.Tensor:
    return torch.randn(n, dim, generator=seeded(seed), **float64)


def agrees(samples: torch.Tensor, exact: torch.Tensor) -> bool:
    return bool(abs(samples.mean() - exact) < 4.5 * samples.std() / len(samples) ** 0.5)


@pytest.mark.parametrize("latents", [[1], [2, 1], (3, 2, 1, 4)])
def test_it_is_a_chain_of_any_length(latents):
    model = NeuralChain(latents, dim=5, generator=seeded()).double()
    assert isinstance(model, Chain)
    assert model.length == len(latents)
    for i, (below, above) in enumerate(pairwise([5, *latents]), 1):
        q, p = model.infer(points(7, below), i), model.generate(points(7, above), i)
        assert q.mean.shape == (7, above)
        assert p.mean.shape == (7, below)
    prior = model.prior(points(7, 5))
    assert torch.equal(prior.mean, torch.zeros(7, latents[-1], **float64))
    assert (prior.stddev == 1).all()


def test_the_loss_is_minus_the_bound_of_any_chain():
    model, x = NeuralChain([2, 1], dim=3, generator=seeded()), torch.randn(50, 3, generator=seeded(1))
    torch.testing.assert_close(model.loss(x, seeded(2)), -elbo(model, x, seeded(2)).mean, rtol=0, atol=0)
    assert model.loss(x, seeded(2)) != model.loss(x, seeded(3))


def test_with_one_layer_it_is_the_vae():
    sizes = {"dim": 3, "std": 0.1, "width": 8, "depth": 1, "features": 2}
    model, vae = NeuralChain([2], generator=seeded(), **sizes), VAE(2, generator=seeded(), **sizes)
    x = torch.randn(20, 3, generator=seeded(1))
    assert torch.equal(model.loss(x, seeded(2)), vae.loss(x, seeded(2)))
    for ours, theirs in zip(model.parameters(), vae.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_without_hidden_layers_it_is_a_linear_gaussian_chain():
    dims = [3, 2, 1]
    model = NeuralChain(dims[1:], dim=3, std=0.4, depth=0, generator=seeded(1)).double().requires_grad_(False)
    for network in [*model.encoders, *model.decoders]:
        if network.std is None:
            size = network.layers[0].out_features // 2
            network.layers[0].weight[size:], network.layers[0].bias[size:] = 0, -0.7

    def affine(conditional, dim):
        at = conditional(torch.cat((torch.zeros(1, dim, **float64), torch.eye(dim, **float64))))
        return Affine((at.mean[1:] - at.mean[0]).T, at.mean[0], at.stddev[0, 0])

    linear = LinearGaussianChain(
        [affine(lambda z, i=i: model.generate(z, i), dims[i]) for i in (1, 2)],
        [affine(lambda z, i=i: model.infer(z, i), dims[i - 1]) for i in (1, 2)],
    )
    x = points(1, 3)
    torch.testing.assert_close(elbo(model, x, seeded()).terms, elbo(linear, x, seeded()).terms)
    losses = torch.stack([model.loss(x.expand(500, -1), seeded(seed)) for seed in range(100)])
    assert agrees(-losses, linear.exact_elbo(x).total)


def test_a_given_width_is_that_of_the_data_only():
    z = torch.randn(6, 2, generator=seeded())
    given, learned = NeuralChain([2, 2], std=0.05), NeuralChain([2, 2])
    assert (given.generate(z, 1).stddev == 0.05).all()
    for conditional in (given.generate(z, 2), given.infer(z, 1), given.infer(z, 2), learned.generate(z, 1)):
        assert conditional.stddev.unique().numel() > 6


def test_every_parameter_is_trained():
    model = NeuralChain([2, 3, 1], generator=seeded())
    model.loss(torch.randn(9, 2, generator=seeded(1))).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_what_is_left_out_is_as_for_one_network_and_the_first_layer_is_meant():
    short = NeuralChain([2], generator=seeded())
    long = NeuralChain([2], dim=2, std=None, width=64, depth=2, features=0, generator=seeded())
    assert short.settings() == long.settings()
    assert repr(GaussianMLP(2, 2)) == repr(short.encoders[0])
    x = torch.randn(5, 2, generator=seeded(1))
    assert torch.equal(short.infer(x).mean, long.infer(x, 1).mean)
    assert torch.equal(short.generate(x).mean, long.generate(x, 1).mean)


def test_the_generator_decides():
    a, b, other = (NeuralChain([2, 1], features=4, generator=seeded(seed)) for seed in (0, 0, 1))
    for one, same, another in zip(*(model.state_dict().values() for model in (a, b, other)), strict=True):
        assert torch.equal(one, same)
        assert not torch.equal(one, another)


def test_what_a_run_is_not_resumed_without():
    sizes = [{}, {"std": 0.05}, {"dim": 3}, {"width": 8}, {"depth": 1}, {"features": 1}, {"latents": [2, 1, 1]}]
    settings = [json.dumps(NeuralChain(**({"latents": [2, 1]} | size)).settings()) for size in sizes]
    assert len(set(settings)) == len(settings)
    assert json.dumps(NeuralChain((2, 1)).settings()) == settings[0]


X = torch.zeros(3, 2)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: NeuralChain([]), ValueError, "the number of latents must be at least 1, got 0"),
        (lambda: NeuralChain(2), TypeError, "latents must be a list of sizes, got int 2"),
        (lambda: NeuralChain("21"), TypeError, "latents must be a list of sizes, got str '21'"),
        (lambda: NeuralChain([2, 0]), ValueError, "a size in latents must be at least 1, got 0"),
        (lambda: NeuralChain([2, 1.5]), TypeError, "a size in latents must be an integer, got float 1.5"),
        (lambda: NeuralChain([2], dim=0), ValueError, "^dim must be at least 1, got 0"),
        (lambda: NeuralChain([2], std=-1.0), ValueError, "std must be positive and finite"),
        (lambda: NeuralChain([2], width=0), ValueError, "width must be at least 1"),
        (lambda: NeuralChain([2], depth=-1), ValueError, "depth must be at least 0"),
        (lambda: NeuralChain([2], features=-1), ValueError, "features must be at least 0"),
        (lambda: NeuralChain([2, 1]).infer(X, 0), ValueError, "i must be at least 1, got 0"),
        (lambda: NeuralChain([2, 1]).infer(X, 3), ValueError, "i must be at most 2, got 3"),
        (lambda: NeuralChain([2, 1]).generate(X, 1.0), TypeError, "i must be an integer"),
        (lambda: NeuralChain([2, 1]).generate(X, 2), ValueError, r"shape \(n, 1\), got \(3, 2\)"),
        (lambda: NeuralChain([2, 1]).loss(torch.zeros(3, 3)), ValueError, r"shape \(n, 2\), got \(3, 3\)"),
        (lambda: NeuralChain([2, 1]).loss(torch.zeros(0, 2)), ValueError, "x must hold at least 1 points"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
