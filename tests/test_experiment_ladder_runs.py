"""The experiment of the ladder: budgets that are kept, levels that are the best, measures that find a known gap."""

from __future__ import annotations

import json
import math
import re
import sys
from collections import defaultdict
from dataclasses import asdict
from itertools import pairwise, product
from statistics import mean

import pytest
import torch
from notebooks import ROOT

from diffusion_notes.chains import Affine, LinearGaussianChain
from diffusion_notes.data import Clusters
from diffusion_notes.experiment import ladder_runs
from diffusion_notes.experiment.ladder_runs import (
    BUDGETS,
    DATA,
    LADDER,
    LEARNING_RATE,
    RUNGS,
    gradient_noise,
    measure,
    schedule_of,
    steps_and_width,
    train_rung,
)
from diffusion_notes.experiment.results import load_results
from diffusion_notes.ladder import LadderChain, Rung
from diffusion_notes.schedule import Schedule, best_schedule, log_snr_levels, mmse

sys.path.insert(0, str(ROOT / "benchmarks"))
import ladder


def test_each_rung_of_the_ladder_differs_from_the_last_in_one_switch():
    changed = [{k for k, v in asdict(RUNGS[a]).items() if v != asdict(RUNGS[b])[k]} for a, b in pairwise(LADDER)]
    assert all(len(switches) == 1 for switches in changed)
    assert set().union(*changed) == set(asdict(Rung()))
    assert RUNGS["VAE"].is_vae
    assert RUNGS["DDPM"] == Rung()
    assert len({str(rung) for rung in RUNGS.values()}) == len(RUNGS)


def test_what_is_known_of_the_levels_is_what_the_quadrature_gives():
    known, some = load_results("levels"), [40, 150, 319]
    for name, data in DATA.items():
        levels = torch.tensor(known[name]["levels"], dtype=torch.float64)
        torch.testing.assert_close(levels, log_snr_levels(320))
        found = torch.tensor(known[name]["mmse"], dtype=torch.float64)[some]
        torch.testing.assert_close(found, mmse(data, levels[some]), rtol=1e-6, atol=1e-12)
        assert known[name]["entropy"] == pytest.approx(data.entropy().item(), abs=1e-6)
        assert known[name]["second moment"] == pytest.approx(data.expect(lambda x: x.square().sum(-1)).item())


def test_the_schedule_of_a_rung_is_the_cheapest():
    known = load_results("levels")["clusters"]
    levels, mmses = (torch.tensor(known[key], dtype=torch.float64) for key in ("levels", "mmse"))
    for last, second in (("noise", None), ("informative", known["second moment"])):
        best, _ = best_schedule(levels, mmses, 3, second)
        assert torch.equal(schedule_of(Rung(3, last=last), "clusters").beta, best.beta)
    assert torch.equal(schedule_of(Rung(), "swiss roll").beta, Schedule.linear(T=1000).beta)


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", list(RUNGS))
def test_no_rung_spends_more_than_its_budget(name, budget):
    def spent(rung):
        steps, width = steps_and_width(rung, budget)
        chain = LadderChain(rung, Schedule.linear(T=rung.layers), width)
        return steps, steps * chain.cost, sum(p.numel() for p in chain.parameters())

    steps, cost, parameters = spent(RUNGS[name])
    most_steps, most, all_parameters = spent(Rung())
    if budget == "steps":
        assert steps == most_steps == 4000
    else:
        assert cost <= most
        assert cost > 0.97 * most
    if budget == "parameters":
        assert parameters <= all_parameters


@pytest.mark.parametrize("name", list(RUNGS))
def test_a_rung_has_as_many_layers_as_its_name_says(name):
    number = re.search(r"\d+", name)
    words = {"VAE": 1, "hierarchical": 2, "DDPM": 1000}
    expected = int(number[0]) if number else words.get(re.match(r"\w+", name)[0], 4)
    assert RUNGS[name].layers == expected


