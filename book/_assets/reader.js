// A box that scrolls sideways can be reached with the keyboard; one that does not is no stop on the way.
const boxes = document.querySelectorAll("div.math, .bd-article :is(table, .pst-scrollable-table-container), dt.sig");
const update = () => {
  const wide = [...boxes].map((box) => box.scrollWidth > box.clientWidth);
  boxes.forEach((box, i) => (wide[i] ? box.setAttribute("tabindex", "0") : box.removeAttribute("tabindex")));
};
// An equation that is too wide gets smaller until it fits, down to three quarters. On a phone it goes on in a second line,
// so that only what has rows of its own, and cannot be broken, is too wide.
const equations = [...document.querySelectorAll("div.math .katex-html")];
const phone = matchMedia("(max-width: 600px)");
const fit = () => {
  for (const equation of equations) equation.classList.remove("fitted");
  const widest = (widths) => (phone.matches ? Math.max(...widths) : widths.reduce((sum, width) => sum + width, 0));
  const fits = equations.map((equation) => {
    const box = equation.closest("div.math");
    return box.clientWidth / widest([...equation.children].map((part) => part.offsetWidth));
  });
  equations.forEach((equation, i) => {
    if (!(fits[i] < 1)) return;
    equation.style.setProperty("--fit", `${Math.max(0.74, 0.99 * fits[i])}em`);
    equation.classList.add("fitted");
  });
};
let timer;
const later = () => {
  clearTimeout(timer);
  timer = setTimeout(() => { fit(); update(); }, 300); // to measure is to lay out the whole page: what the reader sees comes first
};
addEventListener("load", later);
addEventListener("resize", later);
addEventListener("toggle", later, true); // what was folded away had no width
document.fonts.addEventListener("loadingdone", later); // a fallback has other widths

// On paper everything is light, and nothing is folded away but code, which is left out.
const root = document.documentElement;
let folded = [], theme;
const paper = matchMedia("print");
const print = ({ matches: printing }) => {
  if (printing) {
    folded = [...document.querySelectorAll("details:not([open], .code)")];
    theme = root.dataset.theme;
  }
  folded.forEach((details) => (details.open = printing));
  root.dataset.theme = printing ? "light" : theme;
};
paper.addEventListener("change", print);
if (paper.matches) addEventListener("load", () => print(paper)); // who makes a file of a page may never have it on a screen

// A note in the margin stands where the contents of the page do; these step back while it is in sight.
const contents = document.querySelector(".bd-sidebar-secondary");
const notes = [...document.querySelectorAll(".bd-article aside:not(.footnote, .sidebar, .topic)")];
if (contents && notes.length) {
  const inSight = new Set();
  const observer = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) inSight[isIntersecting ? "add" : "delete"](target);
    contents.classList.toggle("aside-is-here", inSight.size > 0);
  });
  notes.forEach((note) => observer.observe(note));
}

// The list of contents marks where the reader is: the last section that has begun above the middle of the window. The
// theme's own way looks at headings that come into sight, and does not know one that has gone by.
const list = document.querySelector("#pst-page-toc-nav");
const follow = () => {
  const links = [...list.querySelectorAll('a[href^="#"]')];
  const begun = (link) => {
    const section = document.getElementById(decodeURIComponent(link.hash.slice(1)));
    return section && section.getBoundingClientRect().top <= innerHeight * 0.4;
  };
  const level = (parent) => links.filter((link) => link.closest("ul")?.parentElement.closest("li") === parent);
  let here = level(null).filter(begun).at(-1); // what is inside of others is not laid out, nor looked at
  for (let next = here; next; next = level(next.closest("li")).filter(begun).at(-1)) here = next;
  for (const link of links) {
    link.classList.toggle("active", link === here);
    link.toggleAttribute("aria-current", link === here);
    if (link === here) link.setAttribute("aria-current", "true");
    link.closest("li").classList.toggle("active", link.closest("li").contains(here ?? null));
  }
};
if (list) {
  let asked = false;
  const soon = () => {
    if (!asked) requestAnimationFrame(() => { asked = false; follow(); });
    asked = true;
  };
  addEventListener("load", () => {
    list.replaceChildren(...[...list.childNodes].map((node) => node.cloneNode(true))); // the theme keeps hold of its own
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    soon();
  });
}

// The theme takes the focus from a button that is pressed. Who pressed it with a key is left there, also after what it opened.
const buttons = ".primary-toggle, .secondary-toggle, .theme-switch-button";
document.addEventListener("click", (event) => {
  const button = event.target.closest?.(buttons);
  if (!button || event.detail) return;
  const open = () => document.querySelector("dialog:modal");
  const back = () => document.activeElement === document.body && button.focus();
  setTimeout(() => (open() ? open().addEventListener("close", () => setTimeout(back), { once: true }) : back()));
}, true);

// What the search knows is a sixth of a page's weight: it comes when a reader begins to type.
const search = document.getElementById("pst-search-dialog");
search?.addEventListener("input", () => {
  for (const name of ["sections.js", "_static/search.js"]) {
    const script = document.createElement("script");
    script.src = document.documentElement.dataset.content_root + name;
    script.async = false; // in this order
    document.head.append(script);
  }
}, { once: true });
