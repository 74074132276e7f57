"""The forward posterior in the plane: its numbers are the package's, and every control does what it says."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from browser import check_whole, number, resize
from javascript import run

from diffusion_notes.diffusion import ForwardProcess
from diffusion_notes.explorables.forward_posterior import ForwardPosterior
from diffusion_notes.schedule import Schedule

SCRIPTS = ("maths", "drawing", "forward_posterior")
FULL = Schedule.linear(1000)
LENGTHS = [1000, 100, 10]
exactly = {"dtype": torch.float64}

each_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])
each_length = pytest.mark.parametrize("T", LENGTHS)


def schedule_of(T: int) -> Schedule:
    """A walk of T steps through the noise levels of the long one."""
    signal = FULL.alpha_bar[:: 1000 // T]
    beta = 1 - signal[1:] / signal[:-1]
    return Schedule(torch.cat((beta.new_zeros(1), beta)))


def truth(T: int, t: int, x0: list[float], xt: list[float]) -> dict:
    """All that the page says, from the package."""
    schedule = schedule_of(T)
    q, start, now = ForwardProcess(schedule), torch.tensor(x0, **exactly), torch.tensor(xt, **exactly)
    posterior, known, given = q.posterior(now, start, t), q.marginal(start, t - 1), q.marginal(start, t)
    mean, across = posterior.mean, now - start
    apart, off = across.norm(), mean - start
    return {
        "mean": mean.tolist(),
        "std": posterior.stddev[0].item(),
        "fromX0": schedule.from_x0[t].item(),
        "fromXt": schedule.from_xt[t].item(),
        "beta": schedule.beta[t].item(),
        "missing": 1 - (schedule.from_x0[t] + schedule.from_xt[t]).item(),
        "off": abs(across[0] * off[1] - across[1] * off[0]).item() / apart.item() if apart else None,
        "known": {"mean": known.mean.tolist(), "std": known.stddev[0].item()},
        "away": ((now - given.mean) / given.stddev).norm().item(),
    }


# The numbers


def cases() -> list[tuple[int, int, list[float], list[float]]]:
    random = np.random.default_rng(0)
    times = [(T, t) for T in LENGTHS for t in (2, 3, T - 1, T, *random.integers(2, T + 1, 20).tolist())]
    return [(T, t, *random.uniform(-2.4, 2.4, (2, 2)).tolist()) for T, t in times]


def test_it_is_the_posterior_of_the_package():
    code = """
    return cases.map(([T, t, x0, xt]) => forwardPosterior(T === 1000 ? FULL : FULL.thinned(T), t, x0, xt));
    """
    for case, found in zip(cases(), run(code, *SCRIPTS, cases=cases()), strict=True):
        expected = truth(*case)
        for name, value in expected.items():
            if name == "known":
                assert found[name]["mean"] == pytest.approx(value["mean"], abs=1e-9)
                assert found[name]["std"] == pytest.approx(value["std"], rel=1e-8)
            elif name in ("missing", "off"):  # here the package's is a difference, with its rounding
                assert found[name] == pytest.approx(value, rel=1e-6, abs=2e-15), name
            else:
                assert found[name] == pytest.approx(value, rel=1e-8, abs=1e-15), name


def test_the_step_that_it_draws_is_the_likelihood_of_the_step():
    code = "return cases.map(([T, t, x0, xt]) => forwardPosterior(FULL.thinned(T), t, x0, xt).step)"
    for (T, t, _, xt), found in zip(cases(), run(code, *SCRIPTS, cases=cases()), strict=True):
        q, mean = ForwardProcess(schedule_of(T)), torch.tensor(found["mean"], **exactly)
        below = torch.stack((mean, mean + found["std"] * torch.tensor([1.0, 0.0], **exactly)))
        log = q.step(below, t).log_prob(torch.tensor(xt, **exactly))
        peak = q.step(mean, t).log_prob(q.step(mean, t).mean)
        assert log[0].item() == pytest.approx(peak.item(), abs=1e-9), (T, t)
        assert (log[0] - log[1]).item() == pytest.approx(0.5, abs=1e-6)  # one standard deviation off


def test_the_mean_is_on_the_line_between_the_means_of_the_two_and_its_precision_is_their_sum():
    code = "return cases.map(([T, t, x0, xt]) => forwardPosterior(FULL.thinned(T), t, x0, xt))"
    for (T, t, *_), found in zip(cases(), run(code, *SCRIPTS, cases=cases()), strict=True):
        known, step = (np.array(found[name]["mean"]) for name in ("known", "step"))
        precision = [1 / found[name]["std"] ** 2 for name in ("known", "step")]
        assert 1 / found["std"] ** 2 == pytest.approx(sum(precision), rel=1e-8), (T, t)
        assert found["mean"] == pytest.approx((precision[0] * known + precision[1] * step) / sum(precision), abs=1e-9)


def test_the_mean_leaves_the_line_towards_zero():
    """The coefficients add up to less than one, so the mean is a point of the line, shrunk."""
    code = "return cases.map(([T, t, x0, xt]) => forwardPosterior(FULL.thinned(T), t, x0, xt))"
    for (T, t, x0, xt), found in zip(cases(), run(code, *SCRIPTS, cases=cases()), strict=True):
        signal, alpha = schedule_of(T).alpha_bar[t - 1].item(), schedule_of(T).alpha[t].item()
        a, b = math.sqrt(signal), math.sqrt(alpha)
        assert 1 - found["missing"] == pytest.approx((a + b) / (1 + a * b), abs=1e-12)
        assert 0 < found["missing"] < 1, (T, t)
        on_line = np.array(found["mean"]) / (1 - found["missing"]) - x0
        across = np.subtract(xt, x0)
        assert across[0] * on_line[1] - across[1] * on_line[0] == pytest.approx(0, abs=1e-9)


def test_points_on_each_other_have_no_line():
    code = "return [forwardPosterior(FULL, 9, [1, 2], [1, 2]).off, forwardPosterior(FULL, 9, [1, 2], [-1, -2]).off]"
    assert run(code, *SCRIPTS) == [None, 0]


def test_the_slider_stops_at_the_steps_that_matter():
    found = {T: run("return stops(T)", *SCRIPTS, T=T) for T in LENGTHS}
    assert found[10] == list(range(2, 11))
    assert found[100] == list(range(2, 101))
    assert (found[1000][:39], found[1000][-1]) == (list(range(2, 41)), 1000)
    assert max(np.diff(found[1000])) == 10
    assert set(range(10, 1001, 10)) <= set(found[1000])


@pytest.mark.parametrize(
    ("t", "before", "after", "expected"),
    [(4, 10, 1000, 400), (400, 1000, 10, 4), (37, 100, 1000, 370), (2, 1000, 10, 2), (2, 10, 100, 20)],
)
def test_another_number_of_steps_begins_at_the_same_noise(t, before, after, expected):
    found = run("return nearestStop(t, before, after)", *SCRIPTS, t=t, before=before, after=after)
    assert found == expected


# The still picture, and what is given


def test_the_still_picture_shows_the_posterior_where_it_is():
    svg = ElementTree.fromstring(ForwardPosterior().still_picture())
    assert svg.attrib["role"] == "img"
    assert svg.find("title").text == ForwardPosterior().alt
    assert [text.text for text in svg.iter("text")] == ["0", "x₀", "xₜ", "t = 4 of 10"]
    expected = truth(10, 4, ForwardPosterior().x0, ForwardPosterior().xt)
    centre = [360 + 100 * expected["mean"][0], 260 - 100 * expected["mean"][1]]
    for count, circle in zip((2, 1), svg.iter("circle"), strict=True):
        assert [float(circle.attrib[name]) for name in ("cx", "cy")] == pytest.approx(centre, abs=0.5)
        assert float(circle.attrib["r"]) == pytest.approx(100 * count * expected["std"], abs=0.5)
    spots = [re.findall(r"M(-?\d+),(-?\d+)h0", path.attrib["d"]) for path in svg.iter("path")]
    there = [(360 + 100 * x, 260 - 100 * y) for x, y in (ForwardPosterior().x0, ForwardPosterior().xt)]
    assert spots[-5:-2] == [[tuple(f"{c:.0f}" for c in place)] for place in (*there, centre)]


def test_the_output_is_the_same_to_the_byte():
    assert ForwardPosterior(100, 9).stored_html() == ForwardPosterior(100, 9).stored_html()
    assert ForwardPosterior(100, 9).stored_html() != ForwardPosterior(100, 8).stored_html()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"T": 50}, ValueError, "T must be one of 1000, 100, 10, got 50"),
        ({"T": 10.0}, TypeError, "T must be an integer, got float"),
        ({"t": True}, TypeError, "t must be an integer, got bool"),
        ({"t": 1}, ValueError, "t must be at least 2, got 1"),
        ({"t": 11}, ValueError, "t must be at most 10, got 11"),
        ({"x0": (3.7, 0)}, ValueError, "x0 must be within"),
        ({"xt": (0, -2.5)}, ValueError, "xt must be within"),
        ({"xt": (0, math.nan)}, ValueError, "xt must be finite"),
        ({"xt": (0, 1, 2)}, ValueError, "xt must be within"),
        ({"x0": "here"}, TypeError, "x0 must be an array of numbers, got str 'here'"),
    ],
)
def test_bad_input_is_named(change, error, words):
    with pytest.raises(error, match=words):
        ForwardPosterior(**change)


# The page


NUMBER = r"(\d[\d.]*(?:·10⁻[⁰¹²³⁴⁵⁶⁷⁸⁹]+)?)"
SENTENCE = re.compile(
    rf"t = (\d+) of (\d+): the mean is {NUMBER} x₀ \+ {NUMBER} xₜ = \((−?[\d.]+), (−?[\d.]+)\), "
    rf"√β̃ₜ = {NUMBER}, βₜ = {NUMBER}\. The coefficients add up to 1 − {NUMBER}"
    rf"(?:, and the mean is (?:on|{NUMBER} off) the line through x₀ and xₜ)?\."
    r"(?: This xₜ is (\d+) standard deviations from √ᾱₜ x₀: q hardly ever draws it\.)?"
)


def says(page) -> str:
    return page.locator("output").inner_text()


def slider(page, group: str, name: str):
    return page.get_by_role("group", name=group, exact=True).get_by_role("slider", name=name)


def time(page):
    return page.get_by_role("slider", name="t", exact=True)


def places(page) -> tuple[list[float], list[float]]:
    return tuple([float(slider(page, g, name).input_value()) for name in ("across", "up")] for g in ("x₀", "xₜ"))


def check_sentence(page, T: int, t: int) -> dict:
    """Every number of the sentence is the package's, to the digits that are printed."""
    found = SENTENCE.fullmatch(says(page))
    assert found, says(page)
    said_t, said_T, *weights, x, y, std, beta, missing, off, away = found.groups()
    assert (int(said_t), int(said_T)) == (t, T)
    x0, xt = places(page)
    expected = truth(T, t, x0, xt)
    names = ("fromX0", "fromXt", "std", "beta", "missing")
    for name, words in zip(names, (*weights, std, beta, missing), strict=True):
        assert f"{number(words):.2e}" == f"{expected[name]:.2e}", name
    assert [float(c.replace("−", "-")) for c in (x, y)] == pytest.approx(expected["mean"], abs=5.01e-4)
    assert number(off or "0") == pytest.approx(expected["off"] or 0, rel=5.01e-3, abs=1e-14)
    assert (away is None) == (expected["away"] <= 4)
    if away:
        assert int(away) == round(expected["away"])
    return expected


