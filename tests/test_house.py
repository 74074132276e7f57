"""How long the house takes: what is measured, in which order, and that the table is what was stored."""

from __future__ import annotations

import doctest
import json
import sys

import pytest
from notebooks import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import house


def test_the_examples_run():
    assert doctest.testmod(house).failed == 0


def test_a_command_is_timed_and_one_that_fails_says_why(tmp_path):
    assert 0.2 <= house.seconds(tmp_path, "sleep", "0.2") < 20
    with pytest.raises(SystemExit, match="failed:\nwhat it says"):
        house.seconds(tmp_path, "sh", "-c", "echo what it says; exit 3")


def test_each_begins_where_the_one_before_has_ended(tmp_path, monkeypatch):
    (tmp_path / "book").mkdir()
    for name in ("vae", "ddpm"):
        (tmp_path / "book" / f"{name}.ipynb").touch()
    monkeypatch.setattr(house, "seconds", lambda _, *command: command)
    found = house.measured(tmp_path)
    assert [" ".join(command[-2:]) for command in found.values()] == [
        *["make book"] * 3,
        "make test",
        "tools/notebooks.py book/ddpm.ipynb",
        "tools/notebooks.py book/vae.ipynb",
    ]


def test_the_table_is_what_was_stored():
    stored = json.loads(house.RECORD.read_text(encoding="utf-8"))["seconds"]
    assert house.table(stored) in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert {name for name in stored if "ipynb" in name} == {f"`book/{p.name}`" for p in ROOT.glob("book/*.ipynb")}
