from __future__ import annotations

import pytest
import torch
from markdown_it import MarkdownIt

from diffusion_notes.notebook.tables import Table

TABLE = Table(
    {"who": ["memoriser", "a | b"], r"$\bar\alpha_t$": torch.tensor([0.5, 0.25]), "n": [1000, 7]},
    {r"$\bar\alpha_t$": ".3f", "n": ",d"},
)


def test_text_is_aligned_numbers_to_the_right():
    heading, *rows = repr(TABLE).splitlines()
    assert rows == ["memoriser            0.500   1,000", "a | b                0.250       7"]
    assert heading == r"who         $\bar\alpha_t$       n"


def test_markdown_is_a_table_of_the_same_entries():
    html = MarkdownIt("gfm-like", {"linkify": False}).render(TABLE._repr_markdown_())
    assert html.count("<tr>") == 3
    assert html.count('<td style="text-align:right">') == 4
    assert [f"{entry}</td>" in html for entry in ("memoriser", "a | b", "0.500", "0.250", "1,000", "7")] == [True] * 6


@pytest.mark.parametrize(
    ("columns", "formats", "error", "said"),
    [
        ([1], None, TypeError, "columns must be a dictionary"),
        ({"a": [1]}, ".2f", TypeError, "formats must be a dictionary"),
        ({}, None, ValueError, "columns must be at least one"),
        ({" ": [1]}, None, ValueError, "columns must have headings"),
        ({"a": [1], "b": [1, 2]}, None, ValueError, "of one length"),
        ({"a": [1]}, {"b": ".2f"}, ValueError, "formats must be of columns, got one of 'b'"),
        ({"a": [1]}, {"a": "z"}, ValueError, "formats must suit the entries, got 'z' for int 1 of 'a'"),
    ],
)
def test_what_is_no_table_is_refused(columns, formats, error, said):
    with pytest.raises(error, match=said):
        Table(columns, formats)
