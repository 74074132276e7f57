"""What a reader is told about an answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from diffusion_notes.equations import Report
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
    assert told(answer, 0.5) == "Replace ... by your answer and run the cell again.\n"


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


@pytest.mark.parametrize(
    ("answer", "expected", "difference"),
    [
        (0.25, 0.5, "0.25"),
        (-0.5, 0.5, "1"),
        (0.5 + 1e-5, 0.5, "1e-05"),
        (table + torch.tensor([[0.0, -3.0], [0.0, 2.0]]), table, "3"),
        (torch.tensor(0.2, requires_grad=True), 0.5, "0.3"),
        (math.nan, 0.5, "nan"),
        (torch.tensor([0.5, math.nan]), torch.tensor([0.5, 0.5]), "nan"),
        (math.inf, 0.5, "inf"),
    ],
)
def test_not_yet(told, answer, expected, difference):
    assert told(answer, expected) == f"Not yet: the largest difference is {difference}.\n"


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
    assert capsys.readouterr().out == "Replace ... by your answer and run the cell again.\n"


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
    assert capsys.readouterr().out == "Not yet.\n"


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
