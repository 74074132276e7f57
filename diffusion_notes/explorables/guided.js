// Guidance of weight w on a line, with exact scores: the density that a sampler draws, and the tilted one.
const SCHEDULE = Schedule.linear(1000);
const LEVELS = chooseLevels(SCHEDULE, 100, "log_snr");
const KAPPA = [...LEVELS].reverse().map((t) => Math.sqrt(SCHEDULE.noise[t] / SCHEDULE.alphaBar[t]));
const START = 1 / Math.sqrt(SCHEDULE.alphaBar[1000]); // the width of y = x_T/√ᾱ_T, if x_T is from N(0, 1)
const MOST = 8; // of w
const PARTS = 32; // of the curve over w
const TILTED = 0.35; // the opacity of the tilted density, on the picture and in the legend
// q(x_0): parts that are equally likely and as wide; q(x_0 | c): one Gaussian.
const DATA_SETS = {
  overlap: { words: "overlapping", means: [-1, 1], width: 0.5, given: { mean: 1, width: 0.5 } },
  apart: { words: "apart", means: [-1, 1], width: 0.15, given: { mean: 1, width: 0.15 } },
  nested: { words: "one in the other", means: [0], width: 1, given: { mean: 1, width: 0.5 } },
};

// What is known of y = x_0 + κε: the expected noise with w as much of c as there is, its slope, log q(y) and log q(y | c).
function guidedNoise({ means, width, given }, w, y, kappa) {
  const variance = width ** 2 + kappa ** 2;
  const narrow = given.width ** 2 + kappa ** 2;
  const log = (k) => -((y - means[k]) ** 2) / (2 * variance);
  let most = log(0);
  for (let k = 1; k < means.length; k++) most = Math.max(most, log(k));
  let [total, first, second] = [0, 0, 0];
  for (let k = 0; k < means.length; k++) {
    const share = Math.exp(log(k) - most);
    total += share;
    first += share * means[k];
    second += share * means[k] ** 2;
  }
  const mean = first / total;
  const spread = second / total - mean ** 2;
  return {
    noise: kappa * (((1 - w) * (y - mean)) / variance + (w * (y - given.mean)) / narrow),
    slope: kappa * (((1 - w) * (1 - spread / variance)) / variance + w / narrow),
    log: most + Math.log(total / means.length) - Math.log(2 * Math.PI * variance) / 2,
    logGiven: -((y - given.mean) ** 2) / (2 * narrow) - Math.log(2 * Math.PI * narrow) / 2,
  };
}

// log q(x_0) + w log p(c | x_0), up to a constant: p(c | x_0) is q(x_0 | c) / q(x_0) times the share of c.
function logTilted(data, w, x) {
  const { log, logGiven } = guidedNoise(data, w, x, 0);
  return log + w * (logGiven - log);
}

// The integral of the tilted density before it is normalised, by the trapezoidal rule, as a logarithm.
function logNormaliser(data, w) {
  const step = 0.005;
  let total = 0;
  for (let x = -7; x <= 7; x += step) total += step * Math.exp(logTilted(data, w, x));
  return Math.log(total);
}

const normal = (z) => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);

// x_0 − κε_w, where the lowest level is left: the points, and the logarithm of their density.
function leave(data, w, ys, logs) {
  const kappa = KAPPA.at(-1);
  const ahead = Array.from(ys, (y) => guidedNoise(data, w, y, kappa));
  return {
    xs: Float64Array.from(ys, (y, i) => y - kappa * ahead[i].noise),
    logs: Float64Array.from(logs, (log, i) => log - Math.log(Math.abs(1 - kappa * ahead[i].slope))),
  };
}

// The steps of the ODE take every point to one other, and the density with it: it changes by their slope.
function alongOde(data, w, z) {
  const logs = z.map((value) => (-value * value) / 2 - Math.log(2 * Math.PI) / 2 - Math.log(START));
  const ys = z.map((value) => START * value);
  for (let k = 1; k < KAPPA.length; k++) {
    const change = KAPPA[k] - KAPPA[k - 1];
    ys.forEach((y, i) => {
      const { noise, slope } = guidedNoise(data, w, y, KAPPA[k - 1]);
      ys[i] = y + change * noise;
      logs[i] -= Math.log(Math.abs(1 + change * slope));
    });
  }
  return leave(data, w, ys, logs);
}

