"""Print the built book into one PDF: Chromium prints the pages, pypdf joins them.

The file has an outline of chapters and sections and its own page numbers, and links between chapters lead to where
they should in it. The pages offer it from then on: a build takes the offer back, since the file would be old.
"""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote, urldefrag

import yaml
from playwright.sync_api import Browser, sync_playwright
from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, FloatObject, NameObject, NullObject

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from browser import ASLEEP, MOUNTED, launch_arguments  # noqa: E402

HTML = ROOT / "_build" / "html"
NAME = "diffusion-models-as-a-kind-of-vae.pdf"
OFFER = "<!-- the PDF -->"  # where the pages say that there is one
MARGINS = {"top": "18mm", "bottom": "20mm", "left": "26mm", "right": "26mm"}
# Chromium keeps the place of an id only if the page itself links to it; a point of no size does.
KEEP_PLACES = """ids => {
  const list = document.createElement("div");
  list.style.cssText = "font-size: 1px; line-height: 0; height: 1px; overflow: hidden; color: white";
  for (const id of ids) {
    if (!document.getElementById(id)) continue;
    const link = document.createElement("a");
    link.href = "#" + id;
    link.textContent = ".";
    link.style.color = "white";
    list.append(link);
  }
  document.querySelector("article").append(list);
}"""
SECTIONS = """() => [...document.querySelectorAll("article > section > section[id]")].map((section) => {
  const heading = section.querySelector("h2").cloneNode(true);
  heading.querySelectorAll(".headerlink, .katex-mathml").forEach((part) => part.remove());
  return [heading.textContent.trim(), section.id];
})"""
TITLE = """() => { const title = document.querySelector("article h1").cloneNode(true);
  title.querySelector(".headerlink")?.remove(); return title.textContent.trim(); }"""
Place = tuple[PageObject, float]


@dataclass
class Part:
    """A printed page of the book: its file, what it is called, its sections, and where its ids are."""

    path: Path
    title: str
    sections: list[tuple[str, str]]
    reader: PdfReader


def pages(toc: dict) -> list[Path]:
    """The files of the book's pages, in their order."""
    names = [toc["root"]]
    for part in toc["parts"]:
        names += [chapter["file"] for chapter in part["chapters"]]
    return [HTML / f"{name}.html" for name in names]


def linked(paths: Iterable[Path]) -> dict[Path, set[str]]:
    """The ids of each page that any page links to."""
    found: dict[Path, set[str]] = {}
    for path in paths:
        for address in re.findall(r'href="([^":]*)#([^"]+)"', path.read_text("utf-8")):
            target = (path.parent / address[0]).resolve() if address[0] else path
            found.setdefault(target, set()).add(unquote(html.unescape(address[1])))
    return found


def print_page(browser: Browser, path: Path, ids: set[str]) -> Part:
    """A page on paper, light and whole."""
    page = browser.new_context(color_scheme="light").new_page()
    page.add_init_script(ASLEEP)
    page.goto(path.as_uri())
    page.wait_for_function(MOUNTED)
    page.evaluate("document.fonts.ready.then(() => 0)")
    sections = [(words, name) for words, name in page.evaluate(SECTIONS)]
    page.evaluate(KEEP_PLACES, sorted(ids | {name for _, name in sections}))
    title = page.evaluate(TITLE)
    printed = page.pdf(format="A4", margin=MARGINS, print_background=True)
    page.context.close()
    return Part(path, title, sections, PdfReader(BytesIO(printed)))


def places(part: Part, first: int, writer: PdfWriter) -> dict[str, Place]:
    """Where the ids of a part are in the whole file, whose page ``first`` is the first of this part."""
    found = {}
    for name, place in part.reader.named_destinations.items():
        number = part.reader.get_destination_page_number(place)
        if number is not None:
            found[unquote(name.lstrip("/"))] = (writer.pages[first + number], float(place.top or 800))
    return found


def destination(place: Place) -> ArrayObject:
    """A place as PDF says it."""
    page, top = place
    return ArrayObject(
        [page.indirect_reference, NameObject("/XYZ"), FloatObject(0), FloatObject(top + 8), NullObject()]
    )


