"""Guidance on a line: the densities and divergences of the page are those of the package's steps, and w is dragged."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
import torch
from browser import number
from javascript import run
from scipy.stats import kstest
from torch.testing import assert_close

from diffusion_notes import samplers
from diffusion_notes.data import GaussianMixture
from diffusion_notes.ddpm import DDPM
from diffusion_notes.explorables import Guided
from diffusion_notes.samplers import choose_levels
from diffusion_notes.schedule import Schedule

SCRIPTS = ("maths", "sampling", "drawing", "guided")
SCHEDULE = Schedule.linear(1000)
LEVELS = choose_levels(SCHEDULE, 100, "log_snr")
float64 = {"dtype": torch.float64}


def gaussians(centres: list[float], width: float) -> GaussianMixture:
    mean = torch.tensor(centres, **float64).unsqueeze(-1)
    return GaussianMixture(torch.zeros(len(mean), **float64), mean, torch.tensor([width**2], **float64))


DATA = {
    "overlap": (gaussians([-1.0, 1.0], 0.5), gaussians([1.0], 0.5)),
    "apart": (gaussians([-1.0, 1.0], 0.15), gaussians([1.0], 0.15)),
    "nested": (gaussians([0.0], 1.0), gaussians([1.0], 0.5)),
}
each_data = pytest.mark.parametrize("data", DATA)
each_weight = pytest.mark.parametrize("w", [0.0, 0.5, 1.0, 3.0, 8.0])


def model(data: str, w: float) -> DDPM:
    """A perfect network's noise with and without c, put together with the weight w."""
    without, given = (samplers.ExactNoise(law, SCHEDULE) for law in DATA[data])
    return DDPM(lambda xt, t: (1 - w) * without(xt, t) + w * given(xt, t), SCHEDULE, "beta_tilde")


def walked(data: str, w: float, xT: torch.Tensor, sampler: str, seed: int = 0) -> torch.Tensor:
    method = {"ode": "ddim", "sde": "ancestral"}[sampler]
    generator = torch.Generator().manual_seed(seed)
    return samplers.sample(model(data, w), xT, method, 100, levels=LEVELS, generator=generator)


def log_tilted(data: str, w: float):
    """By a quadrature of its own."""
    every, given = DATA[data]
    x = torch.linspace(-7, 7, 20_001, **float64).unsqueeze(-1)

    def log(x: torch.Tensor) -> torch.Tensor:
        return (1 - w) * every.log_prob(x) + w * given.log_prob(x)

    constant = (log(x).logsumexp(0) + math.log(14 / 20_000)).item()
    return lambda x: log(x) - constant


def numbers(data: str, sampler: str, w: float) -> dict:
    code = "const { xs, logs, ...rest } = guided(data, sampler, w); return { ...rest, xs: [...xs], logs: [...logs] }"
    return run(code, *SCRIPTS, data=data, sampler=sampler, w=w)


# The numbers


@each_data
@each_weight
def test_the_noise_and_its_slope_are_the_packages(data, w):
    y = torch.linspace(-3, 3, 31, **float64).unsqueeze(-1)
    times = [1, 60, 300, 1000]
    code = """
    const kappa = (t) => Math.sqrt(SCHEDULE.noise[t] / SCHEDULE.alphaBar[t]);
    return times.map((t) => ys.map((y) => guidedNoise(DATA_SETS[data], w, y, kappa(t))));
    """
    found = run(code, *SCRIPTS, data=data, w=w, times=times, ys=y.flatten().tolist())
    for t, each in zip(times, found, strict=True):
        root = SCHEDULE.alpha_bar[t].sqrt()
        xt = (root * y).requires_grad_()
        noise = model(data, w).predict(xt, t)
        (slope,) = torch.autograd.grad(noise.sum(), xt)
        truth = {"noise": noise, "slope": root * slope}
        for key, law in zip(("log", "logGiven"), DATA[data], strict=True):
            truth[key] = law.diffuse(SCHEDULE.alpha_bar[t].item()).log_prob(root * y) + root.log()
        for key, value in truth.items():
            assert_close(torch.tensor([it[key] for it in each], **float64), value.flatten(), rtol=1e-9, atol=1e-9)


@each_data
@each_weight
def test_the_tilted_density_is_the_packages(data, w):
    x = torch.linspace(-2, 2, 9, **float64)
    code = "const q = DATA_SETS[data]; return xs.map((x) => logTilted(q, w, x) - logNormaliser(q, w))"
    found = torch.tensor(run(code, *SCRIPTS, data=data, w=w, xs=x.tolist()), **float64)
    assert_close(found, log_tilted(data, w)(x.unsqueeze(-1)), rtol=1e-9, atol=1e-9)


