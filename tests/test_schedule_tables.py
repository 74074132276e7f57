"""Tables are copied once, and are good for training wherever they were first used."""

from __future__ import annotations

import pytest
import torch

from diffusion_notes.schedule import DeviceTables


def counted():
    asked = []

    def make(name):
        asked.append(name)
        return torch.arange(5.0, dtype=torch.float64) / 3

    return DeviceTables(make), asked


def test_a_table_is_made_once_for_each_device_and_dtype():
    tables, asked = counted()
    for like in (torch.zeros(2), torch.zeros(7, dtype=torch.float64), torch.zeros(3), torch.zeros(2, device="meta")):
        entry = tables.at("third", 4, like)
        assert (entry.device, entry.dtype, entry.shape) == (like.device, like.dtype, (1,))
    assert asked == ["third"] * 3
    tables.at("other", 4, torch.zeros(2))
    assert asked[-1] == "other"


def test_entries_broadcast_over_the_coordinates():
    tables, _ = counted()
    t = torch.tensor([[4, 0, 1], [2, 2, 3]])
    got = tables.at("third", t, torch.zeros(2, 3, 7, dtype=torch.float64))
    assert got.shape == (2, 3, 1)
    torch.testing.assert_close(got.squeeze(-1), t.double() / 3, rtol=0, atol=0)


def test_first_used_in_inference_mode_it_can_still_be_trained_with():
    tables, _ = counted()
    with torch.inference_mode():
        tables.at("third", 1, torch.zeros(2))
    x = torch.ones(2, requires_grad=True)
    (tables.at("third", 1, x) * x).sum().backward()
    torch.testing.assert_close(x.grad, torch.full((2,), 1 / 3))


def test_bad_input_is_named():
    with pytest.raises(TypeError, match="make must be callable as make"):
        DeviceTables({})


@pytest.mark.parametrize("t", [-1, 5])
def test_there_are_entries_from_0_to_T_only(t):
    tables, _ = counted()
    tables.at("third", 0, torch.zeros(2))
    tables.at("third", 4, torch.zeros(2))
    with pytest.raises(ValueError, match="t must"):
        tables.at("third", t, torch.zeros(2))


def test_times_on_another_device_are_refused():
    tables, _ = counted()
    with pytest.raises(ValueError, match="t must be on the device"):
        tables.at("third", torch.tensor([1], device="meta"), torch.zeros(2))


@pytest.mark.parametrize("fault", [AttributeError, KeyError, TypeError])
def test_a_name_that_is_no_tables_is_refused(fault):
    def make(name):
        raise fault(name)

    with pytest.raises(ValueError, match="name must be that of a table, got str 'none'"):
        DeviceTables(make).at("none", 1, torch.zeros(2))
