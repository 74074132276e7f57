"""What a reader is told about an answer."""

from __future__ import annotations

import base64
import json
import math
import re

import numpy as np
import pytest
import torch

from diffusion_notes.equations import Report
from diffusion_notes.notebook import exercises
from diffusion_notes.notebook.exercises import check, check_line

table = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)


@pytest.fixture
def told(capsys):
    def told(*args, **kwargs) -> str:
        assert check(*args, **kwargs) is None
        return capsys.readouterr().out

    return told


@pytest.mark.parametrize("answer", [..., None])
def test_without_an_answer_it_says_what_to_do(told, answer):
    assert told(answer, 0.5) == "Replace ... with your answer and run the cell again.\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (0.5, 0.5),
        (1, 1.0),
        (0.5 + 1e-7, 0.5),
        (torch.tensor(0.5), 0.5),
        (0.5, torch.tensor(0.5)),
        (np.float64(0.5), 0.5),
        (table, table),
        (table.float(), table),
        (table.tolist(), table),
        (table.numpy(), table),
        (torch.tensor([1, 2]), torch.tensor([1.0, 2.0])),
        (torch.tensor(0.5, requires_grad=True), 0.5),
    ],
)
def test_right(told, answer, expected):
    assert told(answer, expected) == "Right.\n"


HINTS = [
    (-0.5, 0.5, "the size is right, the sign is not."),
    (0.25, 0.5, "it is off by a simple factor, such as 2 or π."),
    (math.pi * 0.7, 0.7, "it is off by a simple factor, such as 2 or π."),
    (0.3 / math.log(2), 0.3, "it is right in bits; the book counts in nats."),
    (1 / 0.3, 0.3, "it is upside down, one over the right answer."),
    (0.09, 0.3, "a square or a root is missing, or is one too many."),
    (math.sqrt(0.3), 0.3, "a square or a root is missing, or is one too many."),
    (0.5 + 5e-6, 0.5, "it is close, but not close enough."),
    (0.6, 0.5, "it is too large."),
    (-0.6, -0.5, "it is too large in size."),
    (0.0, 0.5, "it is too small."),
    (0.1, 0.0, "it is too large."),
    (-3.0, 0.5, "it has the wrong sign."),
    (6e5, 0.5, "it is too large, by about 6 orders of magnitude."),
    (0.07, 0.5, "it is too small, by about 1 order of magnitude."),
    (math.nan, 0.5, "it is not finite."),
    (math.inf, 0.5, "it is not finite."),
    (-table, table, "the size is right, the sign is not."),
    (1.3 * table, table, "all entries are off by the same factor."),
    (
        table + torch.tensor([[0.0, -3.0], [0.0, 2.0]]),
        table,
        "2 of 4 entries are right; the first of the others has the wrong sign.",
    ),
    (table + 1, table, "0 of 4 entries are right; the first of the others is too large."),
    (torch.tensor([0.5, math.nan]), torch.tensor([0.5, 0.5]), "it is not finite."),
    (torch.tensor(0.2, requires_grad=True), 0.5, "it is too small."),
]


@pytest.mark.parametrize(("answer", "expected", "hint"), HINTS)
def test_what_is_wrong_is_hinted_at(told, answer, expected, hint):
    assert told(answer, expected) == f"Not yet: {hint}\n"


@pytest.mark.parametrize("answer", [100, 1e6])
def test_how_far_off_a_large_number_is_does_not_saturate(told, answer):
    assert told(answer, 3.3e12, 0.01, relative=True).startswith("Not yet: it is too small, by about")


def test_a_relative_tolerance_is_a_part_of_what_is_expected(told):
    assert told(1010.0, 1000.0, 0.01, relative=True) == "Right.\n"
    assert told(1011.0, 1000.0, 0.01, relative=True).startswith("Not yet")


def test_where_much_is_allowed_no_rule_is_guessed(told):
    assert told(0.55, 1.0, tolerance=0.1) == "Not yet: it is close, but not close enough.\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (0.5 + 3j, 0.5),
        (np.array(0.5 + 3j), 0.5),
        (torch.tensor(0.5 + 3j), 0.5),
        (table + 1j, table),
        (10**400, 0.5),
    ],
)
def test_what_is_no_real_number_is_never_right(told, answer, expected):
    assert told(answer, expected).startswith("Not yet: the answer should be a number or a tensor, and is a")


def test_a_number_keeps_its_digits(told):
    assert told(0.1, 0.1, tolerance=1e-15) == "Right.\n"


def test_the_tolerance_is_the_largest_difference_that_is_right(told):
    assert told(0.75, 0.5, tolerance=0.25) == "Right.\n"
    assert told(0.25, 0.5, tolerance=0.25) == "Right.\n"
    assert told(0.75, 0.5, tolerance=0.2).startswith("Not yet")


