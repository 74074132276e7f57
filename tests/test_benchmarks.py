"""The measurement of the training: the same points for all, nothing run twice, and scores that are known beforehand."""

from __future__ import annotations

import doctest
import json
import math
import sys
from dataclasses import replace

import pytest
import torch
from notebooks import ROOT
from torch.distributions import Normal

from diffusion_notes.ddpm import DDPM
from diffusion_notes.networks import NoiseMLP
from diffusion_notes.parameterisations import best_variance, variational_weight
from diffusion_notes.schedule import Schedule
from diffusion_notes.swiss_roll import SwissRoll

sys.path.insert(0, str(ROOT / "benchmarks"))
import conditioning
import peers
import recipes
import samplers
import score
import signals
import speeds
import stopwatch
import training

SHORT = Schedule.linear(T=20, beta_1=0.01, beta_T=0.4)


@pytest.fixture
def short(monkeypatch):
    """Twenty steps and not a thousand."""
    monkeypatch.setattr(recipes, "SCHEDULE", SHORT)
    monkeypatch.setattr(training, "SCHEDULE", SHORT)


@pytest.fixture
def plan(short, monkeypatch, tmp_path):
    """A plan of two contestants and two seeds, in a folder of its own."""
    few = [training.Contestant("true samples", (0,), points=50), training.Contestant("this book", (1, 3), points=50)]
    for name, value in {"RUNS": tmp_path, "STORED": tmp_path, "SEEDS": range(2), "CONTESTANTS": few}.items():
        monkeypatch.setattr(training, name, value)
    monkeypatch.setattr(training, "knowledge", lambda ddpm, seed: {"excess": 0.5})
    (tmp_path / "steps.json").write_text('{"this book": {"training step, ms": 1.5}}')
    monkeypatch.setattr(training, "TIMES", [1, 20])
    monkeypatch.setattr(training, "load_results", lambda name: stored(tmp_path))
    monkeypatch.setattr(sys, "argv", ["training.py"])
    return tmp_path


def stored(folder) -> dict:
    return json.loads((folder / "training.json").read_text())


@pytest.mark.parametrize("module", [recipes, samplers, speeds, stopwatch, training], ids=lambda module: module.__name__)
def test_the_examples_run(module):
    assert doctest.testmod(module).failed == 0


def test_a_run_that_was_stopped_goes_on_where_it_was(plan, monkeypatch):
    whole, done = training.run, []

    def until_the_third(one, steps, seed):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append((one.name, steps, seed))
        return whole(one, steps, seed)

    monkeypatch.setattr(training, "run", until_the_third)
    with pytest.raises(KeyboardInterrupt):
        training.main()
    assert done == [("true samples", (0,), 0), ("this book", (1,), 0), ("this book", (3,), 0)]
    assert not (plan / "training.json").exists()
    before = {path: path.stat().st_mtime_ns for path in plan.glob("*, *.json")}

    monkeypatch.setattr(training, "run", whole)
    training.main()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    runs = stored(plan)["runs"]
    assert [(run["contestant"], run["steps"], run["seed"], run["final"]) for run in runs] == [
        ("true samples", 0, 0, True), ("this book", 1, 0, False), ("this book", 3, 0, True),
        ("true samples", 0, 1, True), ("this book", 1, 1, False), ("this book", 3, 1, True),
    ]  # fmt: skip
    assert all(run["training"]["processor"] > 0 for run in runs if run["contestant"] == "this book")
    assert [run.get("excess") for run in runs] == 2 * [None, None, 0.5]  # of the end only
    assert stored(plan)["steps"] == {"this book": {"training step, ms": 1.5}}


def test_what_was_not_run_anew_stays_as_it_was_stored(plan):
    training.main()
    before = stored(plan)["runs"]
    for path in plan.glob("this book, *, 1.json"):
        path.unlink()
    assert training.gather()["runs"] == before


def test_other_seeds_store_nothing(plan, monkeypatch, capsys):
    training.main()
    before = (plan / "training.json").read_bytes()
    monkeypatch.setattr(sys, "argv", ["training.py", "--seeds", "7", "--only", "true samples"])
    training.main()
    assert (plan / "training.json").read_bytes() == before
    assert "stored:" in capsys.readouterr().out


def test_all_learn_from_the_same_points_and_each_seed_has_its_own():
    assert torch.equal(training.data(3, 10), training.data(3, 10))
    assert not torch.equal(training.data(3, 10), training.data(4, 10))


