"""Letters, laws and parameters of VAEs in the manner of other authors, and what is said of them."""

from __future__ import annotations

from diffusion_notes.equations import Page


def test_a_letter_of_which_nothing_is_said_makes_a_line_true_or_leaves_it_open():
    page = Page("vae")
    (any_letters,) = page.judge(r"\log\frac{g h}{r} = \log g + \log h - \log r")
    assert any_letters.kind == "holds"
    assert any_letters.detail.endswith("whatever g, h, r may be")
    (some_letters,) = page.judge(r"\log\frac{g h}{r} = \log g + \log h + \log r")
    assert some_letters.kind == "not understood"


def test_a_law_names_its_parameters_for_the_rest_of_the_page():
    divergence = r"D_{KL}(q_\phi(z|x) \| p(z)) = \frac{1}{2} \sum_{j=1}^{J} (m_j^2 + \rho_j^2 - 1 - \log \rho_j^2)"
    page = Page("vae")
    assert not page.judge(divergence)[0].good
    assert page.judge(r"q_\phi(z|x) = \mathcal{N}(z; m, \rho^2 I)")[0].kind == "definition"
    assert page.judge(divergence)[0].kind == "holds"
    assert page.judge(divergence.replace("- 1", "+ 1"))[0].kind == "fails"


def test_what_speaks_of_the_number_of_coordinates_holds_for_several():
    page = Page("vae")
    (verdict,) = page.judge(r"\int \mathcal{N}(z; \mu, \sigma^2) \, dz = J")
    assert not verdict.good
