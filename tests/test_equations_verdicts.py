"""The verdicts of the checker: what it accepts, what it refuses, and what it says."""

from __future__ import annotations

import re

import pytest
from equation_lists import listed
from errata_equations import ERRATA
from notebooks import ROOT

from diffusion_notes.equations import Page, Report, Verdict, check
from diffusion_notes.equations.language.parser import read
from diffusion_notes.equations.verdicts.proof import is_proved
from diffusion_notes.equations.verdicts.relation import Relation

TRUE = listed("equations_true.txt")
FALSE = listed("equations_false.txt")


def kinds(latex: str, where: str = "ddpm") -> list[str]:
    return [verdict.kind for verdict in check(latex, where, hints=False).verdicts]


# Equations that are not in the book


@pytest.mark.parametrize(("where", "latex"), TRUE)
def test_a_true_equation_is_accepted_however_it_is_written(where, latex):
    report = check(latex, where)
    assert report, str(report)


@pytest.mark.parametrize(("where", "latex"), FALSE)
def test_a_false_or_meaningless_equation_is_refused(where, latex):
    assert not check(latex, where, hints=False)


ELSEWHERE = (ROOT / "tests" / "equations_false_elsewhere.txt").read_text(encoding="utf-8").splitlines()
"""False lines in other people's manner, each of them plausible."""


@pytest.mark.parametrize("latex", ELSEWHERE)
def test_a_false_equation_is_refused_under_every_reading(latex):
    assert not all(verdict.good for verdict in Page().judge(latex))


def test_there_are_enough_of_both():
    assert len(set(TRUE)) >= 200
    assert len(set(FALSE)) >= 200


@pytest.mark.parametrize("entry", ERRATA, ids=lambda entry: f"entry-{entry.number}")
def test_what_the_errata_call_wrong_is_refused_and_what_they_call_right_holds(entry):
    text = (ROOT / "book" / "errata.md").read_text(encoding="utf-8")
    assert re.search(rf"^{entry.number}\. ", text, re.M)
    assert not check(entry.printed, entry.chapter, hints=False)
    report = check(entry.right, entry.chapter)
    assert report, str(report)


# What it says


def test_a_failure_has_a_counterexample_and_the_link_that_breaks():
    good, bad = check(r"\beta_t = 1 - \alpha_t = 1 + \alpha_t").verdicts
    assert (good.kind, good.latex) == ("proved", r"\beta_t = 1 - \alpha_t")
    assert (bad.kind, bad.latex) == ("fails", r"1 - \alpha_t = 1 + \alpha_t")
    assert bad.detail.startswith("in one world (Gaussian, D = 1")
    left, right = (float(x) for x in re.search(r"left side is (\S+), the right side (\S+)", bad.detail).groups())
    assert left + right == pytest.approx(2)


def test_a_link_of_an_aligned_chain_is_written_in_one_line():
    chain = r"\begin{aligned} \beta_t &= 1 - \alpha_t \\ &= 1 - \bar\alpha_t / \bar\alpha_{t-1} \end{aligned}"
    first, second = check(chain).verdicts
    assert first.latex == r"\beta_t = 1 - \alpha_t"
    assert second.latex == r"1 - \alpha_t = 1 - \bar\alpha_t / \bar\alpha_{t-1}"


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


def test_on_a_page_of_others_a_letter_that_means_nothing_yet_is_defined_by_a_mere_equality():
    page = Page("ddpm")
    lines = {
        r"\tilde\alpha_t = \frac{\bar\alpha_t - \bar\alpha_T}{1 - \bar\alpha_T}": ["definition"],
        r"\tilde\alpha_t \le \bar\alpha_t": ["holds"],
        r"\tilde\alpha_t \ge \bar\alpha_t": ["fails"],
        r"\tilde\alpha_t = \bar\alpha_t - \bar\alpha_T": ["fails"],
        r"2 \beta_t = a + b, \quad a = 1 - \alpha_t, \quad b = \beta_t": ["holds", "definition", "definition"],
        r"2 \beta_t = a - b": ["fails"],
        r"\alpha_t = 1 + \beta_t": ["fails"],
        r"\bar\beta_t = 1 - \bar\alpha_t": ["not understood"],
        r"\gamma_t = \foo": ["not understood"],
        r"\gamma_t = \gamma_{t-1} + 1": ["not understood"],
        r"\gamma_t = \beta_t + x_t": ["not understood"],
        r"\gamma_t = \beta_t = \alpha_t": ["definition", "fails"],
    }
    assert {latex: [v.kind for v in page.judge(latex)] for latex in lines} == lines
    assert [v.kind for v in Page("ddpm", conventions=()).judge(next(iter(lines)))] == ["not understood"]


