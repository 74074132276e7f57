// The swiss roll under three schedules side by side, and what is left of it at each step.
const COUNT = 600;
const PLACES = 1000; // of the slider: all three schedules are divided into as many parts
const SECONDS = 8;

function schedules() {
  return [
    { name: "linear, T = 1000", colour: DATA, dash: [], border: "solid", schedule: Schedule.linear(1000) },
    { name: "cosine, T = 1000", colour: MODEL, dash: [9, 4], border: "dashed", schedule: Schedule.cosine(1000) },
    { name: "linear, T = 50", colour: POSTERIOR, dash: [2, 4], border: "dotted", schedule: Schedule.linear(50) },
  ];
}

// The step t that lies at a place of the slider, and what is left of the data there.
function level(schedule, place) {
  const t = Math.round((place * schedule.T) / PLACES);
  const [signal, noise] = [schedule.alphaBar[t], schedule.noise[t]];
  return { t, alphaBar: signal, noise, ratio: signal / noise };
}

// E‖x_0‖² over the roll.
function secondMoment(roll) {
  return roll.weights.reduce((sum, w, k) => sum + w * (roll.x[k] ** 2 + roll.y[k] ** 2), 0) + 2 * roll.noise ** 2;
}

// L_T in nats, averaged over data in the plane: E D_KL(q(x_T | x_0) ‖ N(0, I)).
function priorTerm(schedule, moment) {
  const [signal, noise] = [schedule.alphaBar[schedule.T], schedule.noise[schedule.T]];
  const log = signal < 0.5 ? Math.log1p(-signal) : Math.log(noise); // of 1 − ᾱ_T, with all its digits
  return (signal * (moment - 2) - 2 * log) / 2;
}

// Points of the roll, where on the spiral each began, and the noise that each of them keeps, as (x, y, x, y, …).
function cloud(roll, seed = 1) {
  const random = new Random(seed);
  const points = Array.from({ length: COUNT }, () => roll.sample(random));
  return { u: points.map((p) => p.u), x0: points.flatMap((p) => [p.x, p.y]), noise: random.normals(2 * COUNT) };
}

// x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε.
function diffused({ x0, noise }, { alphaBar, noise: variance }) {
  const [a, b] = [Math.sqrt(alphaBar), Math.sqrt(variance)];
  return x0.map((x, k) => a * x + b * noise[k]);
}

const GRID = `
[data-explorable="forward"] .panels { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 0.3rem;
  container-type: inline-size; }
[data-explorable="forward"] .panels canvas { outline: 1px solid; outline-offset: -1px;
  outline-color: color-mix(in srgb, currentColor 25%, transparent); }
[data-explorable="forward"] .caption { font-size: clamp(0.6rem, 3.2cqw, 0.95rem); line-height: 1.5;
  font-variant-numeric: tabular-nums; }
[data-explorable="forward"] .caption > * { display: block; }
[data-explorable="forward"] .caption > b { padding-bottom: 0.15rem; margin: 0.2rem 0 0.3rem; font-weight: 600; }
`;

