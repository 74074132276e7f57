"""The cost as the work grows: one size at a time, memory that is really taken, and a page that has them all."""

from __future__ import annotations

import doctest
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from notebooks import ROOT

from diffusion_notes.experiment.results import load_results

sys.path.insert(0, str(ROOT / "benchmarks"))
import scaling

KEYS = {"training step, ms", "training memory, MB", "sampler's step, ms", "sampler's memory, MB"}
SMALL = {"points": 50, "T": 10, "batch": 8, "width": 4, "D": 3}
linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells")


def test_the_examples_run():
    assert doctest.testmod(scaling).failed == 0


def test_one_size_is_changed_at_a_time_and_all_the_rest_stays():
    changed = [{k: v for k, v in each.items() if v != scaling.STANDARD[k]} for each in scaling.settings()]
    assert changed[0] == {}
    assert all(len(each) == 1 for each in changed[1:])
    for name, sizes in scaling.SIZES.items():
        assert {scaling.STANDARD[name]} | {each[name] for each in changed if name in each} == set(sizes)


@pytest.mark.nightly
def test_a_setting_is_measured_in_a_process_of_its_own():
    found = scaling.alone(SMALL)
    assert set(found) == KEYS
    assert all(value > 0 for key, value in found.items() if key.endswith("ms"))


def test_the_model_has_the_sizes_that_are_asked_for():
    ddpm = scaling._model(SMALL)
    assert ddpm.length == 10
    assert [layer.out_features for layer in ddpm.network.layers[::2]] == [4, 4, 3]
    assert ddpm.q.schedule.alpha_bar[-1] < 1e-3
    for T in scaling.SIZES["T"]:
        assert scaling._model(SMALL | {"T": T}).q.schedule.alpha_bar[-1] < 1e-3


PROBE = """
import torch
from scaling import _memory

before = _memory(reset=True)
torch.ones(25_000_000).sum()  # 100 MB that are gone at once
print(_memory() - before, _memory(reset=True) - before)
"""


@pytest.mark.nightly
@linux
def test_memory_that_was_taken_is_seen_after_it_was_given_back():
    """In a process of its own, as it is used: one that has memory to spare takes none."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "benchmarks")}
    done = subprocess.run([sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, check=True)
    most, after = map(float, done.stdout.split())
    assert 90 < most < 130
    assert after < 40


def test_the_quickest_round_is_stored(monkeypatch, tmp_path):
    rounds = iter([3.0, 5.0, 2.0, 4.0])
    monkeypatch.setattr(scaling, "settings", lambda: [SMALL, SMALL | {"T": 20}])
    monkeypatch.setattr(scaling, "alone", lambda size: {"training step, ms": next(rounds)})
    for name, value in {"STORED": tmp_path, "ROUNDS": 2}.items():
        monkeypatch.setattr(scaling, name, value)
    monkeypatch.setattr(sys, "argv", ["scaling.py"])
    scaling.main()
    stored = json.loads((tmp_path / "scaling.json").read_text())
    assert stored["costs"] == [SMALL | {"training step, ms": 2.0}, SMALL | {"T": 20, "training step, ms": 4.0}]
    assert stored["provenance"]["command"] == "make bench"


def test_what_is_stored_is_whole():
    stored = load_results("scaling")
    found = [{key: each[key] for key in scaling.STANDARD} for each in stored["costs"]]
    assert (stored["standard"], found) == (scaling.STANDARD, scaling.settings())
    assert all(math.isfinite(each[key]) for each in stored["costs"] for key in KEYS)