def test_a_prediction_that_is_off_by_a_vector_has_its_square_for_excess():
    for t in (2, 700):
        found = recipes.excess_loss(lambda xt, t: recipes.exact_noise(xt, t) + torch.tensor([0.3, -0.4]), [t])
        assert found == [pytest.approx(0.25, rel=1e-4)]
    assert recipes.over_all_times([1.0, 3.0, 3.0], [1, 5, 9]) == 2.5


def test_the_bound_pays_the_weight_of_the_excess(short):
    """The same draws for both, so what is left of chance is the cross term."""
    exact = DDPM(recipes.exact_noise, SHORT, "beta")
    wrong = DDPM(lambda xt, t: recipes.exact_noise(xt, t) + 0.3, SHORT, "beta")
    gaps = [recipes.bound_gap(ddpm, 4000, torch.Generator().manual_seed(2)) for ddpm in (exact, wrong)]
    paid = variational_weight(SHORT, SHORT.beta).sum().item() * 2 * 0.3**2
    assert gaps[0]["mean"] > 0
    assert gaps[1]["mean"] - gaps[0]["mean"] == pytest.approx(paid, abs=4 * sum(gap["error"] for gap in gaps))
    assert paid > 8 * sum(gap["error"] for gap in gaps)  # so the line above can fail


@pytest.mark.parametrize("kind", [recipes.ExactTargets, recipes.GroupTargets])
@pytest.mark.parametrize("how", [("simple", "uniform"), ("variational", "uniform"), ("variational", "weight")])
def test_targets_of_less_noise_have_the_same_gradient(short, kind, how):
    """On average: so what is learned is the same."""
    network = NoiseMLP(SHORT, width=8, generator=torch.Generator().manual_seed(0))
    network.layers[-1].bias.data.add_(0.3)
    each = []
    for one in (DDPM, kind):
        ddpm, generator = one(network, SHORT, "beta", *how), torch.Generator().manual_seed(1)
        points = SwissRoll().sample(198_400, generator)
        loss = [ddpm.loss(batch, generator) for batch in points.split(1984)]
        gradients = [torch.autograd.grad(one, network.layers[-1].bias)[0] for one in loss]
        each.append(torch.stack(gradients))
    noisy, quiet = each
    error = (noisy.var(0) / len(noisy) + quiet.var(0) / len(quiet)).sqrt()
    assert ((noisy.mean(0) - quiet.mean(0)).abs() < 4 * error).all()
    assert quiet.mean(0).norm() > 20 * error.norm()  # so the line above can fail
    assert (quiet.var(0) < noisy.var(0) / 2).all()


def test_the_exact_noise_has_no_loss_against_exact_targets(short):
    perfect = recipes.ExactTargets(lambda xt, t: recipes.ROLL.expected_noise(xt, SHORT.alpha_bar[t].to(xt)), SHORT)
    assert perfect.loss(SwissRoll().sample(500)) < 1e-9


def test_the_target_of_a_group_is_what_bayes_says(short, monkeypatch):
    """Point by point, with the densities of torch.distributions: who in the group may have become x_t, and how."""
    monkeypatch.setattr(recipes.GroupTargets, "group", 4)
    seen, points = [], SwissRoll().sample(8)

    def network(xt, t):
        seen.extend(zip(xt.view(2, 4, 2), t.view(2, 4)[:, 0].tolist(), strict=True))
        return torch.zeros_like(xt)

    ddpm = recipes.GroupTargets(network, SHORT)
    loss, expected = ddpm.loss(points, torch.Generator().manual_seed(3)), 0.0
    assert seen[0][1] != seen[1][1]
    for group, (xt, t) in zip(points.view(2, 4, 2), seen, strict=True):
        level = SHORT.alpha_bar[t].float()
        for x in xt:
            law = Normal(level.sqrt() * group, (1 - level).sqrt()).log_prob(x).sum(-1)
            noise = (x - level.sqrt() * group) / (1 - level).sqrt()
            expected += (law.softmax(0).unsqueeze(-1) * noise).sum(0).square().sum() / 8
    torch.testing.assert_close(loss, expected)


