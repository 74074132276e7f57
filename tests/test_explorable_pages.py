"""The explorables, operated in a real browser."""

from __future__ import annotations

import gzip
import json
import math
import re
from functools import partial
from xml.etree import ElementTree

import pytest
import torch
from browser import check_whole, number, resize, shown, tab_kept
from invented_ladder_runs import SWITCHES, made_runs
from javascript import run
from notebooks import NOTEBOOKS, read

from diffusion_notes.chains import Affine, LinearGaussianChain
from diffusion_notes.explorables import (
    BoundBars,
    Conditioned,
    Explorable,
    Field,
    Forward,
    ForwardPosterior,
    Gap,
    Guided,
    Layers,
    Paths,
    Reverse,
    Rungs,
    TwoPeaks,
)
from diffusion_notes.hierarchical_vae import splits
from diffusion_notes.metrics import stray_share
from diffusion_notes.parameterisations import variational_constant, variational_weight
from diffusion_notes.pretrained import swiss_roll_ddpm
from diffusion_notes.samplers import choose_levels
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll

NETWORK = swiss_roll_ddpm().network
SCHEDULE, LEVELS = Schedule.linear(1000), Schedule.linear(1000).alpha_bar[1:]
LOSS, OWN = 2 * LEVELS, 0.002 * LEVELS  # a perfect network's for standard normal data, and something of its own


def bound_bars() -> BoundBars:
    return BoundBars(SCHEDULE, LOSS, OWN, prior=2e-5, entropy=2.8379)


ALL = {
    "bound_bars": bound_bars,
    "conditioned": Conditioned,
    "field": lambda: Field(NETWORK),
    "forward": Forward,
    "forward_posterior": ForwardPosterior,
    "gap": Gap,
    "guided": Guided,
    "layers": Layers,
    "paths": Paths,
    "reverse": lambda: Reverse(NETWORK),
    "rungs": lambda: Rungs(made_runs(), SWITCHES),
    "two_peaks": TwoPeaks,
}

WORDS_OF_ITS_OWN = {"bound_bars", "field"}  # the still picture shows less than the live one

each = pytest.mark.parametrize("name", ALL)
each_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])


def says(page) -> str:
    return page.locator("output").inner_text()


def numbers(text: str) -> list[float]:
    return [number(n) for n in re.findall(r"−?\d+(?:\.\d+)?(?:·10⁻[⁰¹²³⁴⁵⁶⁷⁸⁹]+)?", text)]


def slider(page, name: str):
    # one that is hidden too: its role is not seen, but its label is
    return page.locator("label", has=page.get_by_text(name, exact=True)).locator("input")


def picture(page) -> str:
    return page.locator("canvas").first.evaluate("canvas => canvas.toDataURL()")


@each
@each_scheme
def test_it_is_whole_and_readable(show, name, scheme):
    page = show(ALL[name](), scheme, 390)
    assert page.locator(f'[data-explorable="{name}"] > svg').is_hidden()
    assert len(page.locator(".try").inner_text()) > 60
    for canvas in page.locator("canvas").all():
        assert len(canvas.get_attribute("aria-label")) > 40
    check_whole(page, scheme)
    resize(page, 800)
    check_whole(page, scheme)


@pytest.fixture(scope="module")
def phone_tabs(browser):
    with tab_kept(browser) as tabs:
        yield tabs


@pytest.fixture(scope="module", params=ALL)
def narrow(request, phone_tabs, tmp_path_factory):
    """An explorable on a phone, opened once for the tests that leave it as it was, and for the one of its colours."""
    return shown(phone_tabs, tmp_path_factory.mktemp("page"), ALL[request.param](), width=390)


@pytest.fixture(scope="module")
def scriptless(browser):
    with tab_kept(browser, java_script_enabled=False) as tabs:
        yield tabs


def test_every_control_has_a_name_and_is_large_enough_to_touch(narrow):
    for control in narrow.locator("button, select, input").locator("visible=true").all():
        assert control.evaluate("c => (c.labels?.[0] ?? c).textContent.trim().length") > 0
        assert control.bounding_box()["height"] >= 44


