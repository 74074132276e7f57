"""Something known of a point of the roll: the page's posteriors and methods are the package's, and it is dragged."""

from __future__ import annotations

import math
import re
from functools import partial
from xml.etree import ElementTree

import pytest
import torch
from browser import number, resize, shown, tab_kept
from javascript import run
from scipy.stats import kstest
from torch.testing import assert_close

from diffusion_notes import conditioning, samplers
from diffusion_notes.data import Seen
from diffusion_notes.ddpm import DDPM
from diffusion_notes.explorables import Conditioned
from diffusion_notes.metrics import plug_in_kl
from diffusion_notes.samplers import choose_levels
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll

PARTS = ("maths", "sampling", "mixtures", "conditioning")
SCRIPTS = (*PARTS, "drawing", "conditioned")
SCHEDULE = Schedule.linear(1000)
ROLL = SwissRoll().mixture(pieces=6, nodes=40)
MODEL = DDPM(samplers.ExactNoise(ROLL, SCHEDULE), SCHEDULE, "beta_tilde")
LEVELS = choose_levels(SCHEDULE, 12, "log_snr")
PLACE, NOISE = (0.4, -0.6), 0.3
KNOWN = ["x1", "x2"]
float64 = {"dtype": torch.float64}
each_given = pytest.mark.parametrize("given", [*KNOWN, "point"])


def seen(given: str, noise: float = NOISE) -> Seen:
    return Seen(PLACE, {"x1": (0.0, math.inf), "x2": (math.inf, 0.0), "point": (noise, noise)}[given])


# The numbers

SETUP = "const { value, noise } = seenOf({ given, place, noise: width }), law = rollMixture(6, 40).given(value, noise);"


def posterior(given: str, code: str, **more: object) -> object:
    return run(SETUP + code, *SCRIPTS, given=given, place=PLACE, width=NOISE, **more)


