// Paths back to the data over the exact q(x_t): those of the reverse SDE, and the one of the probability-flow ODE.
const [FEW, MANY] = [24, 400]; // paths of the SDE: that are drawn, and that are counted
const REACH = 2.6; // the coordinates at the border of the picture
const STARTS = Float64Array.from({ length: 101 }, (_, i) => (i - 50) / 20); // of the picture below
const COLUMNS = 200; // of the density
const ROWS = 150;
const RANKS = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95];
const logSnr = (t) => Math.log(SCHEDULE.alphaBar[t] / SCHEDULE.noise[t]);
const NOISELESS = logSnr(1) + 0.8; // where the data are drawn, whose log SNR is infinite

// The rank of x in a mixture, the probability below it; and the place that has a rank, by bisection.
const rank = ({ weights, means, variance }, x) =>
  means.reduce((sum, m, k) => sum + weights[k] * gaussianCdf((x - m) / Math.sqrt(variance)), 0);
function placeOf(q, u) {
  let [low, high] = [q.means[0] - 9 * Math.sqrt(q.variance), q.means[1] + 9 * Math.sqrt(q.variance)];
  for (let again = 0; again < 50; again++) {
    const middle = (low + high) / 2;
    if (rank(q, middle) < u) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

// What a perfect network says of every place.
function exactNetwork(share) {
  const predict = (xs, t) => {
    const q = peaks(t, share);
    return xs.map((x) => expectedNoise(q, t, x));
  };
  return { schedule: SCHEDULE, predict };
}

// All states of paths from `points`, which start at step t: [at the start, …, the data].
function pathsFrom(points, t, { method, steps, spacing, share, seed }) {
  const levels = chooseLevels(SCHEDULE, Math.min(steps, t), spacing, t);
  const states = [points, ...walk(exactNetwork(share), { method, levels, seed, points })];
  return { times: [...levels].reverse().concat(0), states };
}

function render({ model, el }) {
  let [seed, place] = [1, 0];
  let [ode, sde, exact, field] = [null, null, null, null];
  const shareOf = () => Number(share.value);
  // where a step is drawn
  const across = (t) => (scale.value === "uniform" ? -t : t > 0 ? logSnr(t) : NOISELESS);

  function update() {
    const how = { steps: Number(steps.value), spacing: scale.value, share: shareOf(), seed };
    const t = time.value;
    ode = pathsFrom(Float64Array.of(x.value, ...STARTS), t, { ...how, method: "ddim" });
    sde = pathsFrom(Float64Array.of(...Array(MANY).fill(x.value), ...STARTS, ...STARTS), t, { ...how, method: "ancestral" });
    const q = peaks(t, shareOf());
    const data = peaks(0, shareOf());
    // so far out that a rank is 0 or 1 to rounding, no place is drawn
    const ahead = (from) => (Math.abs(rank(q, from) - 0.5) < 0.5 - 1e-9 ? placeOf(data, rank(q, from)) : NaN);
    exact = { end: ahead(x.value), ahead: Array.from(STARTS, ahead), origin: posterior(t, 0, x.value, shareOf()) };
    const end = ode.states.at(-1)[0];
    const upper = sde.states.at(-1).subarray(0, MANY).filter((value) => value > 0).length / MANY;
    const ofOde =
      (exact.end ? ` Among the data, that rank is at ${digits(exact.end)}.` : "") +
      ` The ODE ends at ${digits(end)}, rank ${digits(rank(data, end), 3)}.`;
    const ofSde =
      ` Of ${MANY} paths of the SDE ${digits(100 * upper, 1)}% end at the upper peak; ` +
      `the exact probability is ${digits(100 * exact.origin.weights[1], 1)}%.`;
    says.textContent =
      `t = ${t}: xₜ = ${digits(x.value)} has rank ${digits(rank(q, x.value), 3)}.` +
      (kind.value === "sde" ? "" : ofOde) +
      (kind.value === "ode" ? "" : ofSde);
    player.moveTo(ode.states.length - 1);
  }

  // q(x_t) over the picture, and curves of equal rank: both change with the data and the scale only.
  function density() {
    const [left, right] = picture.range;
    const image = new ImageData(COLUMNS, ROWS);
    const curves = RANKS.map(() => []);
    const columns = Array.from({ length: COLUMNS }, (_, i) => left + ((i + 0.5) / COLUMNS) * (right - left));
    columns.forEach((c, i) => {
      const level = scale.value === "uniform" ? SCHEDULE.alphaBar[Math.round(-c)] : 1 / (1 + Math.exp(-c));
      const q = diffused(level, 1 - level, shareOf());
      for (let j = 0; j < ROWS; j++) {
        const value = mixture(q, REACH - ((j + 0.5) / ROWS) * 2 * REACH);
        image.data[4 * (j * COLUMNS + i) + 3] = (255 * value) / (value + 0.4) / 2; // how much of the ink
      }
      RANKS.forEach((u, k) => curves[k].push(placeOf(q, u)));
    });
    return { image, columns, curves };
  }

  // What is there of a path up to the place that the player has reached.
  function passed({ times, states }, k) {
    const here = Math.min(Math.floor(place), states.length - 1);
    const next = Math.min(here + 1, states.length - 1);
    const part = place - here;
    const between = (a, b) => a + part * (b - a);
    const cs = times.slice(0, here + 1).map(across);
    const xs = states.slice(0, here + 1).map((state) => state[k]);
    return [
      [...cs, between(across(times[here]), across(times[next]))],
      [...xs, between(states[here][k], states[next][k])],
    ];
  }

  // The density as so much of the ink, whatever its colour is.
  function shade() {
    const sheet = element("canvas", { width: COLUMNS, height: ROWS });
    const ink = sheet.getContext("2d");
    ink.putImageData(field.image, 0, 0);
    Object.assign(ink, { globalCompositeOperation: "source-in", fillStyle: picture.ink });
    ink.fillRect(0, 0, COLUMNS, ROWS);
    const [left, right, bottom, top] = picture.range;
    const corner = [picture.x(left), picture.y(top)];
    picture.context.drawImage(sheet, ...corner, picture.x(right) - corner[0], picture.y(bottom) - corner[1]);
  }

  // A density at the right, on its side.
  function hump(q, options) {
    const ys = Array.from({ length: 201 }, (_, i) => REACH * (i / 100 - 1));
    const values = ys.map((y) => mixture(q, y));
    const highest = values.reduce((a, b) => Math.max(a, b));
    const [left, right] = picture.range;
    const unit = (right - left) / (picture.x(right) - picture.x(left)); // of a pixel
    picture.line(values.map((value) => right + (6 + (36 * value) / highest) * unit), ys, options);
  }

  function draw() {
    const { context } = picture;
    const [, right] = picture.range;
    context.globalAlpha = 0.35;
    hump(peaks(0, shareOf()), { width: 5 });
    context.globalAlpha = 1;
    if (kind.value !== "ode") hump(exact.origin, { colour: POSTERIOR });
    picture.clip();
    shade();
    context.globalAlpha = 0.35;
    for (const curve of field.curves) picture.line(field.columns, curve, { width: 1 });
    context.globalAlpha = 1;
    if (kind.value !== "ode") {
      for (let k = 0; k < FEW; k++) picture.line(...passed(sde, k), { colour: faint(NOISE, 0.6), width: 1 });
    }
    if (kind.value !== "sde") picture.line(...passed(ode, 0), { colour: MODEL, width: 3 });
    context.restore();
    if (kind.value !== "sde" && exact.end) picture.dot(right, exact.end, { colour: "transparent", radius: 7, ring: true });
    picture.text("xₜ", picture.range[0], REACH, { dx: 8, dy: 16 });
    for (const y of [-1, 0, 1]) {
      picture.text(digits(y, 0), picture.range[0], y, { align: "right", dx: -12, dy: 4 });
    }
    const ticks = scale.value === "uniform" ? [-1000, -750, -500, -250, 0] : [-10, -5, 0, 5];
    if (scale.value === "uniform") picture.axis(ticks, "t", (tick) => String(-tick));
    else picture.axis(ticks, "log SNR");
    picture.dot(across(time.value), x.value, { radius: 8 });
  }

  function drawBelow() {
    below.clip();
    below.line([x.value, x.value], [-1.8, 1.8], { width: 1, dash: [2, 4] });
    below.context.globalAlpha = 0.4;
    below.line(STARTS, exact.ahead, { width: 5 });
    below.context.globalAlpha = 1;
    if (kind.value !== "ode") {
      const last = sde.states.at(-1).subarray(MANY);
      last.forEach((end, k) => below.dot(STARTS[k % STARTS.length], end, { colour: NOISE, radius: 1.8 }));
    }
    if (kind.value !== "sde") below.line(STARTS, ode.states.at(-1).subarray(1), { colour: MODEL, width: 2 });
    below.context.restore();
    below.text("x₀, the end", -REACH, 1.8, { dx: 8, dy: 12 });
    for (const y of [-1, 0, 1]) below.text(digits(y, 0), -REACH, y, { align: "right", dx: -8, dy: 4 });
    below.axis([-2, -1, 0, 1, 2], `the start, at t = ${time.value}`);
    if (kind.value !== "sde") below.dot(x.value, ode.states.at(-1)[0], { colour: MODEL, radius: 6, ring: true });
  }

  function show() {
    place = player.place;
    el.dataset.place = place;
    picture.redraw();
    below.redraw();
  }

  const redone = () => {
    picture.range = [across(1000), across(0), -REACH, REACH];
    field = density();
    update();
  };
  const time = slider("Start, t", { min: 1, max: 1000, step: 1, value: model.get("t") }, () => update());
  time.input.dir = "rtl"; // it runs as the picture does, from T at the left to the data at the right
  const x = slider("Start, x", { min: -2.5, max: 2.5, step: 0.01, value: model.get("xt"), format: digits }, () => update());
  const kind = choice("Paths", { both: "of SDE and ODE", sde: "of the SDE", ode: "of the ODE" }, model.get("kind"), update);
  const scale = choice("Steps, even in", { uniform: "t", log_snr: "log SNR" }, model.get("spacing"), redone);
  const counts = Object.fromEntries(model.get("choices").map((n) => [n, String(n)]));
  const steps = choice("Number of steps", counts, String(model.get("steps")), update);
  const shares = { 0.5: "equally likely", 0.8: "upper 4 to 1" };
  const share = choice("The peaks", shares, String(model.get("share")), redone);
  const again = button("New noise", () => {
    seed += 1;
    update();
  });
  const picture = new Picture(model.get("alt"), { height: 300, margin: [8, 48, 36, 34] }, draw);
  const below = new Picture(
    "Where a path ends, against where it starts: a rising curve for the ODE, the map that keeps the rank, and dots for " +
      "the SDE, which lie at both peaks.",
    { height: 190, range: [-REACH, REACH, -1.8, 1.8], margin: [8, 12, 36, 34] },
    drawBelow,
  );
  draggable(
    picture,
    () => ({ place: [across(time.value), x.value] }),
    (_, [c, y]) => {
      const [left, right] = picture.range;
      const near = Math.max(c, left) - left < 0.02 * (right - left); // so that it stays at the top, if it is dragged up
      const lambda = 1 / (1 + Math.exp(-c));
      time.value = near ? 1000 : scale.value === "uniform" ? -c : SCHEDULE.alphaBar.findIndex((level) => level <= lambda);
      x.value = y;
      update();
    },
  );
  draggable(
    below,
    () => x,
    (held, [value]) => {
      held.value = value;
      update();
    },
  );
  const says = saying();
  const hint =
    "Drag the start up and down: when does the path of the ODE change peaks, and those of the SDE? " +
    "Then drag it to the right, to a smaller t, or press play. And how does the ODE fare with four steps?";
  const player = new Player({ seconds: 6, last: () => ode.states.length - 1, again: "Play", show });
  const controls = [player.button, time, x, pair(kind, share), pair(steps, scale), again];
  const stop = assemble(el, "paths", { hint, pictures: [picture, below], controls, says });
  picture.canvas.after(
    legend([
      { words: "the ODE", colour: MODEL },
      { words: `the SDE, ${FEW} times`, colour: NOISE },
      { words: "where xₜ may have come from", colour: POSTERIOR },
      { words: "exact: q(xₜ), equal ranks", colour: "inherit" },
    ]),
  );
  redone();
  return () => {
    player.set(false);
    stop();
  };
}

export default { render };