def target_of(link: DictionaryObject, path: Path) -> tuple[Path, str] | None:
    """The page of the book and the id that a link leads to, if it leads into the book."""
    action = link.get("/A", DictionaryObject()).get_object()
    name = link.get("/Dest", action.get("/D"))
    if isinstance(name, str):
        return path, unquote(name.lstrip("/"))
    address, anchor = urldefrag(str(action.get("/URI", "")))
    if not address.startswith("file://"):
        return None
    return Path(unquote(address.removeprefix("file://"))).resolve(), unquote(anchor)


def mend_links(pages_of: dict[Path, list[PageObject]], where: dict[Path, dict[str, Place]]) -> None:
    """Let what linked to another page of the book lead to its place in the file; a link to no place is none."""
    for path, group in pages_of.items():
        for page in group:
            kept = ArrayObject()
            for reference in page.get("/Annots", ArrayObject()):
                link = reference.get_object()
                target = target_of(link, path)
                if target:
                    known = where.get(target[0], {})
                    place = known.get(target[1]) or known.get("")
                    if place is None:
                        continue
                    link.pop("/A", None)
                    link[NameObject("/Dest")] = destination(place)
                kept.append(reference)
            page[NameObject("/Annots")] = kept


def numbers(browser: Browser, titles: list[str]) -> PdfReader:
    """As many pages, with nothing on them but their numbers and what they belong to."""
    style = (
        "@page { size: A4; margin: 0 } body { margin: 0; font: 8.5pt system-ui, sans-serif; color: #555 }"
        "div { box-sizing: border-box; height: 296mm; padding: 282mm 26mm 0; break-after: page; display: flex;"
        "justify-content: space-between }"
    )
    lines = "".join(f"<div><span>{html.escape(t)}</span><span>{n}</span></div>" for n, t in enumerate(titles, 1))
    page = browser.new_page()
    page.set_content(f"<style>{style}</style>{lines}")
    printed = page.pdf(format="A4", prefer_css_page_size=True)
    page.close()
    return PdfReader(BytesIO(printed))


def join(parts: list[Part], browser: Browser) -> PdfWriter:
    """One file of all parts."""
    writer = PdfWriter()
    first = {}
    titles = []
    for part in parts:
        first[part.path] = len(writer.pages)
        writer.append(part.reader, import_outline=False)
        titles += [part.title] * len(part.reader.pages)
    where = {part.path: places(part, first[part.path], writer) for part in parts}
    groups = {}
    for part in parts:
        start = first[part.path]
        groups[part.path] = [writer.pages[start + k] for k in range(len(part.reader.pages))]
        where[part.path][""] = (groups[part.path][0], 842.0)
    mend_links(groups, where)
    for page, number in zip(writer.pages, numbers(browser, titles).pages, strict=False):
        page.merge_page(number)
    for part in parts:
        chapter = writer.add_outline_item(title=part.title, page_number=first[part.path])
        for words, name in part.sections:
            page, _ = where[part.path].get(name, where[part.path][""])
            writer.add_outline_item(title=words, page_number=page.page_number, parent=chapter)
    # what was named in each part has a place now
    for key in ("/Dests", "/Names", "/StructTreeRoot", "/MarkInfo"):
        writer.root_object.pop(key, None)
    writer.compress_identical_objects()
    for page in writer.pages:
        page.compress_content_streams()
    writer.add_metadata({"/Title": "Diffusion Models as a Kind of VAE"})
    return writer


def offer(folder: Path) -> None:
    """Let all pages link to the file."""
    for path in folder.rglob("*.html"):
        up = "../" * (len(path.relative_to(folder).parts) - 1)
        text = path.read_text("utf-8")
        if OFFER in text:
            link = f'<a href="{up}{NAME}">The whole book as a PDF.</a>'
            path.write_text(text.replace(OFFER, link), "utf-8")


def main() -> None:
    """Print, join, and say where it is."""
    paths = pages(yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8")))
    wanted = linked(paths)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(**launch_arguments(playwright))
        except FileNotFoundError:
            raise SystemExit(
                "No Chromium, which prints the PDF: install one, or set CHROMIUM to where it is."
            ) from None
        parts = [print_page(browser, path, wanted.get(path, set())) for path in paths]
        writer = join(parts, browser)
        browser.close()
    writer.write(HTML / NAME)
    offer(HTML)
    size = (HTML / NAME).stat().st_size
    print(f"The PDF is at {HTML / NAME}: {len(writer.pages)} pages, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