// From as many starts as are needed to see all of the density: where two end far apart, more start between them.
function byOde(data, w) {
  let z = Float64Array.from({ length: 401 }, (_, i) => (i - 200) / 33);
  let found = alongOde(data, w, z);
  for (let again = 0; again < 12; again++) {
    const wide = (i) => found.xs[i + 1] - found.xs[i] > 0.02;
    const more = Float64Array.from(z.keys()).filter((i) => i + 1 < z.length && wide(i)).map((i) => (z[i] + z[i + 1]) / 2);
    if (!more.length) break;
    const added = alongOde(data, w, more);
    const all = [...z, ...more];
    const order = Array.from(all.keys()).sort((a, b) => all[a] - all[b]);
    const merged = (name) => Float64Array.from(order, (i) => (i < z.length ? found[name][i] : added[name][i - z.length]));
    found = { xs: merged("xs"), logs: merged("logs") };
    z = Float64Array.from(order, (i) => all[i]);
  }
  const gap = (i) => (z[Math.min(i + 1, z.length - 1)] - z[Math.max(i - 1, 0)]) / 2;
  return { ...found, masses: z.map((value, i) => gap(i) * normal(value)) };
}

// The steps of the SDE take a point to a Gaussian: the density at a grid after a step is an integral over one before.
function bySde(data, w) {
  const fine = 1.5; // points of a grid within one standard deviation of the noise of a step
  const far = 6.5; // of these: further away there is nothing
  let step = START / 8;
  let ys = Float64Array.from({ length: 1 + 16 * far }, (_, i) => (i - 8 * far) * step);
  let density = ys.map((y) => normal(y / START) / START);
  for (let k = 1; k < KAPPA.length; k++) {
    const [from, to] = [KAPPA[k - 1], KAPPA[k]];
    const std = to * Math.sqrt(1 - (to / from) ** 2);
    const ends = ys.map((y) => y + ((to * to) / from - from) * guidedNoise(data, w, y, from).noise);
    const masses = density.map((value) => value * step);
    let [low, high] = [Infinity, -Infinity];
    masses.forEach((mass, i) => {
      if (mass > 1e-13) [low, high] = [Math.min(low, ends[i]), Math.max(high, ends[i])];
    });
    step = std / fine;
    low -= far * std;
    const next = new Float64Array(Math.ceil((high + far * std - low) / step) + 1);
    masses.forEach((mass, i) => {
      if (mass <= 1e-13) return;
      const first = Math.ceil((ends[i] - far * std - low) / step);
      for (let j = Math.max(0, first); j <= first + 2 * far * fine && j < next.length; j++) {
        next[j] += (mass * normal((low + j * step - ends[i]) / std)) / std;
      }
    });
    ys = next.map((_, j) => low + j * step);
    density = next;
  }
  const kept = Array.from(density.keys()).filter((i) => density[i] * step > 1e-13);
  const only = (values) => Float64Array.from(kept, (i) => values[i]);
  return { ...leave(data, w, only(ys), only(density.map(Math.log))), masses: only(density.map((value) => value * step)) };
}

// All that is said and drawn of one w: the sampler's density, its moments, and how far it is from the others, in nats.
function guided(name, sampler, w) {
  const data = DATA_SETS[name];
  const { xs, logs, masses } = (sampler === "ode" ? byOde : bySde)(data, w);
  const total = masses.reduce((a, b) => a + b);
  const expect = (f) => masses.reduce((sum, mass, i) => sum + (mass / total) * f(xs[i], i), 0);
  const constant = logNormaliser(data, w);
  const mean = expect((x) => x);
  return {
    xs,
    logs,
    constant,
    mean,
    std: Math.sqrt(expect((x) => (x - mean) ** 2)),
    fromTilted: expect((x, i) => logs[i] - logTilted(data, w, x) + constant),
    fromGiven: expect((x, i) => logs[i] - guidedNoise(data, 1, x, 0).logGiven),
  };
}

// The largest number of a few round ones, of which at least three fit below the top.
const roundStep = (top) => [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5].filter((step) => step <= top / 2.5).at(-1) ?? 0.01;