@pytest.mark.parametrize(
    ("answer", "expected", "shapes"),
    [
        (0.5, torch.tensor([0.5]), ("(1,)", "()")),
        (torch.tensor([0.5]), 0.5, ("()", "(1,)")),
        (table[0], table, ("(2, 2)", "(2,)")),
        (torch.ones(2, 1), torch.ones(1, 2), ("(1, 2)", "(2, 1)")),
    ],
)
def test_another_shape_is_named_and_never_broadcast(told, answer, expected, shapes):
    words = "Not yet: the answer should have shape {}, and has {}.\n".format(*shapes)
    assert told(answer, expected) == words


@pytest.mark.parametrize("answer", ["0.5", print, {"a": 1}, [[1.0], [1.0, 2.0]], torch.nn.Linear(1, 1)])
def test_what_is_no_number_is_named(told, answer):
    kind = type(answer).__name__
    assert told(answer, 0.5) == f"Not yet: the answer should be a number or a tensor, and is a {kind}.\n"


@pytest.mark.parametrize("answer", [..., "text", 0.25])
def test_the_answer_is_not_told(told, answer):
    assert "0.123" not in told(answer, 0.123)


@pytest.mark.parametrize(
    ("tolerance", "error", "words"),
    [
        (0.0, ValueError, "tolerance must be positive and finite, got 0.0"),
        (math.inf, ValueError, "tolerance must be positive and finite"),
        (math.nan, ValueError, "tolerance must be positive and finite"),
        ("small", TypeError, "tolerance must be a number, got str 'small'"),
    ],
)
def test_bad_input_is_named(tolerance, error, words):
    with pytest.raises(error, match=words):
        check(0.5, 0.5, tolerance)


# A line of a derivation

MEAN = r"\tilde\mu_t"
RIGHT = r"\frac{1}{\sqrt{\alpha_t}} \Bigl( x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\, \varepsilon \Bigr)"


@pytest.mark.parametrize("answer", [..., None])
def test_without_a_line_nothing_is_judged(answer, capsys):
    assert check_line(answer, MEAN, "ddpm") is None
    assert capsys.readouterr().out == "Replace ... with your answer and run the cell again.\n"


@pytest.mark.parametrize(
    "answer",
    [
        RIGHT,
        f"= {RIGHT}",
        f"$${RIGHT}$$",
        r"\frac{x_t}{\sqrt{1 - \beta_t}} - \frac{(1 - \alpha_t) \varepsilon}{\sqrt{\alpha_t (1 - \bar\alpha_t)}}",
        r"\sqrt{\bar\alpha_{t-1}} x_0 + \sqrt{\alpha_t} (1 - \bar\alpha_{t-1}) \varepsilon / \sqrt{1 - \bar\alpha_t}",
    ],
)
def test_every_right_form_is_right(answer, capsys):
    report = check_line(answer, MEAN, "ddpm")
    assert isinstance(report, Report)
    assert report
    assert capsys.readouterr().out == "Right.\n"


@pytest.mark.parametrize(
    "answer", [RIGHT.replace(r"\bar", ""), RIGHT.replace("-", "+"), "x_t", r"\foo", "", RIGHT + ", 1 = 2"]
)
def test_a_wrong_line_is_not_right_and_its_report_says_why(answer, capsys):
    report = check_line(answer, MEAN, "ddpm")
    assert isinstance(report, Report)
    assert not report
    assert capsys.readouterr().out.startswith("Not yet")


@pytest.mark.parametrize(
    ("answer", "part"),
    [(MEAN, MEAN), (rf"\bigl( {MEAN}(x_t, x_0) \bigr)", MEAN), (RIGHT, "x_t"), (rf"{RIGHT} = {MEAN}", MEAN)],
)
def test_what_may_not_occur_is_named(answer, part, capsys):
    assert check_line(answer, MEAN, "ddpm", without=("x_t",) if part == "x_t" else ()) is None
    assert capsys.readouterr().out == f"Not yet: it is to be written without {part}.\n"


@pytest.mark.parametrize("answer", [0.5, table, ["x_t"]])
def test_a_line_is_a_string(answer, capsys):
    assert check_line(answer, MEAN, "ddpm") is None
    assert f"and is a {type(answer).__name__}.\n" in capsys.readouterr().out


def test_bad_input_to_a_line_is_named():
    with pytest.raises(ValueError, match="chapter must be one of"):
        check_line("x_t", MEAN, "gan")
    with pytest.raises(TypeError, match="left must be a string, got int 1"):
        check_line("x_t", 1, "ddpm")
    with pytest.raises(TypeError, match="without must be a tuple of strings, got str 'x_t'"):
        check_line("x_t", MEAN, "ddpm", without="x_t")


STEP = {"left": r"q(x_t \mid x_{t-1})", "chapter": "diffusion", "must_contain": (r"q(x_{t-1} \mid x_t, x_0)",)}
GAP = {"left": r"\mathbb{E}_{q(x_0)} \bigl[ -\mathcal{L}(x_0) \bigr] - H(q)", "chapter": "ddpm"}
FORMS = {"without": (r"D_{KL}", r"\mathcal{L}"), "must_contain": (r"\mathbb{E}",)}


