"""Guidance: a model that is told a condition, and what comes of more of it than there is."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from diffusers import ClassifierFreeGuidance
from scipy.integrate import solve_ivp

from diffusion_notes import ddpm as ddpm_module
from diffusion_notes.chains import Chain, elbo
from diffusion_notes.data import GaussianMixture, Peaks, integrate_plane
from diffusion_notes.ddpm import DDPM
from diffusion_notes.diffusion import bound_terms
from diffusion_notes.fitting import train
from diffusion_notes.guidance import (
    ConditionalDDPM,
    GaussianExample,
    Labelled,
    NoisyClassifier,
    arms,
    classifier_guided,
)
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.samplers import on_levels, sample
from diffusion_notes.schedule import Schedule
from diffusion_notes.score import divergence
from diffusion_notes.swiss_roll import SwissRoll

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


# Known data with known labels


def some() -> Labelled:
    """Four parts in the plane, two of each label, none like another."""
    mean = torch.tensor([[-1.0, 0.2], [0.4, 0.9], [1.1, -0.3], [0.1, -1.0]], dtype=torch.float64)
    weight = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    mixture = GaussianMixture(weight.log(), mean, torch.tensor([0.3, 0.2], dtype=torch.float64))
    return Labelled(mixture, torch.tensor([0, 1, 1, 0]))


def density_by_hand(x: torch.Tensor, level: float, kept: tuple[int, ...]) -> torch.Tensor:
    """The joint density of a noisy point and of some parts, from scratch."""
    parts = [(-1.0, 0.2, 0.1), (0.4, 0.9, 0.2), (1.1, -0.3, 0.3), (0.1, -1.0, 0.4)]
    total = 0
    for k in kept:
        right, up, weight = parts[k]
        for_x, for_y = level * 0.3 + 1 - level, level * 0.2 + 1 - level
        away = (x[:, 0] - level**0.5 * right) ** 2 / for_x + (x[:, 1] - level**0.5 * up) ** 2 / for_y
        total = total + weight * torch.exp(-away / 2) / (2 * math.pi * math.sqrt(for_x * for_y))
    return total


PARTS = {0: (0, 3), 1: (1, 2)}
PLACES = 1.5 * torch.randn(9, 2, generator=seeded(8), dtype=torch.float64)


@pytest.mark.parametrize("t", [1, 8, T])
@pytest.mark.parametrize("c", [0, 1])
def test_the_exact_classifier_is_bayes_rule(t, c):
    level = SCHEDULE.alpha_bar[t].item()
    share = density_by_hand(PLACES, level, PARTS[c]) / density_by_hand(PLACES, level, (0, 1, 2, 3))
    torch.testing.assert_close(some().classifier(SCHEDULE)(PLACES, t)[:, c].exp(), share)
    torch.testing.assert_close(some().log_class(PLACES, level).exp().sum(-1), torch.ones(9, dtype=torch.float64))


@pytest.mark.parametrize("t", [1, 8, T])
def test_the_perfect_model_predicts_the_score_with_and_without_the_label(t):
    level, data = SCHEDULE.alpha_bar[t].item(), some()
    perfect = data.model(SCHEDULE)
    for told, kept in ((None, (0, 1, 2, 3)), (0, PARTS[0]), (1, PARTS[1])):
        place = PLACES.clone().requires_grad_()
        (score,) = torch.autograd.grad(density_by_hand(place, level, kept).log().sum(), place)
        model = perfect.unconditional if told is None else perfect.given(data.row(told, PLACES))
        torch.testing.assert_close(model.predict(PLACES, t), -math.sqrt(1 - level) * score)
    nothing = perfect.given(torch.zeros(2, dtype=torch.float64)).predict(PLACES, t)
    assert torch.equal(nothing, perfect.unconditional.predict(PLACES, t))


def test_the_perfect_model_may_be_told_of_each_point_by_itself():
    data = some()
    perfect = data.model(SCHEDULE)
    c = torch.stack([data.row(k % 2, PLACES) for k in range(9)])
    each = torch.cat([perfect.given(c[k]).predict(PLACES[k : k + 1], 8) for k in range(9)])
    torch.testing.assert_close(perfect.given(c).predict(PLACES, 8), each)


def test_what_is_drawn_has_the_labels_of_its_parts():
    data = some()
    x, c = data.sample(50_000, seeded()).tensor_split((2,), 1)
    assert c.mean(0).tolist() == pytest.approx([data.share(0), data.share(1)], abs=0.01)
    assert data.share(0) == pytest.approx(0.5)
    for k in (0, 1):
        mean, covariance = data.given(k).moments()
        of_class = x[c[:, k] == 1].double()
        torch.testing.assert_close(of_class.mean(0), mean, rtol=0, atol=0.02)
        torch.testing.assert_close(of_class.T.cov(), covariance, rtol=0, atol=0.03)
    # and they are what the exact classifier would guess as often as it says
    said = data.log_class(x.double()).exp()[:, 1]
    assert (c[:, 1] - said).mean().abs() < 0.01


def test_the_information_is_a_mean_of_log_ratios():
    """By sampling, of an independent form: I = E log p(c|x) − log p(c)."""
    data = some()
    x, c = data.sample(40_000, seeded()).double().tensor_split((2,), 1)
    each = (c * data.log_class(x)).sum(-1) - math.log(0.5)
    assert data.information() == pytest.approx(each.mean().item(), abs=4 * each.std().item() / 200)


def test_the_tilted_density_is_one():
    data = some()
    for c, w in ((0, 0.0), (1, 1.0), (0, 3.0), (1, 0.5)):
        log_tilted = data.log_tilted(c, w)
        total = integrate_plane(lambda x, f=log_tilted: f(x).exp(), 7.0, 0.1)
        assert total.item() == pytest.approx(1, abs=1e-6)
        by_hand = density_by_hand(PLACES, 1.0, PARTS[c]) ** w * density_by_hand(PLACES, 1.0, (0, 1, 2, 3)) ** (1 - w)
        ratio = log_tilted(PLACES) - by_hand.log()
        torch.testing.assert_close(ratio, ratio[:1].expand(9))
    torch.testing.assert_close(data.log_tilted(0, 0.0)(PLACES), data.mixture.log_prob(PLACES))
    torch.testing.assert_close(data.log_tilted(1, 1.0)(PLACES), data.given(1).log_prob(PLACES))


def test_the_arms_are_the_roll():
    roll, three = SwissRoll(), arms(3)
    x, c = three.sample(2000, seeded()).tensor_split((2,), 1)
    torch.testing.assert_close(three.mixture.log_prob(x.double()), roll.log_prob(x.double()), rtol=1e-6, atol=1e-6)
    assert [three.share(k) for k in range(3)] == pytest.approx([1 / 3] * 3)
    u, _ = roll.nearest(x)
    assert ((3 * u).long().clamp(max=2) == c.argmax(-1)).double().mean() > 0.98
    assert three.row(2).tolist() == [0, 0, 1]


# Guidance with exact predictions


def test_an_exact_classifier_guides_as_the_two_models_do():
    data = some()
    perfect = data.model(SCHEDULE)
    c = data.row(1, PLACES)
    for w in (0.0, 1.0, 2.5):
        one = classifier_guided(perfect.unconditional, data.classifier(SCHEDULE), c, w)
        for t in (1, 8, T):
            torch.testing.assert_close(one.predict(PLACES, t), perfect.guided(c, w).predict(PLACES, t))
        with torch.no_grad():
            assert sample(one, PLACES, calls=3).isfinite().all()
            fewer = on_levels(one, SCHEDULE.kappa[[2, 7]])
            torch.testing.assert_close(fewer.predict(PLACES, 2), one.predict(PLACES, 7))


def test_the_convention_is_that_of_diffusers():
    data = some()
    perfect = data.model(SCHEDULE)
    c = data.row(1, PLACES)
    free, told = perfect.unconditional.predict(PLACES, 8), perfect.given(c).predict(PLACES, 8)
    theirs = ClassifierFreeGuidance(guidance_scale=2.5).forward(told, free).pred
    torch.testing.assert_close(perfect.guided(c, 2.5).predict(PLACES, 8), theirs)
    # and that of Ho and Salimans 2022, whose w is one less
    theirs = ClassifierFreeGuidance(guidance_scale=1.5, use_original_formulation=True).forward(told, free).pred
    torch.testing.assert_close(perfect.guided(c, 2.5).predict(PLACES, 8), theirs)


@pytest.mark.parametrize("w", [0.0, 1.0, 3.0])
def test_the_loss_of_guidance_is_a_parabola(w):
    """E‖ε − ε_w‖² = E‖ε − E[ε|x_t, c]‖² + (w − 1)² E‖E[ε|x_t, c] − E[ε|x_t]‖², and the last is the label's share."""
    data, level = some(), SCHEDULE.alpha_bar[8].item()
    perfect, n = data.model(SCHEDULE), 60_000
    x0 = data.given(1).sample(n, seeded(), dtype=torch.float64)
    noise = torch.randn(n, 2, generator=seeded(1), dtype=torch.float64)
    xt = math.sqrt(level) * x0 + math.sqrt(1 - level) * noise
    c = data.row(1, xt)
    told, free = perfect.given(c).predict(xt, 8), perfect.unconditional.predict(xt, 8)
    with_w = (noise - perfect.guided(c, w).predict(xt, 8)).square().sum(-1)
    expected = (noise - told).square().sum(-1) + (w - 1) ** 2 * (told - free).square().sum(-1)
    apart = with_w - expected
    assert abs(apart.mean()) <= 4 * apart.std() / n**0.5