def test_the_constant_of_a_logarithm_is_one_for_its_variable_on_a_page_of_others():
    lines = {
        r"\log p(z|x) = \log p(x|z) + \log p(z) + \text{const}": "holds",
        r"\log p(z|x) = \log p(x|z) + \text{const}": "fails",
        r"\log p(z|x) \propto \log p(x|z) + \log p(z)": "holds",
        r"\log p(z|x) \propto \log p(x|z) - \log p(z)": "fails",
        r"\log p(z) = -\frac12 \|z\|^2 + \text{const}": "holds",
        r"\log p(z) = -\|z\|^2 + \text{const}": "fails",
    }
    judged = {latex: Page("vae").judge(latex)[0] for latex in lines}
    assert {latex: verdict.kind for latex, verdict in judged.items()} == lines
    assert all(v.detail.endswith("up to what does not depend on z") for v in judged.values() if v.good)
    assert not any(Page("vae", conventions=()).judge(latex)[0].good for latex in lines)
    page = Page("ddpm")
    gauss = r"-\frac{\lVert x_t - \sqrt{\bar\alpha_t} x_0 \rVert^2}{2 (1 - \bar\alpha_t)}"
    assert [v.kind for v in page.judge(rf"\log q(x_t|x_0) = {gauss} + C = {gauss}")] == ["holds", "holds", "fails"]
    assert [v.kind for v in page.judge(r"\log q(x_t) = \log q(x_T) + C")] == ["fails"]


def test_on_a_page_of_others_each_side_may_have_a_constant_of_its_own():
    page = Page("ddpm")
    weight = r"\frac{\beta_t^2}{2 \sigma_t^2 \alpha_t (1 - \bar\alpha_t)}"
    noise = rf"\mathbb{{E}}[{weight} \lVert \epsilon - \epsilon_\theta(x_t, t) \rVert^2]"
    assert [v.kind for v in page.judge(rf"L_{{t-1}} = {MEAN} + C = {noise} + C'")] == ["holds", "holds"]
    wrong = noise.replace(r"\beta_t^2", r"\beta_t")
    assert [v.kind for v in page.judge(rf"L_{{t-1}} = {MEAN} + C = {wrong} + C")] == ["holds", "fails"]


def test_a_page_of_others_names_its_own_losses():
    page = Page("ddpm")
    assert [v.kind for v in page.judge(r"L_\text{hybrid} = L_\text{simple} + \frac{1}{10} L_\text{vlb}")] == [
        "definition"
    ]
    assert [v.kind for v in page.judge(r"L_\text{hybrid} = L_\text{simple} + L_\text{vlb}")] == ["fails"]
    assert [v.kind for v in page.judge(r"L_\text{simple} = L_\text{hybrid}")] == ["fails"]


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


MEAN = r"\mathbb{E}_{q(x_0, x_t)}[\frac{1}{2\sigma_t^2} \lVert \tilde\mu_t(x_t, x_0) - \mu_\theta(x_t, t) \rVert^2]"


