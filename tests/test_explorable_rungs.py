"""Two rungs side by side: the averages, the numbers in the page, and what every control does."""

from __future__ import annotations

import base64
import copy
import json
import math
import re
from dataclasses import asdict
from itertools import product
from xml.etree import ElementTree

import numpy as np
import pytest
from browser import check_whole, resize
from invented_ladder_runs import MADE, SWITCHES, made_runs
from javascript import run
from notebooks import ROOT, code_cells

from diffusion_notes.experiment.ladder_runs import LADDER, LEARNING_RATE, RUNGS
from diffusion_notes.experiment.results import load_results
from diffusion_notes.explorables import Rungs
from diffusion_notes.explorables.rungs import SWITCHES as NAMES
from diffusion_notes.ladder import Rung

SCRIPTS = ("drawing", "rungs_pictures", "rungs")
RUNS = made_runs()
each_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])


def rungs(**change) -> Rungs:
    return Rungs(**{"runs": RUNS, "switches": SWITCHES} | change)


def those(data: str, name: str, budget: str = "time") -> list[dict]:
    return [each for each in RUNS if (each["data"], each["budget"], each["rung"]) == (data, budget, name)]


def ran(data: str, budget: str) -> list[str]:
    return [each["rung"] for each in RUNS if (each["data"], each["budget"], each["seed"]) == (data, budget, 0)]


def shown(data: str, name: str, widget: Rungs | None = None, budget: str = "time") -> dict:
    found = [each for each in (widget or rungs()).rungs if (each["data"], each["name"]) == (data, name)]
    (one,) = (each for each in found if budget in each["budgets"])
    return one


def truth(name: str, data: str = "swiss roll", key: str = "gap", budget: str = "time") -> tuple[float, float]:
    values = np.array([each[key] for each in those(data, name, budget)])
    return values.mean(), 2 * values.std(ddof=1) / math.sqrt(len(values))


def differ(one: str, other: str) -> list[str]:
    return [switch for switch, value in SWITCHES[one].items() if SWITCHES[other][switch] != value]


# The averages


def test_the_switches_are_those_of_a_rung():
    assert list(NAMES) == list(Rung.__dataclass_fields__)
    assert run("return Object.keys(SWITCHES)", *SCRIPTS) == list(NAMES)


@pytest.mark.parametrize(("data", "budget"), [*product(MADE, ("time", "steps"))])
def test_what_is_shown_are_means_and_two_standard_errors_over_the_seeds(data, budget):
    for name in ran(data, budget):
        found, runs = shown(data, name, budget=budget), those(data, name, budget)
        for key in ("gap", "KL"):
            assert found[key] == pytest.approx(truth(name, data, key, budget), abs=5.1e-8)
        terms = [np.mean([each["terms"][term] for each in runs]) for term in ("reconstruction", "layers", "prior")]
        assert found["terms"] == pytest.approx(terms, abs=5.1e-8)
        assert (found["seeds"], found["switches"]) == (3, SWITCHES[name])
        assert found["steps"] == 3834  # of 4000, 3834, 3667


def test_no_clock_is_in_the_page():
    assert all("seconds" in each for each in RUNS)
    assert "seconds" not in json.dumps(rungs().state()["rungs"])


@pytest.mark.parametrize("budget", ["time", "steps"])
def test_what_is_the_same_with_both_budgets_is_in_the_page_once(budget):
    widget = rungs(budget=budget)
    assert widget.state()["budget"] == budget
    for data, names in MADE.items():
        for name in names:
            budgets = [each["budgets"] for each in widget.rungs if (each["data"], each["name"]) == (data, name)]
            both = [["time", "steps"]] if name in LADDER[6:] else [["time"], ["steps"]]
            assert budgets == (both if name in ran(data, "steps") else [["time"]])
    assert len(widget.rungs) == sum(map(len, MADE.values())) + 4  # with steps, three on the roll, and one


def test_a_number_that_differs_between_the_budgets_is_not_lost():
    runs = [each | {"KL": 9.0} if (each["budget"], each["rung"]) == ("steps", "DDPM") else each for each in RUNS]
    widget = rungs(runs=runs)
    assert shown("swiss roll", "DDPM", widget)["KL"][0] == pytest.approx(truth("DDPM", key="KL")[0], abs=5.1e-8)
    assert shown("swiss roll", "DDPM", widget, "steps")["KL"] == [9.0, 0.0]


def budgets_of(widget: Rungs) -> set[str]:
    return {budget for each in widget.rungs for budget in each["budgets"]}


