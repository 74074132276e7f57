r"""Every display of a file is found, whatever stands around it; what cannot be told is said, and nothing is dropped."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest
from notebooks import NOTEBOOKS

from diffusion_notes.equations.language.macros import Macro, definitions, expand
from diffusion_notes.equations.language.syntax_tree import NotUnderstood
from diffusion_notes.equations.pages import judge_page
from diffusion_notes.equations.sources import Equation, Unreadable, displays


def written(folder: Path, text: str | bytes, name: str = "page.md") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def found(equations: list[Equation]) -> list[tuple[int, str]]:
    """The line and the LaTeX of each display, those left out of which nothing can be told."""
    return [(e.line, " ".join(e.latex.split())) for e in equations if not e.trouble]


def troubles(equations: list[Equation]) -> list[tuple[int, str]]:
    return [(e.line, e.trouble) for e in equations if e.trouble]


# Markdown

FENCES = {
    "dollars": "$$a = b$$",
    "dollars on lines of their own": "$$\na = b\n$$",
    "dollars in the run of a line": "so that $$a = b$$ holds, for $5 or $c$",
    "dollars across lines": "so that $$a\n= b$$ holds",
    "dollars with a label": "$$\na = b\n$$ (eq-label)",
    "dollars with Quarto's label": "$$\na = b\n$$ {#eq-label}",
    "dollars with an empty line": "$$\na\n\n= b\n$$",
    "brackets": "\\[ a = b \\]",
    "brackets with two backslashes": "\\\\[ a = b \\\\]",
    "brackets in the run of a line": "so that \\[ a = b \\] holds",
    "a block of mathematics": "```math\na = b\n```",
    "a directive": "```{math}\na = b\n```",
    "a directive with more backticks and an option": "`````{math}\n:label: first\n\na = b\n`````",
    "a directive with a block of options": "```{math}\n---\nlabel: first\n---\na = b\n```",
    "a directive in one line": "```{math} a = b\n```",
    "a directive with tildes": "~~~{math}\na = b\n~~~",
    "a directive with colons": ":::{math}\na = b\n:::",
    "a directive with more colons": "::::: {math}\n:label: first\na = b\n:::::",
    "reStructuredText": "```{eval-rst}\n.. math::\n   :label: first\n\n   a = b\n```",
    "reStructuredText in one line": "```{eval-rst}\n.. math:: a = b\n```",
    "an admonition": "```{note}\n$$a = b$$\n```",
    "an admonition with colons": ":::{admonition} Title\n:class: tip\n$$a = b$$\n:::",
    "a directive within an admonition": "````{note}\n```{math}\na = b\n```\n````",
    "a list": "- so\n\n  $$\n  a = b\n  $$",
    "a list without indentation": "1. so\n$$\na = b\n$$",
    "a list within a list": "- one\n  - two: $$a = b$$",
    "a quotation": "> so\n> $$\n> a = b\n> $$",
    "a quotation within a list": "- > $$a = b$$",
    "an indentation like code's": "    $$a = b$$",
    "details": "<details><summary>Proof</summary>\n\n$$a = b$$\n\n</details>",
    "details without empty lines": "<details>\n<summary>Proof</summary>\n$$a = b$$\n</details>",
    "a fence within details": "<details>\n```math\na = b\n```\n</details>",
    "an element": '<div class="proof">$$a = b$$</div>',
    "the line below a comment": "<!-- $$hidden$$ --> $$a = b$$",
    "a heading": "## Because $$a = b$$",
    "a footnote": "[^1]: $$a=b$$",
    "a link": "[$$a = b$$](page.md)",
    "stray backticks in other paragraphs": "a ` here\n\n$$a = b$$\n\nand ` there",
}


@pytest.mark.parametrize("text", FENCES.values(), ids=FENCES)
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_display_is_found_whatever_its_fence(tmp_path, text, end):
    equations = displays(written(tmp_path, f"# DDPM\n\n{text}{end}"))
    assert not troubles(equations)
    assert [latex.replace(" ", "") for _, latex in found(equations)] == ["a=b"]
    assert equations[0].line == 3 + text[: text.index("a")].count("\n") or "a" in text.split("$$")[0].split("\\[")[0]


ENVIRONMENTS = ["equation", "align", "gather", "multline", "eqnarray", "flalign", "alignat", "aligned", "displaymath"]


@pytest.mark.parametrize("star", ["", "*"])
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_bare_environment_is_found_with_its_name(tmp_path, name, star):
    latex = f"\\begin{{{name}{star}}}\na &= b\n\\end{{{name}{star}}}"
    for text in (latex, f"so\n{latex}\nholds", f"- {latex}"):
        assert [e.latex for e in displays(written(tmp_path, text))] == [latex]
        assert [e.latex for e in displays(written(tmp_path, text, "page.tex"))] == [latex]


@pytest.mark.parametrize(
    "text",
    [
        "`$$a = b$$`", "``$$a = b$$``", "```latex\n$$a = b$$\n```", "~~~\n$$a = b$$\n~~~",
        "```{code-block} latex\n$$a = b$$\n```", "```{python}\nprint('$$a = b$$')\n```",
        "<!-- $$a = b$$ -->", "<!--\n\n$$a = b$$\n\n-->", "<pre>\n$$a = b$$\n</pre>", "<script>\n$$a = b$$\n</script>",
        "it costs $5 and $6", r"\$\$a = b\$\$", "as in \\[12\\]", "$a = b$", "$$ $$",
        "$$\\newcommand{\\a}{b}$$",
    ],
)  # fmt: skip
def test_what_is_not_displayed_is_none(tmp_path, text):
    assert displays(written(tmp_path, text)) == []


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("so\n\n$$a = b\n\nand this is not a formula any more", 3, "nothing ends"),
        ("so\n\n$$a = b\n\nand this is not a formula, but this is one:\n\n$$c = d$$", 3, "nothing ends"),
        ("so \\begin{align} a &= b", 1, "nothing ends"),
        ("so \\[ \\alpha = b", 1, "nothing ends"),
        ("so\n> $$ a = b\n\nthe end $$ of it is there", 2, "nothing ends"),
        ("a ` here and $$a = b$$ and ` there", 1, "backticks"),
        ("so\n\n```python\nprint()\n\n$$a = b$$", 3, "nothing ends"),
    ],
)
def test_what_cannot_be_told_is_said(tmp_path, text, line, why):
    equations = displays(written(tmp_path, text))
    (at, said), *_ = troubles(equations)
    assert at == line
    assert why in said
    verdict = judge_page(written(tmp_path, f"{text}\n", "ddpm.md"))[0].verdicts[0]
    assert (verdict.kind, verdict.detail) == ("not understood", said)


def test_what_nothing_ends_takes_no_other_display_with_it(tmp_path):
    text = "$$a = b\n\nand this is not a formula, but this is one:\n\n$$c = d$$\n\n$$e = f$$\n"
    assert found(displays(written(tmp_path, text))) == [(5, "c = d"), (7, "e = f")]


def test_a_directive_shows_several_equations_with_empty_lines_between(tmp_path):
    text = "so\n\n```{math}\n:label: x\n\na = b\n\nc = d\n```\n"
    assert found(displays(written(tmp_path, text))) == [(6, "a = b"), (8, "c = d")]


def test_lines_are_those_of_the_file(tmp_path):
    note = "````{note}\nso\n\n> 1. it\n>    $$\n>    a = b\n>    $$\n````\n"
    text = f"---\ntitle: x\n---\n\n# DDPM\n\n{note}$$c = d$$ and $$e = f$$"
    assert found(displays(written(tmp_path, text))) == [(12, "a = b"), (15, "c = d"), (15, "e = f")]


def test_an_anchor_is_that_of_the_display_that_follows(tmp_path):
    text = '<a id="eq-1"></a>\n$$a = b$$\n\n$$c = d$$\n\n<a id="eq-2"></a>\n\n$$e = f$$\n'
    assert [e.anchor for e in displays(written(tmp_path, text))] == ["eq-1", "", "eq-2"]


def test_thousands_of_displays_take_no_time(tmp_path):
    text = "$$a = b$$\n\nso that $$c = d$$ holds.\n\n" * 1500
    assert len(displays(written(tmp_path, text))) == 3000


# Notebooks


def cell(kind: str, source: object) -> dict[str, object]:
    return {"cell_type": kind, "metadata": {}, "source": source}


CELLS = [cell("code", "'''$$no$$'''"), cell("markdown", ["so\n", "\n", "$$a = b$$"]), cell("markdown", "$$c = d$$")]


@pytest.mark.parametrize(
    "notebook", [{"cells": CELLS, "nbformat": 4}, {"worksheets": [{"cells": CELLS}], "nbformat": 3}]
)
@pytest.mark.parametrize("name", ["page.ipynb", "PAGE.IPYNB"])
def test_notebooks_of_both_formats_are_read(tmp_path, notebook, name):
    equations = displays(written(tmp_path, json.dumps(notebook), name))
    assert [(e.cell, *found([e])[0]) for e in equations] == [(2, 3, "a = b"), (3, 1, "c = d")]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_displays_of_the_book_are_as_many_as_its_dollars(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    assert 2 * len(displays(path)) == sum(text.count("$$") for text in texts)
    assert not troubles(displays(path))


# LaTeX


def test_a_source_is_read_with_what_it_brings_in(tmp_path):
    (tmp_path / "parts").mkdir()
    written(
        tmp_path, "\\newcommand{\\vx}{\\mathbf{x}}\n\\def\\be{\\begin{equation}}\\def\\ee{\\end{equation}}", "own.sty"
    )
    written(tmp_path, "so\n\\be\n\\vx = 1\n\\ee\n\\input{parts/second}", "parts/first.tex")
    written(tmp_path, "$$ c = d $$ \\input{parts/first}", "parts/second.tex")
    main = r"""\documentclass{article}