function render({ model, el }) {
  const roll = new SwissRoll();
  const points = cloud(roll);
  const moment = secondMoment(roll);
  const rows = schedules().map((row) => ({ ...row, prior: digits(priorTerm(row.schedule, moment), 5) }));
  const bands = Array.from({ length: 24 }, () => []);
  points.u.forEach((u, i) => bands[Math.min(23, Math.floor(24 * u))].push(i));
  const here = (row) => level(row.schedule, Math.round(player.place));

  function draw(picture, row) {
    const x = diffused(points, here(row));
    const size = Math.max(1.6, picture.width / 70);
    bands.forEach((band, k) => {
      picture.context.fillStyle = hue((k + 0.5) / 24);
      for (const i of band) {
        const [across, up] = [picture.x(x[2 * i]), picture.y(x[2 * i + 1])];
        picture.context.fillRect(across - size / 2, up - size / 2, size, size);
      }
    });
  }

  const panels = rows.map((row) => {
    const alt = `600 points of the swiss roll at step t, coloured along the spiral; the schedule is ${row.name}.`;
    const picture = new Picture(alt, { range: [-2.5, 2.5, -2.5, 2.5] }, () => draw(picture, row));
    const name = element("b", { textContent: row.name });
    name.style.borderBottom = `3px ${row.border} ${row.colour}`;
    const lines = Array.from({ length: 4 }, () => element("span"));
    const caption = element("div", { className: "caption" }, name, ...lines);
    return { picture, lines, node: element("div", {}, picture.canvas, caption) };
  });
  const grid = element("div", { className: "panels", role: "group" }, ...panels.map(({ node }) => node));
  grid.setAttribute("aria-label", model.get("alt"));

  const CURVES = {
    signal: { words: "ᾱₜ", range: [0, 1.02], ticks: [0, 0.5, 1], of: (a) => a },
    ratio: {
      words: "log SNR",
      range: [-14, 10],
      ticks: [-10, 0, 10],
      of: (a, n) => Math.log(a / n),
    },
  };
  const curve = new Picture(
    "The three curves over t/T, with the place marked: linear falls early, cosine evenly, and the short one stops high up.",
    { height: 190, range: [0, 1, 0, 1], margin: [10, 12, 36, 34] },
    () => {
      const { range, ticks, of } = CURVES[kind.value];
      const { context } = curve;
      [curve.range[2], curve.range[3]] = range;
      context.globalAlpha = 0.3;
      for (const tick of ticks) curve.line([0, 1], [tick, tick], { width: 1 });
      context.globalAlpha = 1;
      for (const tick of ticks) curve.text(String(tick).replace("-", "−"), 0, tick, { align: "right", dx: -6, dy: 4 });
      curve.axis([0, 0.25, 0.5, 0.75, 1], "t/T");
      curve.line([player.place / PLACES, player.place / PLACES], range, { width: 1 });
      curve.clip();
      for (const { schedule, colour, dash } of rows) {
        const first = kind.value === "ratio" ? 1 : 0; // x_0 has no noise
        const times = Array.from({ length: schedule.T + 1 - first }, (_, i) => i + first);
        const values = times.map((t) => of(schedule.alphaBar[t], schedule.noise[t]));
        curve.line(times.map((t) => t / schedule.T), values, { colour, dash, width: 2.5 });
      }
      context.restore();
      for (const row of rows) {
        const { t, alphaBar, noise } = here(row);
        const value = Math.max(range[0], Math.min(range[1], of(alphaBar, noise)));
        curve.dot(t / row.schedule.T, value, { colour: row.colour, radius: 5, ring: true });
      }
    },
  );

  function show() {
    at.value = Math.round(player.place);
    const found = rows.map((row, k) => {
      const { t, alphaBar, ratio } = here(row);
      const words = [
        `t = ${t}`,
        `ᾱₜ = ${significant(alphaBar)}`,
        `SNR = ${significant(ratio)}`,
        `L_T = ${row.prior} nats`,
      ];
      panels[k].lines.forEach((line, i) => (line.textContent = words[i]));
      panels[k].picture.redraw();
      return `${row.name}: ᾱₜ = ${significant(alphaBar)} at t = ${t}`;
    });
    curve.redraw();
    const end = player.place === PLACES ? ` The end: L_T is ${rows.map((row) => row.prior).join(", ")} nats.` : "";
    says.ariaLive = player.playing ? "off" : "polite"; // say the step, but not sixty times a second
    says.textContent = `${found.join("; ")}.${end}`;
  }

  const player = new Player({ seconds: SECONDS, last: () => PLACES, show });
  player.place = Math.round(PLACES * model.get("position"));
  const format = (value) => digits(value / PLACES, 3);
  const at = slider("t/T", { min: 0, max: PLACES, step: 1, value: player.place, format }, (where) => player.moveTo(where));
  const options = Object.fromEntries(Object.entries(CURVES).map(([key, { words }]) => [key, words]));
  const kind = choice("Curve", options, "signal", () => curve.redraw());
  kind.node.style.flexBasis = "100%"; // and the slider is long
  draggable(curve, () => ({}), (_, [x]) => player.moveTo(Math.round(PLACES * Math.max(0, Math.min(1, x)))));
  const says = saying();
  const hint =
    "Play to the end: which picture is not yet noise, and what does its L_T say? Then go back, and find for each schedule " +
    "the t at which the arms of the spiral run together. Is it the same t? The same ᾱₜ? " +
    "(SNR, the signal-to-noise ratio, is ᾱₜ/(1 − ᾱₜ).)";
  const stopped = { canvas: grid, stop: () => panels.forEach(({ picture }) => picture.stop()) };
  const stop = assemble(el, "forward", { hint, pictures: [stopped, curve], controls: [player.button, at, kind], says });
  el.prepend(element("style", { textContent: GRID }));
  player.set(false);
  return () => {
    player.set(false);
    stop();
  };
}

export default { render };
