"""Guidance: a model that is told a condition, and what comes of more of it than there is."""

from __future__ import annotations

import copy

import pytest
import torch

from diffusion_notes import ddpm as ddpm_module
from diffusion_notes.chains import Chain, elbo
from diffusion_notes.ddpm import DDPM
from diffusion_notes.diffusion import bound_terms
from diffusion_notes.fitting import train
from diffusion_notes.guidance import ConditionalDDPM
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.samplers import on_levels, sample
from diffusion_notes.schedule import Schedule

T = 20
SCHEDULE = Schedule.linear(T=T, beta_T=0.5)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model(drop: float = 0.0, **kwargs) -> ConditionalDDPM:
    """Told three numbers, and not untrained: what it is told matters."""
    network = NoiseMLP(SCHEDULE, width=8, depth=1, features=2, condition=3, generator=seeded())
    network.layers[-1].weight.data.normal_(generator=seeded(1))
    return ConditionalDDPM(network, SCHEDULE, 3, drop=drop, **kwargs)


def told_by_hand(m: ConditionalDDPM, c: torch.Tensor) -> DDPM:
    """The same model, made anew from a function."""
    source = m.unconditional
    return DDPM(lambda xt, t: m.network(xt, t, c), SCHEDULE, source.variance, source.objective, source.t_sampling)


C = torch.tensor([0.0, 1.0, 0.0])
X = torch.randn(7, 2, generator=seeded(2))


@pytest.mark.parametrize("variance", ["beta", "beta_tilde", SCHEDULE.beta + 0.1])
def test_given_a_condition_it_is_a_chain_with_the_bound_of_one(variance):
    m = model(variance=variance)
    chain = m.given(C)
    assert isinstance(chain, Chain)
    assert isinstance(chain, DDPM)
    with torch.no_grad():
        ours, theirs = elbo(chain, X, seeded()).terms, elbo(told_by_hand(m, C), X, seeded()).terms
        assert torch.equal(ours, theirs)
        assert torch.equal(bound_terms(chain, X, seeded()).each, bound_terms(told_by_hand(m, C), X, seeded()).each)
        assert not torch.equal(ours, elbo(m.unconditional, X, seeded()).terms)


def test_each_point_may_have_its_condition():
    m, c = model(), torch.randn(7, 3, generator=seeded(3))
    with torch.no_grad():
        together = m.given(c).predict(X, 5)
        one_by_one = torch.cat([m.given(c[i]).predict(X[i : i + 1], 5) for i in range(7)])
    torch.testing.assert_close(together, one_by_one)


def test_many_points_with_their_conditions_are_not_taken_apart(monkeypatch):
    monkeypatch.setattr(ddpm_module, "_BLOCK", 3)
    m, c = model(), torch.randn(7, 3, generator=seeded(3))
    for told, given in ((m.given(c), m.network(X, 5, c)), (m.given(C), m.network(X, 5, C))):
        with torch.no_grad():
            torch.testing.assert_close(told.predict(X, 5), given)
    with torch.no_grad():
        assert sample(m.guided(c, 2.0), X, calls=4).shape == X.shape


def test_binding_a_condition_leaves_the_model_as_it_was_and_shares_its_parameters():
    m = model()
    before = m.unconditional.predict(X, 5).detach()
    first, second = m.given(C), m.given(2 * C)
    told = first.predict(X, 5).detach()
    assert torch.equal(m.unconditional.predict(X, 5), before)
    assert not torch.equal(told, second.predict(X, 5))
    assert {id(p) for p in first.parameters()} == {id(p) for p in m.parameters()}
    m.network.layers[-1].bias.data += 1
    assert not torch.equal(first.predict(X, 5), told)
    assert [*m.state_dict()] == [f"unconditional.network.{name}" for name in m.network.state_dict()]


def test_a_function_may_be_told_too():
    m = ConditionalDDPM(lambda xt, t, c=None: xt if c is None else xt + c.sum(-1, keepdim=True), SCHEDULE, 2)
    c = torch.tensor([1.0, 2.0])
    assert torch.equal(m.given(c).predict(X, 3), X + 3)
    torch.testing.assert_close(m.guided(c, 3.0).predict(X, 3), X + 9, rtol=0, atol=1e-5)
    assert torch.equal(m.unconditional.predict(X, 3), X)


def test_guidance_goes_on_from_one_model_to_the_other():
    m = model()
    free, told = m.unconditional.predict(X, 5), m.given(C).predict(X, 5)
    assert torch.equal(m.guided(C, 0.0).predict(X, 5), free)
    assert torch.equal(m.guided(C, 1.0).predict(X, 5), told)
    for w in (-1.0, 0.5, 3.0):
        torch.testing.assert_close(m.guided(C, w).predict(X, 5), free + w * (told - free), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("w", "calls"), [(0.0, 1), (1.0, 1), (2.0, 2)])
