"""Equality in law, and what verdicts on lines about diffusion say."""

from __future__ import annotations

from diffusion_notes.equations import Page


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
