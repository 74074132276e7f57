"""The verdicts of the checker: what it accepts, what it refuses, and what it says."""

from __future__ import annotations

import re

import pytest
from errata_equations import ERRATA
from notebooks import ROOT

from diffusion_notes.equations import Page, check
from diffusion_notes.equations.language.parser import read
from diffusion_notes.equations.verdicts.proof import is_proved


def listed(name: str) -> list[tuple[str, str]]:
    """Equations from a file, one a line, each after its chapter."""
    lines = (ROOT / "tests" / name).read_text(encoding="utf-8").splitlines()
    return [tuple(line.split(": ", 1)) for line in lines]


TRUE = listed("equations_true.txt")
FALSE = listed("equations_false.txt")


def kinds(latex: str, where: str = "ddpm") -> list[str]:
    return [verdict.kind for verdict in check(latex, where).verdicts]


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
    monkeypatch.setattr("diffusion_notes.equations.verdicts.judge.read", lambda latex: 1 / 0)
    (verdict,) = check(r"\beta_t = 1 - \alpha_t").verdicts
    assert verdict.kind == "not understood"
    assert "ZeroDivisionError" in verdict.detail


def test_a_step_and_the_order_of_its_error_are_told():
    step = r"y_{t-1} = y_t + (\kappa_{t-1} - \kappa_t)\, \varepsilon_\theta(x_t, t)"
    assert check(step, "samplers").verdicts[0].detail.startswith("a step of DDIM, without noise, holds in")
    error = r" + O\bigl((\kappa_t - \kappa_{t-1})^2\bigr)"
    assert check(step + error, "samplers").verdicts[0].detail.startswith("an error of order 2")
    wrong = check(step + error.replace("^2", "^3"), "samplers").verdicts[0]
    assert (wrong.kind, wrong.detail) == ("fails", "the error shrinks with the power 2.0 of the step, not with 3.0")


def test_an_approximation_says_in_which_limit_it_is_right_and_is_no_equality():
    said = r"p(y \mid x_t) \approx p(y \mid \hat x_0)"
    assert kinds(said, "conditioning") == ["not understood"]
    (verdict,) = check(said + r", \qquad \kappa_t \to 0", "conditioning").verdicts
    assert verdict.kind == "holds"
    assert verdict.detail.startswith("an approximation: its error shrinks with the power 2 of kappa_t")
    assert kinds(said.replace(r"\approx", "="), "conditioning") == ["fails"]
    exact = r"q(x_0 \mid y) \approx \frac{q(x_0)\, p(y \mid x_0)}{p(y)}, \qquad \kappa_t \to 0"
    assert check(exact, "conditioning").verdicts[0].detail == "there is no error at all: write ="


def test_a_condition_narrows_the_worlds_and_is_no_claim():
    jensen = r"\mathbb{E}\bigl[ p(c \mid x_0)^w \mid x_t \bigr] \ge p(c \mid x_t)^w"
    assert kinds(jensen, "guidance") == ["fails"]
    assert kinds(jensen + r", \qquad w \ge 1", "guidance") == ["holds"]
    assert not check(jensen + r", \qquad w \le 1", "guidance")
    assert kinds(r"\beta_t = 1 - \alpha_t, \qquad q(x_0) = \mathcal{N}(x_0; 0, I)") == ["not understood"]


def test_what_a_mask_puts_in_is_told():
    step = (
        r"\tilde x_{t-1} := M \bigl( \sqrt{\bar\alpha_{t-1}}\, y + \sqrt{1 - \bar\alpha_{t-1}}\, z \bigr) "
        r"+ (I - M)\, x_{t-1}, \qquad z \sim \mathcal{N}(0, I)"
    )
    (verdict,) = check(step, "conditioning").verdicts
    assert verdict.kind == "definition"
    assert "the rest stays" in verdict.detail
    assert kinds(step.replace("I - M", "I + M"), "conditioning") == ["fails"]


def test_a_differential_equation_is_judged_by_the_laws_that_it_makes():
    forward = r"dx_t = -\tfrac12\beta_t\, x_t\,dt + \sqrt{\beta_t}\,dw"
    assert "the Fokker-Planck equation holds" in check(forward, "score").verdicts[0].detail
    (wrong,) = check(forward.replace(r"\sqrt{\beta_t}", r"\beta_t"), "score").verdicts
    assert wrong.kind == "fails"
    assert "it changes log q(x_t) by" in wrong.detail
    assert kinds(forward, "ddpm") == ["not understood"]


def test_a_report_in_a_notebook_is_the_equation_and_the_verdicts():
    report = check(r"\beta_t = 1 - \alpha_t, \qquad \alpha_t = 1 + \beta_t")
    maths, first, second = report._repr_markdown_().split("\n\n")
    assert maths == "$$\n\\beta_t = 1 - \\alpha_t, \\qquad \\alpha_t = 1 + \\beta_t\n$$"
    assert first == r"✓ `\beta_t = 1 - \alpha_t` proved symbolically"
    assert second == rf"✗ `\alpha_t = 1 + \beta_t` fails: {report.verdicts[1].detail}"


def test_a_verdict_on_the_whole_does_not_repeat_it():
    shown = check(r"\beta_t = 1 - \alpha_t")._repr_markdown_()
    assert shown.endswith("$$\n\n✓ proved symbolically")


def test_a_report_does_not_typeset_what_is_not_latex():
    shown = check(r"\alpha_t = \frac{1}{")._repr_markdown_()
    assert shown.startswith("? not understood: ")
    assert shown.endswith("`)")


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
    assert is_proved(*statement.sides) is truth
