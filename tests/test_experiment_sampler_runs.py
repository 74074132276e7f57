"""The stored runs of samplers, and what is read off them."""

from __future__ import annotations

import pytest

from diffusion_notes.experiment.results import load_results
from diffusion_notes.experiment.sampler_runs import curve, names

RUNS = [
    {"way": way, "model": model, "calls": calls, "seed": seed, "KL500": calls + seed, "off the spiral": seed / calls}
    for seed in range(3)
    for model in ("exact", "network")
    for way in ("DDIM", "ancestral")
    for calls in (16, 4)
    if (way, model) != ("ancestral", "exact")
]


def test_a_curve_has_the_median_and_the_ends_of_the_seeds_by_calls():
    assert curve(RUNS, "DDIM", "exact") == {4: (5, 4, 6), 16: (17, 16, 18)}
    assert list(curve(RUNS, "DDIM", "exact")) == [4, 16]
    assert curve(RUNS, "ancestral", "network", "off the spiral")[4] == (0.25, 0, 0.5)
    assert curve(RUNS[::-1], "DDIM", "exact") == curve(RUNS, "DDIM", "exact")
    assert curve(RUNS, "ancestral", "exact") == {}


def test_names_come_in_the_order_of_the_runs():
    assert names(RUNS) == ["DDIM", "ancestral"]
    assert names(tuple(RUNS), "model") == ["exact", "network"]
    assert names([]) == []


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: names("DDIM"), TypeError, "runs must be a list of runs"),
        (lambda: names([1]), TypeError, "runs must be a list of dictionaries"),
        (lambda: names([{"model": "exact"}]), ValueError, "runs must each have the key 'way'"),
        (lambda: names(RUNS, "seed"), ValueError, "what must be one of 'way', 'model', got 'seed'"),
        (lambda: curve(RUNS, "DDPM", "exact"), ValueError, "way must be one of 'DDIM', 'ancestral', got 'DDPM'"),
        (lambda: curve(RUNS, "DDIM", "none"), ValueError, "model must be one of 'exact', 'network', got 'none'"),
        (lambda: curve(RUNS, "DDIM", "exact", "KL"), ValueError, "key must be one of 'KL500', 'off the spiral'"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_what_is_stored_reaches_the_goal():
    """With a network of this book, the median of three and 50,000 samples."""
    stored = load_results("samplers")
    runs = stored["runs"]
    for way, calls, divergence, strays in (("3M, fitted, ρ = 4", 16, 0.002, 0.0045), ("3M, fitted", 8, 0.004, 0.008)):
        model = "better network"
        mine = [run for run in runs if (run["way"], run["model"], run["calls"]) == (way, model, calls)]
        assert [(run["seed"], run["points"]) for run in mine] == [(seed, 50_000) for seed in range(3)]
        assert curve(runs, way, model)[calls][0] <= divergence
        assert curve(runs, way, model, "off the spiral")[calls][0] <= strays


def test_what_is_stored_says_where_it_is_from_and_what_the_floor_is():
    stored = load_results("samplers")
    assert stored["provenance"]["command"] == "make bench-samplers"
    assert [each["points"] for each in stored["true samples"]] == [50_000] * 3
    for each in stored["true samples"]:
        assert abs(each["KL500"]) < 0.002
        assert each["off the spiral"] == pytest.approx(0.0027, abs=0.001)
    # two processors make more than 80,000 samples a second, where ancestral sampling makes a few thousand at most
    speed = stored["samples a second of a processor"]
    assert speed["3M, fitted, 16 calls"] > 40_000
    assert speed["3M, fitted, 16 calls"] > 30 * speed["ancestral, 1000 calls"]
    # the walk of the goal at full length is near the floor, and DDIM with few calls is not
    runs = stored["runs"]
    assert curve(runs, "3M, fitted", "exact")[50][0] < 0.003
    assert curve(runs, "DDIM", "exact")[8][0] > 0.5
