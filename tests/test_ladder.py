"""The rungs between the VAE and DDPM: each switch does what it says and nothing else, and at both ends is the model."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import product

import pytest
import torch
from torch.distributions import kl_divergence

from diffusion_notes.chains import Chain, elbo, sample
from diffusion_notes.ddpm import DDPM
from diffusion_notes.ladder import CHOICES, LadderChain, Rung
from diffusion_notes.parameterisations import variational_weight
from diffusion_notes.schedule import Schedule

float64 = {"dtype": torch.float64}
FOUR = Schedule.cosine(T=4)
SWITCHES = {"layers": (1, 3), "latent": (1, 2)} | CHOICES


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(n: int, seed: int = 9) -> torch.Tensor:
    return torch.randn(n, 2, generator=seeded(seed), **float64)


def chain_of(rung: Rung, schedule: Schedule | None = None, stirred: float = 0.3, data_std: float = 0.7) -> LadderChain:
    """The chain of a rung, whose networks say something."""
    chain = LadderChain(rung, schedule or Schedule.cosine(T=rung.layers), 8, data_std, seeded()).double()
    with torch.no_grad():
        for name, parameter in sorted(chain.named_parameters()):
            if name.endswith((".weights.2", ".biases.2")):
                parameter.copy_(stirred * torch.randn(parameter.shape, generator=seeded(len(name)), **float64))
    return chain


def rungs() -> list[Rung]:
    """Every combination of the switches that there is."""
    found = []
    for values in product(*SWITCHES.values()):
        try:
            found.append(Rung(**dict(zip(SWITCHES, values, strict=True))))
        except ValueError:
            continue
    return found


def twin(rung: Rung) -> Rung:
    """The same chain by other names: one layer has one network, and a fixed q does not ask what its last step may."""
    networks = "shared" if rung.layers == 1 else rung.networks
    return replace(rung, networks=networks, last="noise" if rung.inference == "fixed" else rung.last)


def distinct() -> list[Rung]:
    """One of each pair of twins."""
    return [rung for rung in rungs() if rung == twin(rung)]


@pytest.mark.parametrize("rung", [r for r in rungs() if r != twin(r)], ids=str)
def test_twins_are_the_same_chain(rung):
    one, other, x = chain_of(rung), chain_of(twin(rung)), points(5)
    assert torch.equal(one.loss(x, seeded()), other.loss(x, seeded()))
    assert torch.equal(elbo(one, x, seeded()).terms, elbo(other, x, seeded()).terms)


def test_all_combinations_are_there_but_those_that_make_no_sense():
    every = 2 * 2 * 2 * 2 * 2 * 4
    without = 2 * 2 * 2 * 2 * 3  # simple and weighted: for a learned q, or latents of one coordinate
    assert len(rungs()) == every - without
    with pytest.raises(ValueError, match="objective 'simple' must have inference 'fixed' and latent 2, got inference"):
        Rung(inference="learned")


@pytest.mark.parametrize("rung", rungs(), ids=str)
def test_every_rung_is_a_chain_that_is_trained_and_sampled(rung):
    chain, x = chain_of(rung), points(20)
    assert isinstance(chain, Chain)
    assert elbo(chain, x, seeded()).terms.shape == (rung.layers + 1, 20)
    assert sample(chain, x, seeded()).shape == (20, 2)
    chain.loss(x, seeded()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in chain.parameters())
    untouched = {name for name, p in chain.named_parameters() if p.grad is None or not p.grad.abs().sum()}
    expected = set()
    if rung.latent == 1 and rung.layers == 1:  # then there is no step between latents
        expected |= {name for name in untouched if name.startswith(("decoder", "encoder"))}
    if rung.inference == "learned" and rung.last == "noise":  # its last step is not learned
        expected |= {name for name in untouched if name.startswith("top" if rung.layers == 1 else "encoder")}
        expected |= {name for name in untouched if rung.layers == 1 and name.startswith("encoder")}
    assert untouched <= expected


@pytest.mark.parametrize("rung", [r for r in distinct() if r.inference == "fixed" and r.latent == 2], ids=str)
def test_a_fixed_q_is_the_forward_process_and_the_loss_one_layer_of_the_bound(rung):
    """The bound by the general function, by the terms of a DDPM with the same steps, and by one random layer."""
    chain, x = chain_of(replace(rung, objective="bound")), points(3)
    one = LadderChain(rung, chain.schedule, 8).double()
    one.load_state_dict(chain.state_dict())
    many = x.repeat(2000, 1)
    whole = -elbo(chain, many, seeded(1)).total
    layer = []
    for t in range(1, rung.layers + 1):
        z = chain.q.marginal(many, t).mean + chain.q.marginal(many, t).stddev * points(len(many), t)
        p = chain.generate(z, t)
        layer.append(kl_divergence(chain.q.posterior(z, many, t), p) if t > 1 else -p.log_prob(many))
    exactly = sum(layer) + kl_divergence(chain.q.marginal(many, rung.layers), chain.prior(many))
    error = (whole.std() ** 2 + exactly.std() ** 2).sqrt() / len(many) ** 0.5
    assert abs(whole.mean() - exactly.mean()) < 4.5 * error
    if rung.objective in ("layer", "weighted"):
        losses = torch.stack([one.loss(many, seeded(k)) for k in range(40)])
        prior = kl_divergence(chain.q.marginal(many, rung.layers), chain.prior(many)).mean()
        spread = (losses.std() ** 2 / len(losses) + error**2).sqrt()
        assert abs(losses.mean() + prior - exactly.mean()) < 4.5 * spread


@pytest.mark.parametrize("rung", [r for r in distinct() if r.objective == "layer"], ids=str)
def test_one_random_layer_has_the_mean_of_the_whole_bound(rung):
    whole, one = chain_of(replace(rung, objective="bound")), chain_of(rung)
    x = points(4).repeat(500, 1)
    bound = torch.stack([whole.loss(x, seeded(k)) for k in range(30)])
    layer = torch.stack([one.loss(x, seeded(100 + k)) for k in range(30)])
    if rung.inference == "fixed":  # the term in which there is nothing to learn is left out
        below = x[:, : rung.latent]
        layer = layer + kl_divergence(one.q.marginal(below, rung.layers), one.prior(below)).mean()
    error = ((bound.var() + layer.var()) / 30) ** 0.5
    assert abs(bound.mean() - layer.mean()) < 4.5 * error


def test_the_top_rung_is_ddpm():
    """The same loss and the same steps as the class of its chapter, for the same prediction."""
    chain, x = chain_of(Rung(4), FOUR), points(500)

    def network(xt, t):
        return chain._noise(xt, t)[0]

    ddpm = DDPM(network, FOUR, chain.std.double().squeeze(-1).square())
    ours = torch.stack([chain.loss(x, seeded(k)) for k in range(80)])
    theirs = torch.stack([ddpm.loss(x, seeded(1000 + k)) for k in range(80)])
    assert abs(ours.mean() - theirs.mean()) < 4.5 * ((ours.var() + theirs.var()) / 80) ** 0.5
    for t in (1, 2, 4):
        torch.testing.assert_close(chain.generate(x, t).mean, ddpm.step(x, t).mean)
        torch.testing.assert_close(chain.infer(x, t).stddev, ddpm.infer(x, t).stddev)


def test_untrained_it_is_exact_for_gaussian_data():
    """Where it starts from: for N(0, data_std² I) there is no gap but that of q(z_L) to the prior."""
    schedule = Schedule.linear(T=4, beta_1=0.1, beta_T=0.3)
    chain, x = LadderChain(Rung(4), schedule, data_std=0.7).double(), 0.7 * points(4000)
    gap = torch.distributions.Normal(0, 0.7).log_prob(x).sum(-1) - elbo(chain, x, seeded()).total
    end = (schedule.alpha_bar[4] * 0.49 + 1 - schedule.alpha_bar[4]).sqrt()
    exact = 2 * kl_divergence(torch.distributions.Normal(0, end), torch.distributions.Normal(0, 1))
    assert exact > 0.01
    assert abs(gap.mean() - exact) < 4.5 * gap.std() / 4000**0.5


@pytest.mark.parametrize("latent", [1, 2])
def test_what_the_networks_say_is_added_to_the_steps_of_gaussian_data(latent):
    """As the module says, with the laws of z_(i-1) given z_i that follow from Bayes' rule for N(0, 0.81 I)."""
    chain = chain_of(Rung(4, "learned", "informative", "own", latent, "bound"), FOUR, data_std=0.9)
    z, close = points(6)[:, :latent], {"rtol": 1e-5, "atol": 1e-6}
    size = FOUR.alpha_bar * 0.81 + 1 - FOUR.alpha_bar  # Var(z_i)

    def factor(stretch):
        return (4 * (stretch / 4).tanh()).exp()

    for i in range(1, 5):
        alpha, beta, level, before = 1 - FOUR.beta[i], FOUR.beta[i], FOUR.alpha_bar[i], FOUR.alpha_bar[i - 1]
        special = latent == 1 and i == 1  # between the data and the latents
        below = points(6, 1)[:, : 2 if i == 1 else latent]
        shift, stretch = (chain.top if special else chain.encoder)(below, i).chunk(2, -1)
        q, p = chain.infer(below, i), chain.generate(z, i)
        torch.testing.assert_close(q.mean, alpha.sqrt() * below[:, :latent] + beta.sqrt() * shift, **close)
        torch.testing.assert_close(q.stddev, beta.sqrt() * factor(stretch), **close)
        out, stretch = (chain.bottom if special else chain.decoder)(z, i).chunk(2, -1)
        if special:
            mean, std = 0.9 * out, 0.9
        else:
            noise = (1 - level).sqrt() / size[i] * z + (level * 0.81 / size[i]).sqrt() * out
            x0 = (z - (1 - level).sqrt() * noise) / level.sqrt()
            mean = (before.sqrt() * beta * x0 + alpha.sqrt() * (1 - before) * z) / (1 - level)
            std = (beta * size[i - 1] / size[i]).sqrt()
        torch.testing.assert_close(p.mean, mean, **close)
        torch.testing.assert_close(p.stddev, std * factor(stretch), **close)


