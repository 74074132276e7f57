// Searches the sections of the book: those of chapters come first, the reference of the package last. Every word of the
// query has to begin a word of the section, or of its heading. All text is in the page: it works from a file. On the page of
// the search it answers what was asked; on any other it shows the first places below the field while one types.
{
  const KINDS = { chapter: 1.5, reference: 1, package: 1e-3 };
  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  // an index may be asked for as in LaTeX, x_t, and stands in the text as a letter below the line, where there is one;
  // what the book writes as amortise and colour, others write as amortize and color
  const spelt = (word) => word.replaceAll("_", "_?\\{?").replace(/i[sz](?=[aei])/gi, "i[sz]").replace(/(?<=[a-z]{3})ou?r(?=s?$)/i, "ou?r");
  const begins = (word) => new RegExp(`(?<![\\p{L}\\p{N}])${spelt(escaped(word))}`, "giu");
  const levelled = (text) => text.replace(/[\u2080-\u209c\u1d62-\u1d6a\u2070-\u207f]/g, (sign) => sign.normalize("NFKC"));
  // the plural finds the singular, and the other way around
  const stem = (word) => (word.length > 3 ? word.replace(/(?<!s)s$/, "") : word);

  let query, phrase, words; // of what is asked now
  const count = (text, pattern) => levelled(text).match(pattern)?.length ?? 0;

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
    const at = [phrase, ...words].map((pattern) => levelled(text).search(pattern)).find((place) => place >= 0) ?? 0;
    const from = at < 100 ? 0 : text.lastIndexOf(" ", at - 80) + 1;
    const to = from + 240 > text.length ? text.length : text.lastIndexOf(" ", from + 240);
    const shown = document.createElement("p");
    shown.className = "context";
    shown.append(from ? "… " : "");
    const part = text.slice(from, to);
    const found = new RegExp(query.map((word) => begins(word).source + "[\\p{L}\\p{N}]*").join("|"), "giu");
    let last = 0;
    for (const match of levelled(part).matchAll(found)) {
      const end = match.index + match[0].length;
      const mark = document.createElement("mark");
      mark.textContent = part.slice(match.index, end);
      shown.append(part.slice(last, match.index), mark);
      last = end;
    }
    shown.append(part.slice(last), to < text.length ? " …" : "");
    return shown;
  };

  const item = ([page, title, anchor, heading, text]) => {
    const link = document.createElement("a");
    link.href = page + (anchor ? `#${anchor}` : "");
    link.textContent = heading;
    const line = document.createElement("li");
    if (anchor) {
      const where = document.createElement("span");
      where.textContent = title;
      line.append(where, " ");
    }
    line.append(link);
    if (text) line.append(snippet(text));
    return line;
  };

  // What is said of how much was found, and the first of it; nothing if nothing is asked.
  const found = (asked, most) => {
    query = asked.split(/\s+/).filter(Boolean).map(stem);
    if (!query.length) return [];
    phrase = begins(query.join(" "));
    words = query.map(begins);
    const places = SECTIONS.map((entry) => [score(entry), entry]).filter(([points]) => points >= 0);
    places.sort(([a], [b]) => b - a);
    const summary = document.createElement("p");
    summary.setAttribute("role", "status");
    summary.className = "search-summary";
    const many = places.length === 1 ? "One place" : `${places.length} places`;
    summary.textContent = places.length ? `${many} in the book.` : "Nothing in the book has all of these words.";
    const list = document.createElement("ul");
    list.className = "search";
    list.append(...places.slice(0, most).map(([, entry]) => item(entry)));
    return [summary, list];
  };

  const results = document.getElementById("search-results");
  const dialog = document.getElementById("pst-search-dialog");
  if (results) {
    const asked = new URLSearchParams(location.search).get("q")?.trim() ?? "";
    for (const field of document.querySelectorAll('input[name="q"]')) field.value = asked;
    results.append(...found(asked, 50));
  } else if (dialog) {
    const root = document.documentElement.dataset.content_root;
    const field = dialog.querySelector('input[name="q"]');
    const below = document.createElement("div");
    below.className = "found";
    const show = () => {
      below.replaceChildren(...found(field.value.trim(), 6));
      for (const link of below.querySelectorAll("a")) link.setAttribute("href", root + link.getAttribute("href"));
    };
    dialog.append(below);
    field.addEventListener("input", show);
    below.addEventListener("click", (event) => event.target.closest("a") && dialog.close());
    show();
  }
}
