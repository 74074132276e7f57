"""What the pages load, and from where: nothing from another host, and none of them more than 700 kB.

Without the fonts and the figures made smaller here, the heaviest page would weigh 727 and 872 kB as it is sent.
"""

from __future__ import annotations

import re
import shutil
from itertools import product
from pathlib import Path

import pydata_sphinx_theme
import sphinx_book_theme
from docutils import nodes
from fontTools import subset
from PIL import Image
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

SERIF = Path(__file__).resolve().parents[2] / "node_modules" / "@fontsource" / "source-serif-4"
TEMPLATES = Path(__file__).parent / "templates"
PYDATA, BOOK = (Path(theme.__file__).parent for theme in (pydata_sphinx_theme, sphinx_book_theme))
STATIC = PYDATA / "theme" / "pydata_sphinx_theme" / "static"
SHEET = STATIC / "styles" / "pydata-sphinx-theme.css"
NAME = re.compile(r"\bfa-[a-z-]+")
ICON = re.compile(r'([^{}]+)\{content:"\\([0-9a-f]+)"\}')  # .fa-sun:before{content:"\f185"}

# The theme's scripts and the explorables stand in the page itself, and the explorables' modules and
# workers are blobs; 'self' holds on file:// too.
POLICY = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-inline' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "worker-src": "blob:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
}

# Where a reader forbids cookies, to look at the storage is an error, and the theme looks: it
# gets one that forgets when the page is left. Without scripts, what only a script can do is hidden.
BEGINNING = """<script>
for (const name of ["localStorage", "sessionStorage"]) {
  try { window[name] } catch {
    const kept = new Map();
    const value = {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => void kept.set(key, String(value)),
      removeItem: (key) => void kept.delete(key),
    };
    Object.defineProperty(window, name, { value });
  }
}
</script>
<noscript><style>
.primary-toggle, .secondary-toggle, .theme-switch-button,
.btn-fullscreen-button, .search-button { display: none !important }
</style></noscript>"""


def icons() -> set[int]:
    """The code points of the icons that the themes' templates and style sheets name."""
    sources = [
        PYDATA.rglob("*.html"),
        BOOK.rglob("*.html"),
        BOOK.rglob("*.py"),
    ]
    text = "".join(path.read_text("utf-8") for paths in sources for path in paths)
    used = set(NAME.findall(text))
    css = SHEET.read_text("utf-8")
    named = {int(code, 16) for selector, code in ICON.findall(css) if used & set(NAME.findall(selector))}
    variables = set(map(ord, re.findall(r'--pst-icon-[\w-]+:"(.)"', css)))
    return named | variables | {0xF107}  # a rule of the book theme


def stage_icons(app: Sphinx) -> None:
    """Cut Font Awesome down to the icons in use: 4 kB instead of a script and a font of 680 kB."""
    staged = Path(app.outdir).parent / "icons"
    staged.mkdir(parents=True, exist_ok=True)
    options = subset.Options(flavor="woff")
    font = subset.load_font(STATIC / "vendor/fontawesome/webfonts/fa-solid-900.ttf", options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=icons())
    subsetter.subset(font)
    subset.save_font(font, str(staged / "icons.woff"), options)
    app.config.html_static_path.append(str(staged))


def stage_text_font(app: Sphinx) -> None:
    """Put the font of the text where Sphinx copies it from: two weights and their italics, and the Greek letters apart.

    A browser asks for the files of what it shows only.
    """
    if not SERIF.is_dir():
        raise ExtensionError("The font of the text is missing: run `make setup`")
    staged = Path(app.outdir).parent / "serif"
    folder = staged / "serif"
    folder.mkdir(parents=True, exist_ok=True)
    for script, weight, style in product(("latin", "latin-ext", "greek"), (400, 600), ("normal", "italic")):
        shutil.copy(SERIF / "files" / f"source-serif-4-{script}-{weight}-{style}.woff2", folder)
    shutil.copy(SERIF / "LICENSE", folder)
    app.config.html_static_path.append(str(staged))


def is_of_live_cells(file: object) -> bool:
    """Whether a script belongs to sphinx-thebe, by its name or by its text."""
    return "thebe" in f"{file} {getattr(file, 'attributes', '')}".lower()


def protect(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict,
    doctree: nodes.document | None,
) -> None:
    """Forbid all other hosts, leave out the scripts of live cells, and mend the bibliography's roles."""
    # there are no live cells, and their scripts declare one constant twice
    context["script_files"] = [file for file in context["script_files"] if not is_of_live_cells(file)]
    policy = "; ".join(f"{directive} {sources}" for directive, sources in POLICY.items())
    context["metatags"] = (
        f'<meta http-equiv="Content-Security-Policy" content="{policy}" />'
        '<meta name="referrer" content="no-referrer" />' + BEGINNING + context.get("metatags", "")
    )
    # docutils gives an item of a list a role that is deprecated, and not allowed there
    context["body"] = context.get("body", "").replace('role="doc-biblioentry"', 'role="listitem"')


def begin_in_the_light(app: Sphinx, failure: Exception | None) -> None:
    """Serve a theme that has rules; the theme's script asks for the reader's own at once, where there are scripts."""
    for path in Path(app.outdir).rglob("*.html"):
        page = path.read_text("utf-8")
        path.write_text(
            page.replace('data-theme="auto"', 'data-theme="light"', 1),
            "utf-8",
        )


def shrink_figures(app: Sphinx, failure: Exception | None) -> None:
    """Leave 256 colours in each figure, and store it as WebP: it looks the same, and weighs a quarter."""
    folder = Path(app.outdir) / "_images"
    shrunk = {}
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            if image.convert("RGBA").getextrema()[3] != (255, 255):
                continue
            few = image.convert("RGB").quantize(256, kmeans=1, dither=Image.Dither.NONE)
        few.convert("RGB").save(path.with_suffix(".webp"), lossless=True, quality=90, method=6)
        shrunk[path.name] = path.with_suffix(".webp").name
        path.unlink()
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text("utf-8")
        page.write_text(re.sub(r"(?<=_images/)[\w.-]+\.png", lambda name: shrunk.get(name[0], name[0]), text), "utf-8")


def use_templates(app: Sphinx, config: object) -> None:
    """Put this folder's templates before the theme's."""
    config.templates_path.insert(0, str(TEMPLATES))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", use_templates)
    app.connect("builder-inited", stage_icons)
    app.connect("builder-inited", stage_text_font)
    app.connect("html-page-context", protect, priority=900)
    app.connect("build-finished", begin_in_the_light)
    app.connect("build-finished", shrink_figures)
    app.add_js_file("reader.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
