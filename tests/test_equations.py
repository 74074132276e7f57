"""The checker of equations in use: on the book, on pages, as a command; and how good it is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from notebooks import NOTEBOOKS, ROOT

from diffusion_notes.equations.__main__ import main
from diffusion_notes.equations.evaluation.evaluator import RULES
from diffusion_notes.equations.ledger import ledger
from diffusion_notes.equations.mutants import main as try_mutants
from diffusion_notes.equations.mutants import mutants
from diffusion_notes.equations.pages import chapter, displays, judge_page

# The book


@cache
def judged(path: Path, conventions: tuple[str, ...] = ()):
    """The equations of a page of the book, in the book's own reading."""
    return judge_page(path, conventions)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_displayed_equation_of_the_book_holds(path):
    equations = judged(path)
    assert equations or path.stem in ("measured", "ladder_details")  # pages of measurements
    bad = [f"{v.kind}: {v.latex}: {v.detail}" for e in equations for v in e.verdicts if not v.good]
    assert not bad


def test_there_are_few_definitions():
    verdicts = [v for path in NOTEBOOKS for e in judged(path) for v in e.verdicts]
    assert len(verdicts) > 70
    assert sum(v.kind == "definition" for v in verdicts) <= 10
    assert sum(v.kind == "proved" for v in verdicts) >= 9


def test_the_ledger_names_every_equation_and_every_link_is_an_anchor(monkeypatch):
    monkeypatch.setattr(sys.modules[ledger.__module__], "judge_page", judged)  # they have been judged above
    text, bad = ledger([(path.stem, path) for path in NOTEBOOKS])
    assert not bad
    for path in NOTEBOOKS:
        for equation in displays(path):
            assert not equation.anchor or f"({path.name}#{equation.anchor})" in text
    assert text.count("$$") == 2 * sum(len(displays(path)) for path in NOTEBOOKS)


# Pages and the command


def page(tmp_path: Path, text: str, name: str = "page.md") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_displays_are_found_and_code_is_not(tmp_path):
    path = page(tmp_path, "# DDPM\n\n$$a = b$$\n\n`$$c = d$$`\n\n```latex\n$$e = f$$\n```\n\n\\[ g = h \\]\n")
    assert [e.latex for e in displays(path)] == ["a = b", "g = h"]


@pytest.mark.parametrize(
    ("text", "name", "where"),
    [
        ("# Anything\n", "hierarchical_vae.md", "hvae"),
        ("---\nchapter: vae\n---\n# Diffusion\n", "page.md", "vae"),
        ("# The VAE\n", "page.md", "vae"),
        ("# hvae\n", "page.md", "hvae"),
        ("# Hierarchical VAEs\n", "page.md", "hvae"),
        ("# DDPM: predicting the noise\n", "page.md", "ddpm"),
        ("# The diffusion bound\n", "page.md", "diffusion"),
    ],
)
def test_the_chapter_is_told_by_name_front_matter_or_heading(tmp_path, text, name, where):
    assert chapter(page(tmp_path, text, name)) == where


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("# DDPM\n\n$$\\beta_t = 1 - \\alpha_t$$\n", 0),
        ("# DDPM\n\n$$\\beta_t = 1 + \\alpha_t$$\n", 1),
        ("# DDPM\n\n$$\\beta_t = 1 - \\foo$$\n", 2),
        ("# DDPM\n\n$$\\beta_t = 1 + \\alpha_t$$\n\n$$\\foo = 1$$\n", 1),
        ("# No chapter at all\n\n$$\\beta_t = 1 - \\alpha_t$$\n", 0),
        ("# DDPM\n\nNo equation.\n", 0),
    ],
)
def test_the_command_prints_a_line_a_relation_and_tells_by_its_status(tmp_path, capsys, text, status):
    assert main([str(page(tmp_path, text))]) == status
    assert main([str(page(tmp_path, text)), "--allow-unread"]) == status % 2
    assert capsys.readouterr().out


def test_a_file_that_is_not_there_is_no_success(tmp_path, capsys):
    assert main([str(tmp_path / "nothing.md"), "--allow-unread"]) == 2
    assert main([str(tmp_path / "nothing.md")]) == 2
    assert "cannot be read" in capsys.readouterr().out