def test_a_budget_can_be_chosen_if_it_was_run_on_all_the_data():
    on_roll = [each for each in RUNS if (each["data"], each["budget"]) != ("clusters", "steps")]
    assert budgets_of(rungs()) == {"time", "steps"}
    assert budgets_of(rungs(runs=on_roll)) == {"time"}
    widget = rungs(runs=on_roll, budget="steps")
    assert budgets_of(widget) == {"time", "steps"}
    assert {each["data"] for each in widget.rungs} == {"swiss roll"}


def test_the_chapter_shows_each_rung_once_and_with_the_learning_rate_of_all():
    """Runs with other rates are stored too, with the same data, budget, rung and seed: averaged with them, or shown."""
    (cell,) = (cell for cell in code_cells(ROOT / "book" / "ladder.ipynb") if cell.id == "compare-widget")
    html = cell.outputs[0]["data"]["text/html"]
    found = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])["rungs"]
    names = [(each["data"], budget, each["name"]) for each in found for budget in each["budgets"]]
    assert len(set(names)) == len(names)
    stored = load_results("ladder")["runs"]
    assert {run["learning rate"] for run in stored} > {LEARNING_RATE}
    for each in found:
        mine = (each["data"], each["budgets"][0], each["name"], LEARNING_RATE)
        gaps = [run["gap"] for run in stored if (run["data"], run["budget"], run["rung"], run["learning rate"]) == mine]
        if gaps:  # with equal steps, some are those of equal work
            assert (each["seeds"], each["gap"][0]) == (len(gaps), pytest.approx(np.mean(gaps), abs=5.1e-8))
    with pytest.raises(ValueError, match="must not repeat themselves"):
        Rungs(stored, {name: asdict(rung) for name, rung in RUNGS.items()})


def test_the_order_is_that_of_the_switches_whatever_that_of_the_runs():
    expected = {data: [name for name in SWITCHES if name in names] for data, names in MADE.items()}
    widget = rungs(runs=sorted(RUNS, key=lambda each: each["seed"], reverse=True))
    found = [each for each in widget.rungs if "time" in each["budgets"]]
    assert {data: [each["name"] for each in found if each["data"] == data] for data in MADE} == expected


def test_the_samples_are_those_of_seed_0_to_the_hundredth():
    found = run("return hundredths(text)", *SCRIPTS, text=shown("swiss roll", "DDPM")["samples"])
    assert found == those("swiss roll", "DDPM")[0]["samples"]


def test_one_seed_has_no_error():
    one = shown("clusters", "VAE", rungs(runs=made_runs(seeds=1)))
    assert (one["gap"][1], one["seeds"]) == (None, 1)


def test_the_runs_of_thirty_rungs_are_light():
    names = list(SWITCHES)[:30]
    runs = [
        each | {"rung": name, "data": data, "budget": budget}
        for name in names
        for data in MADE
        for budget in ("time", "steps")
        for each in those("swiss roll", "DDPM")
    ]
    widget = rungs(runs=runs)
    assert len(widget.rungs) == 60
    assert len(json.dumps(widget.state())) < 150_000


def changed(key: str, value: object) -> list[dict]:
    runs = copy.deepcopy(RUNS)
    runs[0][key] = value
    return runs