def test_the_fitted_variances_are_the_best_for_the_network(short):
    """Of the exact noise they are those of the smallest loss; who always says 0 has the whole noise for a loss."""
    generator, points = torch.Generator().manual_seed(0), SwissRoll().sample(20_000)
    smallest = SwissRoll().noise_mmse(SHORT.alpha_bar[1:])
    for network, loss in ((recipes.exact_noise, smallest), (lambda xt, t: 0 * xt, torch.full((20,), 2.0).double())):
        fitted = recipes.fitted_variance(DDPM(network, SHORT), points, generator, draws=20_000)
        expected = best_variance(SHORT, torch.cat((loss[:1], loss)), 2)
        torch.testing.assert_close(fitted[1:], expected[1:], rtol=0.05, atol=0)
        if network is recipes.exact_noise:
            assert torch.equal(recipes.variance_of_exact_noise(), expected)


def test_the_loss_is_taken_at_the_points_mixed_with_their_noise(short):
    """All points are one, so the noise in x_t is known, and a prediction that is off by a vector has its square."""
    where = torch.tensor([1.5, -0.5])

    def network(xt, t):
        level = SHORT.alpha_bar[t].item()
        return (xt - level**0.5 * where) / (1 - level) ** 0.5 + torch.tensor([0.3, -0.4])

    points = where.expand(100, 2)
    fitted = recipes.fitted_variance(DDPM(network, SHORT), points, torch.Generator().manual_seed(0), draws=10)
    expected = best_variance(SHORT, torch.full((21,), 0.25), 2)
    torch.testing.assert_close(fitted, expected, rtol=1e-4, atol=0)


def test_a_recipe_that_is_fitted_samples_with_other_variances(short):
    points, chosen = SwissRoll().sample(100), {"size": {"width": 4}, "how": {"batch_size": 64}}
    for fitted in (False, True):
        ddpm, seconds = recipes.Recipe(fitted=fitted, **chosen).train(points, 2, torch.Generator())
        assert torch.equal(ddpm.sigma_squared, SHORT.beta) is not fitted
        assert seconds["processor"] > 0


def test_a_loop_pauses_at_its_marks_and_not_before():
    taken = []

    def loop():
        while len(taken) < 7:
            yield
            taken.append(len(taken))

    watch = stopwatch.Stopwatch()
    assert [(mark, len(taken)) for mark in peers.pauses(loop(), [2, 5, 7], watch)] == [(2, 2), (5, 5), (7, 7)]
    assert watch.wall > 0


@pytest.mark.nightly
def test_a_peer_gives_its_samples_in_our_scale(monkeypatch):
    """In this environment there is diffusers, of the two."""
    monkeypatch.setattr(training, "PYTHON", sys.executable)
    one = training.Contestant("diffusers", (1, 3), points=60, peer=True, at_once=True)
    assert one.runs() == [(1, 3)]
    runs = training.run(one, (1, 3), 5)
    assert [(run["steps"], run["final"]) for run in runs] == [(1, False), (3, True)]
    assert runs[0]["training"]["processor"] < runs[1]["training"]["processor"]
    # untrained, it fills the square to which its sampler cuts, as far out as the roll
    assert 0.05 < runs[1]["sliced distance"] < 1


