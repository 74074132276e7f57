"""From LaTeX to syntax trees: what is read, what is not, and where that is said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from diffusion_notes.equations import Page, contains
from diffusion_notes.equations.language.lexer import tokenise
from diffusion_notes.equations.language.parser import read, read_whole
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
    assert judged(r"\beta_t = 1 - \cdot \alpha_t, \quad \alpha_t = 1 - \beta_t") == ["not understood", "proved"]
    assert judged(r"\beta_t = 1 - \alpha_t, \quad \log \quad x_0") == ["proved", "not understood"]
    assert judged(r"\beta_t = 1 + \alpha_t, \quad \log \quad x_0") == ["fails", "not understood"]


def test_a_side_that_is_not_read_says_why_and_where():
    latex = r"\beta_t = 1 - \alpha_t = 1 - \alpha_t \cdot = \beta_t"
    (statement,) = read(latex).statements
    assert [side.kind for side in statement.sides] == ["symbol", "sub", "unread", "symbol"]
    assert latex[slice(*statement.sides[2].place)].strip() == r"1 - \alpha_t \cdot"
    assert latex[slice(*statement.sides[2].value.place)].strip() == r"\cdot"


def test_under_a_brace_the_place_is_that_of_the_display():
    latex = r"\beta_t = 1 - \underbrace{\alpha_t}_{2 \cdot}"
    (named,) = read(latex).named
    assert latex[slice(*named.sides[0].value.place)] == r"\cdot"


@pytest.mark.parametrize(
    ("latex", "part", "said"),
    [
        (
            r"\beta_t = (1 - \alpha_t)_t",
            "_",
            "after ) comes a factor, +, − or the end, not an index: an index stands on",
        ),
        (r"\beta_t = + \cdot \alpha_t", r"\cdot", "after + comes a term, not a sign of multiplication"),
        (r"\beta_t = q(x_t; x_0)", ";", "not a semicolon: a semicolon stands in a normal law"),
        (r"\beta_t = \int q(x_t)", "q(x_t)", "an integral without its differential"),
        (r"\beta_t = \log", r"\log", "after a logarithm comes a term, not the end"),
        (
            r"\bar\alpha_t = \alpha_1 \alpha_3 \cdots \alpha_t \alpha_{t+1}^2 \cdots",
            r"\cdots",
            "dots between what are not",
        ),
        (
            r"\bar\alpha_t = \alpha_t \alpha_{t+1} \cdots \alpha_1",
            r"\cdots",
            "dots that lead away from where they should end",
        ),
        (r"\theta = \sup_\theta \log p_\theta(x)", r"\sup", "an optimum is not looked for"),
    ],
)
def test_what_is_not_read_says_what_stood_there_and_what_would_be_read(latex, part, said):
    (statement,) = read(latex).statements
    (doubt,) = statement.doubts
    assert said in doubt.why
    assert latex[slice(*doubt.place)].strip() == part


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
        (r"{a & = b}", "&"),
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


# Presentation never changes what is understood


def trees(latex: str) -> list[tuple]:
    """What a display says, and nothing of where that stands in it."""
    return [(statement.kind, statement.sides, statement.relations) for statement in read_whole(latex).statements]


def presentations() -> Iterator[tuple[str, str]]:
    """Pairs of what an author printed and the same in the book's own form, from a file that holds them in blocks."""
    book = ""
    for line in Path(__file__).with_name("equations_presentations.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("    "):
            yield line.strip(), book
        else:
            book = line


@pytest.mark.parametrize(("printed", "book"), list(presentations()))
def test_what_an_author_prints_is_read_as_the_book_prints_it(printed, book):
    assert trees(printed) == trees(book)


UNICODE = {
    "alpha": "α", "beta": "β", "varepsilon": "ε", "epsilon": "ϵ", "sigma": "σ", "mu": "μ", "theta": "θ", "phi": "φ",
    "lambda": "λ", "kappa": "κ", "tau": "τ", "eta": "η", "Sigma": "Σ", "pi": "π", "nabla": "∇", "sum": "∑",
    "prod": "∏", "int": "∫", "mathbb{E}": "𝔼", "mathcal{N}": "𝒩", "mathcal{L}": "ℒ", "ge": "≥", "le": "≤",
    "approx": "≈", "propto": "∝", "sim": "∼", "mid": "∣", "Vert": "‖", "cdot": "·", "dots": "…", "top": "⊤",
}  # fmt: skip

AUTHORS = {
    "types what the editor offers": [
        (re.escape(f"\\{name}") + r"(?![a-zA-Z])" * name.isalpha(), character) for name, character in UNICODE.items()
    ],
    "sets vectors in bold type": [
        (r"(?<![a-zA-Z\\])([xzy])(?![a-zA-Z])", r"\\mathbf{\1}"),
        (r"\\(?:var)?epsilon(?![a-z])", r"\\boldsymbol{\\epsilon}"),
        (r"\\mu(?![a-z])", r"\\boldsymbol\\mu"),
        (r"\\theta(?![a-z])", r"{\\bm\\theta}"),
        (r"(?<![a-zA-Z\\])I(?![a-zA-Z(])", r"\\mathbf{I}"),
        (r"D_\{KL\}", r"D_\\mathrm{KL}"),
        (r"\\Vert(?![a-z])", r"\\,\\|\\,"),
        (r"\\mathbb\{E\}", r"\\mathop{\\mathbb{E}}"),
    ],
    "types as little as possible": [
        (r"\\mathcal\{(.)\}", r"\\mathcal \1"),
        (r"\\mathbb\{E\}", r"\\mathbb E"),
        (r"D_\{KL\}", "KL"),
        (r"\\[lr]?Vert(?![a-z])", "||"),
        (r"\\mid(?![a-z])", "|"),
        (r"\\operatorname\{", r"\\text{"),
        (r"_\{t-1\}", "_{t - 1}"),
    ],
    "aligns and numbers": [
        (r"^(.*)$", r"\\begin{align*} \1 \\nonumber \\label{eq:a} \\end{align*}"),
        (" = ", " &= "),
        (r"\\frac(?![a-z])", r"\\dfrac"),
        (r"\\([bB]igg?)[lr](?![a-z])", r"\\\1"),
        (r"\\(prod|sum)_(\{[^{}]*\})\^(\{[^{}]*\}|\w)", r"\\\1^\3_\2"),
        (r"D_\{KL\}", r"\\operatorname{KL}"),
        (r"\\log(?![a-z])", r"\\ln"),
        (r"\\mathcal\{N\}", r"\\operatorname{N}"),
        (r"\\text\{simple\}", r"\\mathrm{simple}"),
    ],
    "frames and colours": [
        (r"^(.*)$", r"\\boxed{\\displaystyle \1}"),
        (" = ", r" \\stackrel{(a)}{=} "),
        (r"(?<![a-zA-Z\\}{])x_t(?![a-zA-Z])", r"\\textcolor{red}{x_t}"),
        (r"(?<![a-zA-Z\\}{])x_0(?![a-zA-Z])", r"{\\color{blue} x}_0"),
        (r"\\beta_t(?![a-z])", r"{\\color{blue}{\\beta}}_t"),
        (r"\\mathbb\{E\}", r"\\operatorname*{\\mathbb{E}}"),
        (r"D_\{KL\}", r"\\text{D}_\\text{KL}"),
        (r"\\mathcal\{N\}", r"{\\cal N}"),
        (r"\\(prod|sum)_", r"\\\1\\limits_"),
    ],
}
"""Habits of authors: what stands in the book, and what they print instead."""

HELD = [
    line.split(": ", 1)[1] for line in Path(__file__).with_name("equations_true.txt").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("author", AUTHORS)
def test_one_content_is_read_alike_in_the_manner_of_each_author(author):
    for latex in HELD:
        printed = latex
        for pattern, replacement in AUTHORS[author]:
            printed = re.sub(pattern, replacement, printed)
        assert trees(printed) == trees(latex), printed


@pytest.mark.parametrize(
    ("printed", "other"),
    [
        (r"x' = 0", r"x = 0"),
        (r"x_t^* = 0", r"x_t = 0"),
        (r"\theta^\star = 0", r"\theta = 0"),
        (r"\hat x = 0", r"x = 0"),
        (r"\dot x = 0", r"x = 0"),
        (r"\cancel{x} + y = 0", r"x + y = 0"),
        (r"\bcancel{x} + y = 0", r"y = 0"),
        (r"\mathcal{D} = 0", r"D = 0"),
        (r"\mathcal{E}(x) = 0", r"\mathbb{E}(x) = 0"),
        (r"\bar{x} = 0", r"x = 0"),
        (r"x^{(1)} = 0", r"x = 0"),
        (r"\epsilon^{(l)} = 0", r"\epsilon = 0"),
        (r"a = b \quad \text{(up to a constant)}", r"a = b"),
        (r"a = b \quad \text{(wrong)}", r"a = b"),
        (r"a \stackrel{d}{=} b", r"a = b"),
        (r"a \stackrel{c}{=} b", r"a = b"),
        (r"a \overset{!}{=} b", r"a = b"),
        (r"a \overset{+C}{=} b", r"a = b"),
        (r"a = b + \text{rest}", r"a = b"),
        (r"a \neq b", r"a = b"),
        (r"\text{loss} \quad = b", r"= b"),
        (r"\underline{x} = 0", r"x = 0"),
        (r"x_{\text{new}} = 0", r"x = 0"),
        (r"\log_2 a = b", r"\log a = b"),
        (r"\sqrt[3]{a} = b", r"\sqrt{a} = b"),
        (r"a \circ b = c", r"a b = c"),
        (r"p(x) \text{ if not } = a", r"p(x) = a"),
        (r"a \phantom{x} b = c", r"a b = c"),
        (r"x_{ij} = 0", r"x_i = 0"),
        (r"\mathbb{D} = 1", r"D = 1"),
        (r"\mathfrak{L} = 1", r"L = 1"),
        (r"a = b \text{ or not}", r"a = b"),
        (r"a = b \text{ times two}", "a = b"),
        (r"a = b \text{ plus other terms}", "a = b"),
        (r"a \overset{\text{large } T}{=} b", "a = b"),
        (r"a \overset{\text{law}}{=} b", "a = b"),
        (r"p(x, \theta) = b", r"p_\theta(x) = b"),
        (r"p(\theta | x) = b", r"p(x) = b"),
        (r"\text{variance of } x_t = b", "x_t = b"),
        (r"\int_{\mathcal{A}} p(x) dx = b", r"\int p(x) dx = b"),
        (r"\int_0^\infty p(x) dx = b", r"\int p(x) dx = b"),
        (r"a + \text{const. w.r.t. } x_t = b", r"a + \text{const} = b"),
        (r"a =^{c} b", "a = b"),
        (r"a (3) = b", "a = b"),
        (r"a = b \quad 3", "a = b"),
        (r"(**) = b", "= b"),
        (r"\cos^{-1}(a) = b", r"\cos(a)^{-1} = b"),
        (r"\mathcal{N}(\cdot; 0, I) = b", r"\mathcal{N}(x; 0, I) = b"),
        (r"a = b \quad \text{if } x \text{ is fixed}", "a = b"),
        (r"\begin{align} a &= b & \text{only where } x \text{ is 0} \end{align}", "a = b"),
        (r"\ddot{x} = 0", r"\dot{x} = 0"),
    ],
)
def test_what_may_mean_something_is_not_dropped(printed, other):
    if not any(statement.doubts for statement in read(printed).statements):
        assert trees(printed) != [(said.kind, said.sides, said.relations) for said in read(other).statements]
