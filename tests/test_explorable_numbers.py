"""What the explorables compute in the page is what the package computes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from javascript import run
from scipy.stats import kstest
from torch.distributions import Normal, kl_divergence

from diffusion_notes import samplers
from diffusion_notes.chains import Affine, FreePosterior, LinearGaussianChain, ScalarLatent
from diffusion_notes.ddpm import DDPM
from diffusion_notes.diffusion import ForwardProcess
from diffusion_notes.explorables import BoundBars, Field, Reverse
from diffusion_notes.hierarchical_vae import splits
from diffusion_notes.metrics import stray_share
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.parameterisations import variational_constant, variational_weight
from diffusion_notes.pretrained import swiss_roll_ddpm
from diffusion_notes.samplers import choose_levels
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll

exactly = {"dtype": torch.float64}
SCHEDULES = {
    "Schedule.linear(1000)": Schedule.linear(1000),
    "Schedule.linear(50)": Schedule.linear(50),
    "Schedule.linear(1)": Schedule.linear(1),
    "Schedule.linear(7, 0.1, 0.3)": Schedule.linear(7, 0.1, 0.3),
    "Schedule.cosine(1000)": Schedule.cosine(1000),
}


# The gap


@pytest.mark.parametrize(("x", "m", "r"), [(1.2, 0.0, 1.0), (-0.7, 0.4, 0.3), (3.0, -2.0, 0.1)])
def test_the_gap_of_the_linear_decoder_is_the_closed_form(x, m, r):
    found = run("return numbers('line', x, m, r)", "maths", "drawing", "gap", x=x, m=m, r=r)
    point = torch.tensor([[x]], **exactly)
    chain = LinearGaussianChain([Affine.scalar(1.0, 0.5)], [Affine.scalar(0.0, r, bias=m)])
    assert found["evidence"] == pytest.approx(chain.log_prob(point).item(), abs=1e-9)
    assert found["bound"] == pytest.approx(chain.exact_elbo(point).total.item(), abs=1e-6)
    posterior = chain.posterior(point)
    truth = Normal(posterior.mean.squeeze(), posterior.stddev.squeeze())
    assert found["kl"] == pytest.approx(kl_divergence(Normal(m, r), truth).item(), abs=1e-6)


class Parabola:
    """The decoder that is bent."""

    length = 1

    def prior(self, like):
        return _normal(like, 0.0, 1.0)

    def generate(self, z, i=1):
        return _normal(z, z**2 / 2, 0.2)

    def infer(self, z, i=1):
        return self.prior(z)


def _normal(like, mean, std):
    one = torch.ones(len(like), 1, **exactly)
    return torch.distributions.Independent(Normal(mean * one, std * one), 1)


@pytest.mark.parametrize(("x", "m", "r"), [(1.0, 1.36, 0.15), (1.0, -1.36, 0.15), (0.0, 0.0, 0.5)])
def test_the_gap_of_the_parabola_is_the_packages(x, m, r):
    found = run("return numbers('parabola', x, m, r)", "maths", "drawing", "gap", x=x, m=m, r=r)
    point = torch.tensor([[x]], **exactly)
    line, free = ScalarLatent(Parabola()), FreePosterior(Parabola(), torch.full((1, 1), m, **exactly), r)
    assert found["evidence"] == pytest.approx(line.log_prob(point).item(), abs=1e-6)
    assert found["bound"] == pytest.approx(ScalarLatent(free).elbo(point).item(), abs=1e-6)
    assert found["evidence"] - found["bound"] == pytest.approx(found["kl"], abs=1e-6)


# Two layers


@pytest.mark.parametrize(
    ("x", "a", "c"), [(1.2, 0.5, 0.5), (1.2, 0.99, 0.99), (-0.4, 0.9, -0.7), (2.0, -0.3, 0.8), (0.0, 0.0, 0.0)]
)
def test_the_splits_of_two_layers_are_the_packages(x, a, c):
    found = run("return splits(x, a, c)", "maths", "drawing", "layers", x=x, a=a, c=c)
    p = [Affine.scalar(1.0, 0.5), Affine.scalar(a, math.sqrt(1 - a**2))]
    q = [Affine.scalar(0.8, math.sqrt(0.2)), Affine.scalar(c, math.sqrt(1 - c**2))]
    it = splits(LinearGaussianChain(p, q), torch.tensor([[x]], **exactly))
    truth = {"logProb": it.log_prob, "bound": it.elbo, "turned": it.posterior_form}
    truth |= {"printed": it.printed, "repaired": it.repaired}
    assert found == {name: pytest.approx(value.item(), abs=1e-9) for name, value in truth.items()}


# The terms of the bound


@pytest.mark.parametrize("kind", ["beta", "tilde", "best"])
def test_the_terms_of_the_bound_are_the_packages(kind):
    schedule = Schedule.linear(1000)
    generator = torch.Generator().manual_seed(0)
    loss, own = torch.rand(2, 1001, generator=generator, **exactly)
    found = run(
        "return boundTerms(Schedule.linear(1000), loss, own, kind).slice(1)",
        "maths",
        "drawing",
        "bound_bars",
        loss=loss.tolist(),
        own=own.tolist(),
        kind=kind,
    )
    beta, alpha = schedule.beta, schedule.alpha
    best = schedule.beta_tilde + beta**2 / alpha / schedule.one_minus_alpha_bar * loss / 2
    sigma = {"beta": beta, "tilde": schedule.sigma_tilde.square(), "best": best}[kind]
    weight, constant = variational_weight(schedule, sigma), variational_constant(schedule, sigma, dim=2)
    truth = {"weight": weight, "constant": constant, "floor": weight * loss, "extra": weight * own}
    truth["total"] = weight * (loss + own) + constant
    for name, table in truth.items():
        each = torch.tensor([term[name] for term in found], **exactly)
        torch.testing.assert_close(each, table[1:], rtol=1e-9, atol=1e-12)


def test_the_areas_of_the_bars_are_their_values():
    """Integrated over ln t from the corners, whatever the function says that they are."""
    values = torch.rand(1001, generator=torch.Generator().manual_seed(0), **exactly)
    tops = run("return barTops(values)", "maths", "drawing", "bound_bars", values=values.tolist())
    x, y = np.array(tops["xs"]), np.array(tops["ys"])
    assert (x[0], x[-1]) == pytest.approx((math.log(1.5), math.log(1000.5)))
    assert (np.diff(x) >= 0).all()
    assert np.interp(np.log([2, 10, 1000]), x, y) == pytest.approx(
        [values[t].item() / math.log((t + 0.5) / (t - 0.5)) for t in (2, 10, 1000)]
    )
    whole, few = np.trapezoid(y, x), np.trapezoid(y[:18], x[:18])  # the first nine bars are t = 2, ..., 10
    assert (whole, few) == pytest.approx((values[2:].sum().item(), values[2:11].sum().item()))


@pytest.mark.parametrize("top", [0.7, 1.0, 1.6, 3.2, 9.9, 42.0])
def test_the_axis_of_the_bars_has_a_few_round_numbers(top):
    step = run("return heightStep(top)", "maths", "drawing", "bound_bars", top=top)
    assert 2 <= top / step <= 5


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"schedule": None}, TypeError, "schedule must be a Schedule, got NoneType"),
        ({"schedule": Schedule.cosine(10)}, ValueError, "schedule must be linear"),
        ({"smallest_loss": np.ones(11)}, ValueError, r"smallest_loss must have shape \(10,\), got \(11,\)"),
        ({"own_error": -np.ones(10)}, ValueError, "own_error must not be negative"),
        ({"smallest_loss": np.arange(10.0)}, ValueError, "smallest_loss must be positive"),
        ({"own_error": np.full(10, np.nan)}, ValueError, "own_error must be finite"),
        ({"own_error": "none"}, TypeError, "own_error must be an array of numbers"),
        ({"prior": math.inf}, ValueError, "prior must be finite"),
        ({"entropy": "much"}, TypeError, "entropy must be a number"),
    ],
)
def test_what_does_not_fit_the_bound_is_named(change, error, words):
    given = {"schedule": Schedule.linear(10), "smallest_loss": np.ones(10), "own_error": np.zeros(10)}
    with pytest.raises(error, match=words):
        BoundBars(**({"prior": 0.0, "entropy": 0.5} | given | change))


# Schedules and posteriors


@pytest.mark.parametrize("code", SCHEDULES)
def test_a_schedule_is_the_packages(code):
    schedule = SCHEDULES[code]
    found = run(f"const s = {code}; return [...s.beta, ...s.alphaBar, ...s.noise, ...s.betaTilde]", "maths")
    tables = (schedule.beta, schedule.alpha_bar, schedule.one_minus_alpha_bar, schedule.beta_tilde)
    np.testing.assert_allclose(found, torch.cat(tables).numpy(), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("t", [2, 3, 57, 999, 1000])
def test_the_forward_posterior_is_the_packages(t):
    xt, x0 = 1.7, -0.4
    found = run("return Schedule.linear(1000).posterior(xt, x0, t)", "maths", xt=xt, x0=x0, t=t)
    q = ForwardProcess(Schedule.linear(1000)).posterior(*(torch.tensor([[v]], **exactly) for v in (xt, x0)), t)
    assert found["mean"] == pytest.approx(q.mean.item(), rel=1e-9)
    assert found["variance"] == pytest.approx(q.variance.item(), rel=1e-9)


@pytest.mark.parametrize("steps", [1000, 250, 50, 7, 1])
def test_a_thinned_schedule_has_the_same_noise_levels(steps):
    found = run("return [...Schedule.linear(1000).thinned(steps).alphaBar]", "maths", steps=steps)
    times = [math.floor(i * 1000 / steps + 0.5) for i in range(steps + 1)]
    np.testing.assert_allclose(found, Schedule.linear(1000).alpha_bar[times], rtol=1e-9)


def test_a_divergence_is_torchs():
    found = run("return divergence(0.3, 0.5, -1, 2)", "maths")
    truth = kl_divergence(Normal(0.3, 0.5**0.5), Normal(-1.0, 2**0.5))
    assert found == pytest.approx(truth.item(), rel=1e-6)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (0.5, "0.500"),
        (-7.3725, "−7.37"),
        (999.4, "999"),
        (24776.3, "24776"),
        (0.001, "0.00100"),
        (0.000147, "1.47·10⁻⁴"),
        (-9.999e-11, "−1.00·10⁻¹⁰"),
    ],
)
def test_a_number_is_said_with_three_digits_that_count(value, said):
    assert run("return significant(value)", "maths", "drawing", value=value) == said
    assert run("return significant(1 / 0)", "maths", "drawing") == "∞"


# The swiss roll


@pytest.mark.parametrize("t", [1, 10, 60, 400, 1000])
def test_the_expected_noise_is_the_packages(t):
    places = (
        SwissRoll().diffuse(Schedule.linear(1000).alpha_bar[t]).sample(20, torch.Generator().manual_seed(t), **exactly)
    )
    found = run(
        "const roll = new SwissRoll(); return places.map(([x, y]) => roll.given(x, y, alphaBar))",
        "maths",
        places=places.tolist(),
        alphaBar=Schedule.linear(1000).alpha_bar[t].item(),
    )
    level = Schedule.linear(1000).alpha_bar[t].item()
    noise = SwissRoll().expected_noise(places, level)
    torch.testing.assert_close(torch.tensor([f["noise"] for f in found], **exactly), noise, rtol=1e-6, atol=1e-6)
    x0 = (places - (1 - level) ** 0.5 * noise) / level**0.5
    torch.testing.assert_close(torch.tensor([f["x0"] for f in found], **exactly), x0, rtol=1e-6, atol=1e-4)
    log = SwissRoll().diffuse(level).log_prob(places)
    torch.testing.assert_close(torch.tensor([f["log"] for f in found], **exactly), log, rtol=1e-6, atol=1e-6)
    assert all(sum(f["share"].values()) == pytest.approx(1) for f in found)


def test_random_numbers_are_those_of_their_laws_and_of_their_seed():
    code = "const r = new Random(seed); return [Array.from({length: 4000}, () => r.uniform()), [...r.normals(4000)]]"
    uniform, normal = run(code, "maths", seed=1)
    assert kstest(uniform, "uniform").pvalue > 0.01
    assert kstest(normal, "norm").pvalue > 0.01
    assert run(code, "maths", seed=1) == [uniform, normal]
    assert run(code, "maths", seed=2)[0] != uniform


def test_samples_of_the_roll_lie_on_it():
    code = "const r = new Random(3), roll = new SwissRoll(); return Array.from({length: 3000}, () => roll.sample(r))"
    found = run(code, "maths")
    points = torch.tensor([[f["x"], f["y"]] for f in found], **exactly)
    assert kstest([f["u"] for f in found], "uniform").pvalue > 0.01
    surprise = -SwissRoll().log_prob(points)
    assert abs(surprise.mean() - SwissRoll().entropy()) < 4 * surprise.std() / len(points) ** 0.5


# The network


def other_network() -> NoiseMLP:
    """One of another shape, with a last layer that is not zero."""
    generator = torch.Generator().manual_seed(5)
    network = NoiseMLP(Schedule.linear(20, 0.01, 0.3), width=13, depth=2, features=5, data_std=0.6, generator=generator)
    torch.nn.init.normal_(network.layers[-1].weight, generator=generator)
    return network


@pytest.mark.parametrize(("make", "count"), [(lambda: swiss_roll_ddpm().network, 101), (other_network, 1)])
def test_the_networks_forward_pass_is_torchs(make, count):
    network = make()
    x = 2 * torch.randn(count, 2, generator=torch.Generator().manual_seed(0))
    times = [1, 2, 7, network.schedule.T // 2, network.schedule.T]
    state = Field(network, t=1).state()
    found = run(
        "const net = trainedNetwork(weights, settings), at = Float32Array.from(x);"
        "return times.map((t) => Array.from(net.predict(at, t)))",
        "maths",
        x=x.flatten().tolist(),
        times=times,
        **{name: state[name] for name in ("weights", "settings")},
    )
    with torch.no_grad():
        truth = torch.stack([network(x, t) for t in times])
    torch.testing.assert_close(torch.tensor(found).reshape(truth.shape), truth, rtol=1e-5, atol=1e-5)


WALKS = {
    "ancestral, beta tilde": ("ancestral", 1000, 0.0, "beta_tilde"),
    "ancestral, beta": ("ancestral", 1000, 0.0, "beta"),
    "ancestral, few": ("ancestral", 7, 0.0, "beta_tilde"),
    "ancestral, few, beta": ("ancestral", 10, 0.0, "beta"),
    "ddim": ("ddim", 16, 0.0, "beta_tilde"),
    "ddim, one call": ("ddim", 1, 0.0, "beta"),
    "ddim, with noise": ("ddim", 16, 0.6, "beta"),
    "ddim, with all of it": ("ddim", 9, 1.0, "beta"),
    "heun, even": ("heun", 16, 0.0, "beta_tilde"),
    "heun, odd": ("heun", 9, 0.0, "beta_tilde"),
    "heun, one call": ("heun", 1, 0.0, "beta_tilde"),
    "dpmpp_2m": ("dpmpp_2m", 16, 0.0, "beta_tilde"),
    "dpmpp_2m, many": ("dpmpp_2m", 250, 0.0, "beta_tilde"),
    "dpmpp_3m": ("dpmpp_3m", 16, 0.0, "beta_tilde"),
    "dpmpp_3m, three calls": ("dpmpp_3m", 3, 0.0, "beta_tilde"),
}
SCRIPTS = ("maths", "sampling", "drawing", "reverse")
SPACINGS = ["thinned", "uniform", "log_snr", "karras"]
STATE = {name: Reverse(swiss_roll_ddpm().network).state()[name] for name in ("weights", "settings")}
WALKED = """
    const net = trainedNetwork(weights, settings), random = new Random(9);
    const levels = chooseLevels(net.schedule, levelCount(method, calls), spacing);
    const task = { method, calls, levels, eta, variance, seed: 9, points: Float32Array.from(start) };
    const states = [...walk(net, task)].map((points) => Array.from(points));
    return { levels, states, draws: levels.map(() => Array.from(random.normals(start.length))) };
