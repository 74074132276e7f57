// q(x_{t−1} | x_t, x_0) in the plane: its mean, its width, and the two Gaussians that it is made of.
const FULL = Schedule.linear(1000);
const LENGTHS = [1000, 100, 10];
const RANGE = [-3.6, 3.6, -1.4, 2.6]; // the coordinates at the border of the picture: left, right, bottom, top

const across = (a, x, b, y) => x.map((value, k) => a * value + b * y[k]);

// The forward posterior at a step t > 1 of a schedule, for points in the plane.
function forwardPosterior(schedule, t, x0, xt) {
  const [before, noise, beta] = [schedule.alphaBar[t - 1], schedule.noise, schedule.beta[t]];
  const { fromX0, fromXt, variance } = schedule.posterior(0, 0, t);
  const [s, r] = [Math.sqrt(before), Math.sqrt(1 - beta)];
  // 1 − s and 1 − r without the rounding of a difference; the coefficients add up to (s + r)/(1 + s r)
  const missing = (noise[t - 1] / (1 + s)) * (beta / (1 + r)) / (1 + s * r);
  const apart = Math.hypot(xt[0] - x0[0], xt[1] - x0[1]);
  const area = Math.abs(x0[0] * xt[1] - x0[1] * xt[0]);
  return {
    mean: across(fromX0, x0, fromXt, xt),
    std: Math.sqrt(variance),
    fromX0,
    fromXt,
    beta,
    missing,
    off: apart ? (missing * area) / apart : null, // the mean's distance from the line through x_0 and x_t
    known: { mean: x0.map((x) => s * x), std: Math.sqrt(noise[t - 1]) }, // q(x_{t−1} | x_0)
    step: { mean: xt.map((x) => x / r), std: Math.sqrt(beta) / r }, // q(x_t | x_{t−1}), of x_{t−1}
    away: Math.hypot(...across(1, xt, -Math.sqrt(schedule.alphaBar[t]), x0)) / Math.sqrt(noise[t]),
  };
}

// The steps that the slider stops at: all of them where they are few. Where they are many, all of those near the data, and
// further on the tens, which the schedule of a hundred steps has too.
function stops(T) {
  const all = Array.from({ length: T - 1 }, (_, i) => i + 2);
  return T > 100 ? all.filter((t) => t <= 40 || t % (t <= 100 ? 2 : 10) === 0) : all;
}

// The stop of a schedule of `to` steps at which there is most nearly as much noise as at step t of `from` steps.
function nearestStop(t, from, to) {
  const off = (stop) => Math.abs(stop - (t * to) / from);
  return stops(to).reduce((best, stop) => (off(stop) < off(best) ? stop : best));
}

// What the lines are: how each is drawn, and what it shows.
const KEY = [
  [`3px solid ${POSTERIOR}`, "q(x<sub>t−1</sub> | x<sub>t</sub>, x₀): its mean, one and two standard deviations"],
  [`2px dashed ${DATA}`, "the start’s clue, q(x<sub>t−1</sub> | x₀): its centre, one standard deviation"],
  [
    `2px dashed ${NOISE}`,
    "the present’s, q(x<sub>t</sub> | x<sub>t−1</sub>) as a function of x<sub>t−1</sub>: centre x<sub>t</sub>/√α<sub>t</sub>",
  ],
  ["2px dotted", "the line between those two centres: the mean is always on it"],
];

const GROUPS = `
[data-explorable="forward_posterior"] fieldset { flex: 1 1 15rem; min-width: 0; margin: 0; padding: 0; border: 0; }
[data-explorable="forward_posterior"] fieldset label > span:first-child { flex-basis: 3.6em; }
[data-explorable="forward_posterior"] legend { padding: 0; margin: 0; font: inherit; font-weight: 600; }
[data-explorable="forward_posterior"] legend::before { content: ""; display: inline-block; width: 0.8em; height: 0.8em;
  margin-right: 0.4em; border-radius: 50%; background: var(--dot); }
[data-explorable="forward_posterior"] canvas { outline: 1px solid; outline-offset: -1px;
  outline-color: color-mix(in srgb, currentColor 25%, transparent); }
[data-explorable="forward_posterior"] sub { line-height: 0; }
[data-explorable="forward_posterior"] ul { list-style: none; margin: 0.3rem 0; padding: 0; }
[data-explorable="forward_posterior"] .controls > label { flex-basis: 11rem; white-space: nowrap; }
[data-explorable="forward_posterior"] .value { flex-basis: 3em; }
[data-explorable="forward_posterior"] li { margin: 0; padding-left: 2.4em; position: relative; line-height: 1.4; }
[data-explorable="forward_posterior"] li::before { content: ""; position: absolute; left: 0; top: 0.7em; width: 1.8em;
  border-top: var(--line); }
`;

