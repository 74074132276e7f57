"""The strict build: what is mistyped fails, instead of being printed in red."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from notebooks import ROOT
from small_books import STRICT, build, extensions_from

from diffusion_notes import explorables
from diffusion_notes.explorables.base import module_script, script

CONFIG = """
title: A small book
only_build_toc_files: true
execute: {{execute_notebooks: "off"}}
sphinx:
  local_extensions: {{diffusion_book: {extension}}}
  extra_extensions: [sphinxcontrib.katex]
  config:
    html_math_renderer: katex
    katex_prerender: true
    katex_css_path: katex.min.css
    nb_mime_priority_overrides: [["html", "text/html", 5]]
"""
GOOD = """# A page

<a id="eq-1"></a>

$$ x_0 = 1 \\tag{1} $$

See [equation (1)](#eq-1), and [equation (1) of the other page](other.md#eq-1).

```{explorable} training.ipynb there-and-back
```
"""
LEDGER = """# A ledger

```{equation-ledger}
```
"""
CHAPTER = [
    "# A small chapter on ddpm",
    """<a id="eq-1"></a>

$$ \\alpha_t = 1 - \\beta_t \\tag{1} $$""",
]
OTHER = """# Another page

<a id="eq-1"></a>

$$ x_1 = 2 \\tag{1} $$
"""


MISTAKES = {
    "missing": ("(#eq-1)", "(#eq-2)", "eq-2"),
    "elsewhere": ("other.md#eq-1", "other.md#eq-7", "eq-7"),
    "nowhere": ("there-and-back", "there-and-nowhere", "no cell of training.ipynb is tagged 'there-and-nowhere'"),
    "unknown": (
        "```{explorable} training.ipynb there-and-back\n```",
        '<div data-explorable="nothing"></div>',
        "there is no explorable of the name 'nothing'",
    ),
    "twice": ("$$ x_0", '<a id="eq-1"></a>\n\n$$ x_0', "is there twice"),
}


def build_strictly(folder: Path, **pages: str) -> tuple[int, str]:
    """A book of these pages, and of another: the status of the build, and its log."""
    (folder / "_config.yml").write_text(CONFIG.format(extension=extensions_from(folder)))
    chapters = "".join(f"\n- file: {name}" for name in ("ddpm", *pages))
    (folder / "_toc.yml").write_text(f"format: jb-book\nroot: other\nchapters:{chapters}\n")
    for name, page in pages.items():
        (folder / f"{name}.md").write_text(page)
    (folder / "other.md").write_text(OTHER)
    chapter = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text) for text in CHAPTER])
    nbformat.write(chapter, folder / "ddpm.ipynb")
    (folder / "training.ipynb").write_bytes((ROOT / "book" / "training.ipynb").read_bytes())
    return build(folder, *STRICT)


def test_a_page_without_mistakes_is_built(tmp_path):
    status, log = build_strictly(tmp_path, page=GOOD, ledger=LEDGER)
    assert status == 0, log
    built = tmp_path / "_build" / "html"
    html = (built / "page.html").read_text()
    assert 'href="#eq-1"' in html
    assert 'href="other.html#eq-1"' in html
    assert 'data-explorable="particles"' in html
    # the module and what starts it, in this order, and those of no other explorable
    assert loaded(html) == ["particles", "mount"]
    assert loaded((built / "other.html").read_text()) == []
    for kind in (getattr(explorables, name) for name in explorables.__all__ if name != "Explorable"):
        assert (built / "_static" / "explorables" / f"{kind.name}.js").read_text() == module_script(
            kind.name, kind._esm
        )
    assert (built / "_static" / "explorables" / "mount.js").read_text() == script("mount")
    # the ledger has the notebook of the table of contents, and not the one that lies beside it
    ledger = (built / "ledger.html").read_text()
    assert 'href="ddpm.html#eq-1"' in ledger
    assert "training" not in ledger


def loaded(html: str) -> list[str]:
    """The scripts of explorables that a page loads."""
    return re.findall(r'<script defer="defer" src="_static/explorables/(\w+)\.js\?v=\w+">', html)


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory) -> tuple[int, str]:
    """A book with a page for each mistake."""
    wrong = {name: GOOD.replace(right, wrong) for name, (right, wrong, _) in MISTAKES.items()}
    assert GOOD not in wrong.values()
    return build_strictly(tmp_path_factory.mktemp("mistaken"), **wrong)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_fails_the_build_and_is_named(mistaken, name):
    """Each is a warning of its own page, any of which is fatal to a strict build."""
    status, log = mistaken
    assert status != 0
    said = [line for line in re.split(r"\n(?=/)", log) if f"/{name}.md:" in line]
    assert any("WARNING" in line and MISTAKES[name][2] in line for line in said), said


@pytest.mark.parametrize(("wrong", "words"), [(r"\frac{x_0 = 1", "KaTeX"), (r"\nosuchcommand", "nosuchcommand")])
def test_an_equation_that_cannot_be_set_ends_the_build_and_is_named(tmp_path, wrong, words):
    status, log = build_strictly(tmp_path, page=GOOD.replace("x_0 = 1", wrong))
    assert status != 0
    assert words in log