function render({ model, el }) {
  const curves = {}; // of every data set and sampler: what `guided` says of each w
  let [now, task] = [null, 0];
  const xs = Float64Array.from({ length: 581 }, (_, i) => -2.5 + i / 100);
  const chosen = () => DATA_SETS[data.value];
  const densities = () => ({
    all: xs.map((x) => Math.exp(guidedNoise(chosen(), 1, x, 0).log)),
    given: xs.map((x) => Math.exp(guidedNoise(chosen(), 1, x, 0).logGiven)),
    tilted: xs.map((x) => Math.exp(logTilted(chosen(), w.value, x) - now.constant)),
  });

  function update() {
    now = guided(data.value, sampler.value, w.value);
    const name = sampler.value.toUpperCase();
    says.textContent =
      `w = ${digits(w.value)}: what the ${name} draws is ${digits(now.fromTilted, 3)} nats from the tilted density, ` +
      `and ${digits(now.fromGiven, 3)} from q(x₀ | c). ` +
      `It has the mean ${digits(now.mean)} and the standard deviation ${significant(now.std, 2)}; ` +
      `the tilted density has ${digits(moments().mean)} and ${significant(moments().std, 2)}.`;
    picture.redraw();
    below.redraw();
    el.dataset.known = curve().filter((known) => known).length;
  }

  function moments() {
    const { tilted } = densities();
    const mean = tilted.reduce((sum, d, i) => sum + 0.01 * d * xs[i], 0);
    return { mean, std: Math.sqrt(tilted.reduce((sum, d, i) => sum + 0.01 * d * (xs[i] - mean) ** 2, 0)) };
  }

  // The curve over w is computed one point after the other, so that the page stays free.
  const curve = () => (curves[`${data.value} ${sampler.value}`] ??= Array(PARTS + 1).fill(null));
  function fill() {
    clearTimeout(task);
    const missing = curve().indexOf(null);
    el.toggleAttribute("data-busy", missing >= 0);
    if (missing < 0) return;
    curve()[missing] = guided(data.value, sampler.value, (MOST * missing) / PARTS);
    el.dataset.known = curve().filter((known) => known).length;
    below.redraw();
    task = setTimeout(fill, 0);
  }

  function draw() {
    const { all, given, tilted } = densities();
    const drawn = now.logs.map(Math.exp);
    const highest = (values) => values.reduce((a, b) => Math.max(a, b));
    const most = Math.max(highest(given), highest(tilted));
    picture.range = [-2.5, 3.3, 0, 1.1 * Math.max(most, Math.min(2.5 * most, highest(drawn)))];
    picture.clip();
    picture.line(xs, all, { colour: DATA, width: 1, fill: faint(DATA, 0.2) });
    picture.line(xs, given, { colour: POSTERIOR, width: 2, dash: [7, 5] });
    picture.context.globalAlpha = TILTED;
    picture.line(xs, tilted, { width: 6 });
    picture.context.globalAlpha = 1;
    picture.line(now.xs, drawn, { colour: MODEL, width: 2.5 });
    picture.context.restore();
    picture.axis([-2, -1, 0, 1, 2, 3], "x₀");
  }

  function drawBelow() {
    const there = curve().map((known, k) => ({ ...known, w: (MOST * k) / PARTS })).filter((each) => each.xs);
    const top = 1.1 * Math.max(0.05, now.fromTilted, ...there.map((each) => each.fromTilted));
    below.range = [0, MOST, 0, top];
    const step = roundStep(top);
    for (let tick = step; tick < 0.8 * top; tick += step) {
      below.text(digits(tick, step < 0.1 ? 2 : step < 1 ? 1 : 0), 0, tick, { align: "right", dx: -8, dy: 4 });
    }
    below.clip();
    below.line([w.value, w.value], [0, top], { width: 1, dash: [2, 4] });
    const ws = there.map((each) => each.w);
    below.line(ws, there.map((each) => each.fromGiven), { colour: POSTERIOR, width: 2, dash: [7, 5] });
    below.line(ws, there.map((each) => each.fromTilted), { colour: MODEL, width: 2.5 });
    below.context.restore();
    below.text("nats", 0, top, { align: "right", dx: -8, dy: 8 });
    below.axis([0, 2, 4, 6, 8], "the weight w: drag it");
    below.dot(w.value, now.fromTilted, { colour: MODEL, radius: 7, ring: true });
  }

  const redone = () => {
    el.toggleAttribute("data-busy", true);
    update();
    task = setTimeout(fill, 0);
  };
  const w = slider(
    "Weight, w",
    { min: 0, max: MOST, step: 0.05, value: model.get("w"), format: digits },
    update,
  );
  const sampler = choice("Steps of", { ode: "the ODE", sde: "the SDE" }, model.get("sampler"), redone);
  const names = Object.fromEntries(Object.entries(DATA_SETS).map(([name, { words }]) => [name, words]));
  const data = choice("The data", names, model.get("data"), redone);
  const picture = new Picture(model.get("alt"), { height: 230, margin: [8, 12, 36, 12] }, draw);
  const below = new Picture(
    "How far the guided density is from the tilted one, in nats, for every weight: nothing at 0 and 1, and more and " +
      "more beyond. A second curve says the same of q(x_0 | c).",
    { height: 170, margin: [8, 12, 36, 40] },
    drawBelow,
  );
  draggable(
    below,
    () => w,
    (held, [value]) => {
      held.value = value;
      update();
    },
  );
  const says = saying();
  const hint =
    "Try: drag w from 1 to 4, and see the orange curve leave the wide grey one, which it should follow. " +
    "Is it nearer with the steps of the SDE, or where the peaks are apart?";
  const controls = [w, pair(sampler, data)];
  const stop = assemble(el, "guided", { hint, pictures: [picture, below], controls, says });
  picture.canvas.after(
    legend([
      { words: "drawn with guidance", colour: MODEL },
      { words: "tilted: q(x₀) p(c | x₀)ʷ", colour: "inherit", opacity: TILTED },
      { words: "q(x₀ | c)", colour: POSTERIOR },
      { words: "q(x₀)", colour: DATA },
    ]),
  );
  redone();
  return () => {
    clearTimeout(task);
    stop();
  };
}

export default { render };
