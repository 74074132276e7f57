"""How long building and testing take: what is measured, in which order, and that the table is what was stored."""

from __future__ import annotations

import doctest
import json
import sys

import pytest
from notebooks import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import build_and_test


def test_the_examples_run():
    assert doctest.testmod(build_and_test).failed == 0


def test_a_command_is_timed_and_one_that_fails_says_why(tmp_path):
    assert 0.2 <= build_and_test.seconds(tmp_path, "sleep", "0.2") < 20
    with pytest.raises(SystemExit, match="failed:\nwhat it says"):
        build_and_test.seconds(tmp_path, "sh", "-c", "echo what it says; exit 3")


def test_each_begins_where_the_one_before_has_ended(tmp_path, monkeypatch):
    (tmp_path / "book").mkdir()
    for name in ("vae", "ddpm"):
        (tmp_path / "book" / f"{name}.ipynb").touch()
    monkeypatch.setattr(build_and_test, "seconds", lambda _, *command: command)
    found = build_and_test.measured(tmp_path)
    assert [" ".join(command[-2:]) for command in found.values()] == [
        *["make book"] * 3,
        "test MODULE=ddpm",
        "make quick",
        "make test",
        "tools/notebooks.py book/ddpm.ipynb",
        "tools/notebooks.py book/vae.ipynb",
    ]


def test_the_table_is_what_was_stored():
    stored = json.loads(build_and_test.RECORD.read_text(encoding="utf-8"))["seconds"]
    assert build_and_test.table(stored) in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
