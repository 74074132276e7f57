"""The committed weights: what the pages say of them, and that they are what the recipe makes."""

from __future__ import annotations

import functools
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from diffusion_notes.chains import ScalarLatent, elbo, sample
from diffusion_notes.data import KickedOscillator, TwoNotes
from diffusion_notes.ddpm import DDPM
from diffusion_notes.fitting import load_weights, train
from diffusion_notes.guidance import ConditionalDDPM, NoisyClassifier, arms
from diffusion_notes.hierarchical_vae import HierarchicalVAE
from diffusion_notes.metrics import binned_kl, stray_share
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.parameterisations import variational_weight
from diffusion_notes.pretrained import (
    RECIPES,
    WEIGHTS,
    oscillator_forecaster,
    put_on_spiral,
    swiss_roll_arms,
    swiss_roll_arms_classifier,
    swiss_roll_ddpm,
    swiss_roll_hierarchical_vae,
    swiss_roll_precise_ddpm,
    swiss_roll_vae,
    two_notes_vocoder,
)
from diffusion_notes.pretrained import __main__ as command
from diffusion_notes.pretrained.expected_noise import ExpectedNoise
from diffusion_notes.samplers import choose_levels, start, walk
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll
from diffusion_notes.vae import VAE

schedule = Schedule.linear(T=1000)
SEEDS = range(3)


def precise(**kwargs):
    """A level is drawn by its weight, times the root of what of the noise the best straight line leaves over."""
    network = NoiseMLP(schedule, **kwargs)
    worth = variational_weight(schedule, schedule.beta) * network.left_over.squeeze(-1).double()
    return ExpectedNoise(network, schedule, "beta", "variational", worth)


def told(**kwargs):
    """Which of three arms, but for a tenth; on the bound."""
    network = NoiseMLP(schedule, condition=3, **kwargs)
    return ConditionalDDPM(network, schedule, 3, "beta", "variational", drop=0.1, t_sampling="weight")


def forecaster(**kwargs):
    cosine = Schedule.cosine(T=100)
    network = NoiseMLP(cosine, dim=1, features=8, data_std=1.2, condition=2, **kwargs)
    return ConditionalDDPM(network, cosine, 2, "beta")


def vocoder(spread, **kwargs):
    cosine = Schedule.cosine(T=50)
    network = NoiseMLP(cosine, dim=32, width=128, features=1, data_std=spread, condition=4, **kwargs)
    return ConditionalDDPM(network, cosine, 4, "beta")