@pytest.mark.parametrize("layers", [1, 4])
def test_the_simple_loss_is_that_of_the_noise_in_the_point(layers):
    chain, x = chain_of(Rung(layers)), points(4000)
    seen = {}

    def silent(z, i):
        seen.update(z=z, i=i)
        return torch.zeros_like(z), torch.zeros_like(z)

    chain._noise = silent
    loss = chain.loss(x, seeded())
    level = chain.schedule.alpha_bar[seen["i"]].unsqueeze(-1)
    noise = (seen["z"] - level.sqrt() * x) / (1 - level).sqrt()
    torch.testing.assert_close(loss, noise.square().sum(-1).mean())
    assert noise.std() == pytest.approx(1, abs=0.05)
    assert noise.abs().max() < 6
    share = seen["i"].bincount(minlength=layers + 1) / len(x)
    assert share.tolist() == pytest.approx([0] + [1 / layers] * layers, abs=0.03)


@pytest.mark.parametrize("rung", rungs(), ids=str)
def test_a_rung_that_was_read_from_a_file_is_the_same(rung):
    read = Rung(**json.loads(json.dumps(asdict(rung))))
    assert read == rung
    assert read.is_vae == rung.is_vae == (rung.layers == 1 and rung.inference + rung.last == "learnedinformative")
    one, other, x = chain_of(rung), chain_of(read), points(5)
    assert one.cost == other.cost
    torch.testing.assert_close(one.loss(x, seeded()), other.loss(x, seeded()), rtol=0, atol=0)