def test_samplers_are_run_once_each_and_the_package_gets_whole_series_only(monkeypatch, tmp_path, capsys):
    few = {"calls": (4, 400), "models": ("better network",)}
    ways = [samplers.Way("DDIM", "heun", **few), samplers.Way("fitted", "dpmpp_2m", **samplers.FITTED, **few)]
    replaced = {"RUNS": tmp_path / "runs", "STORED": tmp_path, "SEEDS": range(2), "WAYS": ways, "CALLS": [4, 400]}
    replaced |= {"FEWER": 50, "FEWEST": 40, "POINTS": 60, "speeds": lambda: {"3M, 4 calls": 1.5}}
    for name, value in (replaced | {"MODELS": ["better network"]}).items():
        monkeypatch.setattr(samplers, name, value)
    monkeypatch.setattr(sys, "argv", ["samplers.py", "--calls", "4"])
    samplers.main()
    line = capsys.readouterr().out.splitlines()[1]
    assert line.startswith("better network: DDIM")
    assert len(line.split()) == 5
    assert not (tmp_path / "samplers.json").exists()
    before = {path: path.stat().st_mtime_ns for path in replaced["RUNS"].glob("*.json")}
    assert len(before) == 4
    assert all(json.loads(path.read_text())["points"] == 50 for path in before)

    monkeypatch.setattr(sys, "argv", ["samplers.py"])
    samplers.main()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    stored = json.loads((tmp_path / "samplers.json").read_text())
    assert [(each["way"], each["calls"], each["seed"], each["points"]) for each in stored["runs"]] == [
        (way, calls, seed, points)
        for seed in range(2)
        for way in ("DDIM", "fitted")
        for calls, points in ((4, 50), (400, 60))
    ]
    assert ways[1].levels(400) is None  # there are not so many below its start: it walks between them
    assert [each["points"] for each in stored["true samples"]] == [60, 60]
    assert stored["samples a second of a processor"] == {"3M, 4 calls": 1.5}

    # what is stored counts as run where the files are gone, and a longer plan runs what is new in it
    old = [run for run in stored["runs"] if run["calls"] == 4]
    first = old[0] | {"KL500": 7.0, "sampling": "as it was stored"}
    (tmp_path / "samplers.json").write_text(json.dumps(stored | {"runs": [first, *old[1:]]}))
    monkeypatch.setattr(samplers, "RUNS", tmp_path / "elsewhere")
    monkeypatch.setattr(samplers, "speeds", lambda: pytest.fail("timed once more"))
    ran, run = [], samplers.run
    monkeypatch.setattr(samplers, "run", lambda *one: ran.append(one[0].name) or run(*one))
    samplers.main()
    assert ran == 2 * ["DDIM", "fitted"]
    again = json.loads((tmp_path / "samplers.json").read_text())
    assert again["runs"] == [first, *stored["runs"][1:]]
    assert {key: again[key] for key in stored if key != "runs"} == {key: stored[key] for key in stored if key != "runs"}

    monkeypatch.setattr(samplers, "RUNS", tmp_path / "anew")
    monkeypatch.setattr(samplers, "speeds", dict)
    monkeypatch.setattr(sys, "argv", ["samplers.py", "--anew"])
    samplers.main()
    assert json.loads((tmp_path / "samplers.json").read_text())["runs"] == stored["runs"]


def test_draws_given_something_are_measured_against_their_posterior(monkeypatch, tmp_path, capsys):
    """Draws from the posterior itself, which are at the floor, and half of them, which are not."""
    task = "x1 = 0.3"

    def from_the_posterior(start):
        return conditioning.posterior(start.task).sample(len(start.xT), start.generator)

    def one_half(start):
        x = from_the_posterior(start)
        return torch.where(x[:, 1:] < 0, x, x * torch.tensor([1.0, -1.0])), {"effective": 0.5}

    ways = [
        conditioning.Way("true", from_the_posterior, (task,), ("exact",)),
        conditioning.Way("half", one_half, (task,), ("exact", "network"), steps=(3,), calls=lambda steps: 2 * steps),
    ]
    for name, value in {"RUNS": tmp_path / "runs", "STORED": tmp_path, "SEEDS": range(2), "WAYS": ways}.items():
        monkeypatch.setattr(conditioning, name, value)
    monkeypatch.setattr(sys, "argv", ["conditioning.py", "--models", "exact"])
    conditioning.main()
    assert "half, x1 = 0.3, exact, 3" in capsys.readouterr().out
    assert not (tmp_path / "conditioning.json").exists()
    monkeypatch.setattr(sys, "argv", ["conditioning.py"])
    conditioning.main()
    stored = json.loads((tmp_path / "conditioning.json").read_text())
    found = [(each["way"], each["model"], each["seed"], each["calls"]) for each in stored["runs"]]
    networks = [("half", "network", 0, 6), ("half", "network", 1, 6)]
    assert found == [("true", "exact", 0, 100), ("half", "exact", 0, 6), *networks]
    true, half = stored["runs"][:2]
    first = stored["truth"][0]
    assert abs(true["KL"]) < 4.5 * (2 * 99) ** 0.5 / 8000
    assert true["strays"] == pytest.approx(0.0027, abs=0.004)
    assert true["arms"] == pytest.approx(first["arms"], abs=0.035)
    assert sum(first["arms"]) == pytest.approx(1, abs=1e-6)
    assert half["KL"] > 0.4
    assert half["effective"] == 0.5
    assert first["evidence"] == pytest.approx(-0.5834, abs=1e-3)


def test_what_is_no_number_is_far_from_any_posterior():
    x = torch.full((2000, 2), math.nan)
    scores = conditioning.measured(x, "x1 = 0.7")
    assert scores["strays"] == 1
    assert scores["KL"] > 4


EACH_ONCE = {way.name: way for way in conditioning.WAYS if "network" in way.models}


