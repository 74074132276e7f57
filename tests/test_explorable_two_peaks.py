"""Two peaks on a line: what the page says is what the package computes, and every control does what it says."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from browser import check_whole, number
from javascript import run

from diffusion_notes.data import Peaks
from diffusion_notes.explorables import TwoPeaks
from diffusion_notes.schedule import Schedule

SCRIPTS = ("maths", "peaks", "drawing", "two_peaks")
LEVELS = Schedule.linear(1000).alpha_bar
float64 = {"dtype": torch.float64}

each_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])


def truth(t: int, s: int, xt: float, share: float = 0.5) -> dict:
    """All that the page says, from the package."""
    peaks = Peaks(share=share)
    place = torch.tensor([[xt]], **float64)
    q = peaks.posterior(place, LEVELS[t].item(), LEVELS[s].item())
    width = q.component_distribution.stddev.max().item()
    centres = q.component_distribution.mean.flatten()
    x = torch.linspace(centres.min() - 10 * width, centres.max() + 10 * width, 20_001, **float64)
    log = q.log_prob(x.unsqueeze(-1)).squeeze()
    entropy = torch.trapezoid(-log.exp() * log, x).item()
    return {
        "right": q.mixture_distribution.probs[..., 1].item(),
        "mean": q.mean.item(),
        "std": q.stddev.item(),
        "noise": peaks.expected_noise(place, LEVELS[t].item()).item(),
        "off": math.log(2 * math.pi * math.e * q.variance.item()) / 2 - entropy,
    }


def cases() -> list[tuple[int, int, float, float]]:
    random = np.random.default_rng(0)
    times = [(t, max(0, t - back)) for t in (1, 7, 60, 200, 500, 1000) for back in (10, 100, 1000)]
    return [(t, s, float(random.uniform(-2.5, 2.5)), share) for t, s in times for share in (0.5, 0.8)]


def test_it_is_the_posterior_of_the_package():
    code = "return cases.map(([t, s, xt, share]) => lookBack(t, s, xt, share))"
    for case, found in zip(cases(), run(code, *SCRIPTS, cases=cases()), strict=True):
        for name, value in truth(*case).items():
            assert found[name] == pytest.approx(value, rel=1e-7, abs=1e-8), (case, name)


def test_the_densities_that_it_draws_are_the_packages():
    x = torch.linspace(-2.6, 2.6, 27, **float64)
    for t, s, xt, share in cases():
        code = """
        const it = lookBack(t, s, xt, share);
        return xs.map((x) => [it.now, it.before, it.posterior].map((q) => mixture(q, x)));
        """
        found = torch.tensor(run(code, *SCRIPTS, t=t, s=s, xt=xt, share=share, xs=x.tolist()), **float64)
        peaks = Peaks(share=share)
        q = peaks.posterior(torch.tensor([[xt]], **float64), LEVELS[t].item(), LEVELS[s].item())
        each = [peaks.diffuse(LEVELS[i].item()).log_prob(x.unsqueeze(-1)) for i in (t, s)]
        each.append(q.log_prob(x.unsqueeze(-1)).squeeze())
        torch.testing.assert_close(found, torch.stack(each, -1).exp(), rtol=1e-6, atol=1e-9)


# The still picture, and what is given


def test_the_still_picture_marks_the_best_guess():
    svg = ElementTree.fromstring(TwoPeaks(t=200, xt=0.1).still_picture())
    words = [text.text for text in svg.iter("text")]
    assert words[:3] == ["best guess of x₀", "the data", "given xₜ"]
    assert words[3] == "xₜ = 0.1, at t = 200"
    (mark, _) = (path.attrib["d"] for path in svg.iter("path") if path.attrib["d"].endswith("h0"))
    across = float(re.match(r"M(\d+),", mark)[1])
    assert across / 600 * 5.2 - 2.6 == pytest.approx(truth(200, 0, 0.1)["mean"], abs=0.01)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"t": 0}, ValueError, "t must be"),
        ({"t": 1001}, ValueError, "t must be"),
        ({"t": 1.5}, TypeError, "t must be"),
        ({"xt": 2.6}, ValueError, "xt must be between"),
        ({"xt": math.nan}, ValueError, "xt must be"),
    ],
)
def test_it_starts_within_its_sliders(change, error, words):
    with pytest.raises(error, match=words):
        TwoPeaks(**change)


# In the page


def says(page) -> str:
    return page.locator("output").inner_text()


def numbers(page) -> list[float]:
    """Of what it says, in its order: t, the level, x_t, the probability, the guess, its doubt, the noise; the nats."""
    text = says(page).replace("x at step", "x")
    return [number(n) for n in re.findall(r"−?\d+(?:\.\d+)?(?:·10⁻[⁰¹²³⁴⁵⁶⁷⁸⁹]+)?", text.replace(" the data", ""))]


def slider(page, name: str):
    return page.locator("label", has=page.get_by_text(name, exact=True)).locator("input")


def check_says(page, t: int, s: int, xt: float, share: float = 0.5) -> None:
    found = numbers(page)
    if s:
        assert found.pop(4) == s
    it = truth(t, s, xt, share)
    assert found[0] == t
    assert found[1] == pytest.approx(LEVELS[t].item(), rel=6e-3)
    assert found[2] == xt
    assert found[3:7] == pytest.approx([it[name] for name in ("right", "mean", "std", "noise")], abs=5.1e-4)
    looks_back = page.get_by_role("combobox", name="Look back").input_value() != "1000"
    assert found[7:] == ([pytest.approx(it["off"], abs=5.1e-5)] if looks_back else [])


@each_scheme
def test_it_says_what_the_package_computes(show, scheme):
    page = show(TwoPeaks(), scheme)
    check_says(page, 200, 0, 0.1)
    assert "where there are practically no data" in says(page)
    time, xt = slider(page, "t"), slider(page, "xₜ")
    xt.focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    assert xt.get_attribute("aria-valuetext") == "0.05"
    check_says(page, 200, 0, 0.05)
    time.fill("600")
    check_says(page, 600, 0, 0.05)
    page.get_by_role("combobox", name="Look back").select_option("100")
    check_says(page, 600, 500, 0.05)
    page.get_by_role("combobox", name="Look back").select_option("10")
    check_says(page, 600, 590, 0.05)
    page.get_by_role("combobox", name="The peaks").select_option("0.8")
    check_says(page, 600, 590, 0.05, 0.8)
    xt.fill("-1.2")
    time.fill("30")
    check_says(page, 30, 20, -1.2, 0.8)
    time.fill("7")  # there are no ten steps to look back
    check_says(page, 7, 0, -1.2, 0.8)
    assert "practically no data" not in says(page)
    check_whole(page, scheme)
    assert page.complaints == []


def test_the_number_is_dragged_along_its_axis(show):
    page = show(TwoPeaks())
    canvas = page.locator("canvas").last
    pictures = "[...document.querySelectorAll('canvas')].map((c) => c.toDataURL())"
    before = page.evaluate(pictures)
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    page.mouse.down()
    assert numbers(page)[2] == pytest.approx(0, abs=0.02)
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 60)
    page.mouse.up()
    page.mouse.move(box["x"], box["y"])  # let go
    there = 2.6 * (2 * (0.7 * box["width"] - 12) / (box["width"] - 24) - 1)
    assert numbers(page)[2] == pytest.approx(there, abs=0.02)
    assert all(a != b for a, b in zip(before, page.evaluate(pictures), strict=True))


def test_the_key_says_what_the_curves_are(show):
    page = show(TwoPeaks())
    assert "q(x₀), the data" in page.locator(".legend").inner_text()
    page.get_by_role("combobox", name="Look back").select_option("10")
    assert "q(x), at step 190" in page.locator(".legend").inner_text()
    assert page.locator(".legend").count() == 1


def test_the_guess_changes_sides_suddenly_where_there_is_little_noise():
    """What the chapter lets the reader see: from one peak to the other within a tenth of the way, or slowly."""

    def flip(t: int) -> float:
        """How far x_t goes while the probability of the right peak rises from 0.1 to 0.9."""
        x = np.linspace(-2, 2, 401)
        right = run("return xs.map((x) => lookBack(t, 0, x, 0.5).right)", *SCRIPTS, t=t, xs=x.tolist())
        return np.interp(0.9, right, x) - np.interp(0.1, right, x)

    assert flip(30) < 0.2
    assert flip(200) > 0.5