def test_no_control_sticks_out(narrow):
    right = narrow.locator("[data-explorable]").evaluate("e => e.getBoundingClientRect().right")
    edges = narrow.locator("[data-explorable] :is(button, select, input, canvas)").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect().right)"
    )
    assert max(edges) <= right + 0.5


def test_in_print_a_picture_stands_in_its_place(narrow):
    assert narrow.locator("[data-explorable] > svg").is_hidden()
    narrow.emulate_media(media="print")
    assert narrow.locator("[data-explorable] > svg").is_visible()
    assert narrow.locator("[data-explorable] :is(canvas, button, input, select)").locator("visible=true").count() == 0
    narrow.emulate_media(media="null")


def test_the_pictures_follow_the_theme(narrow):
    all_pictures = "[...document.querySelectorAll('canvas')].map(c => c.toDataURL()).join()"
    before = narrow.evaluate(all_pictures)
    narrow.evaluate("document.body.style.color = '#e00'; document.documentElement.dataset.theme = 'dark'")
    narrow.wait_for_function(f"old => {all_pictures} !== old", arg=before)


@each
def test_without_scripts_a_picture_stands_in_its_place(scriptless, tmp_path, name):
    page = shown(scriptless, tmp_path, ALL[name](), java_script_enabled=False)
    assert page.locator("[data-explorable] > svg").is_visible()
    assert len(page.locator("[data-explorable] > svg > title").text_content()) > 40


@each
def test_the_still_picture_is_whole(name):
    widget = ALL[name]()
    picture = ElementTree.fromstring(widget.still_picture())
    assert picture.attrib["role"] == "img"
    assert (picture.find("title").text == widget.alt) == (name not in WORDS_OF_ITS_OWN)
    assert len(picture.find("title").text) > 60
    assert "nan" not in widget.still_picture()
    assert len(list(picture.iter())) > 3


@each
def test_the_output_is_the_same_to_the_byte(name):
    one, two = (ALL[name]().stored_html() for _ in range(2))
    assert one == two


# The gap


@each_scheme
def test_the_gap_is_closed_by_keyboard(show, scheme):
    page = show(Gap(), scheme)
    mean, width = slider(page, "mean of q"), slider(page, "width of q")
    before = picture(page)
    mean.fill("0.9")
    mean.focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    assert mean.get_attribute("aria-valuetext") == "0.96"
    width.fill("-0.75")
    width.focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    assert width.get_attribute("aria-valuetext") == "0.449"  # the posterior's is √0.2
    assert numbers(says(page))[:4] == [-1.607, -1.607, 0.0, 0.0]
    assert "It is closed" in says(page)
    assert picture(page) != before
    slider(page, "x").fill("2")
    assert "It is closed" not in says(page)


def test_the_gap_of_a_parabola_cannot_be_closed(show):
    page = show(Gap(x=1.0))
    page.get_by_role("combobox", name="The mean of").select_option("parabola")
    slider(page, "mean of q").fill("1.36")
    slider(page, "width of q").fill("-1.9")
    assert numbers(says(page)) == [-1.514, -2.217, 0.703, 0.703]  # the chapter's numbers, and nearly log 2


@pytest.mark.parametrize("x", [-2.1, 3.5, float("nan")])
def test_the_gap_starts_within_its_slider(x):
    with pytest.raises(ValueError, match="x must be between"):
        Gap(x)


# Two layers


def chain(a: float, c: float) -> LinearGaussianChain:
    p = [Affine.scalar(1.0, 0.5), Affine.scalar(a, math.sqrt(1 - a**2))]
    return LinearGaussianChain(p, [Affine.scalar(0.8, math.sqrt(0.2)), Affine.scalar(c, math.sqrt(1 - c**2))])


