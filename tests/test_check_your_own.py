"""The page "Check your own derivation" says what the checker does, and its examples are what it says."""

from __future__ import annotations

import re

import pytest
import yaml
from notebooks import ROOT

from diffusion_notes.equations import check
from diffusion_notes.equations.__main__ import main
from diffusion_notes.equations.pages import judge_page
from diffusion_notes.equations.verdicts.conventions import CONVENTIONS
from diffusion_notes.equations.worlds.world import CHAINS

PATH = ROOT / "book" / "check_your_own.md"
TEXT = PATH.read_text(encoding="utf-8")


def block(after: str) -> str:
    """The first block of code after some words."""
    return re.search(r"\n(```+)[^\n]*\n(?::caption:[^\n]*\n)?(.+?)\n\1\n", TEXT[TEXT.index(after) :], re.S)[2]


def test_the_report_is_what_the_command_prints(tmp_path, monkeypatch, capsys):
    (tmp_path / "notes.md").write_text(block("what the program says of it") + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["notes.md"]) == 1
    shown = TEXT[TEXT.index(":caption: `check-derivation notes.md`\n") :].partition("\n")[2].partition("\n```\n")[0]
    assert shown == capsys.readouterr().out.rstrip("\n")


def test_the_line_in_python_is_what_the_checker_says():
    (asked,) = re.findall(r'check\(\s*r"([^"]+)"', TEXT)
    assert re.search(r"```text\n(.+?)\n```", TEXT, re.S)[1] == str(check(asked))


def test_each_error_fails_and_what_is_right_holds():
    """Under every reading that is in use, and on the page as it stands."""
    part = TEXT[TEXT.index("## Five errors") : TEXT.index("## Ask about a line")]
    assert [part.count(word) for word in ("\nPrinted:\n", "\nRight:\n", "$$\n")] == [5, 5, 20]
    verdicts = [equation.verdicts for equation in judge_page(PATH)]
    assert [[verdict.kind for verdict in found] for found in verdicts[0::2]] == [["fails"]] * 5
    assert all(verdict.good and not verdict.reading for found in verdicts[1::2] for verdict in found)
    assert len(verdicts) == 10


def test_all_conventions_and_chapters_are_named():
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.+) \|$", TEXT, re.M))
    for convention in CONVENTIONS:
        assert rows[convention.name].replace("\\|", "|") == convention.sentence.removeprefix("if ")
    assert "`chapter` is one of " + ", ".join(f"`{name}`" for name in CHAINS) in TEXT


def test_the_options_are_those_of_the_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    told = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert told == set(re.findall(r"^\| `(--[a-z-]+)` \|", TEXT, re.M))


def test_the_hook_and_the_workflow_are_those_that_work():
    hook = yaml.safe_load(block("a commit that brings in"))["repos"][0]["hooks"][0]
    assert hook["id"] == yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())[0]["id"]
    steps = yaml.safe_load(block("all of a workflow"))["jobs"]["check"]["steps"]
    assert [step["run"].split()[0] for step in steps if "run" in step] == ["pip", "check-derivation"]
    assert block("all of a workflow").count("\n") <= 10