def test_it_asks_the_network_no_more_often_than_it_must(w, calls):
    asked = []

    def network(xt, t, c=None):
        asked.append(c)
        return xt

    ConditionalDDPM(network, SCHEDULE, 3).guided(C, w).predict(X, 5)
    assert len(asked) == calls


def test_other_levels_are_those_of_the_network():
    m = model()
    kappa = SCHEDULE.kappa[[2, 7, 11]]
    for one, other in ((m.given(C), 1.0), (m.guided(C, 2.0), 2.0)):
        fewer = on_levels(one, kappa)
        torch.testing.assert_close(fewer.predict(X, 2), m.guided(C, other).predict(X, 7))


def test_what_is_told_moves_with_the_model():
    chain = model().given(C).double()
    assert chain.predict(X.double(), 5).dtype == torch.float64


# Training


def rows(n: int = 400) -> torch.Tensor:
    label = torch.randint(3, (n,), generator=seeded(5))
    return torch.cat((torch.randn(n, 2, generator=seeded(6)), torch.eye(3)[label]), 1)


@pytest.mark.parametrize("objective", ["simple", "variational", "flow"])
def test_the_loss_is_that_of_a_ddpm_that_was_told(objective):
    m, batch = model(variance="beta", objective=objective), rows()
    expected = told_by_hand(m, batch[:, 2:]).loss(batch[:, :2], seeded())
    assert torch.equal(m.loss(batch, seeded()), expected)


def test_a_share_is_told_nothing():
    told = []

    def network(xt, t, c=None):
        told.append(c)
        return xt

    batch = rows(20_000)
    ConditionalDDPM(network, SCHEDULE, 3, drop=0.3).loss(batch, seeded())
    (c,) = told
    dropped = (c == 0).all(-1)
    assert dropped.double().mean().item() == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / 20_000) ** 0.5)
    assert torch.equal(c[~dropped], batch[~dropped, 2:])
    assert ConditionalDDPM(network, SCHEDULE, 3, drop=1.0).loss(batch, seeded()).isfinite()
    assert not told[-1].any()


def test_never_dropping_draws_nothing_for_it():
    """So a model without dropping sees the same t and noise as a DDPM."""
    m, batch = model(), rows()
    generator, other = seeded(), seeded()
    m.loss(batch, generator)
    told_by_hand(m, batch[:, 2:]).loss(batch[:, :2], other)
    assert torch.equal(torch.rand(3, generator=generator), torch.rand(3, generator=other))


def test_it_can_be_trained_and_learns_the_condition():
    """Points at −1 or 1, as they are told: what remains of the noise is far less than without."""
    label = torch.randint(2, (2000, 1), generator=seeded(1)).float()
    x = 2 * label - 1 + 0.1 * torch.randn(2000, 1, generator=seeded(2))
    network = NoiseMLP(SCHEDULE, dim=1, width=16, depth=2, condition=2, generator=seeded())
    m = ConditionalDDPM(network, SCHEDULE, 2, drop=0.2)
    batch = torch.cat((x, label, 1 - label), 1)
    *_, last = train(m, batch, steps=600, batch_size=256, generator=seeded(3), progress=False)
    with torch.no_grad():
        for c, mean in (([1.0, 0.0], 1), ([0.0, 1.0], -1)):
            drawn = last.average.given(torch.tensor(c)).sample(torch.randn(500, 1, generator=seeded(4)), seeded(5))
            assert (drawn * mean > 0).double().mean() > 0.9
        both = last.average.unconditional.sample(torch.randn(500, 1, generator=seeded(4)), seeded(5))
        assert both.mean().abs() < 0.2
        assert both.std() > 0.8


def test_settings_say_what_a_training_cannot_be_resumed_without():
    settings = model(drop=0.25).settings()
    assert settings["drop"] == "0.25"
    assert settings["condition"] == "3"
    assert set(model().unconditional.settings()) < set(settings)


def test_a_copy_is_a_model_of_its_own():
    m = model()
    other = copy.deepcopy(m)
    other.network.layers[-1].bias.data += 1
    assert not torch.equal(m.given(C).predict(X, 5), other.given(C).predict(X, 5))


# Bad input


def test_a_network_that_is_told_something_else_is_refused():
    with pytest.raises(ValueError, match="condition must be 3, as that of the network, got 2"):
        ConditionalDDPM(model().network, SCHEDULE, 2)
    with pytest.raises(ValueError, match="network was made for another schedule"):
        ConditionalDDPM(model().network, Schedule.linear(T=10), 3)
    with pytest.raises(ValueError, match="drop must be between 0 and 1, got 2"):
        model(drop=2)


def test_rows_without_points_are_refused():
    with pytest.raises(ValueError, match="rows must have more than 3 columns, got"):
        model().loss(torch.zeros(5, 3))


def test_conditions_that_are_not_as_many_as_the_points_are_refused():
    with pytest.raises(ValueError, match=r"c must have shape \(7, 3\) or \(3,\), got \(6, 3\)"):
        model().given(torch.zeros(6, 3)).predict(X, 5)
