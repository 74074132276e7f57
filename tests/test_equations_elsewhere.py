"""Lines in the manner of other authors, under any convention: true ones hold, false ones do not."""

from __future__ import annotations

import pytest
from equation_lists import listed

from diffusion_notes.equations import Page


@pytest.mark.parametrize(("where", "latex"), listed("equations_diffusion_true.txt", "equations_latents_true.txt"))
def test_a_true_line_holds(where, latex):
    verdicts = Page(where).judge(latex)
    assert verdicts
    assert all(verdict.good for verdict in verdicts), verdicts


@pytest.mark.parametrize(("where", "latex"), listed("equations_diffusion_false.txt", "equations_latents_false.txt"))
def test_a_false_line_does_not(where, latex):
    assert not all(verdict.good for verdict in Page(where).judge(latex))


def test_a_letter_that_picks_no_component_is_named():
    (verdict,) = Page(None).judge(r"\frac{\partial}{\partial\mu_j} D_{KL}(q_\phi(z|x)\|p(z)) = \mu_j")
    assert verdict.kind == "not understood"
    assert verdict.detail == "nothing says of what j picks a component"
