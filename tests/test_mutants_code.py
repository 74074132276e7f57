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
import fork_tests
import mutants_code
from fork_tests import CLIENT, serving

RIGHT, WRONG = "return 42", "return 41"
ENDLESS = """
    with open("running", "w") as file:
        print(os.getpid(), file=file)
    while True:
        pass
"""


@pytest.fixture(autouse=True)
def _no_plugins(monkeypatch):
    """Which take a while to import."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


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


def test_the_tests_run_in_a_fork_that_sees_each_change_and_ends_when_nobody_waits(tmp_path):
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


def test_quick_tests_come_first_once_it_is_known_which_are(tmp_path):
    slow_first = "import time\n\ndef test_slow():\n    time.sleep(0.1)\n\ndef test_quick():\n    pass\n"
    (tmp_path / "test_both.py").write_text(slow_first, encoding="utf-8")
    with serving(tmp_path, ["-v", "-p", "no:cacheprovider"], warm=()):
        first, then = (subprocess.run(CLIENT, cwd=tmp_path, stdout=subprocess.PIPE, check=True) for _ in range(2))
    assert re.findall(rb"test_(slow|quick) PASSED", first.stdout) == [b"slow", b"quick"]
    assert re.findall(rb"test_(slow|quick) PASSED", then.stdout) == [b"quick", b"slow"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere what is mapped does not count as data")
def test_who_asks_for_all_the_memory_is_refused(tmp_path):
    with serving(tmp_path, ["-q", "-p", "no:cacheprovider"], warm=()):
        asking = ask(tmp_path, f"return len(bytearray({fork_tests.MEMORY}))")
        assert "MemoryError" in asking.communicate()[0]
    assert asking.returncode == 1


def test_without_a_server_nothing_counts_as_killed(tmp_path):
    asking = ask(tmp_path, RIGHT)
    asking.communicate()
    assert asking.returncode == -signal.SIGKILL  # and not the exit code of tests that fail


def test_when_the_server_stops_the_tests_stop(tmp_path):
    with serving(tmp_path, ["-q", "-p", "no:cacheprovider"], warm=()):
        asking = ask(tmp_path, ENDLESS)
        running = started(tmp_path)
    asking.communicate()
    assert is_gone(running)
    assert asking.returncode == -signal.SIGKILL


def tried(operator: str, outcome: str | None, after: str = "b") -> list:
    """What cosmic-ray tells of a mutant; without an outcome, one that a filter left out."""
    diff = f"--- mutation diff ---\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n same\n-    a\n+    {after}\n same"
    mutation = {"operator_name": f"core/{operator}", "occurrence": 0, "start_pos": [7, 4]}
    result = {"worker_outcome": "normal" if outcome else "skipped", "test_outcome": outcome, "diff": diff}
    return [{"mutations": [mutation]}, result]


def test_what_is_left_out_is_neither_killed_nor_survives():
    items = [
        tried("ReplaceBinaryOperator_Sub_Add", "survived", "c"),
        tried("NumberReplacer", "survived"),
        tried("NumberReplacer", "killed"),
        tried("NumberReplacer", "incompetent"),
        tried("ReplaceBinaryOperator_Sub_RShift", None),
    ]
    found = mutants_code.verdict(items, {"c": "it is the same"})
    assert found.pop("survivors") == [
        {"line": 7, "code": "a", "changed": "b"},
        {"line": 7, "code": "a", "changed": "c", "why": "it is the same"},
    ]
    assert found == {"mutants": 4, "killed": 2, "share": 0.5}


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
    assert kept != any(re.match(pattern, f"core/{operator}") for pattern in mutants_code.LEFT_OUT)


def test_every_module_of_maths_has_tests_of_its_own():
    for module in mutants_code.MATHS:
        assert (ROOT / "diffusion_notes" / f"{module}.py").is_file()
        assert (ROOT / "tests" / f"test_{module}.py").is_file()


def test_a_module_that_is_none_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["mutants_code.py", "chains"])
    with pytest.raises(SystemExit, match=r"MODULE must be one of best_levels, bound, chain, .*, got chains"):
        mutants_code.main()


RECORD = json.loads(mutants_code.RECORD.read_text(encoding="utf-8"))


def test_two_processes_do_not_examine_one_module(monkeypatch, tmp_path):
    monkeypatch.setattr(mutants_code, "SESSIONS", tmp_path / "mutants")
    with mutants_code.alone("chain"):
        with mutants_code.alone("bound"):
            pass
        with pytest.raises(SystemExit, match="chain is being examined"), mutants_code.alone("chain"):
            pass
    with mutants_code.alone("chain"):
        pass


def test_a_line_that_is_taken_away_has_a_name():
    found = mutants_code.verdict([tried("RemoveDecorator", "survived", "")], {"without a": "it is kept"})
    assert found["survivors"] == [{"line": 7, "code": "a", "changed": "without a", "why": "it is kept"}]


def test_nearly_all_are_killed_and_the_others_explained():
    assert set(RECORD) == set(mutants_code.MATHS)
    for module, found in RECORD.items():
        assert found["sources"] == mutants_code.sources_of(module), f"run tools/mutants_code.py {module}"
        assert len(found["survivors"]) == found["mutants"] - found["killed"]
        assert found["share"] == pytest.approx(found["killed"] / found["mutants"], abs=0.001)
        assert found["share"] >= 0.9, module
        unexplained = [survivor["changed"] for survivor in found["survivors"] if not survivor.get("why")]
        assert not unexplained, module


@pytest.mark.parametrize("module", mutants_code.MATHS)
def test_what_is_explained_is_what_survived(module):
    """An explanation that is not needed any more is taken out."""
    found = RECORD[module]
    assert {survivor["changed"]: survivor.get("why") for survivor in found["survivors"]} == mutants_code.reasons(module)
    lines = (ROOT / "diffusion_notes" / f"{module}.py").read_text(encoding="utf-8").splitlines()
    assert all(lines[survivor["line"] - 1].strip() == survivor["code"] for survivor in found["survivors"])
