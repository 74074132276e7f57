"""Questions of exercises, answered in the page: judged as in a notebook, in the same words."""

from __future__ import annotations

import contextlib
import io
import math
from pathlib import Path
from unittest import mock

import pytest
import torch
from browser import check_whole
from javascript import run
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, writes
from notebooks import ROOT
from small_books import STRICT, build, extensions_from
from test_notebook_exercises import HINTS

from diffusion_notes.notebook import exercises

SCRIPT = (ROOT / "book" / "_assets" / "exercises.js").read_text(encoding="utf-8")
CONFIG = f"""
title: A small book
only_build_toc_files: true
execute: {{{{execute_notebooks: "off"}}}}
sphinx:
  local_extensions: {{{{diffusion_book: {{there}}, light_pages: {{there}}, cells: {{there}}, questions: {{there}}}}}}
  extra_extensions: [sphinxcontrib.katex]
  config:
    html_math_renderer: katex
    katex_prerender: true
    katex_css_path: katex.min.css
    html_static_path: [{ROOT / "book" / "_assets"}]
    html_css_files: [book.css]
    html_theme_options: {{{{navbar_persistent: [], navbar_start: [], navbar_center: [], navbar_end: []}}}}
    html_context: {{{{default_mode: auto}}}}
    language: en
    nb_mime_priority_overrides: [["html", "text/html", 5]]
"""

# numbers that are given, those that are expected, the tolerance, and whether it is relative
CASES = [
    (
        [float(x) for x in torch.as_tensor(answer).detach().flatten()],
        torch.as_tensor(expected).flatten().tolist(),
        1e-6,
        False,
    )
    for answer, expected, _ in HINTS
    if torch.as_tensor(answer).isfinite().all() and torch.as_tensor(answer).shape == torch.as_tensor(expected).shape
]
CASES += [
    ([0.5], [0.5], 1e-6, False), ([1010.0], [1000.0], 0.01, True), ([1011.0], [1000.0], 0.01, True),
    ([0.55], [1.0], 0.1, False), ([1e6], [3.3e12], 0.01, True), ([0.2, -0.5], [0.2, 0.5], 0.01, False),
    ([-7.0, 0.0], [-70.0, 0.0], 0.01, False), ([3.0], [3.0000004], 1e-6, False), ([2.0, 4.2], [2.0, 4.0], 0.05, False),
]  # fmt: skip


def test_the_page_says_what_the_notebook_says():
    asked = [
        {"given": given, "about": {"expected": expected, "tolerance": tolerance, "relative": relative}}
        for given, expected, tolerance, relative in CASES
    ]
    said = run(f"{SCRIPT}\nreturn cases.map(({{ given, about }}) => judgeAnswer(given, about))", cases=asked)
    assert said == [exercises.feedback(*case) for case in CASES]
    assert len(set(said)) >= 12


TYPED = {
    "0.25": 0.25, " −1,5 ": -1.5, "1/4": 0.25, "1e-3": 1e-3, "2E+3": 2000, ".5": 0.5, "5.": 5, "1/-2": -0.5,
    "ln 2": math.log(2), "log(2)": math.log(2), "ln2": math.log(2), "math.log(2)": math.log(2), "log2(8)": 3,
    "log10(1000)": 3, "-ln 2": -math.log(2), "ln 2 / 2": math.log(2) / 2, "ln(1/2)": -math.log(2),
    "sqrt(2)": math.sqrt(2), "√2": math.sqrt(2), "np.sqrt(2) / 2": math.sqrt(0.5), "1/sqrt(2)": math.sqrt(0.5),
    "0.5 * log(2 * pi)": math.log(2 * math.pi) / 2, "2π": 2 * math.pi, "2 ln 2": 2 * math.log(2), "e": math.e,
    "exp(-1)": 1 / math.e, "3 (1 + 2)": 9, "2·3 × 4": 24, "1 - 2 - 3": -4, "8/4/2": 1, "2^3^2": 512, "2 ** -1": 0.5,
    "-2^2": -4, "(-2)^2": 4, "0.5 (1 + ln(2 π))": 0.5 * (1 + math.log(2 * math.pi)), "abs(-2)": 2, "2e": 2 * math.e,
}  # fmt: skip
NOT_READ = [
    "", " ", "x", "1/", "/2", "1 2", "1/2π", "ln", "log2", "ln 2 3", "ln(2", "2)", "()", "sqrt(-1)", "ln(-1)", "0/0",
    "1..2", "constructor", "constructor(1)", "alert(1)", "window", "1;2", "[1]", "'1'", "2 = 2", "pi(2)", "ln 2(3)",
    "1" * 101, "(" * 90, "1.5.2",
]  # fmt: skip