def without(key: str) -> list[dict]:
    return [{name: value for name, value in each.items() if name != key} for each in RUNS]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"runs": None}, TypeError, "runs must be a list of runs"),
        ({"runs": []}, ValueError, "runs must not be empty"),
        ({"runs": RUNS[-1:]}, ValueError, "runs must not be empty, got none with a budget of 'time' or 'steps'"),
        ({"runs": changed("budget", 3)}, TypeError, "budget in runs must be a text, got int 3"),
        ({"runs": [1]}, TypeError, "runs must be a list of dictionaries, got int 1"),
        ({"runs": without("rung")}, ValueError, "runs must each have 'rung', got dict"),
        ({"runs": without("samples")}, ValueError, "runs must each have 'samples'"),
        ({"runs": without("KL")}, ValueError, "runs must each have 'KL'"),
        ({"runs": changed("gap", math.nan)}, ValueError, "gap in runs must be finite"),
        ({"runs": changed("gap", "small")}, TypeError, "gap in runs must be a number"),
        ({"runs": changed("terms", 3)}, TypeError, "terms in runs must be a dictionary"),
        ({"runs": changed("terms", {"prior": 1.0})}, ValueError, "runs must each have 'reconstruction'"),
        ({"runs": changed("seed", 0.5)}, TypeError, "seed of runs must be an integer"),
        ({"runs": changed("seed", 1)}, ValueError, "runs must not repeat themselves, got seed 1"),
        ({"runs": changed("seed", 9)}, ValueError, r"must hold seed 0 of each rung, got only \[1, 2, 9\]"),
        ({"runs": changed("samples", [[1.0], [2.0]])}, ValueError, r"samples in runs must have shape \(N, 2\)"),
        ({"runs": changed("samples", [[1.0, math.inf]])}, ValueError, "samples in runs must be finite"),
        ({"runs": changed("rung", "GAN")}, ValueError, "runs must be of rungs in switches, got one of 'GAN'"),
        ({"runs": changed("data", 3)}, TypeError, "data in runs must be a text, got int 3"),
        ({"switches": SWITCHES | {"VAE": {"layers": 1}}}, ValueError, "switches of 'VAE' must be layers, inference"),
        ({"switches": SWITCHES | {"VAE": 3}}, TypeError, "switches must be a dictionary of dictionaries"),
        ({"switches": SWITCHES | {3: {}}}, ValueError, "switches of 3 must be layers, inference"),
        ({"switches": SWITCHES | {"VAE": SWITCHES["VAE"] | {"last": None}}}, TypeError, "in 'last' of 'VAE'"),
        ({"data": "moons"}, ValueError, "data must be one of 'swiss roll', 'clusters'"),
        ({"runs": those("swiss roll", "VAE"), "data": "clusters"}, ValueError, "data must be one of 'swiss roll', got"),
        ({"budget": "money"}, ValueError, "budget must be one of 'time', 'steps'"),
        ({"budget": "parameters"}, ValueError, "budget must be one of 'time', 'steps'"),
        (
            {"runs": those("swiss roll", "VAE"), "budget": "steps"},
            ValueError,
            "budget must be one of 'time', got 'steps'",
        ),
        ({"budget": "steps", "a": "shared network"}, ValueError, "a must be one of 'VAE, one coordinate'"),
        ({"ladder": "DDPM"}, TypeError, "ladder must be a list of names, got str 'DDPM'"),
        ({"ladder": ["DDPM", "GAN"]}, ValueError, "ladder must be one of 'VAE, one coordinate'"),
        ({"a": "GAN"}, ValueError, "a must be one of 'VAE, one coordinate'"),
        ({"data": "clusters", "b": "hierarchical VAE"}, ValueError, "b must be one of"),
    ],
)
def test_what_does_not_fit_is_named(change, error, words):
    with pytest.raises(error, match=words):
        rungs(**change)


# The numbers in the page


OBJECTIVES = ("bound", "layer", "weighted", "simple")


def test_the_nearest_run_changes_the_fewest_switches():
    """Against all of them looked through here, from every rung, by every switch, to every position."""
    listed = [{"name": name, "switches": SWITCHES[name]} for name in SWITCHES]
    values = {switch: list(dict.fromkeys(one["switches"][switch] for one in listed)) for switch in NAMES}
    found = run(
        """return listed.map((from) => Object.entries(values).map(([name, all]) =>
             all.map((value) => nearest(listed, { ...from.switches, [name]: String(value) }, name).name)));""",
        *SCRIPTS,
        listed=listed,
        values=values,
    )
    for start, by_switch in zip(SWITCHES, found, strict=True):
        for switch, ends in zip(NAMES, by_switch, strict=True):
            for value, end in zip(values[switch], ends, strict=True):
                wanted = SWITCHES[start] | {switch: value}

                def distance(name, wanted=wanted):
                    other = SWITCHES[name]
                    depth = abs(math.log(other["layers"] / wanted["layers"]))
                    trained = abs(OBJECTIVES.index(other["objective"]) - OBJECTIVES.index(wanted["objective"]))
                    return sum(other[each] != wanted[each] for each in NAMES), round(depth, 9), trained

                allowed = [name for name in SWITCHES if SWITCHES[name][switch] == value]
                assert end == min(allowed, key=distance), (start, switch, value)


def test_of_two_as_near_the_one_as_deep_is_taken_and_none_of_none():
    at = {"inference": "fixed", "last": "noise", "networks": "shared", "latent": 2}
    listed = [{"name": n, "switches": at | {"layers": n, "objective": "layer"}} for n in (1000, 2, 8, 4)]
    wanted = at | {"layers": 5, "objective": "bound"}
    code = "return [nearest(listed, wanted).name, nearest(listed, wanted, 'objective') ?? null]"
    assert run(code, *SCRIPTS, listed=listed, wanted=wanted) == [4, None]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(("trained", "end"), [("bound", "bound"), ("weighted", "layer"), ("simple", "layer")])
