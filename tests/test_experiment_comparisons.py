"""What many stored runs say together: means, two standard errors, and differences seed by seed."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion_notes.experiment.comparisons import average, bought, runs_of
from diffusion_notes.experiment.ladder_runs import LEARNING_RATE
from diffusion_notes.experiment.results import load_results

RUNS = load_results("ladder")["runs"]


def gaps(*values: float, error: float = 0.0) -> dict[int, dict]:
    return {seed: {"gap": value, "error": error} for seed, value in enumerate(values)}


def test_the_runs_of_a_rung_are_those_and_no_others():
    found = runs_of(RUNS, "learned q, 8", budget="steps")
    assert len(found) == 10
    for seed, run in found.items():
        about = (run["rung"], run["data"], run["budget"], run["learning rate"], run["seed"])
        assert about == ("learned q, 8", "swiss roll", "steps", LEARNING_RATE, seed)


def test_a_rung_that_takes_as_many_steps_anyhow_is_stored_once():
    assert runs_of(RUNS, "DDPM", budget="steps") == runs_of(RUNS, "DDPM")
    assert runs_of(RUNS, "VAE", budget="steps") != runs_of(RUNS, "VAE")


def test_another_learning_rate_has_runs_of_its_own():
    assert {run["learning rate"] for run in runs_of(RUNS, "VAE", learning_rate=0.03).values()} == {0.03}
    assert runs_of(RUNS, "VAE", learning_rate=0.5) == {}


def test_an_error_is_two_standard_errors():
    values = np.array([0.1, 0.4, 0.25, 0.3])
    assert average(gaps(*values)) == pytest.approx((values.mean(), 2 * values.std(ddof=1) / 2))


def test_runs_that_agree_by_luck_have_the_error_of_their_measuring():
    _, error = average(gaps(0.2, 0.2, 0.2, error=0.03))
    assert error == pytest.approx(2 * 0.03 / 3**0.5)


def test_a_difference_is_taken_seed_by_seed():
    nats, error = bought(gaps(0.5, 0.9, 0.7), gaps(0.25, 0.65, 0.45))
    assert (nats, error) == pytest.approx((0.25, 0.0), abs=1e-12)
    assert bought(gaps(0.5, 0.9, 0.7), gaps(0.3, 0.5))[0] == pytest.approx(0.3)


def test_one_seed_has_no_error():
    with pytest.raises(ValueError, match="two seeds at least"):
        average(gaps(0.5))
    with pytest.raises(ValueError, match="two seeds at least"):
        bought(gaps(0.5, 0.4), {7: {"gap": 0.1}})