def picture(page) -> str:
    return page.locator("canvas").evaluate("canvas => canvas.toDataURL()")


def colour_at(page, place: list[float]) -> list[int]:
    return page.locator("canvas").evaluate(
        """(canvas, [x, y]) => {
          const at = [(x / 7.2 + 0.5) * canvas.width, (2.6 - y) / 4 * canvas.height].map(Math.floor);
          return [...canvas.getContext('2d').getImageData(...at, 1, 1).data];
        }""",
        place,
    )


def is_near(colour: list[int], other: tuple[int, int, int]) -> bool:
    return colour[3] == 255 and max(abs(a - b) for a, b in zip(colour, other, strict=False)) < 8


DATA, NOISE, POSTERIOR = (0, 114, 178), (36, 154, 204), (0, 158, 115)


@each_scheme
def test_it_is_whole_and_readable(show, scheme):
    widget = ForwardPosterior()
    page = show(widget, scheme, 390)
    ink = (0x22,) * 3 if scheme == "light" else (0xDD,) * 3
    for width in (390, 800):
        resize(page, width)
        for control in page.locator("button, select, input").all():
            box = control.bounding_box()
            assert box["height"] >= 44
            assert box["x"] + box["width"] <= width
        check_whole(page, scheme)
        assert is_near(colour_at(page, widget.x0), DATA)
        assert is_near(colour_at(page, widget.xt), NOISE)
        assert is_near(colour_at(page, truth(10, 4, widget.x0, widget.xt)["mean"]), POSTERIOR)
        assert is_near(colour_at(page, [0.0, 0.0]), ink)