@each_scheme
def test_the_layers_say_what_the_package_computes(show, scheme):
    page = show(Layers(a=0.9, x=1.2), scheme)
    assert numbers(says(page))[:5] == [-1.6065, -1.6065, -1.6065, -1.6206, -2.4591]  # the chapter's table
    assert "above log p(x)" not in says(page)
    assert slider(page, "c").is_hidden()
    slider(page, "a").focus()
    page.keyboard.press("Home")
    assert slider(page, "a").get_attribute("aria-valuetext") == "−0.99"
    before = picture(page)
    page.get_by_role("combobox", name="Encoder").select_option("own")
    slider(page, "c").fill("0.7")
    slider(page, "a").fill("-0.4")
    slider(page, "x").fill("-1.5")
    assert picture(page) != before
    it = splits(chain(-0.4, 0.7), torch.tensor([[-1.5]], dtype=torch.float64))
    truth = [v.item() for v in (it.log_prob, it.elbo, it.posterior_form, it.printed, it.repaired)]
    assert numbers(says(page))[:5] == pytest.approx(truth, abs=6e-5)
    assert truth[4] > truth[1]  # the signs differ
    assert "The repaired form is above the bound." in says(page)


@pytest.mark.parametrize("change", [{"a": 1.0}, {"a": -1.5}, {"x": 4.0}, {"x": math.nan}])
def test_the_layers_start_within_their_sliders(change):
    with pytest.raises(ValueError, match="must be between"):
        Layers(**change)


# The terms of the bound


@each_scheme
@pytest.mark.parametrize("kind", ["beta", "tilde", "best"])
def test_the_terms_say_what_the_package_computes(show, scheme, kind):
    page = show(bound_bars(), scheme)
    page.get_by_role("combobox", name="σ²").select_option(kind)
    time = slider(page, "t")
    time.focus()
    page.keyboard.press("ArrowRight")
    assert time.get_attribute("aria-valuetext") == "2"
    beta, tilde = SCHEDULE.beta, SCHEDULE.beta_tilde
    loss, own = (torch.cat((torch.zeros(1), table)).double() for table in (LOSS, OWN))
    best = tilde + beta**2 / SCHEDULE.alpha / SCHEDULE.one_minus_alpha_bar * loss / 2
    sigma = {"beta": beta, "tilde": SCHEDULE.sigma_tilde.square(), "best": best}[kind]
    weight, constant = variational_weight(SCHEDULE, sigma), variational_constant(SCHEDULE, sigma, dim=2)
    each = (weight * (loss + own) + constant)[1:]
    ours, total = (weight * own)[1:].sum().item(), each.sum().item() + 2e-5
    relative = weight[2] / weight[1:].mean()
    truth = [each[1], weight[2] * loss[2], weight[2] * own[2], constant[2], weight[2], relative]
    found = numbers(says(page))
    assert found[:1] == [2]
    assert found[1:7] == pytest.approx([value.item() for value in truth], rel=6e-3, abs=1e-15)
    gap = total - 2.8379
    so_far = each[:2].sum().item() + 2e-5
    assert found[7:] == pytest.approx([so_far, total, gap, 2.8379, gap - ours, ours], abs=2e-4)
    page.keyboard.press("End")
    assert numbers(says(page))[0] == 1000


def test_the_term_that_is_pressed_is_told(show):
    page = show(bound_bars())
    box = page.locator("canvas").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    assert numbers(says(page))[0] == 1  # to look is not to choose
    page.mouse.down()
    assert 20 < numbers(says(page))[0] < 50


# The field


def test_the_field_says_what_the_package_computes(show):
    page = show(Field(NETWORK, t=100))
    slider(page, "xₜ, across").fill("-0.5")
    slider(page, "xₜ, up").fill("0.3")
    t, x, y, *values = numbers(says(page))
    assert (t, x, y) == (100, -0.5, 0.3)
    at, level = torch.tensor([[-0.5, 0.3]]), Schedule.linear(1000).alpha_bar[100].item()
    exact = SwissRoll().expected_noise(at.double(), level)
    with torch.no_grad():
        trained = NETWORK(at, 100)
    x0 = (at - (1 - level) ** 0.5 * exact) / level**0.5
    truth = torch.cat((exact, trained, (exact - trained).norm(dim=1, keepdim=True), x0), 1)
    assert torch.tensor(values) == pytest.approx(truth.flatten().numpy(), abs=6e-4)


