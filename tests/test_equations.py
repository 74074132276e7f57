"""The checker of equations: what it accepts, what it refuses, what it says, and what it is compared with."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from errata_equations import ERRATA
from notebooks import NOTEBOOKS, ROOT

from diffusion_notes.equations import Page, check, contains
from diffusion_notes.equations.__main__ import main
from diffusion_notes.equations.gaussians import Gaussians
from diffusion_notes.equations.ledger import ledger
from diffusion_notes.equations.mutants import main as try_mutants
from diffusion_notes.equations.mutants import mutants
from diffusion_notes.equations.nodes import NotUnderstood
from diffusion_notes.equations.pages import chapter, displays, judge_page
from diffusion_notes.equations.proof import proved
from diffusion_notes.equations.reading import read
from diffusion_notes.equations.tables import Tables
from diffusion_notes.equations.worlds import CHAINS


def listed(name: str) -> list[tuple[str, str]]:
    """Equations from a file, one a line, each after its chapter."""
    lines = (ROOT / "tests" / name).read_text(encoding="utf-8").splitlines()
    return [tuple(line.split(": ", 1)) for line in lines]


TRUE, FALSE = listed("equations_true.txt"), listed("equations_false.txt")


def kinds(latex: str, where: str = "ddpm") -> list[str]:
    return [verdict.kind for verdict in check(latex, where).verdicts]


# The book


judged = cache(judge_page)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_displayed_equation_of_the_book_holds(path):
    equations = judged(path)
    assert equations or path.stem == "measured"  # a page of measurements
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


def test_the_example_on_the_page_is_what_the_checker_says():
    text = (ROOT / "book" / "equations.md").read_text(encoding="utf-8")
    asked = re.search(r'check\(\s*r"([^"]+)"', text)[1]
    assert str(check(asked)) == re.search(r"```text\n(.+?)\n```", text, re.S)[1]


# Equations that are not in the book


@pytest.mark.parametrize(("where", "latex"), TRUE)
def test_a_true_equation_is_accepted_however_it_is_written(where, latex):
    report = check(latex, where)
    assert report, str(report)


@pytest.mark.parametrize(("where", "latex"), FALSE)
def test_a_false_or_meaningless_equation_is_refused(where, latex):
    assert not check(latex, where)


def test_there_are_enough_of_both():
    assert len(set(TRUE)) >= 200
    assert len(set(FALSE)) >= 200


@pytest.mark.parametrize("entry", ERRATA, ids=lambda entry: f"entry-{entry.number}")
def test_what_the_errata_call_wrong_is_refused_and_what_they_call_right_holds(entry):
    text = (ROOT / "book" / "errata.md").read_text(encoding="utf-8")
    assert re.search(rf"^{entry.number}\. ", text, re.M)
    assert not check(entry.printed, entry.chapter)
    report = check(entry.right, entry.chapter)
    assert report, str(report)


# What it says


def test_a_failure_has_a_counterexample_and_the_step_that_breaks():
    (verdict,) = check(r"\beta_t = 1 - \alpha_t = 1 + \alpha_t").verdicts
    assert verdict.kind == "fails"
    assert verdict.detail.startswith("step 2 of 2: in one world (Gaussian, D = 1")
    left, right = (float(x) for x in re.search(r"left side is (\S+), the right side (\S+)", verdict.detail).groups())
    assert left + right == pytest.approx(2)


def test_what_is_not_understood_is_pointed_at():
    latex = r"\alpha_t = 1 - \gammma_t"
    (verdict,) = check(latex).verdicts
    assert verdict.kind == "not understood"
    assert latex[slice(*verdict.place)] == r"\gammma"


def test_the_kinds_of_verdict():
    assert kinds(r"\bar\alpha_t = \alpha_t \bar\alpha_{t-1}") == ["proved"]
    assert kinds(r"q(x_t \mid x_0) = \int q(x_t \mid x_{t-1})\, q(x_{t-1} \mid x_0)\, dx_{t-1}") == ["holds"]
    assert kinds(r"\beta_t := 1 - \alpha_t") == ["definition"]
    assert kinds(r"\beta_t := 1 + \alpha_t") == ["fails"]
    assert kinds(r"\beta_t := 1 - \alpha_t, \qquad \alpha_t + \beta_t = 1") == ["definition", "proved"]


def test_a_definition_counts_once_and_holds_on_the_page():
    page = Page("hvae")
    assert [v.kind for v in page.judge(r"\text{mine} := \log p(x)")] == ["definition"]
    assert [v.kind for v in page.judge(r"\text{mine} \ge \mathcal{L}(x)")] == ["holds"]
    assert [v.kind for v in page.judge(r"\text{mine} := \log q(x)")] == ["fails"]
    assert [v.kind for v in page.judge(r"\text{yours} = \log p(x)")] == ["not understood"]


def test_an_inequality_that_is_never_strict_is_told():
    (verdict,) = check(r"\alpha_t + \beta_t \ge 1").verdicts
    assert verdict.kind == "fails"
    assert "write =" in verdict.detail


def test_a_display_may_go_on_from_the_one_before():
    page = Page("ddpm")
    page.judge(r"\beta_t = 1 - \alpha_t")
    assert [v.kind for v in page.judge(r"= 1 - \frac{\bar\alpha_t}{\bar\alpha_{t-1}}")] == ["proved"]
    assert [v.kind for v in page.judge(r"= \bar\alpha_t")] == ["fails"]
    assert [v.kind for v in Page("ddpm").judge(r"= \bar\alpha_t")] == ["not understood"]


def test_where_the_checker_breaks_nothing_is_accepted(monkeypatch):
    monkeypatch.setattr("diffusion_notes.equations.judge.read", lambda latex: 1 / 0)
    (verdict,) = check(r"\beta_t = 1 - \alpha_t").verdicts
    assert verdict.kind == "not understood"
    assert "ZeroDivisionError" in verdict.detail


def test_a_report_in_a_notebook_is_the_equation_and_the_verdicts():
    shown = check(r"\beta_t = 1 - \alpha_t, \qquad \alpha_t = 1 + \beta_t")._repr_markdown_()
    maths, _, verdicts = shown.partition("```text\n")
    assert maths == "$$\n\\beta_t = 1 - \\alpha_t, \\qquad \\alpha_t = 1 + \\beta_t\n$$\n\n"
    assert [line[0] for line in verdicts.splitlines()[:4]] == ["\\", "✓", "\\", "✗"]
    assert max(map(len, verdicts.splitlines())) <= 74


def test_a_report_does_not_typeset_what_is_not_latex():
    shown = check(r"\alpha_t = \frac{1}{")._repr_markdown_()
    assert shown.startswith("```text\n? not understood")


@pytest.mark.parametrize(
    ("latex", "part", "there"),
    [
        (r"\beta_t = \alpha_t", r"\foo", None),
        (r"\tilde\mu_t = 2\tilde\mu_t - \tilde\mu_t", r"\tilde\mu_t", True),
        (r"x_t = \tilde\mu_t(x_t, x_0)", r"\tilde\mu_t", True),
        (r"x_t = x_{t-1}", r"x_t", False),
        (r"x_t = x_{t-1}, \quad x_t = x_t", r"x_t", True),
        (r"\log p(x) = \log \left( p(x) \right)", r"p(x)", True),
        (r"1 = q(x_t \mid x_{t-1})", r"q(x_t|x_{t-1})", True),
        (r"1 = q(x_t \mid x_{t-1}, x_0)", r"q(x_t|x_{t-1})", False),
        (r"\bar\alpha_t = \alpha_t", r"\bar\alpha_t", False),
        (r"1 = p(x)", r"p_\theta(x)", True),
        (r"1 = p(z \mid x)", r"p_\theta(x)", False),
        (r"1 = q(z_2, z_1 \mid x)", r"q(z_1, z_2 \mid x)", True),
        (r"1 = q(z_2 \mid x, z_1)", r"q(z_2 \mid z_1, x)", True),
        (r"1 = \mathcal{L}", r"\mathcal{L}", True),
    ],
)
def test_what_occurs_in_an_equation(latex, part, there):
    if there is None:
        with pytest.raises(NotUnderstood):
            contains(latex, part)
    else:
        assert contains(latex, part) is there


@pytest.mark.parametrize(
    "part", ["b" * 10_000, "b+" * 5000 + "b", "{" * 5000 + "b" + "}" * 5000, r"\sqrt{" * 999 + "b" + "}" * 999]
)
def test_what_no_page_could_show_is_not_understood(part):
    for latex, wanted in ((f"a = {part}", "b"), ("a = b", part)):
        with pytest.raises(NotUnderstood, match=r"too deep to follow|no more than 300 are read"):
            contains(latex, wanted)


def test_the_longest_that_is_read_is_read():
    assert contains("a = " + "b" * 298, "b")


@pytest.mark.parametrize("bad", [None, 1, ["a = b"]])
def test_latex_must_be_a_string(bad):
    with pytest.raises(TypeError, match="latex must be a string"):
        check(bad)


def test_the_chapter_must_be_one_of_the_book():
    with pytest.raises(ValueError, match="chapter must be one of 'vae'"):
        check("1 = 1", "gan")


@pytest.mark.parametrize("empty", ["", "  ", r"\tag{1}", "x_0", r"t > 1", r"x_t \sim q(x_t \mid x_0)"])
def test_a_display_that_says_nothing_is_refused(empty):
    assert kinds(empty) == ["not understood"]


# The worlds, compared with other libraries


@pytest.mark.parametrize("context", CHAINS)
def test_the_tables_are_densities(context):
    world = Tables(context, 1)
    point = world.draws(4)
    for model in ("p", "q"):
        assert world.joint[model].sum() == pytest.approx(1)
        for i, key in enumerate(world.keys):
            given = tuple(k for k in world.keys if k != key)
            values, weights = world.measure(key, point)
            wide = point.spread(values, weights.shape[-1])
            density = np.exp(world.log_density(model, (key,), given, wide)).reshape(-1, weights.shape[-1])
            np.testing.assert_allclose((density * weights).sum(1), 1)
            assert i < len(world.keys)


def test_a_gaussian_world_agrees_with_torch():
    world = Gaussians("ddpm", 1, 2)
    point = world.draws(5)
    x = {key: torch.tensor(value) for key, value in point.values.items()}
    step = torch.distributions.Normal((1 - world.beta[3]) ** 0.5 * x["x2"], world.beta[3] ** 0.5)
    np.testing.assert_allclose(
        world.log_density("q", ("x3",), ("x2",), point), step.log_prob(x["x3"]).sum(-1), rtol=1e-10
    )
    mean, cov = world.joint["q"]
    joint = torch.distributions.MultivariateNormal(torch.tensor(mean), torch.tensor(cov))
    every = torch.cat([x[key] for key in world.keys], -1)
    np.testing.assert_allclose(world.log_density("q", world.keys, (), point), joint.log_prob(every), rtol=1e-9)


def test_the_posterior_in_a_gaussian_world_is_that_of_the_package():
    from diffusion_notes.diffusion import ForwardProcess
    from diffusion_notes.schedule import Schedule

    world = Gaussians("ddpm", 3, 2)
    process = ForwardProcess(Schedule(torch.tensor(world.beta)))
    point = world.draws(4)
    x = {key: torch.tensor(value) for key, value in point.values.items()}
    posterior = process.posterior(x["x3"], x["x0"], 3)
    mean, cov = world.moments("q", ("x2",), ("x3", "x0"), point)
    np.testing.assert_allclose(mean, posterior.mean, rtol=1e-10)
    np.testing.assert_allclose(cov[0], np.eye(2) * posterior.variance[0, 0].item(), atol=1e-12)


def test_the_worlds_tell_a_bent_network_from_a_linear_one():
    assert kinds(r"\varepsilon_\theta(x_t, t) = \mathbb{E}_{q(x_t)}[\varepsilon_\theta(x_t, t)]") == ["fails"]
    linear = r"\mathbb{E}_{q(x_t)}[\mu_\theta(x_t, t)] = \mu_\theta(\mathbb{E}_{q(x_t)}[x_t], t)"
    assert kinds(linear) == ["fails"]


# Proofs


@pytest.mark.parametrize(
    ("latex", "truth"),
    [
        (r"\bar\alpha_{t-1} = \bar\alpha_t / \alpha_t", True),
        (r"\lVert x_t - x_0 \rVert^2 = \lVert x_0 - x_t \rVert^2", True),
        (r"\sqrt{\bar\alpha_t} = \sqrt{\alpha_t} \sqrt{\bar\alpha_{t-1}}", True),
        (r"\sqrt{\bar\alpha_t} = \sqrt{\alpha_t} + \sqrt{\bar\alpha_{t-1}}", False),
        (r"\bar\alpha_{t-1} = \alpha_t", False),
        (r"\mathbb{E}[x_0] = \mathbb{E}[x_0]", False),  # more than algebra
    ],
)
def test_proofs(latex, truth):
    (statement,) = read(latex).statements
    assert proved(*statement.sides) is truth


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
        ("# DDPM\n\n$$\\beta_t = 1 + \\alpha_t$$\n\n$$\\foo = 1$$\n", 2),
        ("# No chapter at all\n\n$$\\beta_t = 1 - \\alpha_t$$\n", 2),
        ("# DDPM\n\nNo equation.\n", 0),
    ],
)
def test_the_command_prints_a_line_a_relation_and_tells_by_its_status(tmp_path, capsys, text, status):
    assert main([str(page(tmp_path, text))]) == status
    assert capsys.readouterr().out


def test_a_file_that_is_not_there_is_no_success(tmp_path, capsys):
    assert main([str(tmp_path / "nothing.md")]) == 2
    assert "cannot be read" in capsys.readouterr().out


def test_it_runs_without_torch():
    code = "import sys, diffusion_notes.equations as e; e.check('1 = 1'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


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