@pytest.mark.parametrize("rung", [r for r in rungs() if r.objective == "bound"], ids=str)
def test_the_whole_bound_is_the_whole_bound(rung):
    chain, x = chain_of(rung), points(5)
    torch.testing.assert_close(chain.loss(x, seeded()), -elbo(chain, x, seeded()).total.mean(), rtol=1e-9, atol=0)


def test_a_draw_at_the_very_edge_is_of_a_layer(monkeypatch):
    chain, x, seen = chain_of(Rung(3)), points(2), []
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor([0.0, 1.0], **float64))
    monkeypatch.setattr(chain, "_noise", lambda z, i: seen.append(i.tolist()) or (z, z))
    chain.loss(x)
    assert seen == [[1, 3]]


def test_between_data_and_small_latents_there_is_one_network_each_way():
    chain = chain_of(Rung(3, "learned", networks="own", latent=1, objective="bound"))
    networks = (chain.bottom, chain.top, chain.decoder, chain.encoder)
    assert [len(network.weights[1]) for network in networks] == [1, 1, 3, 3]
    assert not {"linear", "left_over", "std", "layer_probability", "layer_cdf"} & set(
        chain.state_dict()
    )  # they are made anew
    for rung in (Rung(3, latent=1, objective="bound"), Rung(3, "learned", objective="bound"), Rung(3)):
        chain = chain_of(rung)
        assert hasattr(chain, "bottom") == (rung.latent == 1)
        assert hasattr(chain, "encoder") == (rung.inference == "learned")
        assert not hasattr(chain, "top")


@pytest.mark.parametrize(
    "switches",
    [
        {"layers": 0},
        {"latent": 0, "objective": "bound"},
        {"latent": 3},
        {"networks": "both"},
        {"objective": "weighted", "latent": 1},
        {"inference": "learned"},
    ],
)
def test_switches_out_of_their_positions_are_refused(switches):
    with pytest.raises(ValueError, match=r"must (be|have)"):
        Rung(**json.loads(json.dumps(switches)))


