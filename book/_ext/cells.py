"""Code cells as a reader wants them: what a cell shows, with a caption, and below it the code, folded away.

A cell's first line is a comment, the label of its fold. What it prints as plain text is folded away with the code;
its figures, explorables and tables stay, and get a number and a caption from the cell's metadata, ``mystnb.figure``.
A cell tagged ``open`` stands open; of one tagged ``show-output`` only the code is folded away. The code of an exercise
stands below what the page asks, and its label says that it asks the same. Folds that follow one another become one;
the imports, which say nothing of the subject, are in the notebook only.
"""

from __future__ import annotations

import ast
import itertools
import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

from diffusion_notes.notebook.exercises import UNANSWERED

LOGGER = logging.getLogger(__name__)
SOURCE = "Source of "  # how the output of show_source begins
IMPORTS = "Imports"  # the label of the cell that a page does without
EXERCISE = "The same exercise in a notebook"
ONLY_IN_A_NOTEBOOK = "This exercise is done in a notebook"
MOST_WORDS = 90  # letters in the label of folds that have become one


class Fold(nodes.General, nodes.Element):
    """What can be folded away, ``<details>``; it is ``open`` or not."""


class FoldPart(nodes.General, nodes.TextElement):
    """What one of several cells in a fold computes."""


class FoldLabel(nodes.General, nodes.TextElement):
    """What is seen of it then, ``<summary>``."""


class TableFigure(nodes.figure):
    """A table with a caption; tables have numbers of their own."""


def visit_fold(self: HTML5Translator, node: Fold) -> None:
    is_open = {"open": "open"} if node["open"] else {}
    self.body.append(self.starttag(node, "details", CLASS="code", **is_open))


def depart_fold(self: HTML5Translator, node: Fold) -> None:
    self.body.append("</details>\n")


def visit_label(self: HTML5Translator, node: FoldLabel) -> None:
    self.body.append(self.starttag(node, "summary", ""))


def depart_label(self: HTML5Translator, node: FoldLabel) -> None:
    self.body.append("</summary>\n")


def visit_part(self: HTML5Translator, node: FoldPart) -> None:
    self.body.append(self.starttag(node, "p", "", CLASS="part"))


def depart_part(self: HTML5Translator, node: FoldPart) -> None:
    self.body.append("</p>\n")


def visit_table_figure(self: HTML5Translator, node: TableFigure) -> None:
    self.visit_figure(node)


def depart_table_figure(self: HTML5Translator, node: TableFigure) -> None:
    self.depart_figure(node)


def depart_caption(self: HTML5Translator, node: nodes.caption) -> None:
    if not isinstance(node.parent, nodes.figure):
        HTML5Translator.depart_caption(self, node)
        return
    self.body.append("</span>")
    kind = "table" if isinstance(node.parent, TableFigure) else "figure"  # all are images to Sphinx
    self.add_permalink_ref(node.parent, f"Link to this {kind}")
    self.body.append("</p>\n")


def is_element(node: nodes.Node | None, kind: str) -> bool:
    """Whether a node is what myst-nb calls so."""
    return isinstance(node, nodes.container) and node.get("nb_element") == kind


def fold(label: list[nodes.Node], contents: list[nodes.Node], is_open: bool) -> Fold:
    """Contents that can be folded away under a label."""
    return Fold("", FoldLabel("", "", *label), *contents, open=is_open)


def index(text: str) -> list[nodes.Node]:
    """A label with the indices in it set as such: ``x_t``."""
    parts: list[nodes.Node] = []
    for k, piece in enumerate(re.split(r"\b([A-Za-z]_[A-Za-z0-9]+)\b", text)):
        if k % 2 == 0:
            parts.append(nodes.Text(piece))
        else:
            letter, below = piece.split("_")
            parts += [nodes.emphasis("", letter), nodes.subscript("", below)]
    return [part for part in parts if part.astext()]


def split_label(code: str) -> tuple[str, str]:
    """The label that a cell's first line is, or nothing, and the code without it."""
    first, _, rest = code.partition("\n")
    if not first.startswith("# "):
        return "", code
    return first.removeprefix("# ").strip(), rest.lstrip("\n")


def only_shows_sources(code: str) -> bool:
    """Whether there is nothing to read in a cell but what ``show_source`` displays."""
    try:
        statements = ast.parse(code).body
    except SyntaxError:  # a magic
        return False
    called = [{node.id for node in ast.walk(each) if isinstance(node, ast.Name)} for each in statements]
    return bool(called) and all("show_source" in names for names in called)


def contents_of(bundle: nodes.container) -> dict[str, nodes.container]:
    """An output in all its forms, by their MIME types."""
    return {form["mime_type"]: form for form in bundle if isinstance(form, nodes.container)}