@each_scheme
def test_the_field_is_dragged_and_its_arrows_are_chosen(show, scheme):
    page = show(Field(NETWORK), scheme)
    box = page.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
    page.mouse.up()
    page.mouse.move(box["x"], box["y"])  # let go
    assert numbers(says(page))[1:3] == pytest.approx([1.9 * 4 / 3 / 2, 0.0], abs=0.02)
    seen = {picture(page)}
    for kind in ("exact", "difference", "trained"):
        page.get_by_role("combobox", name="Arrows").select_option(kind)
        seen.add(picture(page))
    assert len(seen) == 3
    time = slider(page, "t")
    time.focus()
    page.keyboard.press("Home")
    assert numbers(says(page))[0] == 1
    page.keyboard.press("End")
    assert numbers(says(page))[0] == 1000


# The reverse process


@pytest.fixture(scope="module")
def walking_tabs(browser):
    """A tab in which the network runs."""
    with tab_kept(browser, before="") as tabs:
        yield tabs


@pytest.fixture
def show_walking(walking_tabs, tmp_path):
    return partial(shown, walking_tabs, tmp_path)


def finish(page, steps: int) -> None:
    page.wait_for_function("n => document.querySelector('[data-explorable]').dataset.evaluations == n", arg=str(steps))
    slider(page, "Step").fill(str(steps))


def test_the_reverse_process_plays_and_finds_the_spiral(show_walking):
    page = show_walking(Reverse(NETWORK))
    play, step = page.get_by_role("button").first, slider(page, "Step")
    page.get_by_role("combobox", name="Network calls").select_option("100")
    assert says(page).startswith("t = 1000.")
    start = numbers(says(page))[2]
    assert start > 60  # per cent
    play_and_pause(page, play, step)
    finish(page, 100)
    assert step.get_attribute("aria-valuetext") == "t = 0"
    assert play.inner_text() == "Play again"
    assert numbers(says(page))[2] < 2
    end = picture(page)
    step.focus()
    page.keyboard.press("Home")
    assert numbers(says(page))[2] == start
    page.keyboard.press("End")
    assert picture(page) == end
    assert page.complaints == []


ETA = "New noise, η"
LOW = {"width": 800, "height": 60}  # the picture is below


def test_the_reverse_process_computes_nothing_before_it_is_seen(show_walking):
    page = show_walking(Reverse(NETWORK), viewport=LOW)
    root = page.locator("[data-explorable]")
    page.wait_for_timeout(500)
    assert root.get_attribute("data-evaluations") == "0"
    root.locator("canvas").scroll_into_view_if_needed()
    page.wait_for_function("root => root.dataset.evaluations > 3", arg=root.element_handle())


def test_the_reverse_process_computes_when_it_is_played_unseen(show_walking):
    page = show_walking(Reverse(NETWORK), viewport=LOW)
    root = page.locator("[data-explorable]")
    assert root.get_attribute("data-evaluations") == "0"
    page.evaluate("document.querySelector('[data-explorable] button').click()")
    page.wait_for_function("root => root.dataset.evaluations > 3", arg=root.element_handle())
    assert page.evaluate("scrollY") == 0


def test_the_reverse_process_plays_in_the_dark(show_walking):
    page = show_walking(Reverse(NETWORK), "dark")
    page.get_by_role("combobox", name="Network calls").select_option("20")
    play_and_pause(page, page.get_by_role("button").first, slider(page, "Step"))
    finish(page, 20)
    assert page.get_by_role("button").first.inner_text() == "Play again"
    assert page.complaints == []


def play_and_pause(page, play, step) -> None:
    """It goes on while it plays, looks different afterwards, and stays where it is stopped."""
    before = picture(page)
    play.click()
    assert play.inner_text() == "Pause"
    page.wait_for_function("() => document.querySelector('input').value > 5")
    play.click()
    assert play.inner_text() == "Play"
    assert picture(page) != before
    stopped = step.input_value()
    page.wait_for_timeout(200)
    assert step.input_value() == stopped


def test_it_never_shows_a_step_that_is_not_computed_yet(show_walking):
    page = show_walking(Reverse(NETWORK))
    page.get_by_role("button").first.click()
    ahead = page.evaluate(
        """() => new Promise((done) => { const found = [];
          const look = () => { const root = document.querySelector('[data-explorable]');
            found.push(root.querySelector('input').value - root.dataset.evaluations);
            if (found.length < 60) requestAnimationFrame(look); else done(found); };
          requestAnimationFrame(look); })"""
    )
    assert max(ahead) <= 0
    assert int(slider(page, "Step").input_value()) > 0