def test_time_is_moved_by_keyboard(show):
    page = show(ForwardPosterior())
    check_sentence(page, 10, 4)
    seen = {picture(page)}
    time(page).focus()
    for key, t in [("ArrowLeft", 3), ("Home", 2), ("ArrowRight", 3), ("End", 10)]:
        page.keyboard.press(key)
        assert time(page).get_attribute("aria-valuetext") == str(t)
        check_sentence(page, 10, t)
        seen.add(picture(page))
    assert len(seen) == 4


@each_length
def test_the_mean_goes_from_one_point_to_the_other(show, T):
    page = show(ForwardPosterior(T=T, t=T))
    late = check_sentence(page, T, T)
    time(page).focus()
    page.keyboard.press("Home")
    early = check_sentence(page, T, 2)
    assert late["fromX0"] < 0.02
    assert early["fromX0"] > 0.5
    assert is_near(colour_at(page, early["mean"]), POSTERIOR)


def test_the_number_of_steps_is_chosen_by_keyboard(show):
    page = show(ForwardPosterior())
    steps = page.get_by_role("combobox", name="Steps T")
    steps.focus()
    page.keyboard.press("ArrowDown")
    check_sentence(page, 100, 40)
    page.keyboard.press("End")
    check_sentence(page, 1000, 400)
    time(page).focus()
    page.keyboard.press("ArrowRight")
    check_sentence(page, 1000, 410)
    page.keyboard.press("End")
    check_sentence(page, 1000, 1000)
    steps.select_option("10")
    check_sentence(page, 10, 10)
    time(page).focus()
    page.keyboard.press("ArrowLeft")
    check_sentence(page, 10, 9)


