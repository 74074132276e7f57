"""The roll under three schedules: its numbers are the package's, and every control does what it says."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from browser import check_whole, number, resize
from javascript import run
from scipy.stats import kstest
from torch.distributions import kl_divergence

from diffusion_notes.diffusion import ForwardProcess
from diffusion_notes.distributions import standard_normal
from diffusion_notes.explorables.forward import Forward, _schedules
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll

SCRIPTS = ("maths", "drawing", "forward")
SCHEDULES = [Schedule.linear(1000), Schedule.cosine(1000), Schedule.linear(50)]
PLACES = [0, 1, 9, 10, 11, 500, 990, 999, 1000, *np.random.default_rng(0).integers(0, 1001, 40).tolist()]

each_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])


def step_at(place: int, schedule: Schedule) -> int:
    """The step at a place between 0 and 1000: the nearest one, and of two the later."""
    return (2 * place * schedule.T + 1000) // 2000


def prior_term(schedule: Schedule) -> float:
    q, T = ForwardProcess(schedule), schedule.T
    return SwissRoll().expect(lambda x0: kl_divergence(q.marginal(x0, T), standard_normal(x0))).item()


@pytest.fixture(scope="module")
def prior_terms() -> list[float]:
    return [prior_term(schedule) for schedule in SCHEDULES]


# The numbers


def test_the_levels_are_those_of_the_schedules():
    code = "return places.map((place) => schedules().map(({ schedule }) => level(schedule, place)))"
    for place, row in zip(PLACES, run(code, *SCRIPTS, places=PLACES), strict=True):
        for schedule, found in zip(SCHEDULES, row, strict=True):
            t = step_at(place, schedule)
            signal, noise = schedule.alpha_bar[t].item(), schedule.one_minus_alpha_bar[t].item()
            assert found["t"] == t
            assert found["alphaBar"] == pytest.approx(signal, rel=1e-9, abs=0)
            assert found["noise"] == pytest.approx(noise, rel=1e-9)
            # at t = 0 there is no noise, and JSON has no word for infinity
            assert found["ratio"] == (pytest.approx(signal / noise, rel=1e-8, abs=0) if t else None)


def test_the_prior_terms_are_those_of_the_package(prior_terms):
    found = run("return schedules().map((s) => priorTerm(s.schedule, secondMoment(new SwissRoll())))", *SCRIPTS)
    assert found == pytest.approx(prior_terms, rel=1e-6, abs=0)
    assert [f"{value:.5f}" for value in found] == ["0.00002", "0.00000", "0.61236"]


def test_the_second_moment_is_that_of_the_roll():
    truth = SwissRoll().expect(lambda x: x.square().sum(-1)).item()
    assert run("return secondMoment(new SwissRoll())", *SCRIPTS) == pytest.approx(truth, abs=1e-8)


@pytest.mark.parametrize("steps", [[1 - 1e-7, 0.9, 0.97], [1 - 1e-4, 1 - 1e-5], [0.5, 0.4], [0.2, 0.1], [1e-13, 2e-13]])
def test_the_prior_term_keeps_its_digits_at_both_ends(steps):
    moment = 0.967
    code = "return priorTerm(new Schedule([0, ...steps]), moment)"
    found = run(code, *SCRIPTS, steps=steps, moment=moment)
    log = sum(math.log1p(-beta) for beta in steps)
    signal, noise = math.exp(log), -math.expm1(log)
    # if there is next to nothing left, the noise has lost the digits: two terms of the series of its logarithm
    minus_log = signal + signal**2 / 2 if signal < 1e-8 else -math.log(noise)
    assert found == pytest.approx((signal * (moment - 2) + 2 * minus_log) / 2, rel=1e-9, abs=0)


def test_the_points_are_a_sample_of_the_roll_with_one_noise_each():
    code = """
    const points = cloud(new SwissRoll());
    const at = { alphaBar: 0.3, noise: 0.7 };
    return [points.u, points.x0, Array.from(points.noise), diffused(points, at)];
    """
    u, x0, noise, xt = (np.array(values) for values in run(code, *SCRIPTS))
    angle = 1.5 * np.pi * (1 + 2 * u)
    spiral = 0.1 * (angle * np.stack((np.cos(angle), np.sin(angle)))).T.ravel()
    assert kstest(u, "uniform").pvalue > 0.01
    assert kstest((x0 - spiral) / 0.05, "norm").pvalue > 0.01
    assert kstest(noise, "norm").pvalue > 0.01
    assert xt == pytest.approx(math.sqrt(0.3) * x0 + math.sqrt(0.7) * noise, abs=1e-12)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (9999.0, "9999"),
        (999.6, "1000"),
        (999.4, "999"),
        (13.64, "13.6"),
        (1, "1.00"),
        (0.0012345, "0.00123"),
        (4.0358e-5, "4.04·10⁻⁵"),
        (2.4e-12, "2.40·10⁻¹²"),
    ],
)
def test_a_number_is_said_with_three_digits(value, words):
    assert run("return significant(value)", *SCRIPTS, value=value) == words


# The still picture, and what is given


def test_the_still_picture_shows_each_schedule_at_three_steps():
    svg = ElementTree.fromstring(Forward().still_picture())
    assert svg.attrib["role"] == "img"
    assert svg.find("title").text == Forward().alt
    assert [text.text for text in svg.iter("text")] == [
        "linear, t = 100", "t = 500", "t = 1000", "cosine, t = 100", "t = 500", "t = 1000",
        "short, t = 5", "t = 25", "t = 50",
    ]  # fmt: skip
    spots = [re.findall(r"M(-?\d+),(-?\d+)h0", path.attrib["d"]) for path in svg.iter("path")]
    assert sum(map(len, spots)) == 9 * 140
    wide, high = map(int, svg.attrib["viewBox"].split()[2:])
    inside = [0 <= int(x) <= wide and 0 <= int(y) <= high for path in spots for x, y in path]
    assert np.mean(inside) > 0.98


def test_the_still_picture_knows_the_same_schedules():
    for (_, T, alpha_bar), schedule in zip(_schedules(), SCHEDULES, strict=True):
        assert schedule.T == T
        assert alpha_bar == pytest.approx(schedule.alpha_bar.numpy(), abs=1e-8)


def test_the_output_is_the_same_to_the_byte():
    assert Forward(0.3).stored_html() == Forward(0.3).stored_html()
    assert Forward(0.3).stored_html() != Forward(0.4).stored_html()
    assert repr(Forward()) == "Forward()"


@pytest.mark.parametrize(
    ("position", "error"),
    [(-0.1, ValueError), (1.5, ValueError), (math.nan, ValueError), ("0", TypeError), (True, TypeError)],
)
def test_it_starts_within_the_schedule(position, error):
    with pytest.raises(error, match="position must be"):
        Forward(position)


def test_it_has_symbols_or_has_none():
    assert Forward().state() == {"alt": Forward().alt, "levels": False, "position": 0.1}
    assert Forward(levels=True).levels
    with pytest.raises(TypeError, match="levels must be True or False"):
        Forward(levels=1)


# The page


def same_digits(words: str, truth: float) -> bool:
    if math.isinf(truth) or words == "∞":
        return math.isinf(truth) and words == "∞"
    return words == f"{truth:.0f}" if truth >= 999.5 else f"{number(words):.2e}" == f"{truth:.2e}"


def percent(value: float) -> str:
    return f"{100 * value + 0:.1f}%"  # and no minus zero


def captions(page) -> list[list[str]]:
    lines = "captions => captions.map((caption) => [...caption.querySelectorAll('span')].map((line) => line.innerText))"
    return page.locator(".caption").evaluate_all(lines)


def check_words(page, place: int) -> None:
    """A reader who has met no symbol yet is told the step and the two shares, and no more."""
    said = page.locator("output").inner_text()
    for lines, schedule in zip(captions(page), SCHEDULES, strict=True):
        t = step_at(place, schedule)
        signal, noise = schedule.alpha_bar[t].item(), schedule.one_minus_alpha_bar[t].item()
        assert lines == [f"step {t:,} of {schedule.T:,}", f"data {percent(signal)}", f"noise {percent(noise)}"]
        assert ", ".join(lines) in said
    explorable = page.locator("[data-explorable]").inner_text()
    assert not any(symbol in explorable for symbol in ("ᾱ", "SNR", "LT", "L_T", "t/T"))


def check_numbers(page, place: int, prior_terms: list[float]) -> None:
    """What stands below the panels and in the sentence is what the package computes."""
    said = page.locator("output").inner_text()
    for lines, schedule, prior in zip(captions(page), SCHEDULES, prior_terms, strict=True):
        t = step_at(place, schedule)
        signal, noise = schedule.alpha_bar[t].item(), schedule.one_minus_alpha_bar[t].item()
        step, level, ratio, cost = (line.partition(" = ")[2] for line in lines)
        assert step == str(t)
        assert same_digits(level, signal)
        assert same_digits(ratio, signal / noise if noise else math.inf)
        assert cost == f"{prior:.5f}"
        assert f"ᾱₜ = {level} at t = {t}" in said
    assert ("The end: LT is 0.00002, 0.00000, 0.61236 nats." in said) == (place == 1000)


def picture(page, k: int) -> str:
    return page.locator("canvas").nth(k).evaluate("canvas => canvas.toDataURL()")


def time(page):
    return page.get_by_role("slider", name="t/T")


@each_scheme
@pytest.mark.parametrize("levels", [False, True])
def test_it_is_whole_and_readable(show, scheme, levels):
    page = show(Forward(levels=levels), scheme, 320)
    page.get_by_role("slider").fill("1000")  # here the lines under the panels are longest
    assert page.locator(".panels canvas").count() == 3
    for width in (320, 390, 800):
        resize(page, width)
        tops = {round(panel.bounding_box()["y"]) for panel in page.locator(".panels canvas").all()}
        assert len(tops) == 1  # side by side
        # no line under a panel runs over
        assert all(page.locator(".caption > *").evaluate_all("all => all.map(e => e.scrollWidth <= e.clientWidth)"))
        check_whole(page, scheme)
        # the frame of the curves is drawn in the colour of the words
        ink = page.locator("canvas").last.evaluate(
            """c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, seen = {};
            for (let i = 0; i < d.length; i += 4) if (d[i + 3] === 255) seen[d[i]] = (seen[d[i]] ?? 0) + 1;
            return [seen[0x22] ?? 0, seen[0xdd] ?? 0]; }"""
        )
        assert (ink[0] > 50, ink[1] > 50) == ((True, False) if scheme == "light" else (False, True))


def test_the_place_is_moved_by_keyboard(show, prior_terms):
    page = show(Forward(0.1, levels=True))
    slider = time(page)
    check_numbers(page, 100, prior_terms)
    before = [picture(page, k) for k in range(4)]
    slider.focus()
    for key, place in [("ArrowRight", 101), ("End", 1000), ("ArrowLeft", 999), ("Home", 0), ("PageUp", 100)]:
        page.keyboard.press(key)
        assert slider.input_value() == str(place)
        assert slider.get_attribute("aria-valuetext") == f"{place / 1000:.3f}"
        check_numbers(page, place, prior_terms)
    assert [picture(page, k) for k in range(4)] == before
    page.keyboard.press("End")
    assert all(picture(page, k) != before[k] for k in range(4))


def test_the_sentence_is_right_everywhere(show, prior_terms):
    page = show(Forward(levels=True))
    for place in PLACES:
        time(page).fill(str(place))
        check_numbers(page, place, prior_terms)


def test_at_first_it_speaks_in_words(show):
    page = show(Forward())
    slider = page.get_by_role("slider", name="Steps")
    assert page.get_by_role("combobox").count() == 0
    for place in PLACES:
        slider.fill(str(place))
        assert slider.get_attribute("aria-valuetext") == percent(place / 1000)
        check_words(page, place)


@pytest.mark.parametrize("place", [0, 60, 1000])
def test_the_points_stand_where_they_are_computed(show, place):
    page = show(Forward(), device_scale_factor=2)
    page.get_by_role("slider").fill(str(place))
    code = "return schedules().map((s) => diffused(cloud(new SwissRoll()), level(s.schedule, place)))"
    for panel, points in zip(page.locator(".panels canvas").all(), run(code, *SCRIPTS, place=place), strict=True):
        places = (np.array(points).reshape(-1, 2) / 5 + 0.5) * [1, -1] + [0, 1]
        places = places[(np.abs(places - 0.5) < 0.49).all(1)]
        assert len(places) > 550
        missing, painted = panel.evaluate(
            """(canvas, places) => {
              const { width, height } = canvas;
              const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
              const alpha = (x, y) => pixels[4 * (Math.floor(y * height) * width + Math.floor(x * width)) + 3];
              let painted = 0;
              for (let i = 3; i < pixels.length; i += 4) painted += pixels[i] > 0;
              return [places.filter(([x, y]) => alpha(x, y) === 0).length, painted / width / height];
            }""",
            places.tolist(),
        )
        assert missing == 0
        assert painted < 0.2


def test_it_plays_pauses_and_plays_again(show, prior_terms):
    page = show(Forward(0, levels=True))
    button, slider = page.get_by_role("button"), time(page)
    page.wait_for_timeout(300)
    assert (button.inner_text(), slider.input_value()) == ("Play", "0")  # not by itself
    button.focus()
    page.keyboard.press("Space")
    assert button.inner_text() == "Pause"
    assert page.locator("output").get_attribute("aria-live") == "off"
    page.wait_for_function("slider => slider.value > 20", arg=slider.element_handle())
    page.keyboard.press("Space")
    assert button.inner_text() == "Play"
    assert page.locator("output").get_attribute("aria-live") == "polite"
    stopped = int(slider.input_value())
    check_numbers(page, stopped, prior_terms)
    page.wait_for_timeout(200)
    assert slider.input_value() == str(stopped)
    button.click()
    slider.fill("990")  # taken over: it stops
    assert button.inner_text() == "Play"
    button.click()
    page.wait_for_function("button => button.textContent === 'Play again'", arg=button.element_handle())
    check_numbers(page, 1000, prior_terms)
    button.click()
    assert button.inner_text() == "Pause"
    assert int(slider.input_value()) < 200
    assert page.complaints == []


def test_it_goes_in_eight_still_pictures_for_those_who_want_no_motion(show):
    page = show(Forward(0), reduced_motion="reduce")
    slider = page.get_by_role("slider")
    page.get_by_role("button").click()
    page.wait_for_timeout(500)
    assert slider.input_value() == "0"
    page.wait_for_function("slider => slider.value > 0", arg=slider.element_handle())
    assert slider.input_value() == "143"  # a seventh of the way
    page.wait_for_timeout(300)
    assert slider.input_value() == "143"


@each_scheme
def test_the_curve_is_chosen_by_keyboard_and_dragged(show, scheme, prior_terms):
    page = show(Forward(levels=True), scheme)
    panels, signal = [picture(page, k) for k in range(3)], picture(page, 3)
    page.get_by_role("combobox", name="Curve").focus()
    page.keyboard.press("ArrowDown")
    assert page.get_by_role("combobox", name="Curve").input_value() == "ratio"
    assert picture(page, 3) != signal
    assert [picture(page, k) for k in range(3)] == panels
    page.keyboard.press("ArrowUp")
    assert picture(page, 3) == signal
    canvas = page.locator("canvas").last
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 34 + 0.7 * (box["width"] - 46), box["y"] + 80)
    assert float(time(page).input_value()) == pytest.approx(700, abs=2)
    page.mouse.move(box["x"] + box["width"] + 50, box["y"] + 80)  # past the end
    page.mouse.up()
    page.mouse.move(box["x"] + 100, box["y"] + 80)  # let go
    assert time(page).input_value() == "1000"
    check_numbers(page, 1000, prior_terms)
