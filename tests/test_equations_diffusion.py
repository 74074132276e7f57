"""Lines about diffusion in the manner of other authors, under any convention: true ones hold, false ones do not."""

from __future__ import annotations

import pytest
from notebooks import ROOT

from diffusion_notes.equations import Page


def listed(name: str) -> list[tuple[str, str]]:
    """Equations from a file, one a line, each after its chapter."""
    lines = (ROOT / "tests" / name).read_text(encoding="utf-8").splitlines()
    return [tuple(line.split(": ", 1)) for line in lines]


TRUE = listed("equations_diffusion_true.txt")
FALSE = listed("equations_diffusion_false.txt")


@pytest.mark.parametrize(("where", "latex"), TRUE)
def test_a_true_line_holds(where, latex):
    verdicts = Page(where).judge(latex)
    assert verdicts
    assert all(verdict.good for verdict in verdicts), verdicts


@pytest.mark.parametrize(("where", "latex"), FALSE)
def test_a_false_line_does_not(where, latex):
    assert not all(verdict.good for verdict in Page(where).judge(latex))


def test_what_is_equal_in_law_is_told_and_under_which_reading():
    page = Page("ddpm")
    (step,) = page.judge(r"x_t = \sqrt{\alpha_t} x_{t-1} + \sqrt{1 - \alpha_t} \epsilon_{t-1}")
    assert step.kind == "holds"
    assert step.detail.startswith("equal in law")
    (start,) = page.judge(r"x_0 = \frac{1}{\sqrt{\bar\alpha_t}} (x_t - \sqrt{1 - \bar\alpha_t} \epsilon_t)")
    assert start.reading == "if ε_t is the noise that makes x_t of x_0"
    (wrong,) = page.judge(r"x_t = \sqrt{\alpha_t} x_{t-1} + (1 - \alpha_t) \epsilon_{t-1}")
    assert wrong.kind == "fails"
    assert "given x_1, the covariances" in wrong.detail