def test_of_two_as_deep_the_one_that_is_trained_alike_is_taken(trained, end, order):
    wanted = SWITCHES["DDPM"] | {"layers": "4", "objective": trained}
    names = {"inference fixed": "bound", "one random layer": "layer", "1000 layers": "never"}
    listed = [{"name": said, "switches": SWITCHES[name]} for name, said in names.items()][::order]
    assert run("return nearest(listed, wanted, 'layers').name", *SCRIPTS, listed=listed, wanted=wanted) == end


def test_the_depth_counts_more_than_what_is_trained_on():
    wanted = SWITCHES["DDPM"] | {"layers": "128", "networks": "own"}
    listed = [
        {"name": n, "switches": wanted | {"layers": n, "objective": objective}}
        for n, objective in ((126, "weighted"), (127, "bound"), (1000, "weighted"))
    ]
    assert run("return nearest(listed, wanted).name", *SCRIPTS, listed=listed, wanted=wanted) == 127


@pytest.mark.parametrize("pair", [("VAE", "DDPM"), ("DDPM", "VAE"), ("four layers", "shared network")])
def test_what_is_bought_is_the_difference_of_the_means_with_its_error(pair):
    found = run("return bought(a, b)", *SCRIPTS, **dict(zip("ab", (shown("swiss roll", n) for n in pair), strict=True)))
    (a, a_error), (b, b_error) = (truth(name) for name in pair)
    error = math.sqrt(a_error**2 + b_error**2)
    assert found == pytest.approx({"nats": a - b, "error": error, "times": abs(a - b) / error}, rel=1e-3)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ((0.3, 0.003), (0.1, 0.004), "0.200 ± 0.005 nats, 40 times the ± beside it."),
        ((0.1, 0.003), (0.3, 0.004), "−0.200 ± 0.005 nats, which is a loss, 40 times the ± beside it."),
        ((0.1, 0.003), (0.1049, 0.004), "−0.005 ± 0.005 nats, less than its ±, so this may be chance."),
        ((0.1049, 0.003), (0.1, 0.004), "0.005 ± 0.005 nats, less than its ±, so this may be chance."),
        ((0.1051, 0.003), (0.1, 0.004), "0.005 ± 0.005 nats, 1.0 times the ± beside it."),
        ((0.3, None), (0.1, 0.004), "0.200 nats, with one seed, its error is not known."),
    ],
)
def test_the_verdict_compares_with_the_error(a, b, said):
    one, other = ({"gap": gap, "switches": SWITCHES[name]} for gap, name in ((a, "DDPM"), (b, "1000 layers")))
    found = run("return comparison(a, b)", *SCRIPTS, a=one, b=other)
    expected = "They differ in one switch: trained on simple loss → one layer. What this one difference buys: "
    assert found == expected + said


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (5, 5, " ± is two standard errors, over 5 seeds."),
        (10, 5, " ± is two standard errors, over the seeds: 10 of A, 5 of B."),
        (1, 5, " ± is two standard errors, over the seeds: 1 of A, 5 of B."),
        (1, 1, ""),
    ],
)
def test_it_says_over_how_many_seeds_the_error_is(a, b, said):
    assert run("return errors(a, b)", *SCRIPTS, a=a, b=b) == said


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 0.404, [0, 0.2, 0.4]),
        (0, 0.06, [0, 0.02, 0.04, 0.06]),
        (-4.1, 3.1, [-4, -2, 0, 2]),
        (0, 4, [0, 1, 2, 3, 4]),
    ],
)
def test_the_ticks_are_round(low, high, ticks):
    assert run("return ticksBetween(low, high)", *SCRIPTS, low=low, high=high) == ticks


# In a browser


def says(page) -> list[str]:
    "What it says of both, then what it says of their difference; notes stand before that."
    verdict, costs = (page.locator("output").nth(which).inner_text().split("\n") for which in (0, 1))
    return [*verdict[:-1], *costs[:2], verdict[-1]]


def held_equal(page) -> str:
    return page.locator("output").nth(1).inner_text().split("\n")[-1]


def picture(page, which: int) -> str:
    return page.locator("canvas").nth(which).evaluate("canvas => canvas.toDataURL()")