"""


def levels_of(schedule: Schedule, count: int, spacing: str) -> list[int]:
    if spacing != "thinned":
        return choose_levels(schedule, count, spacing)
    return choose_levels(schedule, count, lowest=round(schedule.T / count)) if count > 1 else [schedule.T]


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("name", [name for name in WALKS if WALKS[name][1] < 1000] + ["ancestral, beta tilde"])
def test_a_walk_with_the_same_draws_is_the_packages(monkeypatch, name, spacing):
    """In the package's single precision, of numbers that are up to a few hundred in the variables of the steps."""
    method, calls, eta, variance = WALKS[name]
    model = swiss_roll_ddpm(variance)
    start = torch.randn(6, 2, generator=torch.Generator().manual_seed(1))
    given = {"method": method, "calls": calls, "eta": eta, "spacing": spacing, "start": start.flatten().tolist()}
    kind = {"beta": "beta", "beta_tilde": "tilde"}[variance]
    found = run(WALKED, "maths", "sampling", **given, variance=kind, **STATE)
    draws = iter(torch.tensor(found["draws"]).reshape(-1, 6, 2))
    monkeypatch.setattr(samplers, "randn_like", lambda like, generator: next(draws))
    count = calls // 2 + 1 if method == "heun" else calls
    assert found["levels"] == levels_of(model.schedule, count, spacing)
    walked = list(samplers.walk(model, start, method, calls, eta, found["levels"]))[1:]
    truth = torch.stack([x for _, x in walked])
    assert [t for t, _ in walked] == [*found["levels"][::-1][1:], 0]
    states = torch.tensor(found["states"]).reshape(truth.shape)
    torch.testing.assert_close(states, truth, rtol=0, atol=1e-3 if calls == 1000 else 1e-4)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_levels_are_the_packages(spacing):
    """Also where a half is rounded, and where neighbours would fall on one step."""
    for schedule, counts in (("Schedule.linear(1000)", range(1, 1000, 7)), ("Schedule.linear(50)", range(1, 51))):
        code = f"return counts.map((count) => chooseLevels({schedule}, count, spacing))"
        found = run(code, "maths", "sampling", counts=list(counts), spacing=spacing)
        assert found == [levels_of(SCHEDULES[schedule], count, spacing) for count in counts]


