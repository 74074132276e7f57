// A link to an equation, a figure, a citation or a symbol shows what it leads to: when the mouse rests on it, when it
// has the focus, and at the first tap. The box can be pointed at, and Escape closes it (WCAG 1.4.13). What is on another
// page stands in this one as a template; what is on this page is copied. Browsers without popovers have links.
{
  const DELAY = 150; // ms of rest before it opens, so that a mouse on its way opens nothing
  const GRACE = 250; // ms after which it closes, so that the mouse can cross the gap
  const templates = new Map(
    [...document.querySelectorAll("template.preview")].map((each) => [each.dataset.of, each]),
  );
  const article = document.querySelector("article.bd-article");
  const box = document.createElement("div");
  let current = null, touched = false, timer;

  // The display that belongs to an anchor of an equation is the first that follows it.
  const equations = new Map();
  let anchor = "";
  for (const each of article?.querySelectorAll('a[id^="eq-"], div.math') ?? []) {
    if (each.localName === "a") anchor = each.id;
    else if (anchor) {
      equations.set(`#${anchor}`, each);
      anchor = "";
    }
  }

  // Copies have no ids, and nothing in them can be reached: they are read, and the link leads to the thing itself.
  const copied = (...elements) => {
    const all = elements.filter(Boolean).map((element) => element.cloneNode(true));
    for (const each of all.flatMap((copy) => [copy, ...copy.querySelectorAll("*")])) {
      each.removeAttribute("id");
      each.removeAttribute("tabindex");
      if (each.matches(".headerlink")) each.remove();
    }
    return all;
  };

  const contents = (link) => {
    const href = link.getAttribute("href");
    if (templates.has(href)) return [templates.get(href).content.cloneNode(true)];
    if (!href?.startsWith("#")) return null;
    if (equations.has(href)) return copied(equations.get(href).querySelector(".katex-display"));
    const target = document.getElementById(decodeURIComponent(href.slice(1)));
    if (target?.matches("div.citation")) return copied(...target.querySelectorAll(":scope > p"));
    const figure = target?.closest("figure");
    if (!figure) return null;
    return copied(figure.querySelector("img, table, [data-explorable] > svg"), figure.querySelector("figcaption"));
  };

  // Below the line of the link, or above it if there is more room; never beyond the edges.
  const place = (x) => {
    const lines = [...current.getClientRects()];
    const line = lines.find((each) => x >= each.left && x <= each.right) ?? lines[0];
    if (!line || line.bottom < 0 || line.top > innerHeight) return hide();
    const { offsetWidth: width, offsetHeight: height } = box;
    const below = innerHeight - line.bottom >= height + 8 || innerHeight - line.bottom > line.top;
    box.style.left = `${Math.max(8, Math.min(line.left, document.documentElement.clientWidth - width - 8))}px`;
    box.style.top = `${Math.max(8, below ? Math.min(line.bottom + 4, innerHeight - height - 8) : line.top - height - 4)}px`;
  };

  // A long equation is set smaller, down to two thirds; what is longer still scrolls.
  const fit = () => {
    for (const maths of box.querySelectorAll(".katex-display")) {
      maths.style.fontSize = "";
      const room = box.clientWidth - 30;
      const wide = maths.firstElementChild.scrollWidth;
      if (wide > room) maths.style.fontSize = `${Math.max(66, Math.floor((100 * room) / wide))}%`;
    }
  };

  const show = (link, { x, touch = false } = {}) => {
    clearTimeout(timer);
    if (current === link) return;
    const parts = contents(link);
    if (!parts) return;
    hide();
    current = link;
    touched = touch;
    const go = document.createElement("a");
    go.className = "go";
    go.href = link.href;
    go.textContent = "Go there";
    box.replaceChildren(...parts, go);
    box.classList.toggle("touched", touch);
    link.setAttribute("aria-describedby", "preview");
    box.showPopover();
    box.scrollTo(0, 0);
    fit();
    place(x);
  };

  const hide = () => {
    clearTimeout(timer);
    if (!current) return;
    current.removeAttribute("aria-describedby");
    current = null;
    box.hidePopover();
    box.replaceChildren();
  };

  const linkAt = (target) => {
    const link = target instanceof Element ? target.closest("a[href]") : null;
    return link && article.contains(link) && !box.contains(link) && !link.matches(".headerlink") ? link : null;
  };

  if (article && box.showPopover) {
    box.id = "preview";
    box.popover = "manual";
    box.setAttribute("role", "tooltip");
    article.append(box);
    for (const link of article.querySelectorAll("a[title]")) {
      if (templates.has(link.getAttribute("href"))) link.removeAttribute("title"); // it would say the same again
    }

    article.addEventListener("pointerover", (event) => {
      if (event.pointerType === "touch") return;
      if (box.contains(event.target)) return clearTimeout(timer);
      const link = linkAt(event.target);
      if (!link) return;
      clearTimeout(timer);
      timer = setTimeout(() => show(link, { x: event.clientX }), DELAY);
    });
    article.addEventListener("pointerout", (event) => {
      if (event.pointerType === "touch" || touched) return;
      if (!linkAt(event.target) && !box.contains(event.target)) return;
      clearTimeout(timer);
      timer = setTimeout(hide, GRACE);
    });
    article.addEventListener("focusin", (event) => {
      const link = linkAt(event.target);
      if (link?.matches(":focus-visible")) show(link);
    });
    article.addEventListener("focusout", (event) => {
      if (event.target === current && !touched) hide();
    });

    // The first tap shows, the second follows, and so does the link in the box.
    article.addEventListener("click", (event) => {
      const link = linkAt(event.target);
      if (event.pointerType !== "touch" || !link || link === current || !contents(link)) return;
      event.preventDefault();
      show(link, { x: event.clientX, touch: true });
    });
    document.addEventListener("pointerdown", (event) => {
      if (current && !box.contains(event.target) && linkAt(event.target) !== current) hide();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !current) return;
      event.stopPropagation();
      hide();
    }, true);
    addEventListener("scroll", (event) => current && event.target !== box && place(), { capture: true, passive: true });
    addEventListener("resize", hide);
    addEventListener("beforeprint", hide);
  }
}
