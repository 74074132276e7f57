"""The mutants of the code: which changes are tried, that each meets the tests, how they are counted."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from notebooks import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import mutants_code

RECORD = json.loads(mutants_code.RECORD.read_text(encoding="utf-8"))
REASONS = tomllib.loads(mutants_code.EXPLAINED.read_text(encoding="utf-8"))
MODULE = "import functools\n\n\n@functools.cache\ndef answer():\n    return 6 * 7\n"
TESTS = "from diffusion_notes.sums import answer\n\n\ndef test_answer():\n    assert answer() == 42\n"
CONFTEST = "import hypothesis\n\nhypothesis.settings.register_profile('verdict')\n"
ENDLESS = """
import os, subprocess, sys, time

def test_endless():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open("running", "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
    time.sleep(600)
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of one module, in which the tool runs in a process of its own."""
    for name, text in {"diffusion_notes/sums.py": MODULE, "tests/test_sums.py": TESTS}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "diffusion_notes" / "__init__.py").touch()
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "mutants.json").write_text("{}", encoding="utf-8")
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(re.sub(r"(?m)^warm = .*$", "warm = []", settings), encoding="utf-8")
    return tmp_path


def examine(project, *more: str) -> tuple[int, str]:
    command = [sys.executable, "tools/mutants_code.py", *more]
    environment = os.environ | {"PYTHONPATH": str(project)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.nightly
def test_each_change_meets_the_tests_and_a_sitting_goes_on_where_it_was(project):
    """Of 6 * 7 every change of a number or of the product is seen, that nothing is cached is not."""
    (project / "tools" / "mutants_explained.toml").write_text("", encoding="utf-8")
    assert examine(project, "sums") == (1, "sums: 6 of 7\n  not seen: without @functools.cache def answer():\n")
    reason = '"it is quick" = ["without @functools.cache def answer():"]\n'
    (project / "tools" / "mutants_explained.toml").write_text(reason, encoding="utf-8")
    (session,) = (project / "_build" / "mutants").glob("sums-*.sqlite")
    before = session.read_bytes()
    assert examine(project, "sums") == (1, "sums: 6 of 7\n")  # which is less than nine in ten
    assert session.read_bytes() == before  # nothing was tried twice
    found = json.loads((project / "benchmarks" / "mutants.json").read_text(encoding="utf-8"))["sums"]
    assert found["survivors"] == [
        {"code": "@functools.cache", "changed": "without @functools.cache def answer():", "why": "it is quick"}
    ]
    assert (project / "diffusion_notes" / "sums.py").read_text(encoding="utf-8") == MODULE


@pytest.mark.nightly
def test_tests_that_fail_anyhow_kill_nothing(project):
    (project / "tests" / "test_sums.py").write_text(TESTS.replace("42", "43"), encoding="utf-8")
    code, said = examine(project, "sums")
    assert code == 1
    assert "sums: the tests fail before anything is changed" in said
    assert "assert answer() == 43" in said


def is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{process}/stat", encoding="ascii") as file:
        return file.read().split()[2] == "Z"


def passes(folder, test: str, timeout: float) -> bool:
    """Whether a test passes, as the tool asks, in a process of its own."""
    (folder / "test_it.py").write_text(test, encoding="utf-8")
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    ask = f"import mutants_code; raise SystemExit(not mutants_code.passes(['test_it.py'], {timeout}))"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tools"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment |= {"PYTEST_PLUGINS": "_hypothesis_pytestplugin"}
    return subprocess.run([sys.executable, "-c", ask], cwd=folder, env=environment, check=False).returncode == 0


@pytest.mark.nightly
def test_what_never_ends_is_stopped_with_all_that_it_has_started(tmp_path):
    assert not passes(tmp_path, ENDLESS, timeout=10)
    both = (tmp_path / "running").read_text(encoding="utf-8").split()
    assert [is_gone(int(process)) for process in both] == [True, True]


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere what is mapped does not count as data")
def test_who_asks_for_all_the_memory_is_refused(tmp_path):
    assert passes(tmp_path, "def test_little():\n    bytearray(1000)\n", timeout=60)
    assert not passes(tmp_path, f"def test_much():\n    bytearray({mutants_code.MEMORY})\n", timeout=60)
    assert "MemoryError" in (tmp_path / "said").read_text(encoding="utf-8")


def test_tests_of_a_module_need_no_more_than_is_copied(tmp_path, monkeypatch):
    """Whatever the tests' conftest.py imports must not look for the book, or every module's tests fail at night."""
    monkeypatch.chdir(tmp_path)
    mutants_code.copy_here()
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", "import conftest"]
    done = subprocess.run(command, cwd="tests", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("operator", "kept"),
    [
        ("ReplaceBinaryOperator_Add_Sub", True),
        ("ReplaceBinaryOperator_Mul_Div", True),
        ("ReplaceBinaryOperator_Add_RShift", False),
        ("ReplaceBinaryOperator_BitOr_Add", False),
        ("ReplaceUnaryOperator_Delete_USub", True),
        ("ReplaceUnaryOperator_USub_UAdd", False),
        ("ReplaceUnaryOperator_USub_Not", False),
        ("NumberReplacer", True),
        ("ReplaceComparisonOperator_Lt_LtE", True),
    ],
)
def test_the_nearest_relatives_are_tried(operator, kept):
    assert kept != bool(re.match(mutants_code.CHOSEN["left-out"], f"core/{operator}"))


def test_the_modules_of_maths_are_found_in_the_package():
    assert {"ddpm", "swiss_roll", "vae"} <= set(mutants_code.modules())
    assert not {"__init__", "data/known"} & set(mutants_code.modules())


@pytest.mark.parametrize("name", ["chain_of_command", "../tests/conftest"])
def test_a_module_that_is_none_is_refused(name):
    with pytest.raises(SystemExit, match=rf"MODULE must be a module with tests of its own, such as \w+.*, got {name}"):
        mutants_code.sources(name)


def test_the_name_of_a_module_and_its_tests_is_what_they_do(project, monkeypatch):
    monkeypatch.setattr(mutants_code, "ROOT", project)
    before = mutants_code.meaning("sums")
    path = project / "diffusion_notes" / "sums.py"
    path.write_text('"""Sums."""\n' + MODULE.replace("6 * 7", "(6*7)  # the answer"), encoding="utf-8")
    assert mutants_code.meaning("sums") == before
    path.write_text(MODULE.replace("6 * 7", "7 * 6"), encoding="utf-8")
    assert mutants_code.meaning("sums") != before


@pytest.mark.parametrize("module", RECORD)
def test_a_record_is_well_formed(module):
    """Whether it is of the present code does not matter here: that is asked for at night."""
    found = RECORD[module]
    assert set(found) == {"sources", "mutants", "killed", "share", "survivors"}
    assert len(found["survivors"]) == found["mutants"] - found["killed"]
    assert found["share"] == pytest.approx(found["killed"] / found["mutants"], abs=0.001)
    assert found["share"] >= mutants_code.CHOSEN["at-least"]
    why = {line: reason for reason, lines in REASONS.items() for line in lines}
    assert {survivor["why"] for survivor in found["survivors"]} <= set(REASONS)
    assert all(survivor["why"] == why[survivor["changed"]] for survivor in found["survivors"])


def test_an_explanation_that_is_not_needed_any_more_is_taken_out():
    survived = {survivor["changed"] for found in RECORD.values() for survivor in found["survivors"]}
    assert {line for lines in REASONS.values() for line in lines} == survived
