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
    monkeypatch.setattr(stability, "run", lambda how, path: ran.append((path, how)) or how | {"passed": 5, "failed": 0})

    def start(runs: int, *names) -> int:
        monkeypatch.setattr(sys, "argv", ["stability.py", str(runs), *map(str, names)])
        return stability.main()

    return start, both, ran


def test_a_series_goes_on_where_it_was_and_begins_anew_for_other_cells(series):
    start, (one, other), ran = series
    assert start(3, one, other) == start(5, one, other) == 0
    assert [how for path, how in ran if path == one] == stability.settings(5)
    notebook(one, "something else")
    assert start(5, one, other) == 0
    assert [how for path, how in ran if path == one] == stability.settings(5) * 2
    assert [how for path, how in ran if path == other] == stability.settings(5)


def test_a_failure_is_not_forgotten(series):
    start, (one, other), ran = series
    assert start(2, one) == 0
    path = stability.RECORDS / "one.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"failed": 0', '"failed": 1', 1), encoding="utf-8")
    assert (start(2, one), start(2, other)) == (1, 0)
    assert len(ran) == 4


def test_every_source_has_a_part_in_the_name_but_no_sentence(tmp_path):
    book = notebook(tmp_path / "a.ipynb", "before")
    for name in ("diffusion_notes/a.py", "diffusion_notes/weights/a.safetensors", "requirements.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("before", encoding="utf-8")
    names = {stability.sources(book, tmp_path)}
    for path in [path for path in tmp_path.rglob("*") if path.is_file() and path != book]:
        path.write_text("after", encoding="utf-8")
        names.add(stability.sources(book, tmp_path))
    last = stability.sources(notebook(book, "after"), tmp_path)
    assert len(names | {last}) == 5
    written = nbformat.read(book, 4)
    written.cells.append(nbformat.v4.new_markdown_cell("A sentence."))
    nbformat.write(written, book)
    assert stability.sources(book, tmp_path) == last


def test_stored_results_count_where_a_cell_names_them(tmp_path):
    path = tmp_path / "diffusion_notes" / "results" / "levels.json"
    path.parent.mkdir(parents=True)
    (tmp_path / "requirements.txt").touch()
    names = []
    for cell in ('print("levels")', 'known = load_results("levels")'):
        book = notebook(tmp_path / "a.ipynb", cell)
        for text in ("before", "after"):
            path.write_text(text, encoding="utf-8")
            names.append(stability.sources(book, tmp_path))
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_an_explorable_counts_where_it_is_shown_and_what_all_share_always(tmp_path):
    folder = tmp_path / "diffusion_notes" / "explorables"
    folder.mkdir(parents=True)
    (tmp_path / "requirements.txt").touch()
    for name, counted in [
        ("gap.js", {'<div data-explorable="gap">'}),
        ("base.py", {"", '<div data-explorable="gap">'}),
    ]:
        for shown in ("", '<div data-explorable="gap">'):
            book, names = notebook(tmp_path / "a.ipynb", shown), set()
            for text in ("before", "after"):
                (folder / "gap.py").touch()
                (folder / name).write_text(text, encoding="utf-8")
                names.add(stability.sources(book, tmp_path))
            assert (len(names) == 2) == (shown in counted)


RECORDED = sorted(stability.RECORDS.glob("*.json"))


def test_each_notebook_has_its_record():
    assert [path.stem for path in RECORDED] == [path.stem for path in sorted(ROOT.glob("book/*.ipynb"))]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_twenty_runs_and_no_flake(path):
    runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
    assert [{key: run[key] for key in stability.settings(1)[0]} for run in runs] == stability.settings(20)
    assert all(run["failed"] == 0 and run["passed"] > 0 for run in runs)
