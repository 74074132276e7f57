"""The series of runs that looks for outputs that change: what it varies, and that it sees a change."""

from __future__ import annotations

import json
import shutil
import sys

import nbformat
import pytest
from notebooks import ROOT

from diffusion_notes.experiment.runs import Runs

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
    return path


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_run_is_run_as_it_says(tmp_path, deterministic):
    how = {"threads": 2, "deterministic": deterministic, "hash seed": 7}
    done = stability.run(how, notebook(tmp_path / "probe.ipynb", f"2 {deterministic} 7"))
    assert done == how | {"passed": 1, "failed": 0}


def test_another_output_is_a_failure(tmp_path, capsys):
    done = stability.run(stability.settings()[0], notebook(tmp_path / "probe.ipynb", "4 False 7"))
    assert done["failed"] == 1
    assert "mismatch" in capsys.readouterr().err


def test_a_notebook_that_cannot_be_collected_is_a_failure(tmp_path, capsys):
    (tmp_path / "probe.ipynb").write_text("{", encoding="utf-8")
    assert stability.run(stability.settings()[0], tmp_path / "probe.ipynb")["failed"] == 1
    capsys.readouterr()


def test_no_two_runs_are_alike_and_all_pairs_are_met():
    runs = stability.settings(20)
    assert len({tuple(how.values()) for how in runs}) == 20
    assert {(how["threads"], how["deterministic"]) for how in runs} == {(n, d) for n in (1, 2, 4) for d in (0, 1)}


@pytest.fixture
def series(tmp_path, monkeypatch):
    """Two notebooks whose runs are not made, only counted."""
    ran = []
    both = [notebook(tmp_path / f"{name}.ipynb", name) for name in ("one", "other")]
    monkeypatch.setattr(stability, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(stability, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(stability, "run", lambda how, path: ran.append((path, how)) or how | {"passed": 5, "failed": 0})

    def start(runs: int, *names) -> int:
        monkeypatch.setattr(sys, "argv", ["stability.py", str(runs), *map(str, names)])
        return stability.main()

    return start, both, ran


def test_a_series_goes_on_where_it_was_and_begins_anew_for_other_cells(series):
    start, (one, other), ran = series
    assert start(3, one, other) == start(5, one, other) == 0
    assert [how for path, how in ran if path == one] == stability.settings(5)
    change(one, lambda cell: cell | {"source": "something_else()"})
    assert start(5, one, other) == 0
    assert [how for path, how in ran if path == one] == stability.settings(5) * 2
    assert [how for path, how in ran if path == other] == stability.settings(5)


def test_a_series_goes_on_from_its_record_where_the_runs_were_made_elsewhere(series):
    start, (one, _), ran = series
    start(3, one)
    shutil.rmtree(stability.RUNS)
    start(5, one)
    assert [how for _, how in ran] == stability.settings(5)
    assert [run["hash seed"] for run in read(one)["runs"]] == [0, 1, 2, 3, 4]


def test_what_another_process_has_run_is_noted_too(series):
    start, (one, _), _ = series
    start(2, one)
    (folder,) = stability.RUNS.iterdir()
    theirs = stability.settings(4)[3] | {"passed": 5, "failed": 1}
    Runs(folder).once("003", lambda: theirs)
    assert start(3, one) == 1
    assert [run["hash seed"] for run in read(one)["runs"]] == [0, 1, 2, 3]


def test_a_failure_is_not_forgotten(series):
    start, (one, other), ran = series
    assert start(2, one) == 0
    path = stability.RECORDS / "one.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"failed": 0', '"failed": 1', 1), encoding="utf-8")
    assert (start(2, one), start(2, other)) == (1, 0)
    assert len(ran) == 4


def read(path) -> dict:
    return json.loads((stability.RECORDS / f"{path.stem}.json").read_text(encoding="utf-8"))


def change(path, how) -> None:
    """Change the cell of a notebook."""
    whole = json.loads(path.read_text(encoding="utf-8"))
    whole["cells"] = [how(cell) for cell in whole["cells"]]
    path.write_text(json.dumps(whole), encoding="utf-8")


@pytest.fixture
def project(tmp_path):
    """A small project with a notebook, whose name is asked for again after each change."""
    files = {
        "diffusion_notes/room/a.py": '"""A module."""\n\ndef f(x):\n    """It adds."""\n    return x + 1  # so\n',
        "diffusion_notes/weights/a.safetensors": "weights",
        "diffusion_notes/equations/a.lark": "grammar",
        "diffusion_notes/explorables/a.js": "script",
        "diffusion_notes/experiment/stored/levels.json": "numbers",
        "requirements.txt": "torch==2.13.0",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return notebook(tmp_path / "a.ipynb", "before")


@pytest.mark.parametrize(
    ("name", "text", "counts"),
    [
        ("diffusion_notes/room/a.py", "def f(x):\n\n    return (x+1)", False),
        ("diffusion_notes/room/a.py", "def f(x):\n    return x + 2", True),
        ("diffusion_notes/room/b.py", "g = 1", True),
        ("diffusion_notes/weights/a.safetensors", "others", True),
        ("diffusion_notes/equations/a.lark", "another", True),
        ("diffusion_notes/explorables/a.js", "another", False),
        ("diffusion_notes/experiment/stored/levels.json", "others", False),  # no cell names them
        ("requirements.txt", "torch==2.14.0", True),
    ],
)
def test_a_series_belongs_to_what_the_package_does(project, name, text, counts):
    before = stability.sources(project, project.parent)
    (project.parent / name).write_text(text, encoding="utf-8")
    assert (stability.sources(project, project.parent) != before) == counts


def test_a_series_belongs_to_what_the_cells_do_and_to_the_results_that_they_name(project):
    before = stability.sources(project, project.parent)
    change(project, lambda cell: cell | {"source": ["# a comment\n", *PROBE.splitlines(keepends=True)]})
    written = nbformat.read(project, 4)
    written.cells.append(nbformat.v4.new_markdown_cell("A sentence."))
    nbformat.write(written, project)
    assert stability.sources(project, project.parent) == before
    change(project, lambda cell: cell | {"source": 'known = load_results("levels")'})
    named = stability.sources(project, project.parent)
    (project.parent / "diffusion_notes/experiment/stored/levels.json").write_text("others", encoding="utf-8")
    assert len({before, named, stability.sources(project, project.parent)}) == 3


@pytest.mark.parametrize("path", sorted(stability.RECORDS.glob("*.json")), ids=lambda path: path.stem)
def test_a_record_is_well_formed(path):
    """Of which sources it is does not matter here: that is asked for at night."""
    record = json.loads(path.read_text(encoding="utf-8"))
    assert set(record) == {"about", "runs"}
    assert set(record["about"]) == {"sources", "python", "machine", "torch"}
    for run, how in zip(record["runs"], stability.settings(len(record["runs"])), strict=True):
        assert run == how | {"passed": run["passed"], "failed": run["failed"]}
        assert run["passed"] > 0
        assert run["failed"] == 0
