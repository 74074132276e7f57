"""What the search shows of maths is true: no fraction, bar or logarithm is lost on the way to plain text."""

from __future__ import annotations

import re
import sys

import pytest
from notebooks import NOTEBOOKS, ROOT, markdown

sys.path.insert(0, str(ROOT / "book" / "_ext"))
from plain_maths import UnreadError, plain


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\tfrac12 z^2", "1/2 z²"),
        (r"\frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t} \beta_t", "(1 − ᾱₜ₋₁)/(1 − ᾱₜ) βₜ"),
        (r"\sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \varepsilon", "√ᾱₜ x₀ + √(1 − ᾱₜ) ε"),
        (r"\mathbb{E}_q [\log q(\cdot) - \log p(\cdot)]", "E_q [log q(·) − log p(·)]"),
        (r"w^2\log p", "w² log p"),
        (r"\tilde\beta_1 = 0", "β̃₁ = 0"),
        (r"\hat x_0 \ne x_{0:T}", "x̂₀ ≠ x_{0:T}"),
        (r"\sum_{t=2}^T L_{t-1}", "∑ₜ₌₂^T Lₜ₋₁"),
        (r"e^{-x^2 / 2}", "e^(−x² / 2)"),
        (r"\underbrace{-\log p_\theta(x_0 \mid x_1)}_{L_0}", "−log p_θ(x₀ | x₁)"),
    ],
)
def test_plain_text_says_the_same(latex, text):
    assert plain(latex) == text


def test_what_is_not_known_is_refused_and_not_left_out():
    with pytest.raises(UnreadError, match="nosuch"):
        plain(r"x + \nosuch{y}")


@pytest.mark.parametrize("path", [*NOTEBOOKS, *(ROOT / "book").glob("*.md")], ids=lambda path: path.stem)
def test_all_maths_in_the_text_of_the_book_has_plain_text(path):
    text = markdown(path) if path.suffix == ".ipynb" else path.read_text("utf-8")
    formulas = re.findall(r"\$([^$]+)\$", re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL))
    for formula in formulas:
        assert "\\" not in plain(formula)
        assert formula.count("bar") == len(re.findall("ᾱ|\u0304", plain(formula))), formula