def test_a_walk_can_begin_at_any_level():
    found = run(
        "return [1, 4, 40].map((n) => chooseLevels(Schedule.linear(50), n, 'log_snr', 40))", "maths", "sampling"
    )
    assert found == [choose_levels(Schedule.linear(50), n, "log_snr", highest=40) for n in (1, 4, 40)]


def test_without_the_noise_of_its_steps_ancestral_sampling_follows_their_mean():
    """Each step is the mean of a DDPM whose schedule has these steps only; that is another walk than DDIM's."""
    network = swiss_roll_ddpm().network
    given = {"method": "ancestral", "calls": 10, "eta": 0, "spacing": "thinned", "start": [0.3, -1.1]}
    found = run(WALKED, "maths", "sampling", variance="none", **given, **STATE)
    times = [0, *found["levels"]]
    assert times == list(range(0, 1001, 100))
    alpha_bar = network.schedule.alpha_bar[times]
    beta = torch.cat((torch.zeros(1, **exactly), 1 - alpha_bar[1:] / alpha_bar[:-1]))
    ddpm = DDPM(lambda x, t: network(x, times[t]), Schedule(beta))
    x, walked = torch.tensor([[0.3, -1.1]]), []
    with torch.no_grad():
        for t in range(10, 0, -1):
            x = ddpm.step(x, t).mean
            walked.append(x.flatten().tolist())
    np.testing.assert_allclose(found["states"], walked, atol=1e-4)
    ddim = samplers.sample(DDPM(network, network.schedule), torch.tensor([[0.3, -1.1]]), calls=10, levels=times[1:])
    assert (ddim - torch.tensor(walked[-1])).norm() > 0.1