@each_given
def test_the_posterior_is_the_packages(given):
    exact = ROLL.given(seen(given))
    points = exact.sample(40, torch.Generator().manual_seed(1), **float64)
    found = posterior(
        given,
        "return points.map((x) => [law.logDensity(x), ...law.uniforms(x)])",
        points=points.tolist(),
    )
    truth = torch.cat((exact.log_prob(points)[:, None], exact.uniforms(points)), 1)
    assert_close(torch.tensor(found, **float64), truth, rtol=1e-9, atol=1e-9)
    shares = [exact.share(torch.arange(240) // 40 == arm) for arm in range(6)]
    assert posterior(given, "return [...exactShares(law)]") == pytest.approx(shares, abs=1e-12)


def test_the_density_of_the_roll_is_the_packages_at_every_level():
    points = torch.randn(40, 2, generator=torch.Generator().manual_seed(1), **float64)
    times = [1, 60, 300, 1000]
    code = """
    const [roll, square] = [rollMixture(6, 40), (t) => SCHEDULE.noise[t] / SCHEDULE.alphaBar[t]];
    return times.map((t) => points.map((x) => roll.logDensity(x, square(t))));
    """
    found = torch.tensor(run(code, *SCRIPTS, points=points.tolist(), times=times), **float64)
    for t, logs in zip(times, found, strict=True):
        root = SCHEDULE.alpha_bar[t].sqrt()
        truth = ROLL.diffuse(SCHEDULE.alpha_bar[t].item()).log_prob(root * points) + 2 * root.log()
        assert_close(logs, truth, rtol=1e-9, atol=1e-9)


@each_given
def test_draws_are_of_the_posterior(given):
    code = "return [...law.sample(2000, new Random(4))]"
    points = torch.tensor(posterior(given, code), **float64).reshape(-1, 2)
    for column in ROLL.given(seen(given)).uniforms(points).T:
        assert kstest(column.numpy(), "uniform").pvalue > 1e-3


@each_given
def test_shares_and_divergence_of_points_are_the_packages(given):
    exact = ROLL.given(seen(given))
    points = ROLL.sample(500, torch.Generator().manual_seed(1), **float64)
    for d, known in enumerate(seen(given).is_exact.tolist()):
        if known:
            points[:, d] = PLACE[d]
    code = "return [[...sharesOf(rollMixture(6, 40), points)], law.divergence(points, along)]"
    along = 10 if given == "point" else 100
    shares, kl = posterior(given, code, points=points.flatten().tolist(), along=along)
    origin = ROLL.log_parts(points).exp().mean(0).reshape(6, 40).sum(1)
    assert shares == pytest.approx(origin.tolist(), abs=1e-9)
    assert kl == pytest.approx(plug_in_kl(*exact.cells(points, along)), abs=1e-9)


def test_the_level_that_is_entered_is_the_packages():
    widths = [0.05, 0.1, 0.31, 0.62, 1.0]
    found = run("return widths.map(entryLevel)", *SCRIPTS, widths=widths)
    assert found == [SCHEDULE.nearest(width) for width in widths]


METHODS = {
    "exact": "ancestral(roll.given(value, noise), x, steps, random)",
    "replacement": "replacement(roll, x, steps, random, seen, 1)",
    "repaint": "replacement(roll, x, steps, random, seen, 4)",
    "multiplied": "multiplied(roll, x, steps, random, seen)",
    "dps": "gradientGuidance(roll, x, steps, random, seen, 'dps', given === 'point' ? null : 0.3)",
    "pigdm": "gradientGuidance(roll, x, steps, random, seen, 'pigdm')",
    "particles": "twistedParticles(roll, x, steps, random, seen)",
}
WALKED = """
const { value, noise } = seenOf({ given, place, noise: width }), seen = { value, noise };
const roll = rollMixture(6, 40), steps = conditionedSteps(SCHEDULE, levels);
const random = new Random(3), x = new Random(2).normals(20), draws = [], uniforms = [];
const [normals, uniform] = [random.normals.bind(random), random.uniform.bind(random)];
let within = false;
random.normals = (count) => {
  within = true;
  draws.push([...normals(count)]);
  within = false;
  return Float64Array.from(draws.at(-1));
};
random.uniform = () => {
  const u = uniform();
  if (!within) uniforms.push(u);
  return u;
};
const states = [...(METHOD)].map((points) => [...points]);
return { x: [...x], draws, uniforms, states };
"""


def packages(method: str, given: str, xT: torch.Tensor) -> list[torch.Tensor]:
    """The states of the package's method."""
    it, what = seen(given), {"levels": LEVELS}
    if method == "exact":
        exact = DDPM(samplers.ExactNoise(ROLL.given(it), SCHEDULE), SCHEDULE, "beta_tilde")
        return [x for _, x in samplers.walk(exact, xT, "ancestral", len(LEVELS), **what)]
    if method == "particles":
        return [each.x for each in conditioning.particles(MODEL, xT, it, **what)]
    size = None if given == "point" else 0.3
    states = {
        "replacement": partial(conditioning.replacement, resamplings=1),
        "repaint": partial(conditioning.replacement, resamplings=4),
        "multiplied": conditioning.multiplied,
        "dps": partial(conditioning.gradient_guidance, guess="dps", step_size=size),
        "pigdm": partial(conditioning.gradient_guidance, guess="pigdm"),
    }[method](MODEL, xT, it, **what)
    return [x for _, x in states]


@each_given
@pytest.mark.parametrize("method", METHODS)
def test_every_method_with_the_same_draws_is_the_packages(monkeypatch, given, method):
    """To what rounding leaves of points that are 158 times as far out as the data, in the package's steps."""
    if given == "point" and method in {"replacement", "repaint"}:
        with pytest.raises(ValueError, match="noise 0 or infinite"):
            packages(method, given, torch.zeros(1, 2, **float64))
        return
    code = WALKED.replace("METHOD", METHODS[method])
    found = run(code, *SCRIPTS, given=given, place=PLACE, width=NOISE, levels=LEVELS)
    draws = iter(torch.tensor(found["draws"], **float64).reshape(-1, 10, 2))
    uniforms = iter(found["uniforms"])
    for module in (conditioning, samplers):
        monkeypatch.setattr(module, "randn_like", lambda like, generator: next(draws))
    monkeypatch.setattr(torch, "rand", lambda *shape, **kind: torch.tensor([next(uniforms)], **float64))
    truth = torch.stack(packages(method, given, torch.tensor(found["x"], **float64).reshape(-1, 2)))
    assert_close(torch.tensor(found["states"], **float64).reshape(truth.shape), truth, rtol=0, atol=1e-7)
    assert (next(draws, None), next(uniforms, None)) == (None, None)  # as many


def test_entering_the_chain_with_the_same_draws_is_the_packages(monkeypatch):
    t = SCHEDULE.nearest(NOISE)
    code = WALKED.replace("METHOD", "ancestral(roll, x, steps, random)")
    levels = choose_levels(SCHEDULE, 12, "log_snr", highest=t)
    found = run(code, *SCRIPTS, given="point", place=PLACE, width=NOISE, levels=levels)
    draws = iter(torch.tensor(found["draws"], **float64).reshape(-1, 10, 2))
    monkeypatch.setattr(conditioning, "randn_like", lambda like, generator: next(draws))
    xt = torch.tensor(found["x"], **float64).reshape(-1, 2)
    states = conditioning.enter(MODEL, xt / SCHEDULE.alpha_bar[t].sqrt(), NOISE, levels)
    truth = torch.stack([x for _, x in states])
    assert_close(torch.tensor(found["states"], **float64).reshape(truth.shape), truth, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("given", "method"), [("x1", "exact"), ("x2", "exact"), ("x1", "repaint"), ("x2", "particles"), ("point", "enter")]
)
def test_the_methods_that_are_right_in_the_limit_are_near(given, method):
    """And replacement, which is not, is not."""
    code = """
    const task = { given, place, noise: width, steps: 100, resamplings: 10, seed: 1 };
    return names.map((name) => law.divergence([...statesOf(rollMixture(6, 40), name, task)].at(-1), along));
    """
    other = "multiplied" if given == "point" else "replacement"
    found = posterior(given, code, names=["draws", method, other], along=10 if given == "point" else 100)
    assert abs(found[0]) < 0.02
    assert found[1] < 0.06 < found[2]


# The still picture


def test_the_still_picture_shows_what_is_known():
    for widget, shapes in ((Conditioned("x1"), 3), (Conditioned("x2"), 3), (Conditioned("point", method="enter"), 3)):
        svg = ElementTree.fromstring(widget.still_picture())
        assert len(list(svg.iter("path"))) == shapes
    svg = ElementTree.fromstring(Conditioned("x1", place=(0.95, 0)).still_picture())
    hump, line = list(svg.iter("path"))[1:]
    places = [(int(x), int(y)) for x, y in re.findall(r"(\d+),(\d+)", hump.attrib["d"])]
    assert line.attrib["d"].startswith("M356,")
    assert max(places)[1] in (*range(50, 150), *range(250, 350))  # at one of the two crossings


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"given": "x3"}, ValueError, "given must be one of"),
        ({"place": (0.0,)}, ValueError, "place must be two numbers"),
        ({"place": (1.5, 0.0)}, ValueError, "place must be two numbers from -1.4 to 1.4"),
        ({"place": "here"}, TypeError, "place must be"),
        ({"noise": 0.0}, ValueError, "noise must be between"),
        ({"method": "luck"}, ValueError, "method must be one of"),
        ({"method": "enter"}, ValueError, "method must be one that is offered for 'x1', got 'enter'"),
        ({"given": "point"}, ValueError, "method must be one that is offered for 'point', got 'replacement'"),
        ({"steps": 0}, ValueError, "steps must be"),
        ({"resamplings": 51}, ValueError, "resamplings must be"),
    ],
)
def test_it_starts_within_its_controls(change, error, words):
    with pytest.raises(error, match=words):
        Conditioned(**change)


