"""A reader runs a cell twice, goes back to an earlier one, or runs them from below: each gives what it gave."""

from __future__ import annotations

import builtins
import dis
from collections.abc import Iterable
from pathlib import Path
from types import CodeType
from typing import NamedTuple

import nbformat
import pytest
from nbclient import NotebookClient
from notebooks import NOTEBOOKS, ROOT, code_cells, read

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


class Names(NamedTuple):
    """The names of a cell: needed before it binds them, needed by its functions at any time, and bound by it."""

    before: set[str]
    later: set[str]
    bound: set[str]


def names_in(source: str) -> Names:
    """Read off the compiled cell, which says in which order names are read and bound."""
    names = Names(set(), set(), set())
    for step in dis.get_instructions(compile(source, "cell", "exec")):
        if step.opname == "STORE_NAME":
            names.bound.add(step.argval)
        elif step.opname == "LOAD_NAME":
            names.before.update({step.argval} - names.bound)
        elif isinstance(step.argval, CodeType):  # a function, or a comprehension, which reads at once
            names.later.update(globals_in(step.argval))
            names.before.update(globals_in(step.argval) - names.bound)
    known = set(dir(builtins))
    return Names(names.before - known, names.later - known, names.bound)


def globals_in(function: CodeType) -> set[str]:
    """The globals that a function reads, and those that functions within it read."""
    own = {step.argval for step in dis.get_instructions(function) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return own.union(*(globals_in(inner) for inner in function.co_consts if isinstance(inner, CodeType)))


def rebound(sources: Iterable[tuple[str, str]]) -> list[str]:
    """What does not give again what it gave: a name that a cell reads, and that it or a later cell binds anew."""
    found = []
    earlier: list[tuple[str, Names]] = []
    for cell, source in sources:
        names = names_in(source)
        found += [f"{cell} reads {name}, and binds it then" for name in sorted(names.before & names.bound)]
        for reader, read_there in earlier:
            again = (read_there.before | read_there.later) & names.bound
            found += [f"{reader} reads {name}, which {cell} binds anew" for name in sorted(again)]
        earlier.append((cell, names))
    return found


@each_notebook
def test_no_cell_reads_what_it_or_a_later_one_binds_anew(path):
    assert rebound((cell.id, cell.source) for cell in code_cells(path)) == []


@pytest.mark.parametrize(
    ("cells", "faults"),
    [
        (["x = 1", "print(x)", "y = x"], []),
        (["x = 1", "x = x + 1"], ["1 reads x, and binds it then"]),
        (["x = 1", "x += 1"], ["1 reads x, and binds it then"]),
        (["x = 1; print(x)", "x = 2; print(x)"], []),
        (["x = 1", "print(x)", "x = 2"], ["1 reads x, which 2 binds anew"]),
        (["x = 1", "print([x + i for i in range(3)])", "for x in y: pass"], ["1 reads x, which 2 binds anew"]),
        (["x = 1\ndef f(i): return x + i", "def g(x): x = 3", "x = 2"], ["0 reads x, which 2 binds anew"]),
        (["x = 1", "f = lambda: [x for _ in y]", "import x"], ["1 reads x, which 2 binds anew"]),
        (["print(len(x))", "i = [i for i in x]", "len = 3"], []),
    ],
)
def test_the_search_finds_what_is_bound_anew(cells, faults):
    assert rebound((str(i), source) for i, source in enumerate(cells)) == faults


def texts(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell has printed and returned, as nbval compares it: what it printed in pieces is joined."""
    printed = "".join(output.text for output in cell.outputs if output.output_type == "stream")
    returned = [output.data.get("text/plain", "") for output in cell.outputs if "data" in output]
    return [text for text in (printed, *returned) if text]


@pytest.mark.nightly
@each_notebook
def test_every_cell_twice_and_then_from_below(path: Path):
    """What the names do not show: a list that grows, a generator that is drawn from, a network that is trained on."""
    notebook = read(path)
    cells = code_cells(path)
    order = [i for i in range(len(cells)) for _ in range(2)] + [*reversed(range(len(cells)))]
    again = [nbformat.v4.new_code_cell(cells[i].source, metadata=cells[i].metadata) for i in order]
    notebook.cells = again
    NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(ROOT / "book")}}).execute()
    compared = [i for i in range(len(cells)) if "nbval-ignore-output" not in cells[i].metadata.get("tags", [])]
    different = {
        cells[i].id for i in compared for at, j in enumerate(order) if i == j and texts(again[at]) != texts(cells[i])
    }
    assert different == set()