def bundle_in(output: nodes.Node) -> nodes.container | None:
    """What a cell has displayed, in all its forms; a caption may already be around it."""
    if is_element(output, "mime_bundle"):
        return output
    if isinstance(output, nodes.figure):
        return next((child for child in output if is_element(child, "mime_bundle")), None)
    return None


def is_plain_text(output: nodes.Node) -> bool:
    """Whether a cell has printed this, or it has no other form than text."""
    bundle = bundle_in(output)
    return isinstance(output, nodes.literal_block) if bundle is None else set(contents_of(bundle)) == {"text/plain"}


def listing(output: nodes.Node) -> list[nodes.Node] | None:
    """The heading and the code that ``show_source`` displays; of anything else nothing."""
    bundle = bundle_in(output)
    forms = contents_of(bundle) if bundle is not None else {}
    parts = list(forms.get("text/markdown", ()))
    if len(parts) == 2 and parts[0].astext().startswith(SOURCE) and isinstance(parts[1], nodes.literal_block):
        return parts
    return None


class FoldCells(SphinxTransform):
    """Fold the code of all cells, and what it prints."""

    default_priority = 850  # before links are resolved: a figure is something to link to

    def apply(self, **kwargs: object) -> None:
        """Fold those of this document."""
        cells = list(self.document.findall(lambda node: is_element(node, "cell_code")))
        for cell in cells:
            self.fold(cell)
        for cell in cells:
            take_what_follows(cell)
        for cell in reversed(cells):
            join(cell)

    def fold(self, cell: nodes.container) -> None:
        """Put code and printed text into a fold, each listing into another, below the rest."""
        tags = set(cell["cell_metadata"].get("tags", ()))
        source = [child for child in cell if is_element(child, "cell_code_source")]
        outputs = [output for child in cell if is_element(child, "cell_code_output") for output in child]
        if "exercise" in tags:
            outputs = [output for output in outputs if not is_unanswered(output)]
        listings = [parts for output in outputs if (parts := listing(output))]
        printed = [output for output in outputs if is_plain_text(output)]
        shown = [output for output in outputs if not is_plain_text(output) and not listing(output)]
        if "show-output" in tags:
            printed, shown = [], [output for output in outputs if not listing(output)]
        label = self.take_label(cell, source)
        if "exercise" in tags:
            label = EXERCISE if shown else ONLY_IN_A_NOTEBOOK
        if listings and only_shows_sources("".join(part.astext() for part in source)):
            source = []
        printed = [nodes.container("", *printed, classes=["cell_output"])] if printed else []
        shown = [nodes.container("", *shown, classes=["cell_output"])] if shown else []
        folds = [fold(index(label), [*source, *printed], "open" in tags)] if source or printed else []
        for heading, code in listings:
            code["language"] = "ipython3"
            folds.append(fold(heading.children, [nodes.container("", code, classes=["cell_input"])], "open" in tags))
        cell.clear()
        # what is printed is read after the code that prints it, and a figure before the code that draws it
        cell += [*folds, *shown] if tags & {"open", "show-output"} else [*shown, *folds]
        if label == IMPORTS and not shown:
            cell.parent.remove(cell)

    def take_label(self, cell: nodes.container, source: list[nodes.container]) -> str:
        """The label of a cell, which is then not in its code any more."""
        for block in (block for part in source for block in part.findall(nodes.literal_block)):
            label, code = split_label(block.astext())
            if label:
                block.rawsource = code
                block.children = [nodes.Text(code)]
                block[0].parent = block
                return label
        if self.config.cells_need_labels:
            LOGGER.warning("a code cell begins with no comment that says what it computes", location=cell)
        return "Code"


def is_unanswered(output: nodes.Node) -> bool:
    """Whether it is what an exercise says to those who can run it."""
    return is_plain_text(output) and set(output.astext().split("\n")) <= {UNANSWERED, ""}


def only_folds(cell: nodes.Node) -> bool:
    """Whether there is nothing else to be seen of a cell, and it is closed."""
    return is_element(cell, "cell_code") and all(isinstance(part, Fold) and not part["open"] for part in cell)


def take_what_follows(cell: nodes.container) -> None:
    """Take into a cell that shows something the folds behind it, unless they lead to what another cell shows."""
    if cell not in cell.parent or only_folds(cell) or is_exercise(cell):
        return
    if not isinstance(cell[-1], Fold) or cell[-1]["open"]:
        return
    others = cell.parent[cell.parent.index(cell) + 1 :]
    behind = list(itertools.takewhile(lambda each: only_folds(each) and not is_exercise(each), others))
    after = others[len(behind)] if len(behind) < len(others) else None
    if is_element(after, "cell_code") and not is_exercise(after):
        return
    for each in behind:
        cell += each.children
        cell.parent.remove(each)


