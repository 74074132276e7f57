"""The checks of tensors: each refuses what it should and says what was given."""

from __future__ import annotations

import math

import pytest
import torch

from diffusion_notes._arguments.tensors import (
    check_alike,
    check_finite,
    check_has_values,
    check_points,
    check_precise,
    check_samples,
    check_tensor,
)


def test_tensors_and_points():
    check_tensor("x", torch.zeros(()))
    check_points("x", torch.zeros(0, 3))
    check_points("x", torch.zeros(1, 3), dim=3, least=1)
    for bad in (torch.zeros(2, dtype=torch.long), torch.zeros(2, dtype=torch.bool), 1.0, [1.0], "x"):
        with pytest.raises(TypeError, match="x must be a floating-point tensor"):
            check_points("x", bad)
    for bad, words in (
        (torch.zeros(3), r"\(n, D\), got \(3,\)"),
        (torch.zeros(2, 0), r"\(n, D\)"),
        (torch.zeros(1, 2, 3), r"got \(1, 2, 3\)"),
    ):
        with pytest.raises(ValueError, match=words):
            check_points("x", bad)
    with pytest.raises(ValueError, match=r"\(n, 3\), got \(1, 2\)"):
        check_points("x", torch.zeros(1, 2), dim=3)
    with pytest.raises(ValueError, match="at least 2 points, got 1"):
        check_points("x", torch.zeros(1, 2), least=2)


def test_where_digits_matter_sixteen_bits_are_refused():
    for tensor in (torch.zeros(2).half(), torch.zeros(2).bfloat16()):
        check_tensor("x", tensor)
        with pytest.raises(TypeError, match="x must have 32 or 64 bits a number, got a"):
            check_precise("x", tensor)
    for tensor in (torch.zeros(2), torch.zeros(2).double()):
        check_precise("x", tensor)


def test_values_are_looked_at_on_the_cpu_only():
    check_finite("x", torch.empty(3, device="meta"))
    with pytest.raises(ValueError, match="x must be finite"):
        check_finite("x", torch.tensor([0.0, math.inf]))
    with pytest.raises(ValueError, match="x must hold values"):
        check_has_values("x", torch.empty(3, device="meta"))


def test_what_is_measured_is_looked_at():
    check_samples("x", torch.zeros(1, 2), dim=2)
    for bad in (
        torch.zeros(0, 2),
        torch.zeros(1, 3),
        torch.tensor([[0.0, math.nan]]),
        torch.zeros(1, 2, device="meta"),
    ):
        with pytest.raises(ValueError, match=r"x must (have|hold|be finite)"):
            check_samples("x", bad, dim=2)
    with pytest.raises(TypeError, match="x must have 32 or 64 bits"):
        check_samples("x", torch.zeros(1, 2).half())


def test_nothing_is_looked_at_inside_vmap():
    """There a tensor is many at once, and none of them can be looked at."""

    def twice(x):
        check_finite("x", x, positive=True)
        return 2 * x

    bad = torch.tensor([-1.0, math.nan])
    assert torch.vmap(twice)(bad)[0] == -2
    assert torch.vmap(torch.func.grad(twice))(bad).tolist() == [2, 2]
    with pytest.raises(ValueError, match="x must be finite"):
        twice(bad)


def test_alike_is_shape_dtype_and_device():
    x = torch.zeros(5, 2)
    check_alike("y", x + 1, "x", x)
    for other in (x[:, :1], x[:1], x.double(), x.to("meta")):
        with pytest.raises(ValueError, match=r"y must have the (shape|dtype and device) of x"):
            check_alike("y", other, "x", x)