def test_a_number_is_read_as_it_is_typed():
    read = run(f"{SCRIPT}\nreturn texts.map(readNumber)", texts=list(TYPED))
    assert dict(zip(TYPED, read, strict=True)) == pytest.approx(TYPED, rel=1e-14)


def test_what_is_no_number_or_may_mean_two_is_not_read():
    read = run(f"{SCRIPT}\nreturn texts.map(readNumber)", texts=NOT_READ)
    assert dict(zip(NOT_READ, read, strict=True)) == dict.fromkeys(NOT_READ)
    assert run(f"{SCRIPT}\nreturn ['1/0', 'ln 0'].map(readNumber).map(Number.isFinite)") == [False, False]


def stored(*args: object, **kwargs: object) -> list:
    """The outputs that a notebook stores for an exercise without an answer."""
    shown = []
    said = io.StringIO()
    with (
        mock.patch.object(exercises, "get_ipython", object),
        mock.patch.object(exercises, "display", shown.append),
        contextlib.redirect_stdout(said),
    ):
        exercises.check(..., *args, **kwargs)
    return [
        *(new_output("display_data", {"text/html": html.data, "text/plain": "<HTML>"}) for html in shown),
        new_output("stream", text=said.getvalue()),
    ]


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A page with a question that has one number as its answer, and one that has two."""
    folder = tmp_path_factory.mktemp("questions")
    asked = {
        "One": stored(0.3, 0.01, question="How large is $x_t$, if $t < 2$?"),
        "Two": stored(torch.tensor([1.0, 2.0]), 0.01, relative=True, question="Which?", entries=("mean", "variance")),
        "None": stored(0.3),
    }
    cells = [
        new_code_cell(f"# {label}\nx = ...", metadata={"tags": ["exercise"]}, outputs=outputs)
        for label, outputs in asked.items()
    ]
    about = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    page = new_notebook(cells=[new_markdown_cell("# A page of questions"), *cells], metadata=about)
    (folder / "page.ipynb").write_text(writes(page))
    (folder / "_config.yml").write_text(CONFIG.format(there=extensions_from(folder)))
    (folder / "_toc.yml").write_text("format: jb-book\nroot: page\n")
    status, log = build(folder, *STRICT)
    assert status == 0, log
    return folder / "_build" / "html" / "page.html"


def test_the_question_is_set_and_what_only_a_notebook_can_do_is_not_said(small):
    html = small.read_text()
    assert html.count("<form data-question=") == 2
    assert "Replace ..." not in html
    # what the page asks comes first, and the same for a notebook is folded away
    assert html.index("<form data-question=") < html.index("The same exercise in a notebook")
    assert html.count("This exercise is done in a notebook") == 1  # the cell without a question
    question = html[html.index("<p>How large") :][:3000]
    assert "katex" in question
    assert "$" not in question[: question.index("</p>")]


def test_an_answer_is_judged_by_mouse_and_by_keyboard(small, tabs):
    page = tabs.open(small.as_uri())
    one = page.locator("form[data-question]").first
    field = one.get_by_role("textbox", name="How large is")
    field.fill("-0.3")
    one.get_by_role("button", name="Check").click()
    assert one.locator("output").inner_text() == "Not yet: the size is right, the sign is not."
    field.fill("0,3")
    field.press("Enter")
    assert one.locator("output").inner_text() == "Right."
    field.fill("many")
    field.press("Enter")
    assert one.locator("output").inner_text().startswith("That is not a number")
    assert field.get_attribute("aria-invalid") == "true"
    two = page.locator("form[data-question]").nth(1)
    two.get_by_role("textbox", name="mean").fill("1.005")
    page.keyboard.press("Enter")
    assert two.locator("output").inner_text() == "Fill in the variance too."
    two.get_by_role("textbox", name="variance").fill("ln 2 / 2")
    page.keyboard.press("Enter")
    assert "1 of 2 entries is right" in two.locator("output").inner_text()
    assert two.locator("output").get_attribute("aria-live") == "polite"
    assert page.url.endswith("page.html")  # nothing was sent


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible_on_a_phone(small, tabs, scheme):
    page = tabs.open(small.as_uri(), viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page.locator("form[data-question] input").first.fill("7")
    page.keyboard.press("Enter")
    check_whole(page, scheme)


def test_without_scripts_there_is_none(small, tabs):
    page = tabs.open(small.as_uri(), java_script_enabled=False)
    assert page.locator("form[data-question]").count() == 2
    assert not any(form.is_visible() for form in page.locator("form[data-question]").all())


def test_a_number_that_is_not_finite_is_not_right():
    assert exercises.feedback([math.inf], [1.0], 1e-6, relative=False) == "Not yet: it is not finite."
    assert run(f"{SCRIPT}\nreturn judgeAnswer([1 / 0], about)", about={"expected": [1.0], "tolerance": 1e-6}) == (
        "Not yet: it is not finite."
    )