def test_the_label_says_what_the_two_losses_differ_by():
    """I(x_0; c) = ½ ∫ E‖E[ε|x_t, c] − E[ε|x_t]‖² dλ, by quadrature over the plane and over λ, of two peaks."""
    peaks = Labelled(Peaks(noise=0.6, share=0.3).mixture(), torch.tensor([0, 1]))
    log_snr = torch.linspace(12, -12, 97, dtype=torch.float64)
    schedule = Schedule.through(log_snr.sigmoid())
    perfect = peaks.model(schedule)
    each = []
    for t in range(1, 98):
        total = 0.0
        for c in (0, 1):
            now = peaks.given(c).diffuse(schedule.alpha_bar[t].item())
            row = peaks.row(c, log_snr)

            def apart(x, t=t, row=row):
                return (perfect.given(row).predict(x, t) - perfect.unconditional.predict(x, t)).square().sum(-1)

            total += peaks.share(c) * now.expect(apart).item()
        each.append(total)
    area = torch.trapezoid(torch.tensor(each[::-1]), log_snr.flip(0)).item() / 2
    assert area == pytest.approx(peaks.information(), rel=1e-3)


# What guidance samples, in closed form


@pytest.mark.parametrize("w", [0.0, 1.0, 2.0, 3.5])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0, 3.0])
def test_the_closed_forms_solve_the_equations_of_motion(w, eta):
    """In τ = κ² the guided score is −A y + B, and the walk is dy = ½(1+η²)(A y − B) dτ, downwards, with noise η."""
    m, v, p = 0.7, 0.3, 1 + eta**2

    def moved(log_tau, state):
        tau = math.exp(log_tau)
        slope, push = (1 - w) / (1 + tau) + w / (v + tau), w * m / (v + tau)
        mean, variance = state
        return [tau * p / 2 * (slope * mean - push), tau * (p * slope * variance - eta**2)]

    top, bottom = 18.0, -18.0
    found = solve_ivp(moved, (top, bottom), [0.0, math.exp(top)], method="LSODA", rtol=1e-10, atol=1e-12).y[:, -1]
    assert GaussianExample(m, v).guided(w, eta) == pytest.approx(tuple(found), rel=2e-4, abs=1e-5)


