"""From LaTeX to syntax trees: what is read, what is not, and where that is said."""

from __future__ import annotations

import re

import pytest

from diffusion_notes.equations import Page, contains
from diffusion_notes.equations.language.lexer import tokenise
from diffusion_notes.equations.language.parser import read
from diffusion_notes.equations.language.syntax_tree import NotUnderstood


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
    assert contains("a = " + "b" * 300, "b")


# What is not read stays in its place


def judged(latex: str) -> list[str]:
    return [verdict.kind for verdict in Page("ddpm").judge(latex)]


def test_what_is_not_read_does_not_stop_the_others():
    assert judged(r"\beta_t = 1 - \alpha_t p, \quad \alpha_t = 1 - \beta_t") == ["not understood", "proved"]
    assert judged(r"\beta_t = 1 - \alpha_t, \quad \log \quad x_0") == ["proved", "not understood"]
    assert judged(r"\beta_t = 1 + \alpha_t, \quad \log \quad x_0") == ["fails", "not understood"]


def test_a_side_that_is_not_read_says_why_and_where():
    latex = r"\beta_t = 1 - \alpha_t = 1 - \alpha_t p = \beta_t"
    (statement,) = read(latex).statements
    assert [side.kind for side in statement.sides] == ["symbol", "sub", "unread", "symbol"]
    assert latex[slice(*statement.sides[2].place)].strip() == r"1 - \alpha_t p"
    assert latex[slice(*statement.sides[2].value.place)].strip() == "p"


def test_under_a_brace_the_place_is_that_of_the_display():
    latex = r"\beta_t = 1 - \underbrace{\alpha_t}_{\text{a name} p}"
    (named,) = read(latex).named
    assert latex[slice(*named.sides[0].value.place)] == "p"


def test_nothing_goes_on_from_what_was_not_read():
    page = Page("ddpm")
    for unread in (r"\log \quad x_0", r"\beta_t = \log \quad x_0", r"\beta_t = (1 - \alpha_t"):
        page.judge(r"\beta_t = 1 - \alpha_t")
        page.judge(unread)
        assert [verdict.kind for verdict in page.judge(r"= 1 - \alpha_t")] == ["not understood"]


@pytest.mark.parametrize(
    ("latex", "unread"),
    [
        (r"a = \foo{b = c, d}_t + e", r"\foo{b = c, d}"),
        (r"\frac{\foo[1]{b}}{2} = a", r"\foo[1]{b}"),
        (r"a = \bm{x + \foo}, b = c", r"\foo"),
        (r"a = x_{b!}, b = c", "x_{b!}"),
        (r"a = b_", "b_"),
        (r"a & = b", "&"),
    ],
)
def test_what_is_unread_leaves_the_rest_readable(latex, unread):
    (token,) = [token for token in tokenise(latex)[0] if token.kind == "UNREAD"]
    assert latex[slice(*token.place)] == unread
    assert isinstance(token.value, NotUnderstood)
    assert [token.value for token in tokenise(latex)[0] if token.kind == "REL"][:1] == ["="]
    with pytest.raises(NotUnderstood, match=re.escape(token.value.why)):
        contains(latex, "e")


@pytest.mark.parametrize("latex", [r"a = \frac{b}{c", "a = b}", r"\begin{aligned} a = b", r"\left( a = b"])
def test_what_cannot_be_told_apart_is_refused(latex):
    with pytest.raises(NotUnderstood):
        tokenise(latex)