@pytest.mark.parametrize("group", ["x₀", "xₜ"])
@pytest.mark.parametrize(("name", "k", "ends"), [("across", 0, (-3.6, 3.6)), ("up", 1, (-1.4, 2.6))])
def test_each_coordinate_is_moved_by_keyboard(show, group, name, k, ends):
    page = show(ForwardPosterior())
    one = ["x₀", "xₜ"].index(group)
    expected = [list(place) for place in places(page)]
    slider(page, group, name).focus()
    for key, change in [("ArrowRight", lambda x: x + 0.01), ("End", lambda _: ends[1]), ("Home", lambda _: ends[0])]:
        before = picture(page), says(page)
        page.keyboard.press(key)
        expected[one][k] = change(expected[one][k])
        assert [*places(page)] == [pytest.approx(place) for place in expected]
        check_sentence(page, 10, 4)
        assert picture(page) != before[0]
        assert says(page) != before[1]


@each_scheme
@pytest.mark.parametrize(("one", "to"), [(0, [-0.5, 2.0]), (1, [2.0, 1.0])])
def test_both_points_are_dragged(show, scheme, one, to):
    page = show(ForwardPosterior(), scheme)
    canvas = page.locator("canvas")
    box = canvas.bounding_box()

    def screen(place: list[float]) -> tuple[float, float]:
        return box["x"] + (place[0] / 7.2 + 0.5) * box["width"], box["y"] + (2.6 - place[1]) / 4 * box["height"]

    start = places(page)
    page.mouse.move(*screen(start[one]))
    page.mouse.down()
    page.mouse.move(*screen([0.3, 0.4]))
    page.mouse.move(*screen(to))
    assert places(page)[one] == pytest.approx(to, abs=0.02)
    assert places(page)[1 - one] == start[1 - one]
    expected = check_sentence(page, 10, 4)
    assert is_near(colour_at(page, expected["mean"]), POSTERIOR)
    assert is_near(colour_at(page, places(page)[one]), (DATA, NOISE)[one])
    page.mouse.move(box["x"] - 100, box["y"] - 5)  # beyond the border
    assert places(page)[one] == [-3.6, 2.6]
    page.mouse.up()
    page.mouse.move(*screen([0, 0]))  # let go
    assert places(page)[one] == [-3.6, 2.6]
    check_sentence(page, 10, 4)