def test_a_constant_that_is_lost_on_the_way_is_found():
    assert kinds(rf"L_{{t-1}} = {MEAN} + C") == ["holds"]
    *links, ends = check(rf"L_{{t-1}} = {MEAN} + C = {MEAN}").verdicts
    assert [link.kind for link in links] == ["holds", "holds"]
    assert (ends.kind, ends.latex) == ("fails", rf"L_{{t-1}} = {MEAN}")
    assert ends.detail.startswith("a constant is lost on the way: in one world")
    assert kinds(rf"L_{{t-1}} = {MEAN} + C = L_{{t-1}}") == ["holds", "holds"]
    assert kinds(r"\beta_t = \foo = 1 + \alpha_t") == ["not understood"] * 3  # it may have been an assumption
    page = Page("ddpm")
    assert [v.kind for v in page.judge(rf"L_{{t-1}} = {MEAN} + C")] == ["holds"]
    assert [v.kind for v in page.judge(rf"= {MEAN}")] == ["holds", "fails"]


def test_a_display_goes_on_only_from_what_was_read_and_is_last():
    page = Page("ddpm")
    page.judge(r"\beta_t = 1 - \alpha_t")
    assert [v.kind for v in page.judge(r"\beta_t = 1 - \foo{")] == ["not understood"]
    (verdict,) = page.judge(r"= 1 - \frac{\bar\alpha_t}{\bar\alpha_{t-1}}")
    assert (verdict.kind, verdict.detail) == (
        "not understood",
        "it goes on from something, and nothing that was read is before it",
    )


def test_nothing_is_pointed_at_that_stands_in_the_display_before():
    page = Page("ddpm")
    page.judge(r"\text{anything at all} = \Gamma_t")
    assert [v.place for v in page.judge(r"= \beta_t")] == [None]


def test_a_display_goes_on_from_its_last_line_and_not_from_what_a_brace_holds():
    page = Page("ddpm")
    page.judge(r"\frac{\beta_t}{2} = \frac12 \underbrace{(1 - \alpha_t)}_{\beta_t}")
    assert [v.kind for v in page.judge(r"= \frac{1 - \alpha_t}{2}")] == ["proved"]
    assert [v.kind for v in page.judge(r"= 1 - \alpha_t")] == ["fails"]


def test_in_a_later_chapter_a_line_goes_on_from_the_one_above_whatever_is_defined_below():
    display = r"\begin{aligned} \beta_t &= 1 - \alpha_t, \\ h_t &:= 2 \beta_t \\ &= 2 - 2 \alpha_t \end{aligned}"
    assert kinds(display, "samplers") == ["proved", "definition", "proved"]


@pytest.mark.parametrize("rule", ["verdict", "_worlds"])
def test_where_one_link_breaks_the_checker_the_others_are_judged(monkeypatch, rule):
    whole = getattr(Relation, rule)

    def breaks(self):
        return 1 / 0 if self.right == read("0 = 2").statements[0].sides[1] else whole(self)

    monkeypatch.setattr(Relation, rule, breaks)
    verdicts = check(r"\alpha_t + \beta_t = 1, \qquad 1 + 1 = 2").verdicts
    assert [v.kind for v in verdicts] == ["proved", "not understood"]
    assert "ZeroDivisionError" in verdicts[1].detail


def test_a_verdict_tells_its_reading_and_its_hint():
    verdict = Verdict("holds", "a = b", "holds in 3 worlds", reading="if a stands for b")
    assert verdict.told == "holds, if a stands for b: holds in 3 worlds"
    assert str(Report("a = b", (verdict,))).startswith("✓ holds, if a stands for b: holds in 3 worlds")
    assert Verdict("fails", "a = b", "in one world", hint="true with c for b").told.endswith("; true with c for b")


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
    assert second.startswith(r"✗ `\alpha_t = 1 + \beta_t` fails: in one world (Gaussian, D = 1, seed 1, T = 4, t = 2)")
    assert second.endswith(r"; true with a minus before $\beta_t$")


def test_a_counterexample_tells_the_numbers_of_its_letters_and_a_page_sets_them_as_maths():
    report = check(r"\beta_t = 1 + \alpha_t", hints=False)
    assert report.verdicts[0].detail.endswith(r" (there \beta_t = 0.574241, \alpha_t = 0.425759)")
    assert report._repr_markdown_().endswith(r" (there $\beta_t$ = 0.574241, $\alpha_t$ = 0.425759)")
    assert "there" not in check(r"x_0 = 7 x_t", hints=False).verdicts[0].detail


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


