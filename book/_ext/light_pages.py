"""What the pages load, and from where: nothing that they do not use, and nothing from another host."""

from __future__ import annotations

import re
from pathlib import Path

import pydata_sphinx_theme
import sphinx_book_theme
from docutils import nodes
from fontTools import subset
from PIL import Image
from sphinx.application import Sphinx

TEMPLATES = Path(__file__).parent / "templates"
PYDATA, BOOK = (
    Path(theme.__file__).parent
    for theme in (pydata_sphinx_theme, sphinx_book_theme)
)
STATIC = PYDATA / "theme" / "pydata_sphinx_theme" / "static"

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

# A file with this word in its name is left out, unless the page's text has what it is for.
# Never needed: live cells, whose scripts moreover declare one constant twice.
ONLY_FOR = {
    "thebe": "(?!)",
    "toggle": r'class="(?:toggle\b|admonition[^"]*\bdropdown\b)',
    "design": r'class="sd-',
}


def icons() -> set[int]:
    """The code points of the icons that the themes' templates and style sheets name."""
    sources = [
        *PYDATA.rglob("*.html"),
        *BOOK.rglob("*.html"),
        *BOOK.rglob("*.py"),
    ]
    used = set(
        re.findall(
            r"\bfa-[a-z-]+",
            "".join(path.read_text("utf-8") for path in sources),
        )
    )
    css = (STATIC / "styles" / "pydata-sphinx-theme.css").read_text("utf-8")
    rules = re.findall(r'([^{}]+)\{content:"\\([0-9a-f]+)"\}', css)
    named = {
        int(code, 16)
        for selector, code in rules
        if used & set(re.findall(r"fa-[a-z-]+", selector))
    }
    return (
        named
        | {
            ord(icon)
            for icon in re.findall(r'--pst-icon-[\w-]+:"(.)"', css)
        }
        | {0xF107}
    )


def stage_icons(app: Sphinx) -> None:
    """Cut Font Awesome down to the icons in use: 7 kB instead of a script and a font of 680 kB."""
    staged = Path(app.outdir).parent / "icons"
    staged.mkdir(parents=True, exist_ok=True)
    options = subset.Options(flavor="woff")
    font = subset.load_font(
        STATIC / "vendor/fontawesome/webfonts/fa-solid-900.ttf", options
    )
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=icons())
    subsetter.subset(font)
    subset.save_font(font, str(staged / "icons.woff"), options)
    app.config.html_static_path.append(str(staged))


def lighten(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict,
    doctree: nodes.document | None,
) -> None:
    """Leave out what the page does not use, forbid all other hosts, and mend the bibliography's roles."""
    body = context.get("body", "")
    absent = [
        word for word, mark in ONLY_FOR.items() if not re.search(mark, body)
    ]
    for kind in ("script_files", "css_files"):
        context[kind] = [
            file
            for file in context[kind]
            if not any(
                word
                in (
                    str(file) + str(getattr(file, "attributes", ""))
                ).lower()
                for word in absent
            )
        ]
    policy = "; ".join(
        f"{directive} {sources}" for directive, sources in POLICY.items()
    )
    context["metatags"] = (
        f'<meta http-equiv="Content-Security-Policy" content="{policy}" />'
        '<meta name="referrer" content="no-referrer" />'
        + context.get("metatags", "")
    )
    # docutils gives an item of a list a role that is deprecated, and not allowed there
    context["body"] = body.replace(
        'role="doc-biblioentry"', 'role="listitem"'
    )


def squeeze(app: Sphinx, failure: Exception | None) -> None:
    """Take Font Awesome's two thousand icons out of the style sheet, and all but 256 colours out of the figures."""
    if failure or app.builder.format != "html":
        return
    sheet = (
        Path(app.outdir) / "_static" / "styles" / "pydata-sphinx-theme.css"
    )
    used = "".join(map(chr, icons()))
    sheet.write_text(
        re.sub(
            r'[^{}]+\{content:"\\([0-9a-f]+)"\}',
            lambda m: m[0] if chr(int(m[1], 16)) in used else "",
            sheet.read_text("utf-8"),
        ),
        "utf-8",
    )
    for path in (Path(app.outdir) / "_images").glob("*.png"):
        with Image.open(path) as image:
            opaque = image.convert("RGBA").getextrema()[3] == (255, 255)
            if opaque and image.mode != "P":
                image.convert("RGB").quantize(
                    256,
                    Image.Quantize.MEDIANCUT,
                    kmeans=1,
                    dither=Image.Dither.NONE,
                ).save(path, optimize=True)


def use_templates(app: Sphinx, config: object) -> None:
    """Put this folder's templates before the theme's."""
    config.templates_path.insert(0, str(TEMPLATES))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", use_templates)
    app.connect("builder-inited", stage_icons)
    app.connect("html-page-context", lighten, priority=900)
    app.connect("build-finished", squeeze)
    app.add_js_file("reader.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