def test_it_says_when_the_mean_is_on_the_line_and_when_there_is_none(show):
    page = show(ForwardPosterior(x0=(-1, -0.5), xt=(1, 0.5)))
    check_sentence(page, 10, 4)
    assert "the mean is on the line through x₀ and xₜ" in says(page)
    slider(page, "xₜ", "up").fill("0.6")
    check_sentence(page, 10, 4)
    assert "the mean is on the line" not in says(page)
    slider(page, "xₜ", "across").fill("-1")
    slider(page, "xₜ", "up").fill("-0.5")
    check_sentence(page, 10, 4)
    assert "the line" not in says(page)


def test_x_t_is_drawn_from_where_x_0_leads(show):
    page = show(ForwardPosterior(T=1000, t=20))
    assert "q hardly ever draws it" in says(page)
    button = page.get_by_role("button", name="Draw xₜ")
    noise = np.array(run("return Array.from(new Random(1).normals(6))", *SCRIPTS)).reshape(3, 2)
    signal, x0 = FULL.alpha_bar[20].item(), places(page)[0]
    for eps in noise:
        button.focus()
        page.keyboard.press("Enter")
        assert places(page)[0] == x0
        expected = math.sqrt(signal) * np.array(x0) + math.sqrt(1 - signal) * eps
        assert places(page)[1] == pytest.approx(expected.tolist(), abs=5.01e-3)  # the sliders round
        check_sentence(page, 1000, 20)
        assert "q hardly ever draws it" not in says(page)


def test_what_is_drawn_stays_in_the_picture(show):
    page = show(ForwardPosterior(T=10, t=3, x0=(-3.6, 2.6)))
    page.get_by_role("button", name="Draw xₜ").click()
    first = places(page)[1]
    seen = page.get_by_role("button", name="Draw xₜ").evaluate(
        """(button) => Array.from({ length: 60 }, () => {
          const place = [...document.querySelectorAll("fieldset")].at(-1).querySelectorAll("input");
          const found = [...place].map((input) => Number(input.value));
          button.click();
          return found;
        })"""
    )
    assert seen[0] == first
    # a draw that falls outside is made anew; none is pushed to the border
    assert ((np.array(seen) > [-3.6, -1.4]) & (np.array(seen) < [3.6, 2.6])).all()
    assert len({tuple(place) for place in seen}) > 55
    check_sentence(page, 10, 3)