def test_the_command_counts_what_it_found_by_file_and_in_all(tmp_path, capsys):
    good = page(tmp_path, "# DDPM\n\n$$\\beta_t = 1 - \\alpha_t \\\\ c_t := 2 \\beta_t$$\n", "good.md")
    bad = page(tmp_path, "# DDPM\n\n$$\n\\beta_t = 1 - \\alpha_t \\\\\n\\beta_t = \\foo\n$$\n\n$$a = $$\n", "bad.md")
    assert main([str(good), str(bad)]) == 2
    *_, first, last = capsys.readouterr().out.splitlines()
    assert first == f"{bad}: 2 displays, 3 relations: 1 proved, 2 not understood"
    assert last == "2 files: 3 displays, 5 relations: 2 proved, 1 definition, 2 not understood"
    assert main(["--quiet", str(good), str(bad)]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in lines[0::2]] == [f"{bad}:5", f"{bad}:8", "2 files"]
    assert "(here: \\foo)" in lines[0]


def test_a_file_that_cannot_be_read_hides_no_failure(tmp_path, capsys):
    wrong = page(tmp_path, "# DDPM\n\n$$\\beta_t = 1 + \\alpha_t$$\n")
    assert main([str(tmp_path), str(wrong), str(tmp_path / "nothing.md")]) == 1
    assert capsys.readouterr().out.endswith("1 relation: 1 fails; 2 files not read\n")
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().out == f"{tmp_path}: cannot be read: it is a folder\n"


def test_other_programs_get_json(tmp_path, capsys):
    wrong = page(tmp_path, "# DDPM\n\n$$\n\\beta_t = 1 - \\alpha_t \\\\\n\\beta_t = \\foo\n$$\n")
    assert main(["--json", str(wrong), str(tmp_path)]) == 2
    said = json.loads(capsys.readouterr().out)
    first, second = said["files"]
    assert (said["version"], said["status"], first["path"]) == (1, 2, str(wrong))
    assert (first["unreadable"], second["unreadable"]) == (None, "it is a folder")
    assert said["counts"] == first["counts"] == {
        "displays": 1, "relations": 2, "proved": 1, "holds": 0, "definition": 0, "fails": 0, "not understood": 1,
    }  # fmt: skip
    (display,) = first["displays"]
    assert (display["line"], display["cell"], display["path"]) == (4, None, str(wrong))
    proved, unread = display["relations"]
    assert (proved["verdict"], proved["line"], proved["begin"]) == ("proved", 4, None)
    assert (unread["verdict"], unread["line"]) == ("not understood", 5)
    assert display["latex"][unread["begin"] : unread["end"]] == "\\foo"
    assert set(proved) == set(unread)


def test_a_reader_who_has_seen_enough_is_no_error(tmp_path):
    text = page(tmp_path, "# DDPM\n\n" + "$$\\beta_t = 1 - \\alpha_t$$\n\n" * 3)
    command = f"{sys.executable} -m diffusion_notes.equations {text} {text} | true"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_line_takes_less_than_two_seconds(tmp_path):
    """Of the processor, in a process of its own: the import, and what is judged."""
    line = page(tmp_path, "# DDPM\n\n$$\\beta_t = 1 - \\alpha_t$$\n")
    code = f"import time; from diffusion_notes.equations.__main__ import main; main([{str(line)!r}]); "
    code += "print(time.process_time())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert float(done.stdout.splitlines()[-1]) < 2


# How it is made


def test_the_rules_of_evaluation_are_about_kinds_of_nodes_that_there_are():
    grammar = (ROOT / "diffusion_notes" / "equations" / "language" / "grammar.lark").read_text(encoding="utf-8")
    made = set(re.findall(r"-> (\w+)", grammar)) | set(re.findall(r"^(\w+):", grammar, re.M))
    assert set(RULES) - made == {"value", "component"}  # which a minimum makes, and an index of a vector


# How good is it?


def test_mutants_change_one_place():
    found = list(mutants(r"\beta_t = 1 - \alpha_t"))
    expected = {r"\beta_{t-1} = 1 - \alpha_t", r"\beta_t = 1 + \alpha_t", r"\beta_t = 1 - \bar\alpha_t"}
    assert {m.latex for m in found} >= expected
    assert len({m.latex for m in found}) == len(found)


def test_the_mutants_of_an_equation_are_killed(tmp_path, capsys):
    """Of the last one of a chapter; `make mutants` has all."""
    notebook = json.loads((ROOT / "book" / "ladder.ipynb").read_text(encoding="utf-8"))
    notebook["cells"] = [cell for cell in notebook["cells"] if "$$" in "".join(cell["source"])][-1:]
    page = tmp_path / "ladder.ipynb"
    page.write_text(json.dumps(notebook), encoding="utf-8")
    assert try_mutants([str(page)]) == 0
    killed = re.match(r"(\d+) killed, .* survived", capsys.readouterr().out)
    assert int(killed[1]) > 20
