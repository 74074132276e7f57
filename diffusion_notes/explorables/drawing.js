// What the explorables are drawn with: controls that the keyboard operates, and a picture that fits its place.

const STYLE = `
[data-explorable] { margin: 0.4rem 0; color: inherit; }
[data-explorable] > svg, [data-explorable] [hidden] { display: none; }
[data-explorable] .try { margin: 0 0 0.5rem; }
[data-explorable] .try i { font-family: KaTeX_Main, var(--serif, serif); font-size: 1.21em; }
[data-explorable] canvas { display: block; width: 100%; border-radius: 0.4rem; touch-action: pan-y pinch-zoom; }
[data-explorable] canvas.drag { cursor: grab; }
[data-explorable] .controls { display: flex; flex-wrap: wrap; align-items: center; gap: 0.2rem 1rem; margin-top: 0.4rem; }
[data-explorable] label { display: flex; flex: 1 1 14rem; min-width: 0; align-items: center; gap: 0.6rem;
  min-height: 2.75rem; }
[data-explorable] label > span { flex: 0 1 auto; }
[data-explorable] input[type="range"] { flex: 1; min-width: 5rem; min-height: 2.75rem; }
[data-explorable] .pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); flex: 1 1 28rem;
  gap: 0.2rem 1rem; min-width: 0; }
[data-explorable] details { flex: 1 1 100%; }
[data-explorable] summary { display: flex; align-items: center; gap: 0.5em; min-height: 2.75rem; cursor: pointer; }
[data-explorable] summary::before { content: "▸"; }
[data-explorable] [open] > summary::before { content: "▾"; }
[data-explorable] .value { flex: 0 0 4.5em; text-align: right; font-variant-numeric: tabular-nums; }
[data-explorable] * { box-sizing: border-box; }
[data-explorable] select { flex: 1 1 6rem; min-width: 5rem; width: 0; }
[data-explorable] button, [data-explorable] select { min-height: 2.75rem; padding: 0 0.8rem; font: inherit; color: inherit;
  background: transparent; border: 1px solid; border-radius: 0.4rem; cursor: pointer; max-width: 100%; }
[data-explorable] option { color: black; background: white; }
[data-explorable] :is(button, select, input, canvas, summary):focus-visible { outline: 2px solid; outline-offset: 2px; }
[data-explorable] button { min-width: 6.5rem; }
[data-explorable] .says { display: block; margin-top: 0.3rem; min-height: 3.2em; font-variant-numeric: tabular-nums; }
[data-explorable] .legend { margin: 0.3rem 0; }
[data-explorable] .legend > span { display: inline-block; margin-right: 1.2em; }
@media (max-width: 46rem) { [data-explorable] .pair > label { flex-direction: column; align-items: stretch; gap: 0; }
  [data-explorable] .pair select { flex: none; width: 100%; padding: 0 0.5rem; } }
@media print { [data-explorable]:has(> svg) > :not(svg) { display: none !important; }
  [data-explorable] > svg { display: block; } }
`;

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// A labelled slider. `format` says a value in words, on the page and to a screen reader.
function slider(label, { min, max, step, value, format = String }, change) {
  const input = element("input", { type: "range", min, max, step });
  const said = element("span", { className: "value", ariaHidden: "true" });
  const node = element("label", {}, element("span", { textContent: label }), input, said);
  const control = {
    node,
    input,
    get value() {
      return Number(input.value);
    },
    set value(now) {
      input.value = now;
      said.textContent = format(Number(input.value));
      input.setAttribute("aria-valuetext", said.textContent);
    },
  };
  control.value = value;
  input.addEventListener("input", () => {
    control.value = input.value;
    change?.(control.value);
  });
  return control;
}

// A labelled list of choices, given as { value: words }.
function choice(label, options, value, change) {
  const input = element("select");
  for (const [name, words] of Object.entries(options)) input.append(new Option(words, name));
  input.value = value;
  const node = element("label", {}, element("span", { textContent: label }), input);
  input.addEventListener("change", () => change?.(input.value));
  return { node, input, get value() { return input.value; }, set value(now) { input.value = now; } };
}

function button(words, click) {
  const node = element("button", { type: "button", textContent: words });
  node.addEventListener("click", click);
  return node;
}

// Two choices beside each other; on a phone each below its name.
const pair = (...controls) => element("div", { className: "pair" }, ...controls.map(({ node }) => node));