def select(page, name: str):
    return page.get_by_role("combobox", name=name, exact=True)


def position(page, side: str) -> list[str]:
    rows = ("Layers", "Inference", "Last latent", "Networks", "Latent size", "Trained on")
    return [select(page, f"{row} of {side}").input_value() for row in rows]


def cost(side: str, name: str, data: str = "swiss roll", budget: str = "time") -> str:
    gap, kl = ("{:.3f} ± {:.3f}".format(*truth(name, data, key, budget)) for key in ("gap", "KL"))
    return f"{side}, {name}: gap {gap} nats, KL {kl}, 3834 steps."


def test_it_begins_with_the_vae_and_ddpm(show):
    """That it is whole then is a test of ``test_explorable_pages``."""
    page = show(rungs())
    assert says(page)[:2] == [cost("A", "VAE"), cost("B", "DDPM")]
    (a, a_error), (b, b_error) = truth("VAE"), truth("DDPM")
    assert "They differ in 5 switches: layers 1 → 1000, inference learned → fixed" in says(page)[2]
    assert f"buy together: {a - b:.3f} ± {math.hypot(a_error, b_error):.3f} nats".replace("-", "−") in says(page)[2]
    assert says(page)[2].endswith("± is two standard errors, over 3 seeds.")
    for side, name in (("A", "VAE"), ("B", "DDPM")):
        assert position(page, side) == [str(value) for value in SWITCHES[name].values()]


def test_a_rung_is_chosen_by_its_name_with_the_keyboard(show):
    page = show(rungs())
    before = [picture(page, which) for which in range(3)]
    select(page, "A").focus()
    page.keyboard.press("ArrowDown")
    assert select(page, "A").input_value() == "four layers"
    assert says(page)[0] == cost("A", "four layers")
    assert position(page, "A") == [str(value) for value in SWITCHES["four layers"].values()]
    assert position(page, "B") == [str(value) for value in SWITCHES["DDPM"].values()]
    assert all(picture(page, which) != before[which] for which in range(3))


def test_all_controls_are_reached_with_the_keyboard_in_their_order(show):
    page = show(rungs())
    reached = []
    for _ in range(21):
        page.keyboard.press("Tab")
        here = page.locator(":focus")
        reached.append(here.evaluate("e => e.ariaLabel ?? (e.labels[0]?.firstChild ?? e).textContent"))
    rows = ("Layers", "Inference", "Last latent", "Networks", "Latent size", "Trained on")
    switches = [f"{row} of {side}" for row in rows for side in "AB"]
    pairs = ["VAE and DDPM", "q learned or fixed", "4 or 32 layers", "bound or simple loss"]
    assert reached == [*pairs, "A", "B", *switches, "Make B the same as A", "Data", "Equal"]


def test_b_is_made_like_a_and_one_switch_is_turned(show):
    page = show(rungs(a="four layers"))
    page.get_by_role("button", name="Make B the same as A").press("Enter")
    assert position(page, "B") == position(page, "A")
    assert select(page, "B").input_value() == "four layers"
    assert says(page)[2].startswith("A and B are the same")
    bold = "[...document.querySelectorAll('.differs')].map(e => e.textContent)"
    assert page.evaluate(bold) == []
    select(page, "Networks of B").focus()
    page.keyboard.press("ArrowDown")
    assert select(page, "B").input_value() == "shared network"
    difference = truth("four layers")[0] - truth("shared network")[0]
    expected = f"They differ in one switch: networks own → shared. What this one difference buys: {difference:.3f} ±"
    assert says(page)[2].startswith(expected.replace("-", "−"))
    assert page.evaluate(bold) == ["Networks"]
    assert position(page, "A") == [str(value) for value in SWITCHES["four layers"].values()]


def test_a_switch_that_needs_others_says_so_before_and_after(show):
    page = show(rungs())
    options = select(page, "Inference of B").locator("option").all_inner_texts()
    more = len(differ("DDPM", "learned forward, 8")) - 1
    assert (options, more) == ([f"learned (+{more})", "fixed"], 2)
    select(page, "Inference of B").select_option("learned")
    assert select(page, "B").input_value() == "learned forward, 8"
    assert says(page)[0] == "No run differs in this switch alone, so B changed here too: layers, trained on."
    assert says(page)[2] == cost("B", "learned forward, 8")
    assert select(page, "Inference of B").locator("option").all_inner_texts()[0] == "learned"
    select(page, "Layers of A").select_option("2")
    assert len(says(page)) == 3  # this was run in this alone, so nothing is said of others


