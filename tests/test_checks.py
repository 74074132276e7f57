"""The checks themselves: each refuses what it should and says what was given."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffusion_notes.checks import check_integer, check_positive, describe


@given(st.integers(), st.integers())
def test_integers(value, least):
    if value >= least:
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
    if 0 < value < math.inf:
        check_positive("s", value)
    else:
        with pytest.raises(ValueError, match="s must be positive and finite"):
            check_positive("s", value)


@pytest.mark.parametrize("value", [True, "1", None, torch.tensor(1.0)])
def test_what_is_no_number(value):
    with pytest.raises(TypeError, match="s must be a number"):
        check_positive("s", value)


def test_descriptions_are_short():
    assert describe(torch.zeros(1000)) == "a torch.float32 tensor of shape (1000,)"
    assert len(describe("x" * 1000)) < 80
