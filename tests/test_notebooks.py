"""What nbval does not see: that the stored notebooks are whole, read well raw, and state no number of their own."""

from __future__ import annotations

import re
import subprocess
import sys

import nbformat
import pytest
from notebooks import NOTEBOOKS, ROOT, chapter_numbers, code_cells, markdown, printed, read

CHAPTERS = chapter_numbers()
NUMBER = re.compile(r"(?<![\w.,])\d+(?:,\d{3})*(?:\.\d+)?(?![\w])")
# Numbers that are no results: indices, exponents and the dimension of the plane. Years and the
# numbers of equations are recognised by where they stand.
STRUCTURE = {"0", "1", "2"}


each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def prose(text: str) -> str:
    """Markdown without what is not prose: displayed equations, code, tags, targets of links, citations."""
    text = re.sub(r"\$\$.*?\$\$", " ", text, flags=re.DOTALL)
    text = re.sub(r"```.*?```|`[^`]*`", " ", text, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", " ", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    ours = r"\(\w+\.\d+\)"  # of a chapter; those of a paper have one number
    text = re.sub(rf"[Ee]quations? (?:\(\d+\)|{ours}(?:(?:,|,? and| to) {ours})*)", " ", text)
    text = re.sub(r"^### Exercise \d+$", " ", text, flags=re.MULTILINE)
    text = re.sub(r"\((19|20)\d\d\)|, (19|20)\d\d(?=[\])])", " ", text)
    return re.sub(r"\\t?frac\{?\w+\}?\{?\w+\}?|\\[a-zA-Z]+", " ", text)


def unprinted(text: str, output: str) -> set[str]:
    """The numbers in a text that are nowhere in the output."""
    there = {number.replace(",", "") for number in NUMBER.findall(output)}
    return {n for n in NUMBER.findall(prose(text)) if n.replace(",", "") not in there | STRUCTURE}


@each_notebook
def test_every_number_in_the_prose_is_printed_by_a_cell(path):
    shown = [cell.metadata.get("mystnb", {}) for cell in code_cells(path)]
    words = [
        each[kind][key] for kind, key in (("image", "alt"), ("figure", "caption")) for each in shown if kind in each
    ]
    assert unprinted("\n\n".join([markdown(path), *words]), printed(path)) == set()


def test_the_search_for_numbers_finds_them():
    text = "With $T = 50$ it is 0.61 nats, or 1,234 in $x_{10}$, by equation (7) of Ho (2020), on `7` days; $$ 5 $$."
    assert unprinted(text, "T = 50") == {"0.61", "1,234", "10"}
    assert unprinted(text, "50, 0.6123, 1234, 10") == {"0.61"}
    assert unprinted("It fell by 0.5 to 3.25.", "0.55 3.2") == {"0.5", "3.25"}
    assert unprinted("[See 5](#six6) and 4x", "") == {"5"}
    assert unprinted("Equations (2.3), (2.4) and (A.1), [equation (7.12)](#eq-7-12) and 8.5", "") == {"8.5"}


@each_notebook
def test_every_cell_has_been_run_in_order_without_an_error(path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert all(cell.source.strip() for cell in cells)
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert not [output for cell in cells for output in cell.outputs if output.get("name") == "stderr"]


@each_notebook
def test_outputs_name_nothing_of_one_machine_or_one_run(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {})
    assert not re.search(r"0x[0-9a-f]{6,}|/home/|/root/|/Users/|/tmp/|site-packages", printed(path))


@each_notebook
def test_few_cells_are_ignored_and_by_tags_only(path):
    cells = code_cells(path)
    ignored = [c for c in cells if {"nbval-ignore-output", "nbval-skip"} & set(c.metadata.get("tags", []))]
    assert len(ignored) <= 0.05 * len(cells)
    assert not [c for c in cells if re.search("NBVAL_|PYTEST_VALIDATE", c.source)]


@each_notebook
def test_every_figure_says_what_it_shows(path):
    for cell in code_cells(path):
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            assert len(cell.metadata["mystnb"]["image"]["alt"]) > 40, cell.id


@each_notebook
def test_it_reads_well_raw(path):
    """No markup that only one program understands: CONTRIBUTING says which."""
    text = markdown(path)
    assert not re.search(r":::|```\{|\{[\w:-]+\}`|^\([\w-]+\)=", text, re.MULTILINE)
    assert not re.search(r"\\label|\\eqref|\$\$ *\([\w-]+\)|\\begin\{(align|equation|gather)\*?\}", text)
    assert text.startswith("# ")
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1


@each_notebook
def test_equations_are_numbered_in_order_and_can_be_linked_to(path):
    """The number of the chapter, and then 1, 2, 3."""
    pattern = r'<a id="eq-([\w-]+)"></a>\n\n\$\$(?:(?!\$\$).)*?\\tag\{([\w.]+)\}\n?\$\$'
    tagged = re.findall(pattern, markdown(path), re.DOTALL)
    assert len(tagged) == markdown(path).count(r"\tag{")
    assert all(anchor == tag.replace(".", "-") for anchor, tag in tagged)
    for text, anchor in re.findall(r"\[([^\]]*)\]\([\w.]*#eq-([\w-]+)\)", markdown(path)):
        name = f"equation ({anchor.replace('-', '.')})"
        assert name.lower() in text.lower()  # the anchor is dead on Colab, so the words must do
    assert [tag for _, tag in tagged] == [f"{CHAPTERS[path.stem]}.{i}" for i in range(1, len(tagged) + 1)]


def displayed(cell) -> set[str]:
    """What a cell shows beside printed text: the MIME types of its pictures, explorables and tables."""
    kinds = {"image/png", "image/svg+xml", "text/html", "text/markdown"}
    shown = [output.get("data", {}) for output in cell.outputs]
    return kinds & {kind for data in shown for kind in data if not is_question(data)}


def is_question(data: dict) -> bool:
    """Whether an output is the question of an exercise, which is no picture."""
    return "<form data-question" in data.get("text/html", "")


LABEL = re.compile(r"# \S.{0,68}[^.]")


@each_notebook
def test_every_cell_says_what_it_computes(path):
    """In its first line, which is the label of its fold."""
    cells = code_cells(path)[1:]
    assert cells[0].source.startswith("# Imports\n")
    assert [cell.id for cell in cells if not LABEL.fullmatch(cell.source.split("\n")[0])] == []


@each_notebook
def test_every_figure_and_table_has_a_caption_and_a_name(path):
    names = []
    for cell in code_cells(path):
        figure = cell.metadata.get("mystnb", {}).get("figure")
        listings = [o for o in cell.outputs if o.get("data", {}).get("text/markdown", "").startswith("Source of ")]
        verdicts = [
            o for o in cell.outputs if "equations.check" in cell.source and "text/markdown" in o.get("data", {})
        ]
        if displayed(cell) and not listings and not verdicts and "remove-output" not in cell.metadata.get("tags", ()):
            kind = "tab" if "text/markdown" in displayed(cell) else "fig"
            assert re.fullmatch(rf"{kind}(-[a-z0-9]+)+", figure["name"]), cell.id
            assert figure["caption"].strip().endswith("."), cell.id
            names.append(figure["name"])
    assert len(names) == len(set(names))


@each_notebook
def test_it_opens_everywhere(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.accelerator == "GPU"
    assert notebook.metadata.colab == {"provenance": [], "gpuType": "T4"}
    assert "widgets" not in notebook.metadata
    first = code_cells(path)[0]
    assert "google.colab" in first.source
    assert first.metadata.tags == ["remove-cell"]
    assert not first.outputs


def exercises(path) -> list[tuple[str, str]]:
    """The code of each exercise, and of its solution."""
    cells = read(path).cells
    found = [i for i, cell in enumerate(cells) if "exercise" in cell.metadata.get("tags", [])]
    solutions = [
        re.search(r"<details>.*```python\n(.*?)```.*</details>", cells[i + 1].source, re.DOTALL) for i in found
    ]
    return [(cells[i].source, match[1]) for i, match in zip(found, solutions, strict=True)]


@pytest.mark.parametrize(("path", "number"), [(p, i) for p in NOTEBOOKS for i in range(len(exercises(p)))], ids=str)
def test_the_solution_of_an_exercise_passes_its_check_and_dots_do_not(path, number, capsys):
    code, solution = exercises(path)[number]
    imports = next(cell.source for cell in code_cells(path) if cell.id == "imports")
    answer, check = code.split("# the check: ")
    assert "..." in answer
    for attempt, verdict in ((solution, "Right."), (answer, "Replace ... with your answer and run the cell again.")):
        room: dict = {}
        exec(imports, room)
        exec(f"{attempt}\n# {check}", room)
        assert set(capsys.readouterr().out.splitlines()) == {verdict}


def test_a_chapter_has_exercises():
    for path in NOTEBOOKS:
        assert len(exercises(path)) >= 2 or path.stem == "measured"


@each_notebook
def test_cells_are_short(path):
    assert max(len(cell.source.splitlines()) for cell in code_cells(path) if cell.id != "imports") <= 30


def test_running_a_notebook_keeps_its_metadata(tmp_path):
    """And drops `metadata.widgets`, which without a state is no valid notebook."""
    metadata = read(NOTEBOOKS[0]).metadata
    cell = nbformat.v4.new_code_cell("print(1)", metadata={"tags": ["remove-cell"]})
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata=metadata | {"widgets": {}})
    path = tmp_path / "a notebook.ipynb"
    nbformat.write(notebook, path)
    command = [sys.executable, ROOT / "tools" / "notebooks.py", path]
    subprocess.run(command, check=True, capture_output=True)
    assert read(path).metadata == metadata
    assert read(path).cells[0].metadata == {"tags": ["remove-cell"]}
    assert printed(path) == "1\n"
    nbformat.validate(read(path))


PICTURES = re.findall(r"^\| (\w+) \| (\S+) \| `(\S+)` \|$", (ROOT / "tests" / "pictures.md").read_text(), re.M)


@each_notebook
def test_beside_every_picture_stands_something_that_is_compared(path):
    """Of what nbval does not see: pictures and widgets; a question of an exercise is neither."""
    cells = {cell.id: cell for cell in code_cells(path)}
    unseen = {"image/png", "image/svg+xml", "text/html"}
    pictures = [
        name
        for name, cell in cells.items()
        if any(
            unseen & set(data) and not is_question(data) for data in (output.get("data", {}) for output in cell.outputs)
        )
    ]
    said = {name: instead for notebook, name, instead in PICTURES if notebook == path.stem}
    assert set(said) == set(pictures)
    for instead in said.values():
        if instead.endswith(".py"):
            assert (ROOT / instead).is_file()
        else:
            outputs = cells[instead].outputs
            text = "".join(each.get("text", "") or each.get("data", {}).get("text/plain", "") for each in outputs)
            assert re.search(r"\d", text), f"{instead} prints no number"
            assert not {"nbval-ignore-output", "nbval-skip"} & set(cells[instead].metadata.get("tags", ()))