def points_for(name, count, generator):
    """What a network is trained on."""
    if name == "forecaster":
        series = KickedOscillator().series(count // 5, 7, generator)
        rows = [torch.cat((one[k + 2 : k + 3], one[k : k + 2])) for one in series for k in range(5)]
        return torch.stack(rows)
    if name.startswith("vocoder"):
        x, c = TwoNotes().sample(count, generator)
        power = c.exp().repeat_interleave(torch.tensor([9, 8, 8, 7]), dim=1)
        return torch.cat((x / power.sqrt() if name == "vocoder_prior" else x, c), 1)
    return (arms(3) if name.startswith("arms") else SwissRoll()).sample(count, generator)


# What the docstrings and the pages say each of them is.
BUILD = {
    "ddpm": lambda **kwargs: DDPM(NoiseMLP(schedule, **kwargs), schedule),
    "ddpm_variational_uniform": lambda **kwargs: DDPM(NoiseMLP(schedule, **kwargs), schedule, "beta", "variational"),
    "ddpm_variational_weight": lambda **kwargs: DDPM(
        NoiseMLP(schedule, **kwargs), schedule, "beta", "variational", "weight"
    ),
    **{f"ddpm_precise_{seed}": precise for seed in SEEDS},
    **{f"arms_{seed}": told for seed in SEEDS},
    **{f"arms_short_{seed}": told for seed in SEEDS},
    "arms_classifier": functools.partial(NoisyClassifier, schedule, 3),
    "forecaster": forecaster,
    "vocoder_prior": functools.partial(vocoder, 1.0),
    "vocoder_standard": functools.partial(vocoder, 0.6),
    "vae_learned": functools.partial(VAE, latent=1, std=None),
    "vae_sharp": functools.partial(VAE, latent=2, std=0.05, features=16),
    "vae_guided": functools.partial(VAE, latent=1),
    "hierarchical_vae_learned": functools.partial(HierarchicalVAE, [2, 2], std=None),
    "hierarchical_vae_sharp": functools.partial(HierarchicalVAE, [2, 2], std=0.05, features=16),
    "hierarchical_vae_sharp_again": functools.partial(HierarchicalVAE, [2, 2], std=0.05, features=16),
}
LOAD = {
    "ddpm": swiss_roll_ddpm,
    "ddpm_variational_uniform": functools.partial(swiss_roll_ddpm, "beta", "variational"),
    "ddpm_variational_weight": functools.partial(swiss_roll_ddpm, "beta", "variational", t_sampling="weight"),
    **{f"ddpm_precise_{seed}": functools.partial(swiss_roll_precise_ddpm, seed) for seed in SEEDS},
    **{f"arms_{seed}": functools.partial(swiss_roll_arms, seed) for seed in SEEDS},
    **{f"arms_short_{seed}": functools.partial(swiss_roll_arms, seed, True) for seed in SEEDS},
    "arms_classifier": swiss_roll_arms_classifier,
    "forecaster": oscillator_forecaster,
    "vocoder_prior": lambda: two_notes_vocoder("prior"),
    "vocoder_standard": lambda: two_notes_vocoder("standard"),
    "vae_learned": lambda: swiss_roll_vae("learned"),
    "vae_sharp": lambda: swiss_roll_vae("sharp"),
    "vae_guided": lambda: swiss_roll_vae("guided"),
    "hierarchical_vae_learned": lambda: swiss_roll_hierarchical_vae("learned"),
    "hierarchical_vae_sharp": lambda: swiss_roll_hierarchical_vae("sharp"),
    "hierarchical_vae_sharp_again": lambda: swiss_roll_hierarchical_vae("sharp_again"),
}
each = pytest.mark.parametrize("name", BUILD)


def test_there_is_a_file_for_each_recipe_and_no_other():
    assert {path.name for path in WEIGHTS.iterdir()} == {f"{name}.safetensors" for name in RECIPES}
    assert set(BUILD) == set(RECIPES)


@each
def test_the_file_says_how_it_was_made(name):
    about = load_weights(BUILD[name](), WEIGHTS / f"{name}.safetensors")
    assert about == {"model": name, "recipe": RECIPES[name].hyperparameters}


@each
def test_what_is_loaded_is_what_is_said_with_the_files_weights(name):
    loaded, built = LOAD[name](), BUILD[name]()
    load_weights(built, WEIGHTS / f"{name}.safetensors")
    assert repr(loaded) == repr(built)
    for ours, theirs in zip(loaded.state_dict().values(), built.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


@each
def test_it_is_not_to_be_trained_by_accident(name):
    model = LOAD[name]()
    assert not any(module.training for module in model.modules())
    assert not any(parameter.requires_grad for parameter in model.parameters())


@each
def test_the_recipe_is_followed_and_the_average_is_what_is_saved(name, tmp_path):
    assert (RECIPES[name].pretrain is put_on_spiral) == (name == "vae_guided")
    short = functools.partial(put_on_spiral, steps=2) if name == "vae_guided" else None
    is_precise = name.startswith("ddpm_precise")
    recipe = replace(RECIPES[name], points=100, steps=4, pretrain=short, examples=300 if is_precise else None)
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        command.make_weights(name, recipe, folder)
    one, two = (tmp_path / folder / f"{name}.safetensors" for folder in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    generator = torch.Generator().manual_seed(recipe.seed)
    model = BUILD[name](generator=generator)
    if not name.startswith(("ddpm", "forecaster", "vocoder")):
        generator.manual_seed(recipe.seed)
    data = points_for(name, 100, generator)
    if name == "vae_guided":
        put_on_spiral(model, generator, steps=2)
    if is_precise:
        data = model.examples(data, 300, generator)
    sizes = {"batch_size": recipe.batch_size, "learning_rate": recipe.learning_rate, "decay": recipe.decay}
    average = list(train(model, data, steps=4, **sizes, generator=generator, progress=False))[-1].average
    made = BUILD[name]()
    load_weights(made, one)
    assert all(torch.equal(a, b) for a, b in zip(made.parameters(), average.parameters(), strict=True))


@pytest.mark.parametrize("named", [[], ["vae_sharp", "ddpm"]])
def test_those_that_are_named_are_made_or_all(named, monkeypatch):
    made = []
    monkeypatch.setattr(command, "make_weights", lambda name, recipe: made.append((name, recipe)))
    monkeypatch.setattr(sys, "argv", ["pretrained", *named])
    command.main()
    assert made == [(name, RECIPES[name]) for name in named or RECIPES]


@each
@pytest.mark.parametrize("usual", [torch.float64, torch.bfloat16])
def test_what_is_loaded_does_not_depend_on_what_dtype_is_usual(name, usual):
    usually = LOAD[name]()
    expected = [*usually.parameters(), *usually.buffers()]
    before = torch.get_default_dtype()
    torch.set_default_dtype(usual)
    try:
        loaded = LOAD[name]()
        assert torch.get_default_dtype() == usual
    finally:
        torch.set_default_dtype(before)
    for ours, theirs in zip([*loaded.parameters(), *loaded.buffers()], expected, strict=True):
        assert ours.dtype == theirs.dtype == torch.float32
        assert torch.equal(ours, theirs)


def test_it_is_nearly_perfect_at_every_noise_level():
    roll, ddpm = SwissRoll(), swiss_roll_ddpm().double()
    for t in (1, 10, 50, 100, 300, 1000):
        level = ddpm.schedule.alpha_bar[t].item()
        excess = roll.diffuse(level).expect(
            lambda x, level=level, t=t: (ddpm.network(x, t) - roll.expected_noise(x, level)).square().sum(-1)
        )
        assert excess < 0.005


def test_its_samples_are_nearly_true(generator):
    x = swiss_roll_ddpm("beta").sample(torch.randn(5000, 2, generator=generator), generator)
    assert binned_kl(x, SwissRoll()) < 0.01
    assert stray_share(x, SwissRoll()) < 0.008
    assert swiss_roll_ddpm("beta").variance == "beta"


def losses(kind: str, generator) -> tuple[float, float]:
    """What a VAE with one latent loses against the truth: in its model, and between model and bound. In nats."""
    roll, scalar = SwissRoll(), ScalarLatent(swiss_roll_vae(kind).double())
    x = roll.sample(400, generator, dtype=torch.float64)
    log_p = scalar.log_prob(x)
    return (roll.log_prob(x) - log_p).mean().item(), (log_p - scalar.elbo(x)).mean().item()


def test_the_guided_one_has_the_right_model_and_nearly_the_right_posterior(generator):
    model, gap = losses("guided", generator)
    assert abs(model) < 0.03
    assert 0 < gap < 0.02


def test_the_learned_one_loses_in_its_model(generator):
    """It explains the spiral as a wide blur, about which its encoder is right."""
    model, gap = losses("learned", generator)
    assert model > 0.8
    assert 0 < gap < 0.05


def test_the_samples_of_the_guided_one_are_nearly_true_and_those_of_the_learned_are_not(generator):
    like = torch.zeros(10_000, 2)
    guided, learned = (sample(swiss_roll_vae(kind), like, generator) for kind in ("guided", "learned"))
    assert stray_share(guided, SwissRoll()) < 0.01
    assert binned_kl(guided, SwissRoll()) < 0.01
    assert stray_share(learned, SwissRoll()) > 0.2


def test_no_bound_is_above_minus_the_entropy_and_sharpness_is_worth_it(generator):
    roll = SwissRoll()
    x = roll.sample(10_000, generator, dtype=torch.float64)
    bounds = {name: elbo(LOAD[name]().double(), x, generator) for name in BUILD if "vae" in name}
    for bound in bounds.values():
        assert bound.mean < -roll.entropy() + 3 * bound.standard_error
    for sharp in ("vae_sharp", "vae_guided", "hierarchical_vae_sharp", "hierarchical_vae_sharp_again"):
        learned = "hierarchical_vae_learned" if sharp.startswith("h") else "vae_learned"
        assert bounds[sharp].mean > bounds[learned].mean + 0.2


def test_put_on_the_spiral_the_decoder_is_the_uniform_distribution_on_it(generator):
    vae = VAE(latent=1, std=0.05, features=16, generator=torch.Generator().manual_seed(1))
    z = torch.linspace(-2.5, 2.5, 200).unsqueeze(-1)
    place = SwissRoll().spiral(0.5 + 0.5 * torch.erf(z[:, 0] / 2**0.5))

    def apart(vae):
        decoded, encoded = vae.generate(z).mean, vae.infer(place).mean
        return (decoded - place).norm(dim=-1).max(), (encoded - z).abs().median()

    far = apart(vae)
    assert put_on_spiral(vae, generator, steps=600) is None
    near = apart(vae)
    assert far[0] > 1
    assert near[0] < 0.15
    assert near[1] < 0.1 < far[1]


def test_the_way_to_the_spiral_follows_its_generator():
    made = [VAE(latent=1, features=16, generator=torch.Generator().manual_seed(1)) for _ in range(3)]
    for vae, seed in zip(made, (0, 0, 1), strict=True):
        put_on_spiral(vae, torch.Generator().manual_seed(seed), steps=5)
    first, same, other = ([*vae.parameters()] for vae in made)
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("load", [swiss_roll_vae, swiss_roll_hierarchical_vae])
@pytest.mark.parametrize("kind", ["blurred", "", "vae_learned", None])
def test_bad_input_is_named(load, kind):
    with pytest.raises((TypeError, ValueError), match=f"kind must be one of 'learned', .*, got .*{kind!r}"):
        load(kind)


def test_a_name_that_is_none_is_told_what_there_is():
    ask = [sys.executable, "-m", "diffusion_notes.pretrained", "ddpm", "vea"]
    done = subprocess.run(ask, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"there is no vea; NAME must be one of {', '.join(RECIPES)}" in done.stderr


# Targets without noise


def few(generator, count=400, points=60):
    """A model, some points in the plane, and examples made of them, apart."""
    model = precise()
    data = SwissRoll().sample(points, generator)
    examples = model.examples(data, count, generator)
    xt, t, weight, noise = examples.split((2, 1, 1, 2), -1)
    return model, data, xt.double(), t.squeeze(-1).long(), weight.squeeze(-1), noise.double()


def test_an_example_has_the_mean_of_the_noise_given_all_points(generator):
    """By Bayes' rule over the points, at every level, the near ones alone or all of them."""
    _, data, xt, t, _, noise = few(generator)
    assert t.min() < 10 < 500 < t.max()
    alpha_bar = schedule.alpha_bar[t].unsqueeze(-1)
    at = alpha_bar.sqrt() * xt.new_tensor(data.tolist()).unsqueeze(1)  # the mean of x_t for each point
    log_likelihood = -(xt - at).square().sum(-1) / (2 * (1 - alpha_bar.squeeze(-1)))
    posterior = log_likelihood.softmax(0)
    each = (xt - at) / (1 - alpha_bar).sqrt()
    expected = (posterior.unsqueeze(-1) * each).sum(0)
    # what is further away than four levels is left out
    torch.testing.assert_close(noise, expected, rtol=1e-3, atol=0.02)
    assert (noise - expected).abs().median() < 1e-5


def test_above_a_level_the_others_of_a_group_are_asked(monkeypatch, generator):
    """The mean over many examples is that of the noise, which is unbiased with groups of any size."""
    monkeypatch.setattr("diffusion_notes.pretrained.expected_noise._GROUP", 20)
    _, _, xt, t, _, noise = few(generator, 60_000)
    far = t > 300
    # E[ε · x_t] = sqrt(1 − ᾱ_t) E‖ε‖², however much of the noise in ε has been averaged away
    level = schedule.one_minus_alpha_bar[t][far].sqrt()
    products = (noise * xt).sum(-1)[far] / level
    assert abs(products.mean() - 2) < 4 * products.std() / len(products) ** 0.5


def test_examples_are_drawn_as_a_ddpm_draws_and_the_loss_is_what_it_says(generator):
    model, _, xt, t, weight, noise = few(generator, 3000)
    tables = model.t_sampling[1:]
    share = (tables.cumsum(0) / tables.sum())[99].item()
    assert (t <= 100).double().mean().item() == pytest.approx(share, abs=0.03)
    counted = 1000 * variational_weight(schedule, schedule.beta)[t] / (1000 * model.t_sampling[t] / tables.sum())
    torch.testing.assert_close(weight.double(), counted, rtol=1e-4, atol=0)
    examples = torch.cat((xt, t.unsqueeze(-1), weight.unsqueeze(-1), noise), -1).float()
    wrong = (noise - model.network(xt.float(), t)).square().sum(-1)
    torch.testing.assert_close(model.loss(examples).double(), (weight * wrong).mean(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("points", "count"), [(torch.zeros(0, 2), 3), (torch.zeros(5), 3), (torch.zeros(5, 2), 0)])
def test_examples_are_made_of_points(points, count):
    with pytest.raises(ValueError, match=r"(points|count) must"):
        precise().examples(points, count)


@pytest.mark.parametrize("seed", SEEDS)
def test_sixteen_calls_of_a_precise_network_are_enough_and_eight_nearly(seed):
    """Thresholds are those of the goal, and four standard errors of 20,000 samples."""
    model, roll = swiss_roll_precise_ddpm(seed), SwissRoll()
    start_at = 339  # κ = 1.5
    draws = torch.Generator().manual_seed(10 + seed)
    xT = start(schedule, torch.empty(20_000, 2), roll.sample(10_000, draws), start_at, draws)
    for calls, spacing, divergence, strays in ((16, "karras", 0.002, 0.0045), (8, "log_snr", 0.004, 0.008)):
        levels = choose_levels(schedule, calls, spacing, highest=start_at, rho=4, data_noise=roll.noise)
        *_, (_, x) = walk(model, xT, "dpmpp_3m", calls, levels=levels, data_noise=roll.noise)
        assert binned_kl(x, roll) < divergence + 4 * 0.0008
        assert stray_share(x, roll) < strays + 4 * (strays / len(x)) ** 0.5
