"""Paths on a line: what the page computes is what the package does, and the start is dragged by all means."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from browser import number
from javascript import run
from scipy.stats import kstest
from torch.testing import assert_close

from diffusion_notes import samplers
from diffusion_notes.data import Peaks
from diffusion_notes.ddpm import DDPM
from diffusion_notes.explorables import Paths
from diffusion_notes.samplers import choose_levels
from diffusion_notes.schedule import Schedule

SCRIPTS = ("maths", "peaks", "sampling", "drawing", "paths")
SCHEDULE = Schedule.linear(1000)
LEVELS = SCHEDULE.alpha_bar
float64 = {"dtype": torch.float64}
each_share = pytest.mark.parametrize("share", [0.5, 0.8])


def model(share: float) -> DDPM:
    """A perfect network, with the small variance."""
    return DDPM(lambda xt, t: Peaks(share=share).expected_noise(xt, LEVELS[t].item()), SCHEDULE)


def cdf(share: float, t: int, x: torch.Tensor) -> torch.Tensor:
    """The rank of x in q(x_t)."""
    level = LEVELS[t]
    std = (level * 0.15**2 + 1 - level).sqrt()
    parts = [torch.special.ndtr((x - side * level.sqrt()) / std) for side in (-1, 1)]
    return (1 - share) * parts[0] + share * parts[1]


# The numbers


@each_share
def test_density_score_and_rank_are_the_packages(share):
    x = torch.linspace(-2.5, 2.5, 51, **float64)
    times = [0, 1, 7, 60, 200, 500, 1000]
    code = """
    return times.map((t) => { const q = peaks(t, share);
      return xs.map((x) => [mixture(q, x), expectedNoise(q, t, x), rank(q, x)]); });
    """
    found = torch.tensor(run(code, *SCRIPTS, times=times, xs=x.tolist(), share=share), **float64)
    for t, (density, noise, rank) in zip(times, found.movedim(-1, 1), strict=True):
        q = Peaks(share=share).diffuse(LEVELS[t].item())
        assert_close(density, q.log_prob(x[:, None]).exp(), rtol=1e-9, atol=1e-12)
        assert_close(noise, -(1 - LEVELS[t]).sqrt() * q.score(x[:, None])[:, 0], rtol=1e-9, atol=1e-12)
        assert_close(rank, cdf(share, t, x), rtol=0, atol=1e-12)


@each_share
def test_a_place_has_the_rank_that_was_asked_for(share):
    ranks = np.linspace(0.001, 0.999, 41).tolist()
    code = "return [0, 100, 1000].map((t) => us.map((u) => placeOf(peaks(t, share), u)))"
    for t, places in zip([0, 100, 1000], run(code, *SCRIPTS, us=ranks, share=share), strict=True):
        assert cdf(share, t, torch.tensor(places, **float64)).tolist() == pytest.approx(ranks, abs=1e-10)


PATHS = """
const it = pathsFrom(Float64Array.from(points), t, { method, steps, spacing, share, seed: 4 }), random = new Random(4);
const draws = it.times.map(() => [...random.normals(points.length)]);
return { times: it.times, states: it.states.map((x) => [...x]), draws };
"""


def paths(points: list[float], t: int, method: str, steps: int, spacing: str = "uniform", share: float = 0.5) -> dict:
    given = {"points": points, "t": t, "method": method, "steps": steps, "spacing": spacing, "share": share}
    return run(PATHS, *SCRIPTS, **given)


@each_share
@pytest.mark.parametrize("spacing", ["uniform", "log_snr"])
@pytest.mark.parametrize(("t", "steps"), [(1000, 100), (1000, 4), (300, 16), (9, 100), (1, 8), (1000, 1)])
@pytest.mark.parametrize("method", ["ddim", "ancestral"])
def test_every_step_is_the_packages(monkeypatch, share, spacing, t, steps, method):
    start = torch.tensor([[-2.4], [-0.3], [0.0], [0.01], [1.7]], **float64)
    found = paths(start.flatten().tolist(), t, method, steps, spacing, share)
    levels = choose_levels(SCHEDULE, min(steps, t), spacing, highest=t)
    draws = iter(torch.tensor(found["draws"], **float64).unsqueeze(-1))
    monkeypatch.setattr(samplers, "randn_like", lambda like, generator: next(draws))
    walked = list(samplers.walk(model(share), start, method, len(levels), levels=levels))
    assert found["times"] == [t for t, _ in walked]
    truth = torch.stack([x.flatten() for _, x in walked])
    assert_close(torch.tensor(found["states"], **float64), truth, rtol=0, atol=1e-9)


@each_share
def test_the_ode_keeps_the_rank_if_its_steps_are_many(share):
    for t in (1000, 300, 60):
        starts = torch.linspace(-1.3, 1.3, 14, **float64)
        before = cdf(share, t, starts)
        off = {}
        for steps in (4, 30, 1000):
            ends = paths(starts.tolist(), t, "ddim", steps, "log_snr", share)["states"][-1]
            assert sorted(ends) == ends  # they do not cross
            off[steps] = (cdf(share, 0, torch.tensor(ends, **float64)) - before).abs().max().item()
        assert off[1000] < 0.005
        assert off[1000] < off[30] < off[4]


@each_share
@pytest.mark.parametrize(("t", "start"), [(1000, 0.5), (1000, -2.0), (200, 0.1), (60, -0.2)])
def test_the_sde_ends_at_draws_of_the_posterior(share, t, start):
    ends = np.array(paths([start] * 400, t, "ancestral", 1000, "uniform", share)["states"][-1])
    posterior = Peaks(share=share).posterior(torch.tensor([[start]], **float64), LEVELS[t].item())

    def rank(x: np.ndarray) -> np.ndarray:
        return posterior.cdf(torch.tensor(x, **float64)[:, None]).flatten().numpy()

    assert kstest(ends, rank).pvalue > 1e-3
    code = "return posterior(t, 0, x, share)"
    exact = run(code, *SCRIPTS, t=t, x=start, share=share)
    assert exact["weights"] == pytest.approx(posterior.mixture_distribution.probs.flatten().tolist(), abs=1e-12)


# The still picture


def test_the_still_picture_ends_where_the_ode_does():
    svg = ElementTree.fromstring(Paths(xt=0.5).still_picture())
    (ode,) = (path for path in svg.iter("path") if path.attrib["stroke-width"] == "3")
    end = float(re.findall(r",(\d+)", ode.attrib["d"])[-1])
    truth = samplers.sample(model(0.5), torch.tensor([[0.5]], **float64), calls=75).item()
    assert 2.6 - end / 300 * 5.2 == pytest.approx(truth, abs=0.02)
    assert len(list(ElementTree.fromstring(Paths(kind="ode").still_picture()).iter("path"))) == 8
    assert len(list(ElementTree.fromstring(Paths(kind="sde").still_picture()).iter("path"))) == 13


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"t": 0}, ValueError, "t must be"),
        ({"t": 1001}, ValueError, "t must be"),
        ({"t": 1.5}, TypeError, "t must be"),
        ({"xt": 2.6}, ValueError, "xt must be between"),
        ({"steps": 0}, ValueError, "steps must be"),
        ({"kind": "pde"}, ValueError, "kind must be one of"),
        ({"spacing": "karras"}, ValueError, "spacing must be one of"),
        ({"share": 0.6}, ValueError, "share must be 0.5 or 0.8, got 0.6"),
    ],
)
def test_it_starts_within_its_controls(change, error, words):
    with pytest.raises(error, match=words):
        Paths(**change)


# In the page


def says(page) -> list[float]:
    """t, x, its rank, where among the data that is, the end of the ODE, its rank, 400, and two shares in per cent."""
    text = page.locator("output").inner_text()
    return [number(n) for n in re.findall(r"−?\d+(?:\.\d+)?", text)]


def slider(page, name: str):
    return page.locator("label", has=page.get_by_text(name, exact=True)).locator("input")


def check_says(page, t: int, xt: float, steps: int, spacing: str = "uniform", share: float = 0.5) -> None:
    start = torch.tensor([[xt]], **float64)
    levels = choose_levels(SCHEDULE, min(steps, t), spacing, highest=t)
    end = samplers.sample(model(share), start, calls=len(levels), levels=levels)
    upper = Peaks(share=share).posterior(start, LEVELS[t].item()).mixture_distribution.probs[..., 1].item()
    found = says(page)
    rank = cdf(share, t, start).item()
    assert found[:2] == [t, xt]
    assert found[2] == pytest.approx(rank, abs=5.1e-4)
    assert cdf(share, 0, torch.tensor(found[3])).item() == pytest.approx(rank, abs=0.02)
    assert found[4] == pytest.approx(end.item(), abs=5.1e-3)
    assert found[5] == pytest.approx(cdf(share, 0, end).item(), abs=5.1e-4)
    assert found[6] == 400
    assert found[7] == pytest.approx(100 * upper, abs=15)
    assert found[8] == pytest.approx(100 * upper, abs=0.051)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_says_what_the_package_computes(show, scheme):
    page = show(Paths(), scheme)
    check_says(page, 1000, 0.5, 100)
    x = slider(page, "Start, x")
    x.focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    check_says(page, 1000, 0.45, 100)
    slider(page, "Start, t").fill("200")
    check_says(page, 200, 0.45, 100)
    page.get_by_role("combobox", name="Number of steps").select_option("8")
    check_says(page, 200, 0.45, 8)
    page.get_by_role("combobox", name="Steps, even in").select_option("log_snr")
    check_says(page, 200, 0.45, 8, "log_snr")
    page.get_by_role("combobox", name="The peaks").select_option("0.8")
    check_says(page, 200, 0.45, 8, "log_snr", 0.8)
    slider(page, "Start, t").fill("3")
    x.fill("2.5")  # so far out that its rank is one
    assert "Among the data" not in page.locator("output").inner_text()
    assert page.complaints == []


def test_the_start_is_dragged_in_time_and_place(show):
    page = show(Paths())
    canvas = page.locator("canvas").first
    box = canvas.bounding_box()
    left, right = box["x"] + 34, box["x"] + box["width"] - 48
    page.mouse.move(left, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(left + 3, box["y"] + 8 + (300 - 44) / 4)
    assert says(page)[:2] == [1000, pytest.approx(1.3, abs=0.02)]  # it stays at the edge
    page.mouse.move(left + 0.75 * (right - left), box["y"] + 8 + (300 - 44) / 2)
    page.mouse.up()
    page.mouse.move(0, 0)
    assert says(page)[:2] == [pytest.approx(250, abs=2), pytest.approx(0, abs=0.02)]
    page.get_by_role("combobox", name="Steps, even in").select_option("log_snr")
    page.mouse.click((left + right) / 2, box["y"] + 100)
    t = int(says(page)[0])
    log_snr = SCHEDULE.log_snr
    middle = (log_snr[1000] + log_snr[1] + 0.8) / 2
    assert log_snr[t].item() == pytest.approx(middle.item(), abs=0.06)


def test_the_slider_of_time_runs_as_the_picture_does(show):
    page = show(Paths(t=500))
    time = slider(page, "Start, t")
    time.focus()
    page.keyboard.press("ArrowRight")
    assert says(page)[0] == 499
    box = time.bounding_box()
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    assert says(page)[0] < 150


def test_the_start_is_dragged_along_the_map_too(show):
    page = show(Paths())
    box = page.locator("canvas").last.bounding_box()
    page.mouse.click(box["x"] + 34 + (box["width"] - 46) / 2, box["y"] + 60)
    assert says(page)[:2] == [1000, pytest.approx(0, abs=0.02)]


def test_what_is_shown_can_be_chosen(show):
    page = show(Paths(steps=12))
    assert page.get_by_role("combobox", name="Number of steps").input_value() == "12"
    pictures = "[...document.querySelectorAll('canvas')].map((c) => c.toDataURL()).join()"
    seen = {page.evaluate(pictures)}
    for kind in ("sde", "ode"):
        page.get_by_role("combobox", name="Paths").select_option(kind)
        seen.add(page.evaluate(pictures))
        text = page.locator("output").inner_text()
        assert ("The ODE ends" in text, "of the SDE" in text) == (kind == "ode", kind == "sde")
    still = page.evaluate(pictures)
    page.get_by_role("button", name="New noise").click()
    assert page.evaluate(pictures) == still  # the ODE has none
    page.get_by_role("combobox", name="Paths").select_option("both")
    seen.add(page.evaluate(pictures))
    assert len(seen) == 4


def test_it_plays_to_the_end(show):
    page = show(Paths())
    root, button = page.locator("[data-explorable]"), page.get_by_role("button").first
    assert (button.inner_text(), root.get_attribute("data-place")) == ("Play", "100")
    whole = page.locator("canvas").first.evaluate("c => c.toDataURL()")
    button.click()
    page.wait_for_function("root => root.dataset.place > 5 && root.dataset.place < 95", arg=root.element_handle())
    assert button.inner_text() == "Pause"
    button.click()
    assert page.locator("canvas").first.evaluate("c => c.toDataURL()") != whole
    slider(page, "Start, x").fill("0.5")  # whoever moves something sees all of it
    assert root.get_attribute("data-place") == "100"
    assert page.locator("canvas").first.evaluate("c => c.toDataURL()") == whole


def test_nothing_moves_by_itself_for_those_who_want_no_motion(show):
    page = show(Paths(steps=16), reduced_motion="reduce")
    page.get_by_role("button").first.click()
    seen = page.evaluate("""() => new Promise((done) => {
        const root = document.querySelector("[data-explorable]");
        const seen = new Set();
        const look = () => {
            seen.add(Number(root.dataset.place));
            if (seen.has(0) && Number(root.dataset.place) === 16) done([...seen]);
            else requestAnimationFrame(look);
        };
        look();
    })""")
    assert seen == [0, 2, 4, 6, 8, 10, 12, 14, 16]