def test_other_data_show_their_own_runs_or_the_nearest(show):
    page = show(rungs(a="hierarchical VAE"))
    before = [picture(page, which) for which in range(3)]
    select(page, "Data").select_option("clusters")
    expected = "hierarchical VAE was not run with these data and equal work: A is the nearest that was."
    assert says(page)[0] == expected
    assert says(page)[1:3] == [cost("A", "VAE", "clusters"), cost("B", "DDPM", "clusters")]
    assert all(picture(page, which) != before[which] for which in range(3))
    assert grey(page) == set(MADE["swiss roll"]) - set(MADE["clusters"])
    assert select(page, "Layers of A").locator("option[value='8']").is_disabled()
    select(page, "Data").select_option("swiss roll")
    assert grey(page) == set()
    assert says(page)[0] == cost("A", "VAE")


def grey(page, side: str = "A") -> set[str]:
    options = select(page, side).locator("option")
    return set(options.evaluate_all("all => all.filter((o) => o.disabled).map((o) => o.value)"))


@each_scheme
def test_equal_steps_show_their_own_runs_or_the_nearest(show, scheme):
    page = show(rungs(a="VAE", b="DDPM"), scheme, 390)
    assert select(page, "Equal").locator("option").all_inner_texts() == ["work", "steps"]
    assert held_equal(page) == "Equal work: each took as many multiplications."
    before = [picture(page, which) for which in range(3)]
    select(page, "Equal").focus()
    page.keyboard.press("ArrowDown")
    assert select(page, "Equal").input_value() == "steps"
    assert held_equal(page) == "Equal steps: each took as many training steps."
    # that of DDPM is the same run, that of the VAE is not
    assert says(page)[:2] == [cost("A", "VAE", budget="steps"), cost("B", "DDPM")]
    assert says(page)[0] != cost("A", "VAE")
    assert all(picture(page, which) != before[which] for which in range(3))
    difference = truth("VAE", budget="steps")[0] - truth("DDPM")[0]
    assert f"buy together: {difference:.3f} ±".replace("-", "−") in says(page)[2]
    assert grey(page) == grey(page, "B") == set(MADE["swiss roll"]) - set(ran("swiss roll", "steps"))
    for width in (800, 390):
        resize(page, width)
        check_whole(page, scheme)
    page.keyboard.press("ArrowUp")
    assert says(page)[:2] == [cost("A", "VAE"), cost("B", "DDPM")]
    assert [picture(page, which) for which in range(3)] == before
    assert grey(page) == set()


def test_what_was_not_run_with_equal_steps_moves_to_the_nearest(show):
    page = show(rungs(a="shared network", b="DDPM"))
    select(page, "Equal").select_option("steps")
    assert says(page)[0] == "shared network was not run with these data and equal steps: A is the nearest that was."
    assert says(page)[1:3] == [cost("A", "four layers", budget="steps"), cost("B", "DDPM")]
    select(page, "Data").select_option("clusters")
    assert says(page)[0] == "four layers was not run with these data and equal steps: A is the nearest that was."
    assert says(page)[1:3] == [cost("A", "VAE", "clusters", "steps"), cost("B", "DDPM", "clusters")]
    assert grey(page) == set(MADE["swiss roll"]) - set(ran("clusters", "steps"))
    select(page, "A").select_option("one random layer")
    assert says(page)[0] == cost("A", "one random layer", "clusters")


def test_it_begins_with_equal_steps_where_it_is_told_to(show):
    page = show(rungs(budget="steps"))
    assert select(page, "Equal").input_value() == "steps"
    assert says(page)[:2] == [cost("A", "VAE", budget="steps"), cost("B", "DDPM", budget="steps")]


def test_ddpm_with_four_layers_is_the_rung_trained_on_one_random_layer(show):
    page = show(rungs())
    select(page, "Layers of B").select_option("4")
    assert select(page, "B").input_value() == "one random layer"
    assert says(page)[0] == "No run differs in this switch alone, so B changed here too: trained on."


def test_the_seeds_of_both_are_named_where_they_are_not_as_many(show):
    page = show(rungs(runs=[each for each in RUNS if each["rung"] != "DDPM" or each["seed"] < 2]))
    assert says(page)[2].endswith("± is two standard errors, over the seeds: 3 of A, 2 of B.")


def test_it_is_said_why_a_choice_is_grey(show):
    assert show(rungs()).locator(".try").inner_text().endswith("Grey: not run with these data or this budget.")