\usepackage{amsmath, own}
\newcommand{\shown}[1]{\begin{align} #1 \end{align}}
\begin{document}
It costs \$5. % $$ a comment $$
\begin{verbatim}
\[ no \]
\end{verbatim}
\verb|$$ no $$| and $\vx$, \lstinline!\[ no \]! \\[2pt]
\iffalse \[ no \] \fi
\be
 a = 1 \\[2pt] % a comment
 \vx
\ee
\shown{b = 2}
\input parts/first
\[ e = f
\]
\end{document}
$$ no $$
"""
    equations = displays(written(tmp_path, main, "main.tex"))
    assert [(e.file.name, *found([e])[0]) for e in equations if not e.trouble] == [
        ("main.tex", 11, r"\begin{equation} a = 1 \\[2pt] \vx \end{equation}"),
        ("main.tex", 15, r"\begin{align} b = 2 \end{align}"),
        ("first.tex", 2, r"\begin{equation} \vx = 1 \end{equation}"),
        ("second.tex", 1, "c = d"),
        ("main.tex", 17, "e = f"),
    ]
    assert [(e.file.name, e.line) for e in equations if e.trouble] == [("second.tex", 1)]  # it brings in itself
    assert all(e.macros[r"\vx"] == Macro(r"\mathbf{x}") for e in equations)


@pytest.mark.parametrize(
    ("text", "why"),
    [("\\input{nowhere}", "is not there"), ("\\[ a = b", "nothing ends"), ("\\input{image}", "no text in UTF-8")],
)
def test_what_a_source_lacks_is_said(tmp_path, text, why):
    written(tmp_path, b"\xff\xfe\x00", "image.tex")
    assert why in troubles(displays(written(tmp_path, text, "main.tex")))[0][1]


# Macros


@pytest.mark.parametrize(
    ("definition", "used", "meant"),
    [
        (r"\newcommand{\E}{\mathbb{E}}", r"\E[x]", r"\mathbb{E}[x]"),
        (r"\newcommand\E{\mathbb{E}}", r"\E [x]", r"\mathbb{E} [x]"),
        (r"\newcommand*{\E}[2][q]{\mathbb{E}_{#1}[#2]}", r"\E{x} + \E[p]{y}", r"\mathbb{E}_{q}[x] + \mathbb{E}_{p}[y]"),
        (r"\renewcommand{\epsilon}{\varepsilon}", r"\epsilon", r"\varepsilon"),
        (r"\providecommand{\x}{\alpha}\providecommand{\x}{b}", r"\x t", r"\alpha t"),
        (r"\def\v#1{\mathbf{#1}}", r"\v x_\v{y}", r"\mathbf{x}_\mathbf{y}"),
        (r"\let\eps\varepsilon", r"\eps", r"\varepsilon"),
        (r"\let\oldhat=\hat\renewcommand{\hat}[1]{\oldhat{\mathbf #1}}", r"\hat{x}", r"\hat{\mathbf x}"),
        (r"\DeclareMathOperator{\KL}{KL}", r"\KL(q)", r"\operatorname{KL}(q)"),
        (r"\DeclareMathOperator*{\argmin}{arg\,min}", r"\argmin_x", r"\operatorname*{arg\,min}_x"),
        (r"\DeclarePairedDelimiter{\set}{\{}{\}}", r"\set*{x} \set[\big]{y}", r"\{ x \} \{ y \}"),
        (
            r"\DeclarePairedDelimiterX{\div}[2]{(}{)}{#1\,\delimsize\|\,#2}\newcommand{\kl}{D\div}",
            r"\kl{q}{p}", r"D( q\, \|\,p )",
        ),
        (r"\NewDocumentCommand{\E}{O{q} m}{E_{#1}[#2]}", r"\E{x}", r"E_{q}[x]"),
        (r"\newenvironment{eq}{\begin{align}}{\end{align}}", r"\begin{eq}x\end{eq}", r"\begin{align}x\end{align}"),
        (r"\newcommand{\a}{\b c}\newcommand{\b}{\beta}", r"\a", r"\beta c"),
        (r"\newcommand{\ab}{\alpha}", r"\ab t\\ab \abc", r"\alpha t\\ab \abc"),
        (r"\newcommand{\E}{\mathbb{E}}", r"\newcommand{\E}{F} \E", r" F"),
    ],
)  # fmt: skip
def test_macros_stand_for_what_they_are_defined_as(definition, used, meant):
    macros = {}
    for _, defined in definitions(definition, macros):
        macros |= defined
    assert expand(used, macros)[0] == meant
    assert expand(definition + used, {})[0] == meant


def test_what_is_pointed_at_is_what_was_typed():
    typed = r"\E[\foo_t] = \v{\foo}"
    text, origins = expand(typed, {r"\E": Macro(r"\mathbb{E}"), r"\v": Macro(r"\mathbf{#1}", 1)})
    places = [i for i in range(len(text)) if text.startswith(r"\foo", i)]
    assert [typed[slice(*origins.place((i, i + 4)))] for i in places] == [r"\foo", r"\foo"]
    assert typed[slice(*origins.place((0, 8)))] == r"\E"


def test_a_macro_that_calls_itself_has_an_end():
    with pytest.raises(NotUnderstood, match="without an end"):
        expand(r"\x", {r"\x": Macro(r"\x \x")})


PLACES = {
    "front matter of MyST": "---\nmath:\n  '\\ab': '\\bar\\alpha'\n---\n",
    "front matter of MyST, with more said": "---\nmath:\n  '\\ab': {macro: '\\bar\\alpha'}\n---\n",
    "front matter of MathJax": "---\nmathjax: {macros: {ab: '\\bar\\alpha'}}\n---\n",
    "front matter of KaTeX": "---\nmacros: {'\\ab': '\\bar\\alpha'}\n---\n",
    "a display of its own": "$$\\newcommand{\\ab}{\\bar\\alpha}$$\n",
    "a formula": "so $\\def\\ab{\\bar\\alpha}$\n",
    "the run of the text": "\\newcommand{\\ab}{\\bar\\alpha}\n",
    "a hidden element": '<div style="display:none">\n$$\n\\newcommand{\\ab}{\\bar\\alpha}\n$$\n</div>\n',
}


@pytest.mark.parametrize("text", PLACES.values(), ids=PLACES)
def test_a_page_may_define_its_macros_in_many_places(tmp_path, text):
    page = written(
        tmp_path, text + "\n# DDPM\n\n$$\\ab_t = \\ab_{t-1} \\alpha_t$$\n\n$$\\ab_t = \\ab_{t-1} \\beta_t$$\n"
    )
    assert [e.verdicts[0].kind for e in judge_page(page)] == ["proved", "fails"]


# Files that are not what they should be


@pytest.mark.parametrize("name", ["page.md", "PAGE.MD", "page.Qmd", "page.tex", "PAGE.TEX"])
@pytest.mark.parametrize(
    "change", [lambda text: codecs.BOM_UTF8 + text.encode(), lambda text: text.replace("\n", "\r\n")]
)
def test_marks_ends_of_lines_and_capitals_change_nothing(tmp_path, name, change):
    path = written(tmp_path, change("so\n\n$$\na = b\n$$\n"), name)
    assert found(displays(path)) == [(4, "a = b")]


BROKEN = {
    "page.docx": b"PK", "binary.md": b"\xff\xfe\x00", "zeros.md": b"a\0b", "page": b"$$a$$", "folder.md": None,
    "empty.ipynb": b"", "list.ipynb": b"[1]", "number.ipynb": b"1", "none.ipynb": b'{"cells": null}',
    "half.ipynb": b'{"cells": [', "no.ipynb": b"{}", "numbers.ipynb": b'{"cells": [1]}',
    "source.ipynb": b'{"cells": [{"cell_type": "markdown", "source": 1}]}', "deep.ipynb": b"[" * 200_000,
    "sheets.ipynb": b'{"worksheets": [1]}',
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path, name):
    path = tmp_path / name
    path.mkdir() if BROKEN[name] is None else path.write_bytes(BROKEN[name])
    with pytest.raises(Unreadable, match=r"^(it is|its cell)"):
        displays(path)


@pytest.mark.parametrize(
    "text",
    [
        ">" * 5000 + " $$a = b$$", "- " * 3000 + "$$a = b$$", "[" * 50_000 + " $$a = b$$", "`" * 5000 + " $$a = b$$",
        "---\na: " + "[" * 5000 + "\n---\n$$a = b$$", "$$" * 4001, "$$" + "{" * 5000 + "$$", "<a " * 5000 + "$$a = b$$",
    ],
)  # fmt: skip
def test_nothing_is_nested_too_deeply_to_be_told(tmp_path, text):
    assert displays(written(tmp_path, text))
