// Searches the sections of the book: those of chapters come first, the reference of the package last. Every word of the
// query has to begin a word of the section, or of its heading. All text is in the page: it works from a file.
{
  const KINDS = { chapter: 1.5, reference: 1, package: 1e-3 };
  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const begins = (word) => new RegExp(`(?<![\\p{L}\\p{N}])${escaped(word)}`, "giu");
  // the plural finds the singular, and the other way around
  const stem = (word) => (word.length > 3 ? word.replace(/(?<!s)s$/, "") : word);

  const asked = new URLSearchParams(location.search).get("q")?.trim() ?? "";
  const query = asked.split(/\s+/).filter(Boolean).map(stem);
  const phrase = begins(query.join(" "));
  const words = query.map(begins);
  const count = (text, pattern) => text.match(pattern)?.length ?? 0;

  // A heading that is about it, then a text that often says it, for its length.
  const score = ([, title, anchor, heading, text, kind]) => {
    const all = `${heading} ${anchor ? "" : title} ${text}`;
    if (!words.every((word) => count(all, word))) return -1;
    const length = 1 + heading.split(/\s+/).length;
    const inHeading = words.reduce((sum, word) => sum + (count(heading, word) ? 1 : 0), 0) / words.length;
    const inText = words.reduce((sum, word) => sum + count(text, word), 0) / Math.sqrt(20 + text.split(" ").length);
    const together = count(heading, phrase) ? 6 : count(text, phrase) ? 2 : 0;
    const about = together + 8 * inHeading / Math.sqrt(length) + 3 * inText;
    if (/^Exercise \d/.test(heading)) return about / 2;
    return about * KINDS[kind];
  };

  // The line of the text where the query stands, with what was found marked.
  const snippet = (text) => {
    const at = [phrase, ...words].map((pattern) => text.search(pattern)).find((place) => place >= 0) ?? 0;
    const from = at < 100 ? 0 : text.lastIndexOf(" ", at - 80) + 1;
    const to = from + 240 > text.length ? text.length : text.lastIndexOf(" ", from + 240);
    const shown = document.createElement("p");
    shown.className = "context";
    shown.append(from ? "… " : "");
    const part = text.slice(from, to);
    const found = new RegExp(query.map((word) => begins(word).source + "[\\p{L}\\p{N}]*").join("|"), "giu");
    let last = 0;
    for (const match of part.matchAll(found)) {
      const mark = document.createElement("mark");
      mark.textContent = match[0];
      shown.append(part.slice(last, match.index), mark);
      last = match.index + match[0].length;
    }
    shown.append(part.slice(last), to < text.length ? " …" : "");
    return shown;
  };

  const item = ([page, title, anchor, heading, text]) => {
    const link = document.createElement("a");
    link.href = page + (anchor ? `#${anchor}` : "");
    link.textContent = heading;
    const line = document.createElement("li");
    line.append(link);
    if (anchor) {
      const where = document.createElement("span");
      where.textContent = ` ${title}`;
      line.append(where);
    }
    if (text) line.append(snippet(text));
    return line;
  };

  for (const field of document.querySelectorAll('input[name="q"]')) field.value = asked;
  if (query.length) {
    const found = SECTIONS.map((entry) => [score(entry), entry]).filter(([points]) => points >= 0);
    found.sort(([a], [b]) => b - a);
    const summary = document.createElement("p");
    summary.setAttribute("role", "status");
    summary.className = "search-summary";
    const many = found.length === 1 ? "One place" : `${found.length} places`;
    summary.textContent = found.length ? `${many} in the book.` : "Nothing in the book has all of these words.";
    const list = document.createElement("ul");
    list.className = "search";
    list.append(...found.slice(0, 50).map(([, entry]) => item(entry)));
    document.getElementById("search-results").append(summary, list);
  }
}