@pytest.mark.parametrize("w", [1.0, 2.0, 3.0])
def test_the_closed_forms_are_those_of_bradley_and_nakkiran(w):
    """In their example the variances are 2 and 1, with the same mean (section 3)."""
    example = GaussianExample(0.0, 0.5)
    assert 2 * example.guided(w, 0.0)[1] == pytest.approx(2 ** (1 - w))
    assert 2 * example.guided(w, 1.0)[1] == pytest.approx((2 - 2 ** (2 - 2 * w)) / (2 * w - 1))
    assert 2 * example.tilted(w)[1] == pytest.approx(2 / (w + 1))


def test_the_mean_in_closed_form():
    v, s = 0.25, math.sqrt(0.75)
    example = GaussianExample(1.0, v)
    assert example.guided(2.0, 0.0)[0] == pytest.approx(1 + v * math.atanh(s) / s)
    assert example.guided(2.0, 1.0)[0] == pytest.approx((1 - v**2) / (1 - v))


def test_much_noise_makes_it_the_tilted_density():
    example = GaussianExample(1.0, 0.25)
    assert example.guided(3.0, 12.0) == pytest.approx(example.tilted(3.0), rel=0.01)
    for eta in (0.0, 0.5, 2.0):
        assert example.guided(1.0, eta) == pytest.approx((1.0, 0.25))
        assert example.guided(0.0, eta) == pytest.approx((0.0, 1.0))