def test_a_display_may_say_from_which_law_something_is_drawn():
    assert kinds(r"x_t \sim q(x_t \mid x_0)") == ["definition"]
    assert kinds(r"x_t \sim \mathcal{N}(\sqrt{\bar\alpha_t}\, x_0, (1 - \bar\alpha_t) I)") == ["definition"]
    assert kinds(r"x_t \sim \mathcal{N}(\bar\alpha_t\, x_0, (1 - \bar\alpha_t) I)") == ["fails"]
    assert kinds(r"x_t \sim q(x_0)") == ["not understood"]
    assert kinds(r"x_{t+1} \sim q(x_{t+1} \mid x_{t-1})") == ["definition"]


@pytest.mark.parametrize("empty", ["", "  ", r"\tag{1}", "x_0", r"t > 1"])
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


# What would make a false line true


@pytest.mark.parametrize(
    ("latex", "hint"),
    [
        (
            r"\tilde\beta_t = \frac{1 - \bar\alpha_t}{1 - \bar\alpha_t} \beta_t",
            r"\bar\alpha_{t-1} for \bar\alpha_t",
        ),
        (
            r"\mathbf{x}_t = \sqrt{\alpha_t} \mathbf{x}_0 + \sqrt{1 - \bar{\alpha}_t} \epsilon",
            r"\bar\alpha_t for \alpha_t",
        ),
        (r"\nabla_{x_t} \log q(x_t|x_0) = -\frac{\epsilon}{1 - \bar\alpha_t}", r"the root of 1 - \bar\alpha_t"),
        (r"q(x_t|x_{t-1}) = \mathcal{N}(x_t; \sqrt{1-\beta_t} x_{t-1}, \beta_t^2 I)", r"no square in \beta_t^2"),
        (r"\bar\alpha_t = \prod_{s=2}^{t} \alpha_s", "1 for 2 below the product"),
        (r"\beta_t = 1 + \alpha_t", r"a minus before \alpha_t"),
        (r"L_T = D_{KL}(p(x_T) \| q(x_T|x_0))", r"the two laws of D_{KL}(p(x_T) \| q(x_T|x_0)) interchanged"),
        (r"\mathbb{E} \lVert \epsilon \rVert^2 = 1", "the factor D before 1"),
        (r"q(x_{t-1}|x_t) = \frac{q(x_t|x_{t-1}) q(x_{t-1}|x_0)}{q(x_t|x_0)}", r"x_0 as a condition in q(x_{t-1}|x_t)"),
        (r"\tilde\beta_t \ge \beta_t", r"\le for \ge"),
        (r"\alpha_t = \beta_t + 7", ""),
        (r"x_0 = 7 x_t", ""),
    ],
)
def test_where_one_symbol_makes_a_false_line_true_it_is_named(latex, hint):
    (verdict,) = check(latex).verdicts
    assert verdict.kind == "fails"
    assert verdict.hint == (f"true with {hint}" if hint else "")


def test_no_hint_says_what_says_nothing():
    (verdict,) = check(r"D_{KL}(q_\phi(z|x) \| p(z)) \le D_{KL}(q_\phi(z|x) \| p_\theta(z|x))", "vae").verdicts
    assert verdict.kind == "fails"
    assert "interchanged" not in verdict.hint


def test_no_hint_is_looked_for_where_nobody_asks():
    assert check(r"\beta_t = 1 + \alpha_t", hints=False).verdicts[0].hint == ""
    assert Page("ddpm").judge(r"\beta_t = 1 + \alpha_t")[0].hint == ""
    page = Page("ddpm", patience=0.1)
    while page.patience > 0:
        page.judge(r"x_0 = 7 x_t")
    assert page.judge(r"\beta_t = 1 + \alpha_t")[0].hint == ""