@pytest.mark.parametrize("way", EACH_ONCE.values(), ids=EACH_ONCE)
def test_every_way_to_draw_given_something_is_carried_out(way, monkeypatch):
    monkeypatch.setattr(conditioning, "POINTS", 16)
    found = conditioning.run(way, way.tasks[0], "network", 3, 0)
    assert found["calls"] <= 61
    assert math.isfinite(found["KL"])


def test_between_the_steps_there_are_levels_for_any_number_of_calls():
    way = next(way for way in samplers.WAYS if way.name == "3M, fitted")
    kappa = way.between(1000)
    assert kappa.shape == (1000,)
    assert kappa[[0, -1]].tolist() == pytest.approx(samplers.SCHEDULE.kappa[[1, way.highest]].tolist())
    stride = (kappa.square() + samplers.ROLL.noise**2).log().diff()
    assert stride.tolist() == pytest.approx(999 * [stride.mean().item()])
    assert len(samplers.Way("", "heun", largest=1.5).between(1000)) == 501


def test_the_plan_has_every_method_that_is_drawn_with_up_to_a_thousand_calls():
    planned = samplers.plan(samplers.MODELS, samplers.CALLS, list(samplers.SEEDS))
    keys = [samplers.name_of(way.name, *rest) for way, *rest in planned]
    assert len(set(keys)) == len(keys)
    for way in ("ancestral", "DDIM, log SNR", "Heun, log SNR", "2M, log SNR", "3M, fitted"):
        for model in ("exact", "better network"):
            mine = [(calls, seed) for each, name, calls, seed, _ in planned if (each.name, name) == (way, model)]
            fewer = {250: 2, 1000: 2} if model == "exact" else {}
            assert sorted(mine) == [(calls, seed) for calls in samplers.CALLS for seed in range(fewer.get(calls, 3))]


def test_speeds_are_compared_round_by_round(monkeypatch, tmp_path, capsys):
    taken = []
    clock = iter(range(1000))
    seconds = {speeds.PEER: 6, "fast": 2, "slow": 10}

    class Watch:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.processor = seconds[taken[-1][0]] * (1 + next(clock))

    each = {name: (lambda n, name=name: taken.append((name, n)), share) for name, share in
            ((speeds.PEER, 1.0), ("fast", 1.0), ("slow", 0.1))}  # fmt: skip
    monkeypatch.setattr(speeds, "contestants", lambda: each)
    monkeypatch.setattr(speeds, "Stopwatch", Watch)
    monkeypatch.setattr(speeds, "STORED", tmp_path)
    monkeypatch.setattr(sys, "argv", ["speeds.py", "--rounds", "3", "--points", "40"])
    speeds.main()
    assert taken[3:6] == [(speeds.PEER, 40), ("fast", 40), ("slow", 4)]
    found = json.loads((tmp_path / "speeds.json").read_text())
    assert found["provenance"]["command"] == "make bench-speeds"
    assert found["versions of others"] == {"smalldiffusion": "0.5.0"}
    # each takes longer than the one before by the same, and the first three are not counted
    assert found["rounds"][0] == pytest.approx({"fast": 6 * 4 / (2 * 5), "slow": 6 * 4 / (10 * 6 * 10)})
    assert found["times as fast"]["fast"] == pytest.approx(3 * 7 / 8)
    assert "from 2.400 to 2.727 in 3 rounds" in capsys.readouterr().out


def test_our_samplers_are_timed_as_they_are_run():
    assert speeds.ours("3M, fitted", 8)(5).shape == (5, 2)


def test_finer_steps_are_where_they_are_said_to_be():
    ways = {way.finer: way for way in samplers.WAYS if way.finer or way.name == "3M, fitted"}
    for calls in samplers.GOAL:
        whole = set(ways[""].levels(calls))
        more = {finer: set(ways[finer].levels(calls)) - whole for finer in ("first", "middle", "last")}
        assert all(whole < set(ways[finer].levels(calls)) for finer in more)
        assert max(more["last"]) < min(whole) < min(more["middle"])
        assert max(more["middle"]) < sorted(whole)[-2] < min(more["first"]) < max(more["first"]) < max(whole)


def test_the_losses_for_the_dynamic_program_are_those_of_the_roll():
    known = samplers.mmse(samplers.ROLL, samplers.SCHEDULE.alpha_bar[[1, 12, 47, 333, 1000]])
    assert torch.allclose(samplers.mmses()[[1, 12, 47, 333, 1000]], known, rtol=0.01)