def test_what_the_chapter_says_of_the_reverse_process():
    """One start finds the whole spiral; without noise all end at one place; ten steps are few, a hundred are many."""
    code = """
        const net = trainedNetwork(weights, settings);
        return walks.map(([start, variance, calls]) => {
          const points = startingPoints(start, [0.5, -0.5], new Random(1)).slice(0, 400);
          const levels = chooseLevels(net.schedule, calls, "thinned");
          const ends = [...walk(net, { method: "ancestral", levels, variance, seed: 1001, points })].at(-1);
          return { ...onSpiral(ends, new SwissRoll()), ends: Array.from(ends) };
        });"""
    walks = [("one", "beta", 100), ("normal", "none", 100), ("normal", "beta", 10), ("normal", "beta", 100)]
    walks += [("normal", "beta", 1000), ("ring", "none", 100)]
    one, still, ten, hundred, thousand, ring = run(code, *SCRIPTS, walks=walks, **STATE)
    assert min(one["quarters"]) > 0.2
    for found in (still, ring):
        ends = torch.tensor(found["ends"]).reshape(-1, 2)
        near = (ends - ends.median(0).values).norm(dim=1) < 0.2
        assert near.double().mean() > 0.95
    assert ten["off"] > 0.2
    assert hundred["off"] < 0.02
    assert thousand["off"] < 0.02
    assert min(hundred["quarters"]) > 0.2