@pytest.mark.parametrize("budget", ["time", "steps"])
def test_there_is_no_choice_where_there_are_no_others(show, budget):
    runs = those("swiss roll", "VAE", budget) + those("swiss roll", "DDPM", budget)
    page = show(rungs(runs=runs, budget=budget))
    for words in ("Data", "Equal"):
        assert page.get_by_text(words, exact=True).is_hidden()
    assert held_equal(page).startswith({"time": "Equal work", "steps": "Equal steps"}[budget])


def test_with_one_seed_nothing_is_said_of_errors(show):
    page = show(rungs(runs=made_runs(seeds=1)))
    assert "±" not in " ".join(says(page))
    assert page.complaints == []


def test_a_name_is_only_text(show):
    evil = "</script><img src=x onerror=alert(1)>"
    runs = [each | {"rung": evil} for each in those("swiss roll", "DDPM")] + those("swiss roll", "VAE")
    page = show(rungs(runs=runs, switches=SWITCHES | {evil: SWITCHES["DDPM"]}, b=evil))
    assert page.locator("img").count() == 0
    assert evil in says(page)[1]


def pixels(page, left: float, right: float) -> int:
    """How many pixels of the samples' picture are inked, between two shares of its width."""
    return page.locator("canvas").first.evaluate(
        """(canvas, [left, right]) => {
          const [from, to] = [left, right].map((share) => share * canvas.width);
          const { data } = canvas.getContext("2d").getImageData(from, 0, to - from, canvas.height);
          return Array.from({ length: data.length / 4 }, (_, i) => data[4 * i + 3]).filter((a) => a > 128).length; }""",
        [left, right],
    )


def test_a_is_drawn_on_the_left_and_b_on_the_right_on_the_same_axes(show):
    page = show(rungs())
    left, right = (pixels(page, *half) for half in ((0, 0.5), (0.5, 1)))
    assert min(left, right) > 500
    select(page, "B").select_option("32 layers")
    assert (pixels(page, 0, 0.5), pixels(page, 0.5, 1) == right) == (left, False)


def bars(page, which: int, left: float, right: float) -> list[tuple[bool, float, float]]:
    """The bars of a picture from above: whether each is dark, and where it begins and ends, in pixels.

    They are looked for between two places in pixels, the second one counted from the right.
    """
    rows = (
        page.locator("canvas")
        .nth(which)
        .evaluate(
            """(canvas, [left, right]) => {
          const { width, height } = canvas, { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
          const shade = (x, y) => { // in the middle of a bar: the ink, or less than half of it
            const alpha = data[4 * (y * width + x) + 3];
            return alpha > 240 ? "dark" : alpha > 90 && alpha < 140 ? "pale" : null; };
          const longest = (xs) => { // run, over the gap that a line of the error leaves
            let best = [0, 0], start = xs[0];
            xs.forEach((x, i) => { if (i && x - xs[i - 1] > 4) start = x;
              if (x + 1 - start > best[1] - best[0]) best = [start, x + 1]; });
            return best; };
          return Array.from({ length: height }, (_, y) => ["dark", "pale"].map((name) =>
            longest([...Array(width - right).keys()].slice(left).filter((x) => shade(x, y) === name)))); }""",
            [left, right],
        )
    )
    found: list[tuple] = []
    for of in (0, 1):
        ends = [row[of] for row in rows]
        last = -99
        for y, (start, end) in enumerate(ends[:-3]):
            if end - start > 5 and ends[y : y + 4] == [[start, end]] * 4 and y - last > 12:  # no word, and no line
                last = y
                found.append((y, of == 0, start, end))
    return [bar for _, *bar in sorted(found)]


def test_the_bars_of_the_costs_are_as_long_as_the_means_on_one_scale(show):
    page = show(rungs())
    means = [truth(name, key=key)[0] for key in ("gap", "KL") for name in ("VAE", "DDPM")]
    ends = [sum(truth(name, key=key)) for key in ("gap", "KL") for name in ("VAE", "DDPM")]
    wide = page.locator("canvas").nth(1).evaluate("canvas => canvas.width") - 22 - 112
    found = bars(page, 1, 22, 112)
    assert [dark for dark, *_ in found] == [True, False, True, False]
    assert [start for _, start, _ in found] == [22] * 4
    lengths = [end - start for _, start, end in found]
    assert lengths == pytest.approx([mean / max(ends) * wide for mean in means], abs=1.5)


