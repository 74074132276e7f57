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
matchMedia("print").addEventListener("change", ({ matches: printing }) => {
  if (printing) {
    folded = [...document.querySelectorAll("details:not([open], .code)")];
    theme = root.dataset.theme;
  }
  folded.forEach((details) => (details.open = printing));
  root.dataset.theme = printing ? "light" : theme;
});

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
