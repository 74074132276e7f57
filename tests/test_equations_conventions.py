"""What others mean by the same letters: a display holds under a convention, and a false one under none."""

from __future__ import annotations

import re

import pytest
from notebooks import ROOT

from diffusion_notes.equations import Page, check
from diffusion_notes.equations.verdicts.conventions import NAMES, named


def listed(name: str) -> list[tuple[str | None, tuple[str, ...], str]]:
    """The displays of a file, one a line, after their chapter, or a dash, and the conventions under which they hold."""
    lines = (ROOT / "tests" / name).read_text(encoding="utf-8").splitlines()
    found = (re.fullmatch(r"(\S+?)(?: \[(.*?)\])?: (.*)", line).groups() for line in lines)
    return [(None if where == "-" else where, tuple((used or "").split(", ")), latex) for where, used, latex in found]


def sentences(names: tuple[str, ...]) -> set[str]:
    return {NAMES[name].sentence for name in names}


@pytest.mark.parametrize(("where", "used", "latex"), listed("conventions_true.txt"))
def test_a_display_holds_under_the_convention_in_which_it_is_written_and_says_so(where, used, latex):
    verdicts = Page(where).judge(latex)
    assert all(verdict.good for verdict in verdicts), [verdict.told for verdict in verdicts]
    assert {sentence for v in verdicts for sentence in v.reading.split(", and ")} >= sentences(used)


@pytest.mark.parametrize(("where", "used", "latex"), listed("conventions_true.txt"))
def test_the_books_own_reading_knows_no_other(where, used, latex):
    assert not check(latex, where or "ddpm")


@pytest.mark.parametrize(("where", "used", "latex"), listed("conventions_false.txt"))
def test_what_is_false_under_every_reading_is_refused(where, used, latex):
    assert not all(verdict.good for verdict in Page(where).judge(latex))


def test_a_failure_says_under_which_readings_it_was_tried():
    (verdict,) = Page("ddpm").judge(r"x_t = \sqrt{1-\beta_t}x_{t-1} + \beta_t\epsilon")
    assert "; nor does it hold if ε is new noise, or if ε is the noise of the step to x_t" in verdict.detail
    (verdict,) = Page("ddpm").judge(r"\beta_t = 1 + \alpha_t")
    assert "nor does it hold" not in verdict.detail


def test_a_letter_has_one_meaning_on_a_page():
    page = Page("samplers")
    assert all(v.good for v in page.judge(r"q(x_t|x_0) = \mathcal{N}(x_t;\sqrt{\alpha_t}x_0,(1-\alpha_t)I)"))
    (verdict,) = page.judge(r"\alpha_t = 1 - \beta_t")
    assert verdict.kind == "fails"
    assert "it would hold as this book writes, but not on one page with q(x_t|x_0)" in verdict.detail
    page = Page("samplers")
    assert all(v.good for v in page.judge(r"\alpha_t = 1 - \beta_t \tag{4}"))
    (verdict,) = page.judge(r"q(x_t|x_0) = \mathcal{N}(x_t;\sqrt{\alpha_t}x_0,(1-\alpha_t)I)")
    assert verdict.kind == "fails"
    assert "it would hold if α_t stands for ᾱ_t, but not on one page with (4)" in verdict.detail


def test_a_page_that_has_beta_does_not_leave_out_bars():
    latex = r"q(x_t|x_0) = \mathcal{N}(x_t;\sqrt{\alpha_t}x_0,(1-\alpha_t)I)"
    assert all(v.good for v in Page().judge(latex))
    page = Page()
    page.judge(r"q(x_t|x_{t-1}) = \mathcal{N}(x_t;\sqrt{1-\beta_t}x_{t-1},\beta_t I)")
    assert [v.kind for v in page.judge(latex)] == ["fails"]


def test_what_holds_either_way_is_no_obstacle():
    page = Page("vae")
    assert all(v.good for v in page.judge(r"\mathcal{L} - \mathcal{L} = 0"))
    assert all(v.good for v in page.judge(r"\mathcal{L} \ge -\log p(x)"))


def test_a_convention_that_is_kept_is_told_of_all_that_it_is_about():
    page = Page("vae")
    page.judge(r"\mathcal{L} \ge -\log p(x)")
    (verdict,) = page.judge(r"\mathcal{L} - \log 2 \ge -\log p(x) - \log 2")
    assert verdict.reading == "if 𝓛 is a loss, the negative of the bound"


def test_a_page_may_state_its_conventions_and_has_these_alone():
    latex = r"L_{t-1} = D_{KL}(q(x_{t-1}|x_t,x_0)\|p_\theta(x_{t-1}|x_t))"
    assert [v.kind for v in Page("ddpm", conventions=["pointwise-terms"]).judge(latex)] == ["holds"]
    assert [v.kind for v in Page("ddpm", conventions=["step-terms"]).judge(latex)] == ["fails"]
    for none in ((), []):
        assert [v.kind for v in Page("ddpm", conventions=none).judge(latex)] == ["fails"]
        assert [v.kind for v in Page("ddpm", conventions=none).judge(r"\log p(x) \ge \mathcal{L}(x)")] != ["holds"]