def test_the_tilted_gaussian_is_that_of_a_mixture():
    """Of two labels whose parts together are nearly N(0, 1) the second is the Gaussian of the example: by a grid."""
    example, w = GaussianExample(0.5, 0.25), 2.5
    x = torch.linspace(-8, 8, 20_001, dtype=torch.float64)
    log_p = -(x**2) / 2
    log_told = -((x - 0.5) ** 2) / (2 * 0.25)
    tilted = ((1 - w) * log_p + w * log_told).softmax(0)
    mean = (tilted * x).sum()
    assert example.tilted(w) == pytest.approx((mean.item(), (tilted * (x - mean) ** 2).sum().item()))


@pytest.mark.parametrize(("eta", "w"), [(0.0, 2.0), (1.0, 2.0), (1.0, 4.0), (0.5, 2.0)])
def test_samplers_draw_what_the_closed_forms_say(eta, w):
    schedule, example = Schedule.linear(T=1000), GaussianExample(1.0, 0.25)
    perfect = example.model(schedule).guided(torch.ones(1, dtype=torch.float64), w)
    xT = torch.randn(20_000, 1, generator=seeded(), dtype=torch.float64)
    x = sample(perfect, xT, "ddim", 1000, eta, levels=range(1, 1001), generator=seeded(1))
    mean, variance = example.guided(w, eta)
    assert x.mean().item() == pytest.approx(mean, abs=0.01)
    assert x.var().item() == pytest.approx(variance, rel=0.08)  # a thousand steps are not without end


def test_the_perfect_gaussian_model_is_the_score():
    schedule, example = Schedule.linear(T=100), GaussianExample(0.7, 0.3)
    perfect = example.model(schedule)
    x = torch.randn(5, 1, generator=seeded(), dtype=torch.float64)
    for t in (1, 50, torch.tensor([1, 2, 50, 99, 100])):
        level = schedule.alpha_bar[t].reshape(-1, 1)
        torch.testing.assert_close(perfect.unconditional.predict(x, t), (1 - level).sqrt() * x)
        told = (1 - level).sqrt() * (x - level.sqrt() * 0.7) / (0.3 * level + 1 - level)
        torch.testing.assert_close(perfect.given(torch.ones(1).double()).predict(x, t), told)