def test_the_ladder_leads_from_the_smallest_vae_to_ddpm():
    assert (LADDER[0], LADDER[-1], len(LADDER)) == ("VAE, one coordinate", "DDPM", 10)


def test_what_is_stored_was_made_with_these_budgets():
    runs = load_results("ladder")["runs"]
    named = ("data", "budget", "rung", "seed", "learning rate")
    assert [tuple(run[name] for name in named) for run in runs] == list(ladder.planned())
    assert all(math.isfinite(run["gap"]) for run in runs)  # none of them has diverged
    known = {(run["rung"], run["budget"], run["steps"], run["width"]) for run in runs}
    assert {one[:2] for one in known} == {(name, budget) for _, budget, name in ladder.PLAN}
    for name, budget, steps, width in known:
        assert steps_and_width(RUNGS[name], budget) == (steps, width)


def test_other_learning_rates_stand_beside_runs_that_differ_in_nothing_else():
    """One lower, one higher, with equal work and the same seeds; one more on the roll, where the highest was best."""
    rates, gaps = defaultdict(set), defaultdict(list)
    for run in load_results("ladder")["runs"]:
        if run["budget"] == "time" and run["seed"] in ladder.RATE_SEEDS:
            rates[run["data"], run["rung"], run["seed"]].add(run["learning rate"])
            gaps[run["data"], run["rung"], run["learning rate"]].append(run["gap"])
    low, high = ladder.RATES
    (highest,) = ladder.HIGHER
    assert low < LEARNING_RATE < high < highest
    known = {LEARNING_RATE, *ladder.RATES}
    assert all(those in ({LEARNING_RATE}, known, known | {highest}) for those in rates.values())
    tried = {(data, name) for data, name, _ in rates if len(rates[data, name, 0]) > 1}
    assert tried >= {*product(DATA, LADDER[:-2]), *product(["swiss roll"], LADDER)}
    for data, name in tried:
        assert len({frozenset(rates[data, name, seed]) for seed in ladder.RATE_SEEDS}) == 1
        best = min(known, key=lambda rate: mean(gaps[data, name, rate]))
        assert (highest in rates[data, name, 0]) == (best == high and data == "swiss roll")


def test_where_all_seeds_have_another_rate_it_is_the_one_that_the_first_few_chose():
    """So what the other seeds say of it is not flattered by the choice."""
    runs = [run for run in load_results("ladder")["runs"] if run["budget"] == "time"]
    for data, name in {one[:2] for one in ladder.CHOSEN}:
        gaps = defaultdict(dict)
        for run in runs:
            if (run["data"], run["rung"]) == (data, name):
                gaps[run["learning rate"]][run["seed"]] = run["gap"]
        best = min(gaps, key=lambda rate: mean(gaps[rate][seed] for seed in ladder.RATE_SEEDS))
        assert best in {rate for *which, rate in ladder.CHOSEN if which == [data, name]}
        assert set(gaps[best]) == set(gaps[LEARNING_RATE]) == set(ladder.SEEDS["time"])


@pytest.mark.parametrize("name", list(RUNGS))
def test_networks_are_narrow_only_where_parameters_count_and_no_narrower_than_they_must(name):
    def parameters(rung, width):
        with torch.device("meta"):
            chain = LadderChain(rung, Schedule.linear(T=rung.layers), width)
        return sum(p.numel() for p in chain.parameters())

    assert all(steps_and_width(RUNGS[name], budget)[1] == 64 for budget in BUDGETS if budget != "parameters")
    _, width = steps_and_width(RUNGS[name], "parameters")
    most = parameters(Rung(), 64)
    assert parameters(RUNGS[name], width) <= most
    assert width == 64 or parameters(RUNGS[name], width + 1) > most


def test_there_is_always_a_unit_and_a_step():
    assert steps_and_width(Rung(1000, networks="own"), "parameters")[1] == 1
    assert steps_and_width(Rung(5000, "learned", objective="bound"))[0] == 1