// Controls that few will want: behind a line that says what they are.
function folded(words, ...controls) {
  const inside = element("div", { className: "controls" }, ...controls.map((control) => control.node ?? control));
  return element("details", { className: "more" }, element("summary", { textContent: words }), inside);
}

// A number with so many digits after the point, and a real minus sign.
const digits = (value, count = 2) => value.toFixed(count).replace(/^-(?=0\.?0*$)/, "").replace("-", "−");

// A number to so many digits that count, with a power of ten where it is needed.
function significant(value, count = 3) {
  if (!Number.isFinite(value)) return "∞";
  if (value < 0) return `−${significant(-value, count)}`;
  if (value === 0 || value >= 10 ** count - 0.5) return value.toFixed(0);
  if (value >= 1e-3) return value.toPrecision(count);
  const [digit, power] = value.toExponential(count - 1).split("e-");
  return `${digit}·10⁻${[...power].map((d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]).join("")}`;
}

// What the colours of a picture mean, as { words, colour } of each.
function legend(items) {
  const node = element("p", { className: "legend" });
  for (const { words, colour, opacity = 1 } of items) {
    const mark = element("span", { ariaHidden: "true", textContent: "▬ " });
    Object.assign(mark.style, { color: colour, opacity });
    node.append(element("span", {}, mark, words));
  }
  return node;
}

// A canvas with coordinates. `range` is [left, right, bottom, top]; `aspect` its width over its height, unless `height`
// says how many pixels it is high; `margin` the pixels around it, as in CSS.
class Picture {
  constructor(alt, { aspect = 1, height, range = [-1, 1, -1, 1], margin = [0, 0, 0, 0] }, draw) {
    Object.assign(this, { range, aspect, margin, draw });
    this.canvas = element("canvas");
    Object.assign(this.canvas.style, height ? { height: `${height}px` } : { aspectRatio: aspect });
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", alt);
    this.context = this.canvas.getContext("2d");
    this.resized = new ResizeObserver(() => this.redraw());
    this.resized.observe(this.canvas);
    this.themed = new MutationObserver(() => this.redraw()); // the theme of the page is an attribute of its root
    this.themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  }
  redraw() {
    const { canvas, context } = this;
    const ratio = devicePixelRatio || 1;
    [this.width, this.height] = [canvas.clientWidth, canvas.clientHeight];
    if (!this.width) return;
    const size = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
    if (size[0] !== canvas.width || size[1] !== canvas.height) [canvas.width, canvas.height] = size;
    this.ink = getComputedStyle(canvas).color;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    context.font = `${Math.max(12, Math.min(14, this.width / 32))}px system-ui, sans-serif`;
    this.draw(this);
  }
  stop() {
    this.resized.disconnect();
    this.themed.disconnect();
  }
  x(value) {
    const [left, right] = [this.margin[3], this.width - this.margin[1]];
    return left + ((value - this.range[0]) / (this.range[1] - this.range[0])) * (right - left);
  }
  y(value) {
    const [top, bottom] = [this.margin[0], this.height - this.margin[2]];
    return bottom - ((value - this.range[2]) / (this.range[3] - this.range[2])) * (bottom - top);
  }
  // From a pointer's place on the screen to coordinates.
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const share = [
      (event.clientX - box.left - this.margin[3]) / (this.width - this.margin[1] - this.margin[3]),
      (box.bottom - this.margin[2] - event.clientY) / (this.height - this.margin[0] - this.margin[2]),
    ];
    return share.map((s, i) => this.range[2 * i] + s * (this.range[2 * i + 1] - this.range[2 * i]));
  }
  // Nothing is drawn outside the coordinates until the context is restored.
  clip() {
    const [top, right, bottom, left] = this.margin;
    this.context.save();
    this.context.beginPath();
    this.context.rect(left, top, this.width - left - right, this.height - top - bottom);
    this.context.clip();
  }
  line(xs, ys, { colour = this.ink, width = 2, dash = [], fill } = {}) {
    const { context } = this;
    context.beginPath();
    for (let i = 0; i < xs.length; i++) context.lineTo(this.x(xs[i]), this.y(ys[i]));
    Object.assign(context, { strokeStyle: colour, lineWidth: width, lineJoin: "round" });
    context.setLineDash(dash);
    if (fill) Object.assign(context, { fillStyle: fill }), context.fill();
    if (width) context.stroke();
    context.setLineDash([]);
  }
  curve(f, options, [from, to] = this.range, count = 300) {
    const xs = Float64Array.from({ length: count + 1 }, (_, i) => from + ((to - from) * i) / count);
    this.line(xs, xs.map(f), options);
  }
  dot(x, y, { colour = this.ink, radius = 6, ring } = {}) {
    const { context } = this;
    context.beginPath();
    context.arc(this.x(x), this.y(y), radius, 0, 2 * Math.PI);
    Object.assign(context, { fillStyle: colour, strokeStyle: this.ink, lineWidth: 2 });
    context.fill();
    if (ring) context.stroke();
  }
  arrow(x, y, dx, dy, { colour = this.ink, width = 2 } = {}) {
    const { context } = this;
    const [a, b, c, d] = [this.x(x), this.y(y), this.x(x + dx), this.y(y + dy)];
    const length = Math.hypot(c - a, d - b);
    const head = Math.min(8, length / 2);
    const angle = Math.atan2(d - b, c - a);
    context.beginPath();
    context.moveTo(a, b);
    context.lineTo(c, d);
    for (const turn of [2.6, -2.6]) {
      context.moveTo(c, d);
      context.lineTo(c + head * Math.cos(angle + turn), d + head * Math.sin(angle + turn));
    }
    Object.assign(context, { strokeStyle: colour, lineWidth: width, lineCap: "round" });
    context.stroke();
  }
  text(words, x, y, { colour = this.ink, align = "left", dx = 0, dy = 0 } = {}) {
    Object.assign(this.context, { fillStyle: colour, textAlign: align });
    this.context.fillText(words, this.x(x) + dx, this.y(y) + dy);
  }
  // The name of a point: beside it, and inside the picture.
  name(words, x, y) {
    const side = this.x(x) > this.width - 40 ? -1 : 1;
    const dy = this.y(y) < 24 ? 18 : -8;
    this.text(words, x, y, { align: side > 0 ? "left" : "right", dx: 12 * side, dy });
  }
  // The horizontal axis, with its numbers and its name.
  axis(ticks, name, format = (tick) => String(tick).replace("-", "−")) {
    const [left, right, bottom] = this.range;
    this.line([left, right], [bottom, bottom], { width: 1 });
    for (const tick of ticks) this.text(format(tick), tick, bottom, { align: "center", dy: 16 });
    this.text(name, right, bottom, { align: "right", dy: 32 });
  }
}

