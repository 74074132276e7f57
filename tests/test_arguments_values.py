"""The checks themselves: each refuses what it should and says what was given."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion_notes._arguments.values import check_inside, check_integer, check_number, check_positive, describe


@given(st.integers(), st.integers())
def test_integers(value, least):
    if abs(value) >= 2**63:
        with pytest.raises(ValueError, match=r"n must be less than 2\*\*63 in size, got an integer of \d+ bits"):
            check_integer("n", value, least)
    elif value >= least:
        check_integer("n", value, least)
    else:
        with pytest.raises(ValueError, match=f"n must be at least {least}, got {value}"):
            check_integer("n", value, least)


@given(st.one_of(st.floats(), st.text(), st.none(), st.booleans(), st.binary()))
def test_what_is_no_integer(value):
    with pytest.raises(TypeError, match="n must be an integer"):
        check_integer("n", value, 0)


@given(st.one_of(st.floats(), st.integers()))
def test_positive_numbers(value):
    if isinstance(value, int) and abs(value) >= 2**63:
        with pytest.raises(ValueError, match=r"s must be less than 2\*\*63 in size, got an integer of \d+ bits"):
            check_positive("s", value)
    elif 1e-100 <= value <= 1e100:
        check_positive("s", value)
    elif 0 < value < math.inf:
        with pytest.raises(ValueError, match=r"s must lie between 1e-100 and 1e\+100, got"):
            check_positive("s", value)
    else:
        with pytest.raises(ValueError, match="s must be positive and finite"):
            check_positive("s", value)


@pytest.mark.parametrize("value", [1e308, 1e-308])
def test_lengths_whose_squares_are_no_numbers_are_refused(value):
    with pytest.raises(ValueError, match="s must lie between"):
        check_positive("s", value)
    for power in (1, -1):
        check_positive("s", 10.0 ** (100 * power))


@pytest.mark.parametrize("value", [True, "1", None, torch.tensor(1.0)])
def test_what_is_no_number(value):
    with pytest.raises(TypeError, match="s must be a number"):
        check_positive("s", value)


def test_descriptions_are_short():
    assert describe(torch.zeros(1000)) == "a torch.float32 tensor of shape (1000,)"
    assert len(describe("x" * 1000)) < 80
    assert describe(10**10_000) == "an integer of 33220 bits"  # Python refuses to write it out
    assert describe(-5) == "int -5"


def test_tensors_that_are_not_dense_are_described():
    assert describe(torch.eye(2).to_sparse()) == "a torch.float32 tensor of shape (2, 2) in sparse_coo"
    nested = torch.nested.nested_tensor([torch.zeros(2)], layout=torch.jagged)
    assert describe(nested) == "a nested torch.float32 tensor"


def test_the_longest_integers_are_refused_everywhere():
    for check in (
        lambda n: check_integer("n", n, 0),
        lambda n: check_number("n", n),
        lambda n: check_inside("n", n, 0, 1),
        lambda n: check_positive("n", n),
    ):
        for value in (2**63, 10**400, 10**10_000):
            with pytest.raises(ValueError, match="n must be less than"):
                check(value)