def test_more_layers_than_there_are_levels_are_refused():
    with pytest.raises(ValueError, match="layers must"):
        schedule_of(Rung(1001), "swiss roll")


def test_how_a_rung_is_climbed(monkeypatch):
    """By an optimiser with these settings, on points of its own; the noise is looked at after a tenth."""
    seen, times = {}, iter([1.0, 4.0, 100.0, 105.0])

    def train(chain, points, steps, generator, **how):
        seen.update(how, points=points, steps=steps, taken=0)
        for seen["taken"] in range(1, steps + 1):
            yield type("State", (), {"average": f"the average of {seen['taken']} steps"})

    def noise(chain, points, generator):
        seen["after"] = seen["taken"]
        return 0.25

    monkeypatch.setattr(ladder_runs, "train", train)
    monkeypatch.setattr(ladder_runs, "gradient_noise", noise)
    monkeypatch.setattr(ladder_runs.time, "perf_counter", lambda: next(times))
    average, spent = train_rung(RUNGS["inference fixed"], "swiss roll")
    assert average == "the average of 1000 steps"
    assert spent == {"steps": 1000, "width": 64, "learning rate": 0.01, "seconds": 8.0, "gradient noise": 0.25}
    assert (seen["batch_size"], seen["learning_rate"], seen["progress"], seen["after"]) == (512, 1e-2, False, 100)
    assert seen["decay"] == pytest.approx(0.98)  # over a twentieth of the steps
    first, seen["points"] = seen["points"], None
    assert first.shape == (10_000, 2)
    times = iter([0.0] * 4)
    _, spent = train_rung(RUNGS["inference fixed"], "swiss roll", seed=0, learning_rate=0.03)
    assert torch.equal(seen["points"], first)
    assert (seen["learning_rate"], spent["learning rate"]) == (0.03, 0.03)
    monkeypatch.setattr(ladder_runs, "steps_and_width", lambda *_: (3, 64))
    times = iter([0.0] * 4)
    train_rung(RUNGS["inference fixed"], "swiss roll")
    assert (seen["after"], seen["decay"]) == (1, 0)
    monkeypatch.setattr(ladder_runs, "steps_and_width", lambda *_: (16_000, 64))
    times = iter([0.0] * 4)
    train_rung(RUNGS["DDPM"], "swiss roll")
    assert seen["decay"] == 0.995
    with pytest.raises(ValueError, match="seed must"):
        train_rung(Rung(), "clusters", seed=-1)
    with pytest.raises(ValueError, match="learning_rate must"):
        train_rung(Rung(), "clusters", learning_rate=0.0)


def test_a_rung_is_climbed_the_same_way_each_time(monkeypatch):
    monkeypatch.setattr(ladder_runs, "_STEPS", 100)
    rung = Rung(2, "learned", "noise", "own", objective="bound")
    for data in DATA:
        (one, spent), (again, _) = train_rung(rung, data, seed=3), train_rung(rung, data, seed=3)
        assert spent["steps"] == steps_and_width(rung)[0]
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))


def linear_chain(gain: float) -> LinearGaussianChain:
    """A chain whose q is wrong by a known amount, for data that it does not fit at all."""
    eye, zero = torch.eye(2), torch.zeros(2)
    p = Affine(0.5 * eye, zero, torch.tensor(0.5))
    return LinearGaussianChain([p], [Affine(gain * eye, zero, torch.tensor(0.6))])