@pytest.mark.parametrize(
    ("answer", "asked", "words"),
    [
        (
            r"\frac{q(x_{t-1} \mid x_t)\, q(x_t)}{q(x_{t-1})}",
            STEP,
            r"it holds, but without q(x_{t-1} \mid x_t, x_0) it does not answer the question.",
        ),
        (r"q(x_t)", STEP, r"q(x_{t-1} \mid x_t, x_0) is not in it."),
        (
            r"-\mathbb{E}_{q(x_0)} \bigl[ \mathcal{L}(x_0) \bigr] - H(q)",
            GAP,
            "it holds, but is the left side, arranged differently.",
        ),
        (r"D_{KL}(q(x_{0:T}) \Vert p_\theta(x_{0:T}))", GAP | FORMS, r"it is to be written without D_{KL}."),
    ],
)
def test_a_line_that_dodges_the_question_is_not_right(answer, asked, words, capsys):
    assert check_line(answer, **asked) is None
    assert capsys.readouterr().out == f"Not yet: {words}\n"


def test_a_line_that_answers_it_is_right(capsys):
    assert check_line(r"\frac{q(x_{t-1} \mid x_t, x_0) q(x_t \mid x_0)}{q(x_{t-1} \mid x_0)}", **STEP)
    path = r"\mathbb{E}_q \bigl[ \log q(x_0) + \log q(x_{1:T} \mid x_0) - \log p_\theta(x_{0:T}) \bigr]"
    assert check_line(path, **GAP | FORMS)
    assert capsys.readouterr().out == "Right.\nRight.\n"


@pytest.mark.parametrize(
    ("answer", "asked", "hint"),
    [
        (
            r"\frac{q(x_{t-1} \mid x_t, x_0)\, q(x_t)}{q(x_{t-1} \mid x_0)}",
            STEP,
            "a condition is missing in one of the densities.",
        ),
        (r"x_t + x_0", {"left": r"x_t - x_0", "chapter": "ddpm"}, "one sign in it is wrong."),
        (r"x_0 - x_t", {"left": r"x_t - x_0", "chapter": "ddpm"}, "the whole of it has the wrong sign."),
        (r"\bar\alpha_{t-1} \alpha_t / 2", {"left": r"\bar\alpha_t", "chapter": "ddpm"}, "a factor is missing"),
        (r"\bar\alpha_{t-1} \alpha_{t-1}", {"left": r"\bar\alpha_t", "chapter": "ddpm"}, "one index in it is wrong."),
        (r"x_t", {"left": r"\tilde\mu_t", "chapter": "ddpm"}, "the two sides differ."),
    ],
)
def test_a_hint_comes_before_the_counterexample(answer, asked, hint, capsys):
    report = check_line(answer, **asked)
    assert capsys.readouterr().out.startswith(f"Not yet: {hint}")
    assert "in one world" in str(report)
    assert "in one world" not in repr(report)
    folded = report._repr_markdown_()
    assert folded.startswith("<details>\n<summary>")
    assert folded.index("</summary>\n\n") < folded.index("in one world")


def test_every_kind_of_change_has_its_hint():
    assert {kind for kind, _, _ in exercises.CHANGES} == set(exercises.REPAIRS)


# A question in the page


@pytest.fixture
def shown(monkeypatch):
    """What a notebook would store with the cell."""
    shown = []
    monkeypatch.setattr(exercises, "get_ipython", object)
    monkeypatch.setattr(exercises, "display", lambda output: shown.append(output.data))
    return shown


def test_a_question_is_stored_for_the_page_and_does_not_show_its_answer(told, shown):
    assert (
        told(..., 0.123, 0.01, question="How much < is it?") == "Replace ... with your answer and run the cell again.\n"
    )
    (html,) = shown
    assert html.startswith("<form data-question=")
    assert " hidden>" in html
    assert "<p>How much &lt; is it?</p>" in html
    assert "0.123" not in html
    hidden = re.search('data-question="(.*?)"', html)[1]
    assert json.loads(base64.b64decode(hidden)) == {"expected": [0.123], "tolerance": 0.01, "relative": False}


def test_several_numbers_have_names(told, shown):
    told(..., table[0], question="Which?", entries=("mean", "variance"))
    assert shown[0].count("<span>") == 2


def test_without_a_question_or_a_kernel_nothing_is_stored(told, shown, monkeypatch):
    told(..., 0.5)
    monkeypatch.setattr(exercises, "get_ipython", lambda: None)
    told(..., 0.5, question="Which?")
    assert shown == []


def test_a_question_has_few_numbers_and_a_name_for_each():
    with pytest.raises(ValueError, match="question must have at most 6 numbers as its answer, got 7"):
        check(..., torch.ones(7), question="Which?")
    with pytest.raises(ValueError, match="entries must be one for each of 2 numbers, got 1"):
        check(..., torch.ones(2), question="Which?", entries=("mean",))
