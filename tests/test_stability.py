"""The series of runs that looks for outputs that change: what it varies, and that it sees a change."""

from __future__ import annotations

import json
import sys

import nbformat
import pytest
from notebooks import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import stability

PROBE = """\
import os

import torch

print(torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), os.environ["PYTHONHASHSEED"])
"""


def notebook(path, shown: str):
    """A notebook of one cell that shows how it is run, with what it is said to show."""
    cell = nbformat.v4.new_code_cell(PROBE, execution_count=1)
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=shown + "\n")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), path)
    return str(path)


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_run_is_run_as_it_says(tmp_path, deterministic):
    how = {"threads": 2, "deterministic": deterministic, "hash seed": 7}
    done = stability.run(how, [notebook(tmp_path / "probe.ipynb", f"2 {deterministic} 7")])
    assert done == how | {"passed": 1, "failed": 0}


def test_another_output_is_a_failure(tmp_path, capsys):
    done = stability.run(stability.settings()[0], [notebook(tmp_path / "probe.ipynb", "4 False 7")])
    assert done["failed"] == 1
    assert "mismatch" in capsys.readouterr().err


def test_a_notebook_that_cannot_be_collected_is_a_failure(tmp_path, capsys):
    (tmp_path / "probe.ipynb").write_text("{", encoding="utf-8")
    assert stability.run(stability.settings()[0], [str(tmp_path / "probe.ipynb")])["failed"] == 1
    capsys.readouterr()


def test_no_two_runs_are_alike_and_all_pairs_are_met():
    runs = stability.settings(20)
    assert len({tuple(how.values()) for how in runs}) == 20
    assert {(how["threads"], how["deterministic"]) for how in runs} == {(n, d) for n in (1, 2, 4) for d in (0, 1)}


def test_a_series_goes_on_where_it_was_and_begins_anew_for_other_sources(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(stability, "RECORD", tmp_path / "record.json")
    monkeypatch.setattr(stability, "run", lambda how, notebooks: ran.append(how) or how | {"passed": 5, "failed": 0})
    monkeypatch.setattr(sys, "argv", ["stability.py", "3"])
    assert stability.main() == 0
    monkeypatch.setattr(sys, "argv", ["stability.py", "5"])
    assert stability.main() == 0
    assert ran == stability.settings(5)
    monkeypatch.setattr(stability, "sources", lambda: "others")
    assert stability.main() == 0
    assert ran == stability.settings(5) * 2


def test_a_failure_is_not_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(stability, "RECORD", tmp_path / "record.json")
    first, second = stability.settings(2)
    runs = [first | {"passed": 4, "failed": 1}, second | {"passed": 5, "failed": 0}]
    stability.RECORD.write_text(json.dumps({"about": stability.load()["about"], "runs": runs}), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["stability.py", "2"])
    assert stability.main() == 1


def test_every_source_has_a_part_in_the_name(tmp_path):
    for name in ("book/a.ipynb", "diffusion_notes/a.py", "diffusion_notes/weights/a.safetensors", "requirements.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("before", encoding="utf-8")
    names = {stability.sources(tmp_path)}
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        path.write_text("after", encoding="utf-8")
        names.add(stability.sources(tmp_path))
    assert len(names) == 5