@each_data
@each_weight
def test_the_steps_of_the_ode_and_the_density_that_they_carry_are_the_packages(data, w):
    z = torch.linspace(-2.5, 2.5, 21, **float64)
    code = "const { xs, logs } = alongOde(DATA_SETS[data], w, Float64Array.from(z)); return [[...xs], [...logs]]"
    ends, logs = torch.tensor(run(code, *SCRIPTS, data=data, w=w, z=z.tolist()), **float64)
    xT = z.unsqueeze(-1)
    truth = walked(data, w, xT, "ode").flatten()
    assert_close(ends, truth, rtol=0, atol=1e-9)
    with torch.enable_grad():
        slope = torch.autograd.functional.jvp(lambda x: _with_gradient(data, w, x), xT, torch.ones_like(xT))[1]
    density = torch.distributions.Normal(0.0, 1.0).log_prob(z) - slope.flatten().abs().log()
    assert_close(logs, density, rtol=1e-9, atol=1e-7)


def _with_gradient(data: str, w: float, x: torch.Tensor) -> torch.Tensor:
    """The same walk, step by step, where a gradient may pass."""
    for t, s in zip(LEVELS[::-1], [*LEVELS[-2::-1], 0], strict=True):
        noise = model(data, w).predict(x, t)
        signal, kept = SCHEDULE.alpha_bar[t], SCHEDULE.alpha_bar[s]
        x0 = (x - (1 - signal).sqrt() * noise) / signal.sqrt()
        x = kept.sqrt() * x0 + (1 - kept).sqrt() * noise
    return x


@each_data
@each_weight
def test_the_divergences_of_the_ode_are_those_of_its_ends(data, w):
    """An own quadrature over a hundred thousand starts."""
    found = numbers(data, "ode", w)
    z = torch.linspace(-6, 6, 100_001, **float64)
    ends = walked(data, w, z.unsqueeze(-1), "ode")
    weight = torch.distributions.Normal(0.0, 1.0).log_prob(z).exp()
    weight /= weight.sum()
    slope = torch.gradient(ends.flatten(), spacing=(z,))[0]
    log_density = torch.distributions.Normal(0.0, 1.0).log_prob(z) - slope.abs().log()
    tilted = (weight * (log_density - log_tilted(data, w)(ends))).sum().item()
    given = (weight * (log_density - DATA[data][1].log_prob(ends))).sum().item()
    assert found["fromTilted"] == pytest.approx(tilted, abs=5e-4)
    assert found["fromGiven"] == pytest.approx(given, rel=1e-3, abs=5e-4)
    mean = (weight * ends.flatten()).sum().item()
    assert found["mean"] == pytest.approx(mean, abs=5e-4)
    assert found["std"] == pytest.approx((weight * (ends.flatten() - mean) ** 2).sum().sqrt().item(), abs=5e-4)


@each_data
@each_weight
def test_the_density_of_the_sde_is_that_of_its_draws(data, w):
    found = numbers(data, "sde", w)
    xs, density = torch.tensor(found["xs"], **float64), torch.tensor(found["logs"], **float64).exp()
    rising = torch.cumulative_trapezoid(density, xs)
    assert rising[-1].item() == pytest.approx(1, abs=1e-6)
    xT = torch.randn(4000, 1, generator=torch.Generator().manual_seed(3), **float64)
    ends = walked(data, w, xT, "sde", seed=4).flatten().sort().values
    place = torch.searchsorted(xs, ends).clamp(1, len(xs) - 1)
    part = ((ends - xs[place - 1]) / (xs[place] - xs[place - 1])).clamp(0, 1)
    before = torch.cat((torch.zeros(1, **float64), rising))
    rank = before[place - 1] + part * (before[place] - before[place - 1])
    assert kstest(rank.numpy(), "uniform").pvalue > 1e-3


@each_weight
@pytest.mark.parametrize("sampler", ["ode", "sde"])
def test_where_all_is_gaussian_the_divergences_are_closed_forms(sampler, w):
    """A step is linear, so mean and variance follow from those before."""
    kappa = [*(SCHEDULE.kappa[t].item() for t in LEVELS[::-1]), 0.0]
    mean, variance = 0.0, 1 + kappa[0] ** 2
    for now, below in pairwise(kappa):
        new = below * math.sqrt(1 - (below / now) ** 2) if sampler == "sde" else 0.0
        change = math.sqrt(below**2 - new**2) - now
        slope = 1 + change * now * ((1 - w) / (1 + now**2) + w / (0.25 + now**2))
        mean = slope * mean - change * now * w / (0.25 + now**2)
        variance = slope**2 * variance + new**2
    found = numbers("nested", sampler, w)
    assert found["mean"] == pytest.approx(mean, abs=1e-6)
    assert found["std"] == pytest.approx(math.sqrt(variance), abs=1e-6)
    total = 0.25 + 0.75 * w
    for name, m, v in (("fromTilted", w / total, 0.25 / total), ("fromGiven", 1.0, 0.25)):
        kl = ((mean - m) ** 2 / v + variance / v - 1 - math.log(variance / v)) / 2
        assert found[name] == pytest.approx(kl, abs=1e-6)


@each_data
def test_it_is_the_tilted_density_without_guidance_and_with_that_of_the_model_and_no_other(data):
    for sampler in ("ode", "sde"):
        at = {w: numbers(data, sampler, w)["fromTilted"] for w in (0.0, 0.5, 1.0, 3.0)}
        assert max(at[0.0], at[1.0]) < 0.004  # what the steps, which are finite, leave
        assert min(at[0.5], at[3.0]) > 0.01