function render({ model, el }) {
  const schedules = Object.fromEntries(LENGTHS.map((T) => [T, T === FULL.T ? FULL : FULL.thinned(T)]));
  const random = new Random(1);
  let [T, now] = [model.get("T"), null];
  const schedule = () => schedules[T];

  function update() {
    const t = stops(T)[time.value];
    now = forwardPosterior(schedule(), t, x0.place, xt.place);
    const pair = (values) => `(${values.map((value) => digits(value, 3)).join(", ")})`;
    const parts = [
      `t = ${t} of ${T}: the mean is ${significant(now.fromX0)} x₀ + ${significant(now.fromXt)} xₜ = ` +
        `${pair(now.mean)}, √β̃ₜ = ${significant(now.std)}, βₜ = ${significant(now.beta)}.`,
      `The coefficients add up to 1 − ${significant(now.missing)}`,
    ];
    const off = now.off ? `${significant(now.off)} off` : "on";
    parts[1] += now.off === null ? "." : `, and the mean is ${off} the line through x₀ and xₜ.`;
    const away = digits(now.away, 0);
    if (now.away > 4) parts.push(`This xₜ is ${away} standard deviations from √ᾱₜ x₀: q hardly ever draws it.`);
    says.textContent = parts.join(" ");
    picture.redraw();
  }

  function circle([x, y], radius, options) {
    const angles = Array.from({ length: 97 }, (_, i) => (i * Math.PI) / 48);
    picture.line(angles.map((a) => x + radius * Math.cos(a)), angles.map((a) => y + radius * Math.sin(a)), options);
  }

  function draw() {
    const line = (a, b, options) => picture.line([a[0], b[0]], [a[1], b[1]], options);
    const { context } = picture;
    circle(now.known.mean, now.known.std, { colour: DATA, width: 1.5, dash: [5, 5] });
    circle(now.step.mean, now.step.std, { colour: NOISE, width: 1.5, dash: [5, 5] });
    context.globalAlpha = 0.5;
    line(x0.place, xt.place, { width: 1.5 });
    context.globalAlpha = 1;
    line(now.known.mean, now.step.mean, { width: 1.5, dash: [2, 4] });
    circle(now.mean, 2 * now.std, { colour: POSTERIOR, width: 1, fill: faint(POSTERIOR, 0.15) });
    circle(now.mean, now.std, { colour: POSTERIOR, width: 2, fill: faint(POSTERIOR, 0.25) });
    const arm = (9 * (RANGE[1] - RANGE[0])) / picture.width; // nine pixels
    for (const end of [[arm, 0], [0, arm]]) line(end, end.map((x) => -x), { width: 2 });
    picture.text("0", 0, 0, { dx: 7, dy: 16 });
    picture.dot(...now.known.mean, { colour: DATA, radius: 3 });
    picture.dot(...now.step.mean, { colour: NOISE, radius: 3 });
    for (const { place, colour } of [x0, xt]) picture.dot(...place, { colour, radius: 8, ring: true });
    picture.dot(...now.mean, { colour: POSTERIOR, radius: 4, ring: true });
    for (const { place, words } of [x0, xt]) picture.name(words, ...place);
  }

  function group(words, colour, place) {
    const [x, y] = ["across", "up"].map((name, k) =>
      slider(name, { min: RANGE[2 * k], max: RANGE[2 * k + 1], step: 0.01, value: place[k], format: digits }, update),
    );
    const node = element("fieldset", {}, element("legend", { textContent: words }), x.node, y.node);
    node.style.setProperty("--dot", colour);
    return {
      node,
      words,
      colour,
      get place() {
        return [x.value, y.value];
      },
      set place(to) {
        [x.value, y.value] = to; // the sliders keep it within their limits
      },
    };
  }

  const x0 = group("x₀", DATA, model.get("x0"));
  const xt = group("xₜ", NOISE, model.get("xt"));
  const format = (place) => String(stops(T)[place]);
  const first = nearestStop(model.get("t"), T, T);
  const time = slider("t", { min: 0, max: stops(T).length - 1, step: 1, value: stops(T).indexOf(first), format }, update);
  const lengths = Object.fromEntries(LENGTHS.map((n) => [n, String(n)]));
  const length = choice("Steps T", lengths, String(T), () => {
    const t = nearestStop(stops(T)[time.value], T, Number(length.value));
    T = Number(length.value);
    time.input.max = stops(T).length - 1;
    time.value = stops(T).indexOf(t);
    update();
  });
  const again = button("Draw xₜ from q(xₜ | x₀)", () => {
    const t = stops(T)[time.value];
    const [a, b] = [schedule().alphaBar, schedule().noise].map((table) => Math.sqrt(table[t]));
    let drawn;
    do drawn = across(a, x0.place, b, random.normals(2));
    while (drawn.some((x, k) => x < RANGE[2 * k] || x > RANGE[2 * k + 1])); // it must be in the picture
    xt.place = drawn;
    update();
  });
  const picture = new Picture(model.get("alt"), { aspect: 1.8, range: RANGE }, draw);
  const key = element("ul");
  for (const [line, words] of KEY) {
    const item = element("li", { innerHTML: words });
    item.style.setProperty("--line", line);
    key.append(item);
  }
  const keyed = { canvas: element("div", {}, picture.canvas, key), stop: () => picture.stop() };
  const nearest = (place) => {
    const [a, b] = [x0, xt].map((one) => Math.hypot(one.place[0] - place[0], one.place[1] - place[1]));
    return a < b ? x0 : xt;
  };
  draggable(picture, nearest, (held, to) => {
    held.place = to;
    update();
  });
  const says = saying();
  const hint =
    "Is the mean on the line between x₀ and xₜ? Drag both, and see to which side it leaves that line. " +
    "Then take T = 1000, move t, and draw a new xₜ each time: at which t does x₀ begin to pull, and how far does it get?";
  const controls = [time, length, again];
  const stop = assemble(el, "forward_posterior", { hint, pictures: [keyed], controls, says });
  keyed.canvas.before(el.querySelector(".controls")); // picture and controls in one window
  picture.canvas.after(says); // and what can be done by dragging too comes last
  keyed.canvas.after(element("div", { className: "controls" }, x0.node, xt.node));
  el.prepend(element("style", { textContent: GROUPS }));
  update();
  return stop;
}

export default { render };