# A trained classifier


def test_the_classifiers_loss_is_the_cross_entropy():
    classifier = NoisyClassifier(SCHEDULE, 3, width=8, features=2, generator=seeded())
    assert classifier.loss(torch.cat((X, torch.eye(3)[[0, 1, 2, 0, 1, 2, 0]]), 1), seeded()).item() == pytest.approx(
        math.log(3)
    )
    assert classifier(X, 5).exp().sum(-1).allclose(torch.ones(7))


def test_it_learns_the_exact_one():
    peaks = Labelled(Peaks(noise=0.5).mixture(), torch.tensor([0, 1]))
    classifier = NoisyClassifier(SCHEDULE, 2, dim=1, width=16, features=2, generator=seeded())
    rows = peaks.sample(4000, seeded(1))
    *_, last = train(classifier, rows, steps=500, batch_size=256, generator=seeded(2), progress=False)
    x = torch.linspace(-1.5, 1.5, 13).unsqueeze(-1)
    for t in (3, 10):
        exact = peaks.classifier(SCHEDULE)(x, t).exp()
        with torch.no_grad():
            assert (last.average(x, t).exp() - exact).abs().mean() < 0.05
            at = last.average.on(Schedule.through(SCHEDULE.alpha_bar[[t, T]]))
            torch.testing.assert_close(at(x, 1), last.average(x, t))
    assert "classifier" in classifier.settings()


def test_a_classifiers_guidance_is_the_slope_of_its_logarithm():
    classifier = NoisyClassifier(SCHEDULE, 2, width=8, features=2, generator=seeded()).double()
    classifier.network.weights[-1].data.normal_(generator=seeded(1))
    free = DDPM(lambda xt, t: xt, SCHEDULE)
    c = torch.tensor([1.0, 0.0], dtype=torch.float64)
    x, delta = PLACES[:3], 1e-5
    guided = classifier_guided(free, classifier, c, 2.0)
    for axis in (0, 1):
        step = torch.zeros(2, dtype=torch.float64)
        step[axis] = delta
        with torch.no_grad():
            slope = (classifier(x + step, 8) - classifier(x - step, 8))[:, 0] / (2 * delta)
        width = SCHEDULE.sqrt_one_minus_alpha_bar[8]
        torch.testing.assert_close(guided.predict(x, 8)[:, axis], x[:, axis] - 2 * width * slope, rtol=1e-5, atol=1e-7)
    each = c.expand(3, 2)
    torch.testing.assert_close(classifier_guided(free, classifier, each, 2.0).predict(x, 8), guided.predict(x, 8))
    # it can be differentiated once more, for log p by the ODE
    assert divergence(lambda place: guided.predict(place, 8), x)[1].isfinite().all()


# More bad input


def test_labels_that_are_none_are_refused():
    mixture = some().mixture
    with pytest.raises(TypeError, match="label must be a tensor of int64"):
        Labelled(mixture, torch.tensor([0.0, 1.0, 0.0, 1.0]))
    with pytest.raises(ValueError, match="label must be 4 numbers from 0"):
        Labelled(mixture, torch.tensor([0, 1, 0]))
    with pytest.raises(ValueError, match="label must leave no class without a part"):
        Labelled(mixture, torch.tensor([0, 2, 0, 2]))
    with pytest.raises(ValueError, match="mixture must be clean"):
        Labelled(mixture.diffuse(0.5), some().label)
    with pytest.raises(ValueError, match="c must be at most 1, got 2"):
        some().given(2)


def test_a_classifier_of_other_classes_is_refused():
    guided = classifier_guided(DDPM(lambda xt, t: xt, SCHEDULE), lambda xt, t: xt, torch.eye(3)[0], 1.0)
    with pytest.raises(ValueError, match=r"what classifier returns must have shape \(7, 3\)"):
        guided.predict(X, 5)