// Words with indices set as such: x_t, or xₜ with an index of Unicode's, which few fonts draw well.
function withIndices(words) {
  const pattern = /(?<![\p{L}_])(\p{L}\p{M}*)(?:_([\p{L}\p{N}]+)|([\u2080-\u209c\u1d62-\u1d6a]+))/gu;
  const parts = [];
  let last = 0;
  for (const { 0: all, 1: letter, 2: plain, 3: small, index } of words.matchAll(pattern)) {
    parts.push(words.slice(last, index), element("i", { textContent: letter }));
    parts.push(element("sub", { textContent: plain ?? small.normalize("NFKC") }));
    last = index + all.length;
  }
  return [...parts, words.slice(last)];
}

// Puts an explorable together: what to try, the pictures, the controls, and what it says.
function assemble(el, name, { hint, pictures, controls, says }) {
  el.dataset.explorable = name;
  el.prepend(
    element("style", { textContent: STYLE }),
    element("p", { className: "try" }, ...withIndices(hint)),
    ...pictures.map((picture) => picture.canvas),
    element("div", { className: "controls" }, ...controls.map((control) => control.node ?? control)),
    says,
  );
  return () => pictures.forEach((picture) => picture.stop());
}

// What an explorable says of its state, politely: a sentence with numbers in it.
function saying() {
  return element("output", { className: "says", ariaLive: "polite" });
}

// One colour for one thing, as in the figures, and seen on a light page and on a dark one; what is exact has the ink's.
const DATA = "#0072B2";
const MODEL = "#D55E00";
const POSTERIOR = "#009E73";
const NOISE = "#249ACC";
const BOUND = "#8363DB";
const WRONG = "#F2556E";
const faint = (colour, opacity) => colour + Math.round(255 * opacity).toString(16).padStart(2, "0");
const hue = (share) => `hsl(${200 + 200 * share}, 75%, 52%)`;
