"""The mutants of the code: which changes are tried, how they are counted, and what is refused."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest
from notebooks import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import mutants_code
from fork_tests import CLIENT, serving

SOURCE = ROOT / "diffusion_notes" / "tables.py"


RIGHT, WRONG = "return 42", "return 41"
ENDLESS = """
    with open("running", "w") as file:
        print(os.getpid(), file=file)
    while True:
        pass
"""


def ask(folder, body):
    """Have the tests of a folder run by the server, with that in its code."""
    (folder / "answers.py").write_text(f"import os\n\ndef answer():\n    {body.strip()}\n", encoding="utf-8")
    test = "from answers import answer\n\ndef test_answer():\n    assert answer() == 42\n"
    (folder / "test_answers.py").write_text(test, encoding="utf-8")
    command = ["sh", "-c", f"{shlex.join(CLIENT)}; exit $?"]  # the shell is in the place of cosmic-ray
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True)


def seen(look):
    """Wait until something is there, which it is soon."""
    for _ in range(3000):
        if found := look():
            return found
        time.sleep(0.02)
    return pytest.fail("it never came")


def started(folder):
    """The process that runs the tests, which never end."""
    return int(seen(lambda: (folder / "running").exists() and (folder / "running").read_text(encoding="utf-8")))


def is_gone(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_the_tests_run_in_a_fork_that_sees_each_change_and_ends_when_nobody_waits(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    with serving(tmp_path, ["-q", "-p", "no:cacheprovider"], warm=()):
        for body, code, words in ((RIGHT, 0, "1 passed"), (WRONG, 1, "assert 41 == 42"), (RIGHT, 0, "1 passed")):
            asking = ask(tmp_path, body)
            assert words in asking.communicate()[0]
            assert asking.returncode == code
        with ask(tmp_path, ENDLESS) as asking:
            running = started(tmp_path)
            assert not is_gone(running)
            os.killpg(asking.pid, signal.SIGKILL)  # as cosmic-ray does when the time is over
        assert seen(lambda: is_gone(running))
        assert ask(tmp_path, RIGHT).wait() == 0


def test_without_a_server_nothing_counts_as_killed(tmp_path):
    asking = ask(tmp_path, RIGHT)
    asking.communicate()
    assert asking.returncode == -signal.SIGKILL  # and not the exit code of tests that fail


def test_when_the_server_stops_the_tests_stop(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    with serving(tmp_path, ["-q", "-p", "no:cacheprovider"], warm=()):
        asking = ask(tmp_path, ENDLESS)
        running = started(tmp_path)
    asking.communicate()
    assert is_gone(running)
    assert asking.returncode == -signal.SIGKILL


def tried(operator: str, line: int, outcome: str | None) -> list:
    """What cosmic-ray tells of a mutant; without an outcome, one that a filter left out."""
    mutation = {"operator_name": f"core/{operator}", "occurrence": 0, "start_pos": [line, 4]}
    return [{"mutations": [mutation]}, {"worker_outcome": "normal" if outcome else "skipped", "test_outcome": outcome}]


def test_what_is_left_out_is_neither_killed_nor_survives():
    items = [
        tried("ReplaceBinaryOperator_Sub_Add", 1, "survived"),
        tried("NumberReplacer", 3, "killed"),
        tried("NumberReplacer", 3, "incompetent"),
        tried("ReplaceBinaryOperator_Sub_RShift", 1, None),
    ]
    found = mutants_code.verdict(items, SOURCE)
    first = SOURCE.read_text(encoding="utf-8").splitlines()[0]
    assert found.pop("survivors") == [{"line": 1, "code": first, "change": "ReplaceBinaryOperator_Sub_Add 0"}]
    assert found == {"mutants": 3, "killed": 2, "share": 0.667}


@pytest.mark.parametrize(
    ("operator", "kept"),
    [
        ("ReplaceBinaryOperator_Add_Sub", True),
        ("ReplaceBinaryOperator_Mul_Div", True),
        ("ReplaceBinaryOperator_Add_RShift", False),
        ("ReplaceBinaryOperator_BitOr_Add", False),
        ("ReplaceUnaryOperator_USub_UAdd", True),
        ("ReplaceUnaryOperator_USub_Not", False),
        ("NumberReplacer", True),
        ("ReplaceComparisonOperator_Lt_LtE", True),
    ],
)
def test_the_nearest_relatives_are_tried(operator, kept):
    assert kept != any(re.match(pattern, f"core/{operator}") for pattern in mutants_code.LEFT_OUT)


def test_every_module_of_maths_has_tests_of_its_own():
    for module in mutants_code.MATHS:
        assert (ROOT / "diffusion_notes" / f"{module}.py").is_file()
        assert (ROOT / "tests" / f"test_{module}.py").is_file()


def test_a_module_that_is_none_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["mutants_code.py", "chains"])
    with pytest.raises(SystemExit, match=r"MODULE must be one of bound, chain, .*, got chains"):
        mutants_code.main()


def test_a_record_says_what_stands_in_the_code_or_is_of_older_sources():
    for module, found in json.loads(mutants_code.RECORD.read_text(encoding="utf-8")).items():
        assert 0 < found["killed"] <= found["mutants"]
        assert len(found["survivors"]) == found["mutants"] - found["killed"]
        if found["sources"] == mutants_code.sources_of(module):
            lines = (ROOT / "diffusion_notes" / f"{module}.py").read_text(encoding="utf-8").splitlines()
            assert all(lines[survivor["line"] - 1].strip() == survivor["code"] for survivor in found["survivors"])