def test_what_it_says_is_what_the_same_walk_says_in_the_package(show_walking):
    page = show_walking(Reverse(NETWORK))
    page.get_by_role("combobox", name="Network calls").select_option("20")
    finish(page, 20)
    state = Reverse(NETWORK).state()
    points = run(
        """
        const net = trainedNetwork(weights, settings), points = startingPoints("normal", null, new Random(1));
        const levels = chooseLevels(net.schedule, 20, "thinned");
        return Array.from([...walk(net, { method: "ancestral", levels, seed: 1001, points })].at(-1));
        """,
        "maths",
        "sampling",
        "drawing",
        "reverse",
        **{name: state[name] for name in ("weights", "settings")},
    )
    share = stray_share(torch.tensor(points, dtype=torch.float64).reshape(-1, 2), SwissRoll())
    assert numbers(says(page))[2] == pytest.approx(100 * share, abs=0.11)


def test_every_choice_changes_the_walk(show_walking):
    page = show_walking(Reverse(NETWORK))

    def choose(name: str, value: str) -> None:
        page.get_by_role("combobox", name=name).select_option(value)

    ends = {}
    page.locator("summary").click()
    choose("Network calls", "5")
    changes = {
        "as it is": lambda: None,
        "beta": lambda: choose("Noise, σ²", "beta"),
        "none": lambda: choose("Noise, σ²", "none"),
        "narrow": lambda: choose("Start", "narrow"),
        "wide": lambda: choose("Start", "wide"),
        "ring": lambda: choose("Start", "ring"),
        "again": lambda: page.get_by_role("button", name="Draw again").click(),
        "DDIM": lambda: choose("Method", "ddim"),
        "eta": lambda: slider(page, ETA).fill("0.5"),
        "log SNR": lambda: choose("Levels, even in", "log_snr"),
        "Karras": lambda: choose("Levels, even in", "karras"),
        "uniform": lambda: choose("Levels, even in", "uniform"),
        "2M": lambda: choose("Method", "dpmpp_2m"),
        "3M": lambda: choose("Method", "dpmpp_3m"),
        "Heun": lambda: choose("Method", "heun"),
        "paths": lambda: choose("Paths", "8"),
    }
    for name, change in changes.items():
        change()
        finish(page, 3 if name in {"Heun", "paths"} else 5)  # the first and the last of its steps ask once
        ends[name] = picture(page)
    assert len(set(ends.values())) == len(changes)


def test_another_walk_is_seen_from_where_the_one_before_was(show_walking):
    page = show_walking(Reverse(NETWORK, "ddim", calls=8))
    step, root = slider(page, "Step"), page.locator("[data-explorable]")
    finish(page, 8)
    assert says(page).startswith("t = 0.")
    page.get_by_role("combobox", name="Network calls").select_option("16")
    assert step.get_attribute("aria-valuetext") == "t = 0"
    page.wait_for_function(
        "root => root.querySelector('output').textContent.startsWith('t = 0. ')", arg=root.element_handle()
    )
    assert root.get_attribute("data-evaluations") == "16"
    step.fill("4")
    page.get_by_role("combobox", name="Network calls").select_option("8")
    assert step.input_value() == "2"
    step.fill("0")
    page.get_by_role("combobox", name="Method").select_option("heun")
    assert step.input_value() == "0"
    assert page.complaints == []


def test_only_the_noise_that_a_method_has_is_offered(show):
    page = show(Reverse(NETWORK))
    variance = page.get_by_role("combobox", name="Noise, σ²")
    assert "not DDIM" in variance.locator("option").last.inner_text()
    offers = {"ddim": ETA, "heun": None, "dpmpp_2m": None, "dpmpp_3m": None, "ancestral": "Noise, σ²"}
    for method, offered in offers.items():
        page.get_by_role("combobox", name="Method").select_option(method)
        visible = page.locator("label").locator("visible=true").all_inner_texts()
        assert [name for name in (ETA, "Noise, σ²") if any(name in words for words in visible)] == (
            [offered] if offered else []
        )


