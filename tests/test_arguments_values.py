"""The checks themselves: each refuses what it should and says what was given."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion_notes._arguments.values import (
    check_inside,
    check_integer,
    check_list,
    check_number,
    check_positive,
    describe,
)


@given(st.integers(), st.integers())
def test_integers(value, least):
    if value >= least:
        assert check_integer("n", value, least) == value
    else:
        with pytest.raises(ValueError, match=f"n must be at least {least}, got {value}"):
            check_integer("n", value, least)


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.uint16, np.array, torch.tensor])
def test_what_can_count_is_an_integer(kind):
    """As is what ``for t in np.linspace(1, 1000, 5, dtype=int)`` gives: it comes back as Python's own."""
    assert type(check_integer("n", kind(100), 1, 100)) is int
    with pytest.raises(ValueError, match="n must be at most 99, got 100"):
        check_integer("n", kind(100), 1, 99)


@given(st.one_of(st.floats(), st.text(), st.none(), st.booleans(), st.binary(), st.just(np.True_)))
def test_what_is_no_integer(value):
    with pytest.raises(TypeError, match="n must be an integer"):
        check_integer("n", value, 0)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int64])
def test_numbers_of_numpy_are_numbers(kind):
    for check in (check_number, check_positive, lambda name, value: check_inside(name, value, 0, 2)):
        assert type(check("s", kind(1))) is float


@given(st.one_of(st.floats(), st.integers(-(2**63), 2**63)))
def test_positive_numbers(value):
    if 0 < value < math.inf:
        assert check_positive("s", value) == float(value)
    else:
        with pytest.raises(ValueError, match="s must be positive and finite"):
            check_positive("s", value)


@pytest.mark.parametrize("value", [True, np.True_, "1", None, 1j, torch.tensor(1.0), np.ones(1)])
def test_what_is_no_number(value):
    with pytest.raises(TypeError, match="s must be a number"):
        check_positive("s", value)


def test_descriptions_are_short():
    assert describe(torch.zeros(1000)) == "a torch.float32 tensor of shape (1000,)"
    assert len(describe("x" * 1000)) < 80
    assert describe(-5) == "int -5"
    assert describe(torch.Tensor) == "_TensorMeta <class 'torch.Tensor'>"


def test_each_item_of_a_list_is_looked_at():
    check_list("names", ("x", "y"), "a list of names", str, "text")
    for bad, words in ((["x", 1], "each of names must be text, got int 1"), ("xy", "names must be a list of names")):
        with pytest.raises(TypeError, match=words):
            check_list("names", bad, "a list of names", str, "text")
