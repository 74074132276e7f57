// The swiss roll under three schedules side by side, and what is left of it at each step.
const COUNT = 600;
const PLACES = 1000; // of the slider: all three schedules are divided into as many parts
const SECONDS = 8;

function schedules() {
  return [
    { name: "linear", dash: [], border: "solid", schedule: Schedule.linear(1000) },
    { name: "cosine", dash: [9, 4], border: "dashed", schedule: Schedule.cosine(1000) },
    { name: "fifty steps", dash: [2, 4], border: "dotted", schedule: Schedule.linear(50) },
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

const grouped = (t) => (t < 1000 ? String(t) : `${Math.floor(t / 1000)},${String(t % 1000).padStart(3, "0")}`);

const GRID = `
[data-explorable="forward"] .panels { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 0.3rem;
  container-type: inline-size; }
[data-explorable="forward"] .panels canvas { outline: 1px solid; outline-offset: -1px;
  outline-color: color-mix(in srgb, currentColor 25%, transparent); }
[data-explorable="forward"] .caption { font-size: clamp(0.65rem, 3.2cqw, 0.95rem); line-height: 1.5;
  font-variant-numeric: tabular-nums; }
[data-explorable="forward"] .caption > * { display: block; }
[data-explorable="forward"] .caption sub { line-height: 1; }
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
  const levels = model.get("levels"); // with the symbols of the chapter, or for who has not met them yet

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
    name.style.borderBottom = `3px ${row.border}`;
    const lines = Array.from({ length: levels ? 4 : 3 }, () => element("span"));
    const caption = element("div", { className: "caption" }, name, ...lines);
    return { picture, lines, node: element("div", {}, picture.canvas, caption) };
  });
  const grid = element("div", { className: "panels", role: "group" }, ...panels.map(({ node }) => node));
  grid.setAttribute("aria-label", model.get("alt"));

  const percent = (value) => `${digits(100 * value, 1)}%`;
  const CURVES = {
    signal: { words: "ᾱₜ", range: [0, 1.02], ticks: [0, 0.5, 1], of: (a) => a },
    ratio: { words: "log SNR", range: [-14, 10], ticks: [-10, 0, 10], of: (a, n) => Math.log(a / n) },
  };
  const NAMES = { signal: [[0.16, 0.12], [0.52, 0.58], [0.78, 0.83]], ratio: [[0.2, -5], [0.55, 1.6], [0.72, 3.6]] };
  const curve = new Picture(
    "What is left of the data, against the share of the steps, with the place marked: linear falls early, cosine evenly, " +
      "and the short one stops high up.",
    { height: 190, range: [0, 1, 0, 1], margin: [10, levels ? 12 : 24, 36, levels ? 34 : 46] },
    () => {
      const { range, ticks, of } = CURVES[kind.value];
      const { context } = curve;
      const said = (tick) => (levels ? String(tick).replace("-", "−") : `${100 * tick}%`);
      [curve.range[2], curve.range[3]] = range;
      context.globalAlpha = 0.3;
      for (const tick of ticks) curve.line([0, 1], [tick, tick], { width: 1 });
      context.globalAlpha = 1;
      for (const tick of ticks) curve.text(said(tick), 0, tick, { align: "right", dx: -6, dy: 4 });
      curve.axis([0, 0.25, 0.5, 0.75, 1], levels ? "t/T" : "share of the steps taken", levels ? undefined : said);
      curve.line([player.place / PLACES, player.place / PLACES], range, { width: 1 });
      curve.clip();
      for (const { schedule, dash } of rows) {
        const first = kind.value === "ratio" ? 1 : 0; // x_0 has no noise
        const times = Array.from({ length: schedule.T + 1 - first }, (_, i) => i + first);
        const values = times.map((t) => of(schedule.alphaBar[t], schedule.noise[t]));
        curve.line(times.map((t) => t / schedule.T), values, { dash, width: 2.5 });
      }
      context.restore();
      rows.forEach((row, k) => {
        const { t, alphaBar, noise } = here(row);
        const value = Math.max(range[0], Math.min(range[1], of(alphaBar, noise)));
        curve.dot(t / row.schedule.T, value, { radius: 5, ring: true });
        curve.text(row.name, ...NAMES[kind.value][k]);
      });
    },
  );

  function show() {
    at.value = Math.round(player.place);
    const found = rows.map((row, k) => {
      const { t, alphaBar, noise, ratio } = here(row);
      const signal = significant(alphaBar);
      const prior = ["L", element("sub", { textContent: "T" }), ` = ${row.prior}`];
      const plain = [`step ${grouped(t)} of ${grouped(row.schedule.T)}`, `data ${percent(alphaBar)}`, `noise ${percent(noise)}`];
      const words = levels ? [`t = ${t}`, `ᾱₜ = ${signal}`, `SNR = ${significant(ratio)}`, prior] : plain;
      panels[k].lines.forEach((line, i) => line.replaceChildren(...[words[i]].flat()));
      panels[k].picture.redraw();
      return `${row.name}: ${levels ? `ᾱₜ = ${signal} at t = ${t}` : plain.join(", ")}`;
    });
    curve.redraw();
    const priors = `${rows.map((row) => row.prior).join(", ")} nats.`;
    const end = levels && player.place === PLACES ? [" The end: L", element("sub", { textContent: "T" }), ` is ${priors}`] : [];
    says.ariaLive = player.playing ? "off" : "polite"; // say the step, but not sixty times a second
    says.replaceChildren(`${found.join("; ")}.`, ...end);
  }

  const player = new Player({ seconds: SECONDS, last: () => PLACES, show });
  player.place = Math.round(PLACES * model.get("position"));
  const format = (value) => (levels ? digits(value / PLACES, 3) : percent(value / PLACES));
  const at = slider(levels ? "t/T" : "Steps", { min: 0, max: PLACES, step: 1, value: player.place, format }, (where) => player.moveTo(where));
  const options = Object.fromEntries(Object.entries(CURVES).map(([key, { words }]) => [key, words]));
  const kind = choice("Curve", options, "signal", () => curve.redraw());
  draggable(curve, () => ({}), (_, [x]) => player.moveTo(Math.round(PLACES * Math.max(0, Math.min(1, x)))));
  const says = saying();
  const hint = levels
    ? "Compare the three at the end. Then find for each schedule the t at which the arms of the spiral run together: is " +
      "it the same t? The same ᾱₜ? (SNR, the signal-to-noise ratio, is ᾱₜ/(1 − ᾱₜ).)"
    : "Play to the end: which picture is not yet noise? Then go back, and find for each schedule the step at which the " +
      "arms of the spiral run together. How much of the data is left there? (Shares are of the variance: of the data " +
      "what is left, of the noise what has come in.)";
  const stopped = { canvas: grid, stop: () => panels.forEach(({ picture }) => picture.stop()) };
  const stop = assemble(el, "forward", { hint, pictures: [stopped, curve], controls: [player.button, at], says });
  el.querySelector(".controls").after(curve.canvas, ...(levels ? [kind.node] : [])); // what is moved stands beside what moves
  el.prepend(element("style", { textContent: GRID }));
  player.set(false);
  return () => {
    player.set(false);
    stop();
  };
}

export default { render };
