// A box that scrolls sideways can be reached with the keyboard; one that does not is no stop on the way.
const boxes = document.querySelectorAll("div.math, .bd-article table, dt.sig");
const update = () => {
  const wide = [...boxes].map((box) => box.scrollWidth > box.clientWidth);
  boxes.forEach((box, i) => (wide[i] ? box.setAttribute("tabindex", "0") : box.removeAttribute("tabindex")));
};
new ResizeObserver(update).observe(document.documentElement);
document.addEventListener("toggle", update, true); // what was folded away had no width
document.fonts.ready.then(update);

// On paper everything is light, and nothing is folded away.
const root = document.documentElement;
let folded = [], theme;
matchMedia("print").addEventListener("change", ({ matches: printing }) => {
  if (printing) {
    folded = [...document.querySelectorAll("details:not([open])")];
    theme = root.dataset.theme;
  }
  folded.forEach((details) => (details.open = printing));
  root.dataset.theme = printing ? "light" : theme;
});