def test_the_share_off_the_spiral_is_the_packages():
    points = SwissRoll(noise=0.08).sample(2000, torch.Generator().manual_seed(2), **exactly)
    found = run("return onSpiral(points, new SwissRoll())", *SCRIPTS, points=points.flatten().tolist())
    assert found["off"] == pytest.approx(
        stray_share(points, SwissRoll()), abs=1e-3
    )  # a point or two at the very border
    quarters = torch.histc(SwissRoll().nearest(points)[0], 4, 0, 1) / len(points)
    assert found["quarters"] == pytest.approx(quarters.tolist(), abs=1e-3)


@pytest.mark.parametrize("kind", [Field, Reverse])
@pytest.mark.parametrize(
    ("network", "error", "words"),
    [
        (None, TypeError, "network must be a NoiseMLP, got NoneType"),
        (torch.nn.Linear(2, 2), TypeError, "network must be a NoiseMLP, got Linear"),
        (NoiseMLP(Schedule.linear(10), dim=3), ValueError, "in the plane, got one for 3 coordinates"),
        (NoiseMLP(Schedule.cosine(10)), ValueError, "schedule must be linear"),
    ],
)
def test_a_network_that_does_not_fit_is_refused(kind, network, error, words):
    with pytest.raises(error, match=words):
        kind(network)


@pytest.mark.parametrize(("t", "error"), [(0, ValueError), (1001, ValueError), (1.5, TypeError), (True, TypeError)])
def test_a_step_that_is_none_is_refused(t, error):
    with pytest.raises(error, match="t must be"):
        Field(swiss_roll_ddpm().network, t=t)