def test_the_gap_is_the_distance_of_the_bound_to_the_entropy():
    """Measured on points, beside the exact bound of a linear-Gaussian chain and the exact entropy."""
    chain = linear_chain(0.7)
    found = measure(chain, "clusters", torch.Generator().manual_seed(0))
    x = Clusters().sample(100_000, torch.Generator().manual_seed(1))
    exactly = -Clusters().entropy() - chain.exact_elbo(x).total.mean()
    assert abs(found["gap"] - exactly) < 4.5 * found["error"] + 0.01
    assert sum(found["terms"].values()) == pytest.approx(chain.exact_elbo(x).total.mean().item(), abs=0.1)
    assert found["importance gap"] < found["gap"]
    at_most = (Clusters().log_prob(x) - chain.log_prob(x)).mean()  # what is left when q is perfect
    assert found["importance gap"] > at_most - 4.5 * found["importance error"]
    assert found["KL"] > 0.5
    assert len(found["samples"]) == 300


def test_the_noise_of_a_gradient_falls_with_the_batch():
    chain = LadderChain(Rung(4), Schedule.cosine(T=4), 8, generator=torch.Generator().manual_seed(0))
    points = DATA["clusters"].sample(1000, torch.Generator().manual_seed(1))
    torch.nn.init.normal_(chain.decoder.weights[2], generator=torch.Generator().manual_seed(2))
    one = gradient_noise(chain, points, torch.Generator().manual_seed(3), draws=200)

    loss = chain.loss
    # the average of four: the same mean, a quarter of the variance
    chain.loss = lambda x, generator: sum(loss(x, generator) for _ in range(4)) / 4
    four = gradient_noise(chain, points, torch.Generator().manual_seed(4), draws=200)
    assert one / four == pytest.approx(4, rel=0.35)


def test_the_noise_of_known_gradients():
    """tr Cov(g) / ‖E g‖², with the noise of the mean taken off; parameters that the loss does not reach count as 0."""
    chain = LadderChain(Rung(4), Schedule.cosine(T=4), 8, generator=torch.Generator().manual_seed(0))
    points = torch.zeros(1, 2)
    gradients = torch.tensor([[1.0, 2.0], [3.0, 2.5], [2.0, 0.0]])
    each = iter(gradients)
    bias = chain.decoder.biases[2]
    chain.loss = lambda x, generator: (bias.flatten()[:2] * next(each)).sum()
    spread = gradients.var(0).sum().item()
    square = gradients.mean(0).square().sum().item()
    assert gradient_noise(chain, points, draws=3) == pytest.approx(spread / (square - spread / 3))
    each = iter(1000 * torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))  # of the mean nothing is left
    assert gradient_noise(chain, points, draws=2) == pytest.approx(2e6 / 1e-12, rel=1e-3)
    drawn = []
    chain.loss = lambda x, generator: drawn.append(len(x)) or bias.sum()
    assert gradient_noise(chain, points) == 0
    assert drawn == [512] * 32


@pytest.mark.parametrize(
    ("points", "draws", "named"),
    [(torch.empty(0, 2), 2, "points"), (torch.tensor([[math.nan, 0.0]]), 2, "points"), (torch.zeros(1, 2), 1, "draws")],
)
def test_a_noise_of_nothing_is_refused(points, draws, named):
    chain = LadderChain(Rung(4), Schedule.cosine(T=4), 8)
    with pytest.raises(ValueError, match=f"{named} must"):
        gradient_noise(chain, points, draws=draws)