def test_what_does_not_fit_a_chain_is_refused():
    chain, x = chain_of(Rung(3, latent=1, objective="bound")), points(2)
    refused = [
        ("schedule", lambda: LadderChain(Rung(3), Schedule.linear(T=2))),
        ("schedule", lambda: LadderChain(Rung(3), Schedule.linear(T=4))),
        ("data_std", lambda: LadderChain(Rung(3), Schedule.linear(T=3), data_std=0.0)),
        ("i", lambda: chain.infer(x, 0)),
        ("i", lambda: chain.infer(x[:, :1], 4)),
        ("i", lambda: chain.generate(x[:, :1], 0)),
        ("i", lambda: chain.generate(x[:, :1], 4)),
        ("z", lambda: chain.infer(x[:, :1], 1)),
        ("z", lambda: chain.infer(x, 2)),
        ("z", lambda: chain.generate(x, 2)),
        ("x", lambda: chain.loss(x[:, :1])),
        ("x", lambda: chain_of(Rung(3)).loss(x[:0])),
    ]
    for named, ask in refused:
        with pytest.raises(ValueError, match=f"^{named} must"):
            ask()
    assert chain.loss(x[:1]).shape == ()


def test_in_a_long_chain_too_only_the_last_step_is_not_learned():
    x, rung = points(5), Rung(300, "learned", objective="layer")
    chain, q = chain_of(rung), chain_of(replace(rung, inference="fixed"))
    same = [torch.equal(chain.infer(x, i).mean, q.infer(x, i).mean) for i in range(1, 301)]
    assert same == [False] * 299 + [True]


def test_a_learned_q_is_learned_and_its_last_step_only_where_it_may_inform():
    x, z = points(5), points(5, 1)
    for last in ("informative", "noise"):
        rung = Rung(4, "learned", last, objective="bound")
        chain, plain = chain_of(rung, FOUR), chain_of(replace(rung, inference="fixed"), FOUR)
        assert not torch.allclose(chain.infer(x, 1).mean, plain.infer(x, 1).mean)
        same = torch.allclose(chain.infer(z, 4).mean, plain.infer(z, 4).mean)
        assert same == (last == "noise")


def test_own_networks_do_not_know_each_other_and_a_shared_one_is_one():
    x = points(5)
    for networks, expected in (("own", [True, False, False, False]), ("shared", [True] * 4)):
        chain = chain_of(Rung(4, networks=networks), FOUR)
        before = [chain.generate(x, t).mean for t in range(1, 5)]
        with torch.no_grad():
            for parameter in chain.decoder.parameters():
                parameter[0] += 0.5
        changed = [not torch.allclose(chain.generate(x, t).mean, before[t - 1]) for t in range(1, 5)]
        assert changed == expected


def test_the_weighted_draw_follows_the_weights_and_leaves_no_layer_out():
    chain = chain_of(Rung(4, objective="weighted"), FOUR)
    weight = variational_weight(FOUR, chain.std.double().squeeze(-1).square())
    expected = (weight / weight.sum() + (weight > 0) / 4) / 2
    torch.testing.assert_close(chain.layer_probability.squeeze(-1), expected, rtol=1e-5, atol=1e-7)
    assert chain.layer_probability[1:].min() >= 1 / 8 - 1e-6


def test_small_latents_see_the_first_coordinate_if_q_is_fixed():
    chain, x = chain_of(Rung(3, latent=1, objective="bound")), points(6)
    elsewhere = x.clone()
    elsewhere[:, 1] += 1
    torch.testing.assert_close(chain.infer(x, 1).mean, chain.infer(elsewhere, 1).mean)
    learned = chain_of(Rung(3, "learned", latent=1, objective="bound"))
    assert not torch.allclose(learned.infer(x, 1).mean, learned.infer(elsewhere, 1).mean)


def test_the_cost_counts_what_is_evaluated():
    each = chain_of(Rung(3)).decoder.parameters_of_a_step
    assert chain_of(Rung(3)).cost == each
    assert chain_of(Rung(3, objective="bound")).cost == 3 * each
    assert chain_of(Rung(3, "learned", objective="bound")).cost == 6 * each
    assert chain_of(Rung(3, "learned", objective="layer")).cost == 4 * each


def test_a_stretch_is_bounded():
    chain, x = chain_of(Rung(3), stirred=1e6), points(50)
    ratio = chain.generate(x, 2).stddev / chain.std[2]
    assert 4 - 1e-3 < ratio.log().abs().max() <= 4 + 1e-9


def test_a_rung_is_not_changed():
    with pytest.raises(AttributeError):
        Rung().layers = 3
    assert (Rung().layers, Rung().latent, Rung().objective) == (1000, 2, "simple")
    assert LadderChain(Rung(3), Schedule.cosine(T=3)).decoder.weights[1].shape == (1, 64, 64)
    assert LadderChain(Rung(3), Schedule.cosine(T=3)).data_std == 0.7
