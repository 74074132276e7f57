"""The mutants of the code: which changes are tried, how they are counted, and what is refused."""

from __future__ import annotations

import json
import re
import sys

import pytest
from notebooks import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import mutants_code

SOURCE = ROOT / "diffusion_notes" / "tables.py"


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