@pytest.mark.parametrize(("layers", "count"), [(1, 10_000), (128, 10_000), (129, 4000), (1000, 4000)])
def test_how_much_is_measured(monkeypatch, layers, count):
    """With what number of points, paths and samples, and the errors of the means."""
    chain, q = LadderChain(Rung(layers), Schedule.linear(T=layers), 4), DATA["clusters"]
    seen = {}

    def elbo(chain, x, generator):
        seen["x"] = x
        some = torch.arange(len(x)) / len(x)
        return type("Terms", (), {"total": q.log_prob(x) - some, "reconstruction": some, "layers": some[None],
                                  "prior": some})  # fmt: skip

    def importance(chain, x, paths, generator):
        seen.update(few=x, paths=paths)
        return q.log_prob(x) - torch.arange(len(x)) % 2

    def sample(chain, x, generator):
        seen["drawn"] = x.shape
        return q.sample(len(x), torch.Generator().manual_seed(0))

    for name, fake in (("elbo", elbo), ("importance_bound", importance), ("sample", sample)):
        monkeypatch.setattr(ladder_runs, name, fake)
    found = measure(chain, "clusters", torch.Generator().manual_seed(1))
    assert (len(seen["x"]), len(seen["few"]), seen["paths"], seen["drawn"]) == (count, 500, 16, (10_000, 2))
    assert (found["gap"], found["importance gap"]) == (pytest.approx(0.5, abs=1e-3), pytest.approx(0.5, abs=1e-5))
    assert found["error"] == pytest.approx(12**-0.5 / count**0.5, rel=1e-2)
    assert found["importance error"] == pytest.approx(0.5 / 500**0.5, rel=1e-2)
    some = q.sample(10_000, torch.Generator().manual_seed(0))[:300]
    assert len(found["samples"]) == 300
    digits = torch.tensor(found["samples"], dtype=torch.float64) - some.double()
    assert 0.0045 < digits.abs().max() < 0.005 + 1e-6


@pytest.fixture
def _elsewhere(tmp_path, monkeypatch):
    """Results and runs in a folder of the test, with a plan of two small runs, one of them with other rates too."""
    monkeypatch.setattr(ladder, "STORED", tmp_path)
    monkeypatch.setattr(ladder, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(ladder, "CLOCK", tmp_path / "clock.json")
    monkeypatch.setattr(ladder, "load_results", lambda name: json.loads((tmp_path / f"{name}.json").read_text()))
    monkeypatch.setattr(ladder, "PLAN", [("clusters", "time", "VAE"), ("swiss roll", "time", "DDPM")])
    monkeypatch.setattr(ladder, "RATED", [("clusters", "VAE", (0.003, 0.03), range(3))])
    (tmp_path / "levels.json").write_text("{}")
    (tmp_path / "clock.json").write_text('{"VAE, 64": 1.5}')


@pytest.mark.usefixtures("_elsewhere")
def test_a_series_goes_on_where_it_was(tmp_path, monkeypatch):
    ran, ran_before = [], []

    def run(*one):
        if len(ran) == 3 and not ran_before:
            raise KeyboardInterrupt
        ran.append(one)
        about = dict(zip(("data", "budget", "rung", "seed", "learning rate"), one, strict=True))
        return about | {"gap": 0.1, "samples": [[0.0, 0.0]], "steps": 2000, "width": 64, "seconds": 99.0}

    monkeypatch.setattr(ladder, "run", run)
    monkeypatch.setattr(sys, "argv", ["ladder.py", "--seeds", "0", "1"])
    with pytest.raises(KeyboardInterrupt):
        ladder.main()
    assert len(ran) == 3
    ran_before[:], ran[:] = ran, []
    ladder.main()
    assert ran_before + ran == [one for one in ladder.planned() if one[3] < 2]
    stored = json.loads((tmp_path / "ladder.json").read_text())
    assert [one["seed"] for one in stored["runs"]] == [0, 1, 0, 1, 0, 1, 0, 1]
    assert [one["learning rate"] for one in stored["runs"]] == [0.01] * 4 + [0.003] * 2 + [0.03] * 2
    assert [one["seconds"] for one in stored["runs"]] == [3.0, 3.0, 99.0, 99.0] + [3.0] * 4
    assert ["samples" in one for one in stored["runs"]] == [True, False, True, False] + [False] * 4
    assert len(list((tmp_path / "runs").iterdir())) == 8
    ran.clear()
    for file in (tmp_path / "runs").iterdir():  # what is in the package is not run again
        file.unlink()
    ladder.main()
    assert not ran


@pytest.mark.usefixtures("_elsewhere")
def test_other_seeds_are_compared_and_not_stored(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ladder, "run", lambda *one: {"gap": 0.25})
    stored = [{"data": "clusters", "budget": "time", "rung": "VAE", "seed": k, "gap": k / 10} for k in range(3)]
    stored.append(stored[0] | {"gap": 9.0, "learning rate": 0.03})  # not with this one
    (tmp_path / "ladder.json").write_text(json.dumps({"runs": stored}))
    monkeypatch.setattr(sys, "argv", ["ladder.py", "--rungs", "VAE", "--seeds", "20"])
    ladder.main()
    said = "clusters, time, VAE: gap 0.2500; stored 0.1000 ± 0.1000, from 0.0000 to 0.2000\n"
    assert capsys.readouterr().out == said
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("_elsewhere")
def test_a_dry_run_says_what_would_be_run_and_runs_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ladder, "run", lambda *one: pytest.fail("it was run"))
    (tmp_path / "ladder.json").write_text(
        json.dumps({"runs": [{"data": "clusters", "budget": "time", "rung": "VAE", "seed": 0, "gap": 0.5}]})
    )
    said = {}
    for seed in ("0", "1", "20"):
        monkeypatch.setattr(sys, "argv", ["ladder.py", "--rungs", "VAE", "--seeds", seed, "--dry-run"])
        ladder.main()
        said[seed] = capsys.readouterr().out.splitlines()
    planned = [one for one in ladder.planned() if one[2] == "VAE"]
    stored = ladder.key("clusters", "time", "VAE", 0)
    assert said["0"] == [ladder.key(*one) for one in planned if one[3] == 0 and ladder.key(*one) != stored]
    assert said["1"] == [ladder.key(*one) for one in planned if one[3] == 1]
    assert said["20"] == [ladder.key(*one, 20) for one in ladder.PLAN if one[2] == "VAE"]
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("_elsewhere")
def test_a_run_that_names_no_rate_had_the_one_of_all(tmp_path):
    old = {"data": "clusters", "budget": "time", "rung": "VAE", "seed": 0, "gap": 0.1}
    (tmp_path / "ladder.json").write_text(json.dumps({"runs": [old, old | {"learning rate": 0.03}]}))
    assert ladder.stored_runs() == {
        "clusters, time, VAE, 0": old | {"learning rate": 0.01},
        "clusters, time, VAE, 0, 0.03": old | {"learning rate": 0.03},
    }