def test_the_bars_of_the_terms_point_to_their_sign_and_add_up_to_the_bound(show):
    page = show(rungs())
    terms = [np.array(shown("swiss roll", name)["terms"]) for name in ("VAE", "DDPM")]
    values = [value for pair in zip(*(np.append(each, each.sum()) for each in terms), strict=True) for value in pair]
    low, high = min(0, *values), max(0, *values)
    wide = page.locator("canvas").nth(2).evaluate("canvas => canvas.width") - 116 - 58
    found = bars(page, 2, 116, 58)
    assert [dark for dark, *_ in found] == [True, False] * 4
    place = [116 + (value - low) / (high - low) * wide for value in (0, *values)]
    expected = [end for there in place[1:] for end in sorted((place[0], there))]
    assert [end for _, *both in found for end in both] == pytest.approx(expected, abs=2)


def test_what_is_chosen_stands_above_what_it_does_and_the_switches_below(show):
    page = show(rungs())
    order = (".try", ".pairs", ".sides", "canvas >> nth=0", "canvas >> nth=1", "output >> nth=0", ".controls")
    tops = [page.locator(what).first.bounding_box()["y"] for what in (*order, "canvas >> nth=2", "output >> nth=1")]
    assert tops == sorted(tops)


def test_a_pair_is_chosen_at_once(show):
    page = show(rungs())
    page.get_by_role("button", name="q learned or fixed").press("Enter")
    assert says(page)[:2] == [cost("A", "last latent noise"), cost("B", "inference fixed")]
    assert "They differ in one switch: inference learned → fixed." in says(page)[2]
    select(page, "Equal").select_option("steps")
    page.get_by_role("button", name="4 or 32 layers").click()
    assert says(page)[:2] == [cost("A", "one random layer", budget="steps"), cost("B", "32 layers", budget="steps")]
    page.get_by_role("button", name="q learned or fixed").click()
    assert says(page)[0].startswith("last latent noise was not run with these data and equal steps: A is the nearest")


def test_only_pairs_that_are_there_are_offered(show):
    page = show(rungs(runs=[each for each in RUNS if each["rung"] != "32 layers"]))
    assert "4 or 32 layers" not in page.locator(".pairs").inner_text()
    assert show(rungs(runs=those("swiss roll", "VAE") + those("swiss roll", "DDPM"))).locator(".pairs").is_hidden()


def test_the_rungs_of_the_ladder_are_a_group_of_their_own(show):
    page = show(rungs(ladder=LADDER))
    assert says(page)[:2] == [cost("A", "VAE"), cost("B", "DDPM")]
    groups = select(page, "A").locator("optgroup")
    assert groups.evaluate_all("all => all.map((group) => group.label)") == ["on the ladder", "beside the ladder"]
    assert groups.first.locator("option").all_inner_texts() == list(LADDER)
    select(page, "A").select_option("hierarchical VAE")
    assert says(page)[0] == cost("A", "hierarchical VAE")
    assert select(show(rungs()), "A").locator("optgroup").count() == 0


# The still picture


def test_the_still_picture_has_the_samples_and_the_nats_of_both():
    picture = ElementTree.fromstring(rungs(b="32 layers").still_picture())
    drawn = [path.attrib["d"].count("M") for path in picture.iter("path")]
    inside = [sum(max(map(abs, p)) < 1.8 for p in those("swiss roll", n)[0]["samples"]) for n in ("VAE", "32 layers")]
    assert drawn == inside
    texts = [text.text for text in picture.iter("text")]
    names = ("VAE", "32 layers")
    assert texts == [line for n in names for line in (n, f"{truth(n)[0]:.3f} nats above the entropy")]


def test_the_still_picture_is_of_the_budget_it_begins_with():
    texts = [text.text for text in ElementTree.fromstring(rungs(budget="steps").still_picture()).iter("text")]
    assert texts[1] == f"{truth('VAE', budget='steps')[0]:.3f} nats above the entropy"
    assert texts[1] != f"{truth('VAE')[0]:.3f} nats above the entropy"


def test_the_still_picture_is_the_right_way_up():
    runs = changed("samples", [[0.9, 0.9]])
    picture = ElementTree.fromstring(rungs(runs=runs, a=runs[0]["rung"]).still_picture())
    assert next(picture.iter("path")).attrib["d"] == "M225,75h0"


def test_the_samples_are_small_whole_numbers():
    raw = base64.b64decode(shown("clusters", "VAE")["samples"])
    assert np.frombuffer(raw, "<i2").shape == (600,)