# In the page


@pytest.fixture(scope="module")
def drawing_tabs(browser):
    """A tab in which the worker is awake."""
    with tab_kept(browser, before="") as tabs:
        yield tabs


@pytest.fixture
def show_drawing(drawing_tabs, tmp_path):
    return partial(shown, drawing_tabs, tmp_path)


def says(page) -> str:
    return page.locator("output").inner_text()


def numbers(page) -> list[float]:
    return [number(n) for n in re.findall(r"−?\d+(?:\.\d+)?", says(page))]


def slider(page, name: str):
    return page.locator("label", has=page.get_by_text(name, exact=True)).locator("input")


def choose(page, name: str, value: str) -> None:
    page.get_by_role("combobox", name=name, exact=True).select_option(value)


def finish(page, count: int) -> None:
    root = page.locator("[data-explorable]")
    page.wait_for_function("([root, n]) => root.dataset.known == n", arg=[root.element_handle(), count])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_says_what_the_package_computes(show_drawing, scheme):
    page = show_drawing(Conditioned(place=PLACE, steps=10, resamplings=2), scheme)
    finish(page, 8)
    exact = ROLL.given(seen("x1"))
    shares = [exact.share(torch.arange(240) // 40 == arm) for arm in range(6)]
    listed = [share for share in shares if share > 0.005]
    found = numbers(page)
    assert found[0] == 0.4
    assert found[1 : 1 + len(listed)] == pytest.approx(listed, abs=5.1e-3)
    task = {"given": "x1", "place": [0.4, 0], "noise": 0.3, "steps": 10, "resamplings": 2, "seed": 1}
    code = "return [...[...statesOf(rollMixture(6, 40), name, task)].at(-1)]"
    for method in ("replacement", "pigdm"):
        choose(page, "Method", method)
        points = torch.tensor(run(code, *SCRIPTS, name=method, task=task), **float64).float().double().reshape(-1, 2)
        truth = plug_in_kl(*exact.cells(points, 100))
        assert numbers(page)[-4] == pytest.approx(truth, abs=0.0051)  # a point or two at the border of a cell
    assert page.complaints == []


def test_the_line_is_dragged_from_anywhere_and_by_the_keyboard(show_drawing):
    page = show_drawing(Conditioned(steps=10, resamplings=2))
    box = page.locator("canvas").first.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 200)
    page.mouse.up()
    known = slider(page, "First value")
    assert float(known.input_value()) == pytest.approx(-0.95, abs=0.02)
    assert "first coordinate is −0.9" in says(page)
    known.focus()
    page.keyboard.press("ArrowRight")
    assert float(known.input_value()) == pytest.approx(-0.93, abs=0.03)
    assert slider(page, "Second value").is_hidden()
    assert slider(page, "Its noise").is_hidden()
    finish(page, 8)
    choose(page, "Known", "x2")
    assert known.is_hidden()
    assert "second coordinate is 0.30" in says(page)
    finish(page, 8)
    assert page.complaints == []


def test_a_noisy_point_is_dragged_and_only_what_is_for_it_is_offered(show_drawing):
    page = show_drawing(Conditioned(steps=10))
    choose(page, "Known", "point")
    assert slider(page, "Noisy y₂").is_visible()
    method = page.get_by_role("combobox", name="Method", exact=True)
    assert method.input_value() == "enter"
    assert method.locator("option:not([disabled])").count() == 6
    box = page.locator("canvas").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert "y = (0.00, 0.00) with noise 0.30" in says(page)
    finish(page, 6)
    before = says(page)
    slider(page, "Its noise").fill("0.6")
    finish(page, 6)
    assert says(page) != before
    choose(page, "Known", "x1")
    assert method.input_value() == "replacement"
    assert page.complaints == []


def test_every_method_is_drawn_and_every_choice_draws_anew(show_drawing):
    page = show_drawing(Conditioned(steps=10, resamplings=2))
    picture = "document.querySelector('canvas').toDataURL()"
    finish(page, 8)
    seen = []
    for method in ("draws", "exact", "replacement", "repaint", "multiplied", "dps", "pigdm", "particles"):
        choose(page, "Method", method)
        seen.append(page.evaluate(picture))
    page.locator("summary").click()
    for change in (
        lambda: choose(page, "Steps", "20"),
        lambda: page.get_by_role("button", name="New noise").click(),
        lambda: choose(page, "Method", "repaint"),
        lambda: choose(page, "Resamplings", "5"),
    ):
        change()
        finish(page, 8)
        seen.append(page.evaluate(picture))
    assert len(set(seen)) == len(seen)
    assert page.complaints == []


def test_nothing_is_computed_before_it_is_seen(show_drawing):
    page = show_drawing(Conditioned(steps=10, resamplings=2), viewport={"width": 800, "height": 60})
    page.wait_for_timeout(300)
    assert page.locator("[data-explorable]").get_attribute("data-known") == "0"
    page.locator("canvas").first.scroll_into_view_if_needed()
    finish(page, 8)


def test_it_plays_to_the_end_and_in_stills_for_those_who_want_no_motion(show_drawing):
    page = show_drawing(Conditioned(steps=20, resamplings=2), reduced_motion="reduce")
    finish(page, 8)
    root, button = page.locator("[data-explorable]"), page.get_by_role("button").first
    assert root.get_attribute("data-place") == "20"
    button.click()
    seen = page.evaluate("""() => new Promise((done) => {
        const root = document.querySelector("[data-explorable]");
        const seen = new Set();
        const look = () => {
            seen.add(Number(root.dataset.place));
            if (seen.has(0) && Number(root.dataset.place) === 20) done([...seen]);
            else requestAnimationFrame(look);
        };
        look();
    })""")
    assert seen == [0, 3, 6, 9, 12, 15, 18, 20]
    assert page.complaints == []


def test_its_rows_fit_a_small_screen(show_drawing):
    page = show_drawing(Conditioned(steps=10, resamplings=2), width=320)
    finish(page, 8)
    resize(page, 390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