def test_a_training_that_diverges_is_a_result_and_no_broken_file(monkeypatch):
    monkeypatch.setattr(ladder_runs, "_STEPS", 100)
    found = ladder.run("clusters", "time", "VAE", 3, 1e4)
    assert (found["gap"], found["steps"], found["seed"], found["learning rate"]) == (None, 50, 3, 1e4)
    json.dumps(found, allow_nan=False)


def test_what_goes_wrong_otherwise_is_not_taken_for_a_divergence(monkeypatch):
    def measure(*_):
        raise ValueError("data must be one of ...")

    monkeypatch.setattr(ladder, "train_rung", lambda *_, **how: (None, {}))
    monkeypatch.setattr(ladder, "measure", measure)
    with pytest.raises(ValueError, match="data must"):
        ladder.run("clusters", "time", "VAE", 3)


def test_what_is_not_finite_in_a_run_is_not_kept(monkeypatch):
    measured = {"gap": math.inf, "terms": {"prior": -math.inf}, "samples": [[0.5, math.nan]], "KL": 1.0}
    monkeypatch.setattr(ladder, "train_rung", lambda *_, **how: (torch.nn.Linear(1, 1), {"learning rate": 0.03}))
    monkeypatch.setattr(ladder, "measure", lambda *_: measured)
    found = ladder.run("clusters", "time", "VAE", 3, 0.03)
    expected = {"gap": None, "terms": {"prior": None}, "samples": [[0.5, None]], "KL": 1.0}
    about = {"data": "clusters", "budget": "time", "rung": "VAE", "seed": 3, "learning rate": 0.03}
    assert found == about | expected