def test_it_opens_with_what_it_is_given(show_walking):
    page = show_walking(Reverse(NETWORK, "ddim", calls=12, eta=0.3, levels="log_snr"))
    given = {"Method": "ddim", "Network calls": "12", "Levels, even in": "log_snr"}
    for name, value in given.items():
        assert page.get_by_role("combobox", name=name).input_value() == value
    assert slider(page, ETA).input_value() == "0.3"
    assert "which levels" in page.locator(".try").inner_text()
    finish(page, 12)
    levels = choose_levels(NETWORK.schedule, 12, "log_snr")
    times = []
    for step in range(12):
        slider(page, "Step").fill(str(step))
        times.append(numbers(says(page))[0])
    assert times == levels[::-1]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"method": "euler"}, ValueError, "method must be one of"),
        ({"method": 1}, TypeError, "method must be one of"),
        ({"calls": 0}, ValueError, "calls must be"),
        ({"calls": 1001}, ValueError, "calls must be"),
        ({"calls": 2.0}, TypeError, "calls must be"),
        ({"eta": 0.5}, ValueError, "eta must be 0 with the method 'ancestral', got 0.5"),
        ({"method": "ddim", "eta": 1.1}, ValueError, "eta must be between"),
        ({"method": "ddim", "eta": math.nan}, ValueError, "eta must be"),
        ({"levels": "evenly"}, ValueError, "levels must be one of"),
    ],
)
def test_a_walk_that_is_none_is_refused(change, error, words):
    with pytest.raises(error, match=words):
        Reverse(NETWORK, **change)


def test_all_points_start_where_they_are_dragged(show_walking):
    page = show_walking(Reverse(NETWORK))
    page.get_by_role("combobox", name="Network calls").select_option("50")
    page.locator("summary").click()
    assert slider(page, "start, x").is_hidden()
    page.get_by_role("combobox", name="Start").select_option("one")
    box = page.locator("canvas").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.25)
    assert float(slider(page, "start, x").input_value()) == pytest.approx(1.3, abs=0.05)
    assert float(slider(page, "start, y").input_value()) == pytest.approx(1.3, abs=0.05)
    assert numbers(says(page))[2] in (0.0, 100.0)  # one place: all are off the spiral, or none
    before = picture(page)
    slider(page, "start, y").focus()
    page.keyboard.press("Home")
    assert picture(page) != before
    finish(page, 50)
    assert numbers(says(page))[2] < 3  # they have spread along the spiral all the same


def test_nothing_moves_by_itself_for_those_who_want_no_motion(show_walking):
    page = show_walking(Reverse(NETWORK), reduced_motion="reduce")
    page.get_by_role("combobox", name="Network calls").select_option("20")
    page.get_by_role("button").first.click()
    # what the slider says, frame by frame, to the end: a few stills, and nothing between them
    seen = page.evaluate("""() => new Promise((done) => {
        const slider = document.querySelector("input[type=range]");
        const seen = new Set();
        const look = () => {
            seen.add(Number(slider.value));
            if (Number(slider.value) === 20) done([...seen]);
            else requestAnimationFrame(look);
        };
        look();
    })""")
    assert seen == [0, 3, 6, 9, 12, 15, 18, 20]  # each a seventh of the way on, rounded


def test_the_network_does_not_run_where_the_page_does(show_walking):
    page = show_walking(Reverse(NETWORK))
    assert len(page.workers) == 1
    assert page.evaluate("typeof NoiseNetwork") == "undefined"  # and nothing of it leaks into the page


def test_the_state_is_what_the_module_reads():
    for make in ALL.values():
        widget: Explorable = make()
        asked = set(re.findall(r'model\.get\("(\w+)"\)', widget._esm))
        assert asked - {"_esm"} <= set(json.loads(json.dumps(widget.state())))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_explorables_of_a_chapter_are_light(path):
    stored = [
        "".join(output["data"]["text/html"])
        for cell in read(path)["cells"]
        for output in cell.get("outputs", [])
        if "data-explorable" in "".join(output.get("data", {}).get("text/html", ""))
    ]
    assert len(gzip.compress("".join(stored).encode())) <= 150_000