def test_what_a_page_cannot_state_is_refused():
    with pytest.raises(ValueError, match=r"conventions must be among posterior-variance, .*, got 'mine'"):
        Page("ddpm", conventions=["mine"])
    with pytest.raises(ValueError, match="say different things of the same letter"):
        named(["step-variance", "posterior-variance"])


@pytest.mark.parametrize(
    "latex",
    [
        r"\bar\alpha_t = \frac{f(t)}{f(0)}",
        r"f(t) = \cos\left(\frac{t/T+s}{1+s}\cdot\frac{\pi}{2}\right)^2",
        r"\bar\alpha_t = \cos^2\left(\frac{\pi t}{2T}\right)",
        r"\beta_t = \beta_1 + \frac{t-1}{T-1}(\beta_T-\beta_1)",
        r"\beta_1 = 10^{-4}",
        r"\beta_T = 0.02",
    ],
)
def test_which_schedule_a_page_has_is_no_claim(latex):
    assert [v.kind for v in Page("ddpm").judge(latex)] == ["definition"]
    assert not check(latex, "ddpm")


@pytest.mark.parametrize(
    "latex",
    [
        r"\beta_t = 1 - \frac{\bar\alpha_t}{\bar\alpha_{t-2}}",
        r"\bar\alpha_t = \prod_{s=1}^{t} \beta_s",
        r"\bar\alpha_t = 1 - \beta_t",
        r"\tilde\beta_t = 0.02\, t / T",
        r"\bar\alpha_0 = 0",
        r"\beta_T = 2 \beta_1",
        r"\beta_t = \beta_1 + \frac{t}{T}(\beta_T-\beta_1)",
        r"\bar\alpha_t = \bar\alpha_T \frac{t-1}{T}",
    ],
)
def test_what_is_said_of_a_schedule_is_one(latex):
    assert not any(v.good for v in Page("ddpm").judge(latex))


# In which notation


@pytest.mark.parametrize("context", [None, "vae", "ddpm", "score"])
def test_a_display_is_read_in_the_notation_of_its_letters(context):
    page = Page(context)
    for latex in (
        r"\log p(x) = \mathbb{E}_{q(z|x)}[\log p(x,z) - \log q(z|x)] + D_{KL}(q(z|x)\|p(z|x))",
        r"q(x_t|x_0) = \mathcal{N}(x_t;\sqrt{\bar\alpha_t}x_0,(1-\bar\alpha_t)I)",
        r"\log p(x) \ge \mathbb{E}_{q(z_1,z_2|x)}[\log p(x,z_1,z_2)-\log q(z_1,z_2|x)]",
    ):
        assert [v.kind for v in page.judge(latex)] == ["holds"]
    for latex in (
        r"\log p(x) = \mathbb{E}_{q(z|x)}[\log p(x,z) - \log q(z|x)] - D_{KL}(q(z|x)\|p(z|x))",
        r"q(x_t|x_0) = \mathcal{N}(x_t;\sqrt{\bar\alpha_t}x_0,(1-\bar\alpha_{t-1})I)",
        r"\log p(x) \le \mathbb{E}_{q(z_1,z_2|x)}[\log p(x,z_1,z_2)-\log q(z_1,z_2|x)]",
    ):
        assert [v.kind for v in page.judge(latex)] == ["fails"]
    assert [v.kind for v in page.judge(r"\foo = x_t")] == ["not understood"]


def test_a_display_goes_on_in_the_notation_of_the_one_before():
    page = Page(None)
    page.judge(r"\log p(x) - D_{KL}(q(z|x)\|p(z|x)) = \mathbb{E}_{q(z|x)}[\log p(x,z) - \log q(z|x)]")
    assert [v.kind for v in page.judge(r"= \mathbb{E}_{q(z|x)}[\log p(x|z)] - D_{KL}(q(z|x)\|p(z))")] == ["holds"]
    assert [v.kind for v in page.judge(r"= \mathbb{E}_{q(z|x)}[\log p(x|z)] + D_{KL}(q(z|x)\|p(z))")] == ["fails"]


def test_another_notation_that_changes_a_letter_is_told():
    step = (
        r"x_{t-1} = \sqrt{\bar\alpha_{t-1}}\left(\frac{x_t - \sqrt{1-\bar\alpha_t}\epsilon_\theta(x_t,t)}"
        r"{\sqrt{\bar\alpha_t}}\right) + \sqrt{1-\bar\alpha_{t-1}}\epsilon_\theta(x_t,t)"
    )
    for context in (None, "ddpm"):
        (verdict,) = Page(context).judge(step)
        assert verdict.kind == "holds"
        assert verdict.reading == "if p_θ is DDIM's sampler"
        (verdict,) = Page(context).judge(step.replace(r"\sqrt{1-\bar\alpha_{t-1}}", r"\sqrt{1-\alpha_{t-1}}"))
        assert verdict.kind == "fails"


def test_the_book_is_read_in_its_own_notation_alone():
    assert not check(r"\log p(x) = \mathbb{E}_{q(z|x)}[\log p(x,z) - \log q(z|x)] + D_{KL}(q(z|x)\|p(z|x))", "ddpm")