def test_the_wrong_network_is_wrong_by_a_wave():
    x = torch.randn(1000, 2)
    apart = samplers.model("wrong network", 1).predict(x, 50) - samplers.model("better network", 1).predict(x, 50)
    assert torch.allclose(apart, 0.1 * torch.stack(((4 * x[:, 1]).sin(), (4 * x[:, 0]).sin()), -1), atol=1e-5)


def test_the_score_is_measured_once_for_each_network(monkeypatch, tmp_path, capsys):
    small = {"STEPS": 2, "POINTS": 50, "BATCH": 10, "FRESH": 4, "SAMPLES": 20, "CALLS": (2,), "PLACES": 3}
    small |= {"RUNS": tmp_path / "runs", "STORED": tmp_path, "SEEDS": range(2), "SMALLEST": (-1.0, 1.0, 3)}
    small |= {"KINDS": {"flow": ("flow", "tau")}, "divergence_of_stored": lambda: 0.125}
    for name, value in small.items():
        monkeypatch.setattr(score, name, value)
    monkeypatch.setattr(sys, "argv", ["score.py", "--seeds", "0"])
    score.main()
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert not (tmp_path / "score.json").exists()
    before = {path: path.stat().st_mtime_ns for path in small["RUNS"].glob("*.json")}
    assert len(before) == 4
    monkeypatch.setattr(sys, "argv", ["score.py"])
    score.main()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    stored = json.loads((tmp_path / "score.json").read_text())
    assert [(each["network"], each["seed"]) for each in stored["networks"]] == [("stored", 0), ("flow", 0), ("flow", 1)]
    assert all(len(each["excess"]) == 3 and len(each["samples"]) == 2 for each in stored["networks"])
    assert stored["divergence of the stored network"] == 0.125


def test_signals_are_measured_once_for_each_training(monkeypatch, tmp_path, capsys):
    small = {"ONE_AHEAD": 60, "CASES": 5, "MEMBERS": 9, "AHEAD": 6, "WAVES": 40, "SPECTRA": 20, "CALLS": (2,)}
    small |= {
        "HISTORIES": 2,
        "PATHS": 200,
        "LEVELS": (5,),
        "POINTS": 50,
        "STEPS": 2,
        "FRESH": 30,
        "SAMPLES": 20,
        "SEEDS": range(2),
    }
    small |= {"FOLDER": tmp_path / "runs", "STORED": tmp_path, "perfect": lambda kind: {"standard": 0.25}}
    small["RECIPES"] = {name: replace(recipe, steps=2, points=50) for name, recipe in signals.RECIPES.items()}
    for name, value in small.items():
        monkeypatch.setattr(signals, name, value)
    monkeypatch.setattr(sys, "argv", ["signals.py", "--only", "short"])
    signals.main()
    assert len(capsys.readouterr().out.splitlines()) == 6
    assert not (tmp_path / "signals.json").exists()
    before = {path: path.stat().st_mtime_ns for path in small["FOLDER"].glob("*.json")}
    monkeypatch.setattr(sys, "argv", ["signals.py"])
    signals.main()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    runs = json.loads((tmp_path / "signals.json").read_text())["runs"]
    found = {(run["what"], run["name"], run["seed"]): run["found"] for run in runs}
    assert len(found) == 6 + 4 + 2 * 5
    shape = found["forecasts", "shape", 0]
    assert len(shape["value"]) == len(shape["by chance"]) == 6
    assert shape["path"]["mean"] > 1
    assert shape["value"][0]["mean"] > shape["by chance"][0]["mean"]
    noise = ("standard", "one for all", "prior", "prior of coefficients")
    lost = [found["waveforms", f"{kind}, exact", 0]["behind"]["5"]["mean"] for kind in noise]
    assert lost == sorted(lost, reverse=True)
    known = found["forecasts", "known", 0]
    assert known["one ahead"]["exact"]["behind"]["mean"] == 0
    assert known["one ahead"]["best Gaussian"]["behind"]["mean"] > 0.3
    assert sum(known["ahead"]["exact"]["ranks"]["step 1"]) == 5
    assert found["waveforms", "true", 0]["behind"]["prior"]["mean"] > 0.3
    assert (
        found["waveforms", "prior, trained", 1]["behind"]["mean"]
        > found["waveforms", "prior, trained", 0]["behind"]["mean"]
    )
    assert set(found["short", "standard, trained", 1]) == {"standard", "better start"}
