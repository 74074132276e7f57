"""Tables: text for the regression test, and a real table, with its maths, in Jupyter and in the book."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from diffusion_notes._arguments.values import check_kind, describe

__all__ = ["Table"]


class Table:
    r"""Columns by name, shown as a table where Markdown is, and as aligned text elsewhere.

    Arguments:
        columns: what stands in each column, by its heading, which may hold maths, ``r"$\bar\alpha_t$"``: numbers,
            texts, or a tensor of one axis; all of one length.
        formats: how the numbers of a column are written, ``".4f"`` for instance, by its heading; else as they are.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: there is no column, one has no heading, they differ in length, a format is of no column, or a number
            cannot be written so.

    >>> Table({"t": [1, 10], "loss": [1.96112, 1.56228]}, {"loss": ".2f"})
     t   loss
     1   1.96
    10   1.56
    """

    def __init__(self, columns: Mapping[str, Sequence | Tensor], formats: Mapping[str, str] | None = None) -> None:
        check_kind("columns", columns, Mapping, "a dictionary of columns")
        formats = {} if formats is None else formats
        check_kind("formats", formats, Mapping, "a dictionary of formats")
        if unknown := [name for name in formats if name not in columns]:
            raise ValueError(f"formats must be of columns, got one of {unknown[0]!r}")
        if not all(name.strip() for name in columns):  # a reader who hears the table would not know what follows
            raise ValueError("columns must have headings, got one of ''")
        self.headings = list(columns)
        entries = {
            name: list(values.tolist() if isinstance(values, Tensor) else values) for name, values in columns.items()
        }
        if len({len(values) for values in entries.values()}) != 1:
            raise ValueError(f"columns must be at least one, and of one length, got {describe(dict(entries))}")
        written = [[_written(value, name, formats.get(name, "")) for value in entries[name]] for name in self.headings]
        self.rows = [list(row) for row in zip(*written, strict=True)]
        self.are_numbers = [all(not isinstance(value, str) for value in values) for values in entries.values()]

    def __repr__(self) -> str:
        """Aligned text: numbers to the right, texts to the left."""
        lines = [self.headings, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.headings))]
        return "\n".join(
            "   ".join(
                text.rjust(width) if number else text.ljust(width)
                for text, width, number in zip(line, widths, self.are_numbers, strict=True)
            ).rstrip()
            for line in lines
        )

    def _repr_markdown_(self) -> str:
        """A Markdown table."""
        sides = ["---:" if number else ":---" for number in self.are_numbers]
        lines = [_escaped(self.headings), sides, *map(_escaped, self.rows)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _written(value: object, heading: str, spec: str) -> str:
    """An entry as text; a text stays as it is."""
    if isinstance(value, str):
        return value
    try:
        return format(value, spec)
    except (TypeError, ValueError) as error:
        raise ValueError(f"formats must suit the entries, got {spec!r} for {describe(value)} of {heading!r}") from error


def _escaped(texts: list[str]) -> list[str]:
    return [text.replace("|", r"\|") for text in texts]