def join(cell: nodes.container) -> None:
    """Take the folds of the cells before into those of this one, as far as they are nothing else, and make them one."""
    if cell not in cell.parent or is_exercise(cell):  # another has taken its folds
        return
    folds = [part for part in cell if isinstance(part, Fold)]
    if not folds or any(part["open"] for part in folds):
        return
    around = cell.parent
    while (place := around.index(cell)) and only_folds(around[place - 1]) and not is_exercise(around[place - 1]):
        before = around[place - 1]
        folds = [*before.children, *folds]
        around.remove(before)
    if len(folds) > 1:
        place = next(k for k, part in enumerate(cell) if isinstance(part, Fold))
        cell.children = [part for part in cell if not isinstance(part, Fold)]
        cell.insert(place, joined(folds))


def is_exercise(cell: nodes.container) -> bool:
    """Whether a cell asks something."""
    return "exercise" in cell["cell_metadata"].get("tags", ())


def joined(folds: list[Fold]) -> Fold:
    """One fold of several: each part has its label, and the whole has those of all, as far as there is room."""
    labels = [list(part[0].children) for part in folds]
    contents = [
        child
        for label, part in zip(labels, folds, strict=True)
        for child in (FoldPart("", "", *(node.deepcopy() for node in label)), *part[1:])
    ]
    words = [label_of_source(label, before) for before, label in itertools.pairwise([[], *labels])]
    said = [words[0]]
    for more in words[1:]:
        if sum(len(node.astext()) for each in (*said, more) for node in each) > MOST_WORDS:
            break
        said.append(more)
    rest = len(words) - len(said)
    whole = [node for k, each in enumerate(said) for node in ([nodes.Text(" · ")] if k else []) + each]
    if rest:
        whole.append(nodes.Text(f" · and {rest} more"))
    return fold(whole, contents, is_open=False)


def label_of_source(label: list[nodes.Node], before: list[nodes.Node]) -> list[nodes.Node]:
    """A label as it stands after another: of sources that follow one another only the first says so."""
    copy = [node.deepcopy() for node in label]
    if copy and copy[0].astext() == SOURCE and before and before[0].astext() == SOURCE:
        return copy[1:]
    return copy


class Captions(SphinxTransform):
    """Give what has a caption its kind, and let pages link to it."""

    default_priority = 860  # after the folds, before links are resolved

    def apply(self, **kwargs: object) -> None:
        """Find those of this document."""
        slugs = dict(getattr(self.document, "myst_slugs", {}))
        for cell in self.document.findall(lambda node: is_element(node, "cell_code")):
            for figure in list(cell.findall(nodes.figure)):
                if (bundle := bundle_in(figure)) is None:
                    continue
                figure = self.of_its_kind(figure, bundle)
                for name in figure["ids"]:
                    slugs[name] = (figure.line or 0, name, figure[-1].astext())
        self.document.myst_slugs = slugs  # type: ignore[attr-defined]  # MyST's own
        self.env.metadata[self.env.docname]["myst_slugs"] = slugs

    def of_its_kind(self, figure: nodes.figure, bundle: nodes.container) -> nodes.figure:
        """A table's figure becomes one that is counted among tables; others stay."""
        forms = contents_of(bundle)
        if not list(forms.get("text/markdown", nodes.container()).findall(nodes.table)):
            html = forms.get("text/html", nodes.container()).astext()
            figure["classes"].append("explorable" if "data-explorable" in html else "picture")
            return figure
        figure["classes"].append("table-figure")
        table = TableFigure("", *figure.children, **figure.attributes)
        table.source, table.line = figure.source, figure.line
        figure.replace_self(table)
        for name in table["ids"]:
            self.document.ids[name] = table
        return table


def title_of(node: TableFigure) -> str | None:
    """The caption of a table, as Sphinx wants to know it."""
    return next((child.astext() for child in node if isinstance(child, nodes.caption)), None)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add all this to Sphinx."""
    app.add_config_value("cells_need_labels", True, "env", bool)
    app.add_node(Fold, html=(visit_fold, depart_fold))
    app.add_node(FoldLabel, html=(visit_label, depart_label))
    app.add_node(FoldPart, html=(visit_part, depart_part))
    app.add_enumerable_node(TableFigure, "table", title_of, html=(visit_table_figure, depart_table_figure))
    app.add_node(nodes.caption, override=True, html=(HTML5Translator.visit_caption, depart_caption))
    app.add_transform(FoldCells)
    app.add_transform(Captions)
    app.add_css_file("cells.css")
    app.add_js_file("cells.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
