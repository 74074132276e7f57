"""What a reader is told about an answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from diffusion_notes.exercises import check

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