# The still picture


@pytest.mark.parametrize("sampler", ["ode", "sde"])
@each_data
def test_the_still_picture_is_drawn_where_the_live_one_is(data, sampler):
    svg = ElementTree.fromstring(Guided(3.0, sampler, data).still_picture())
    (drawn,) = (path for path in svg.iter("path") if path.attrib["stroke"] == "#D55E00")
    places = re.findall(r"(\d+),(\d+)", drawn.attrib["d"])
    highest = min(places, key=lambda place: int(place[1]))
    found = numbers(data, sampler, 3.0)
    peak = found["xs"][max(range(len(found["xs"])), key=found["logs"].__getitem__)]
    assert -2.5 + (int(highest[0]) - 10) / 640 * 5.8 == pytest.approx(peak, abs=0.25)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"w": -0.1}, ValueError, "w must be between"),
        ({"w": 8.1}, ValueError, "w must be between"),
        ({"w": "much"}, TypeError, "w must be"),
        ({"sampler": "heun"}, ValueError, "sampler must be one of"),
        ({"data": "roll"}, ValueError, "data must be one of"),
    ],
)
def test_it_starts_within_its_controls(change, error, words):
    with pytest.raises(error, match=words):
        Guided(**change)


# In the page


def says(page) -> list[float]:
    """w, the divergences from the tilted density and from that given c, and two means and standard deviations."""
    text = page.locator("output").inner_text()
    return [number(n) for n in re.findall(r"−?\d+(?:\.\d+)?(?:·10⁻[⁰¹²³⁴⁵⁶⁷⁸⁹]+)?", text)]


def slider(page):
    return page.locator("label", has=page.get_by_text("Weight, w", exact=True)).locator("input")


def check_says(page, data: str, sampler: str, w: float) -> None:
    truth, found = numbers(data, sampler, w), says(page)
    assert found[0] == w
    assert found[1] == pytest.approx(truth["fromTilted"], abs=5.1e-4)
    assert found[2] == pytest.approx(truth["fromGiven"], abs=5.1e-4)
    assert found[3] == pytest.approx(truth["mean"], abs=5.1e-3)
    assert found[4] == pytest.approx(truth["std"], rel=0.06)
    x = torch.linspace(-6, 6, 4001, **float64)
    density = log_tilted(data, w)(x.unsqueeze(-1)).exp()
    mean = torch.trapezoid(density * x, x)
    assert found[5] == pytest.approx(mean.item(), abs=6e-3)
    assert found[6] == pytest.approx(torch.trapezoid(density * (x - mean) ** 2, x).sqrt().item(), rel=0.06)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_says_what_the_package_computes(show, scheme):
    page = show(Guided(), scheme)
    check_says(page, "overlap", "ode", 3.0)
    slider(page).focus()
    page.keyboard.press("ArrowLeft")
    check_says(page, "overlap", "ode", 2.95)
    page.get_by_role("combobox", name="Steps of").select_option("sde")
    check_says(page, "overlap", "sde", 2.95)
    page.get_by_role("combobox", name="The data").select_option("nested")
    check_says(page, "nested", "sde", 2.95)
    slider(page).fill("8")
    page.get_by_role("combobox", name="Steps of").select_option("ode")
    check_says(page, "nested", "ode", 8.0)
    assert page.complaints == []


def test_the_curve_is_filled_while_the_page_stays_free(show):
    page = show(Guided())
    root = page.locator("[data-explorable]")
    page.wait_for_function("root => root.dataset.known == 33", arg=root.element_handle())
    page.get_by_role("combobox", name="The data").select_option("apart")
    page.wait_for_function("root => root.dataset.known == 33", arg=root.element_handle())
    page.get_by_role("combobox", name="The data").select_option("overlap")
    assert root.get_attribute("data-known") == "33"  # what is known stays known
    longest = page.evaluate("""() => new Promise((done) => {
        const select = document.querySelectorAll("select")[0];
        select.value = "sde";
        select.dispatchEvent(new Event("change"));
        let [last, longest, count] = [performance.now(), 0, 0];
        const look = (now) => {
            longest = Math.max(longest, now - last);
            last = now;
            if (document.querySelector("[data-explorable]").dataset.known === "33") done(longest);
            else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    })""")
    assert longest < 1000


def test_the_weight_is_dragged_along_the_curve(show):
    page = show(Guided())
    box = page.locator("canvas").last.bounding_box()
    page.mouse.click(box["x"] + 40 + (box["width"] - 52) / 2, box["y"] + 60)
    assert says(page)[0] == pytest.approx(4, abs=0.06)


def test_every_choice_changes_the_picture(show):
    page = show(Guided(w=2))
    picture = "document.querySelector('canvas').toDataURL()"
    seen = [page.evaluate(picture)]
    for name, value in (("Steps of", "sde"), ("The data", "apart"), ("The data", "nested")):
        page.get_by_role("combobox", name=name).select_option(value)
        seen.append(page.evaluate(picture))
    slider(page).fill("4")
    seen.append(page.evaluate(picture))
    assert len(set(seen)) == 5
