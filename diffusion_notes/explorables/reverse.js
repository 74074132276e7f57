// The reverse process: the trained network runs in the page, in a worker of its own, so that the page stays free.
const POINTS = 2000;
const SECONDS = 8; // for the whole walk, if the network keeps up
const METHODS = { ancestral: "ancestral", ddim: "DDIM", heun: "Heun", dpmpp_2m: "DPM++ 2M", dpmpp_3m: "DPM++ 3M" };
const VARIANCES = { tilde: "β̃", beta: "β", none: "0, not DDIM" };
const LEVELS = { thinned: "t, equal steps", uniform: "t, down to 1", log_snr: "log SNR", karras: "κ^(1/7)" };
const PATHS = { 0: "none", 1: "of one point", 8: "of 8 points" };
const NAMES = {
  normal: "N(0, I)",
  narrow: "half as wide",
  wide: "twice as wide",
  ring: "a ring",
  one: "one place: drag it",
};

// Where the points start, as (x, y, x, y, …).
function startingPoints(kind, place, random) {
  const points = new Float32Array(2 * POINTS);
  for (let i = 0; i < POINTS; i++) {
    const [a, b] = [random.normal(), random.normal()];
    const r = Math.hypot(a, b);
    const where = {
      normal: [a, b],
      narrow: [a / 2, b / 2],
      wide: [2 * a, 2 * b],
      ring: [(1.5 * a) / r, (1.5 * b) / r],
      one: place,
    }[kind];
    points.set(where, 2 * i);
  }
  return points;
}

// The share of points that lie further than three standard deviations of the roll's noise from its spiral, and the shares
// that are nearest to each quarter of it.
function onSpiral(points, roll) {
  const places = Array.from({ length: 1500 }, (_, i) => roll.spiral(i / 1499));
  const quarters = [0, 0, 0, 0];
  let off = 0;
  for (let i = 0; i < points.length; i += 2) {
    let [least, nearest] = [Infinity, 0];
    for (let k = 0; k < places.length; k++) {
      const distance = (points[i] - places[k][0]) ** 2 + (points[i + 1] - places[k][1]) ** 2;
      if (distance < least) [least, nearest] = [distance, k];
    }
    quarters[Math.min(3, Math.floor((4 * nearest) / (places.length - 1)))] += 2 / points.length;
    if (least > 9 * roll.noise ** 2) off++;
  }
  return { off: off / (points.length / 2), quarters };
}

if (typeof WorkerGlobalScope !== "undefined") {
  let [network, latest] = [null, 0];
  const { port1, port2 } = new MessageChannel(); // a timer would wait four milliseconds
  const pause = () => new Promise((go) => ((port1.onmessage = go), port2.postMessage(0)));
  self.onmessage = async ({ data }) => {
    if (data.weights) network = trainedNetwork(data.weights, data.settings);
    latest = data.id;
    for (const points of walk(network, data)) {
      if (latest !== data.id) return;
      self.postMessage({ id: data.id, points: Float32Array.from(points) });
      await pause(); // or it would not hear of the next task
    }
  };
}

function render({ model, el }) {
  const { weights, settings } = Object.fromEntries(["weights", "settings"].map((name) => [name, model.get(name)]));
  const schedule = Schedule.linear(settings.T, settings.beta1, settings.betaT);
  const roll = new SwissRoll();
  // the same script, without its export: a page that was opened as a file may not start a module as a worker
  const script = model.get("_esm").replace(/^export default.*/m, "");
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const worker = new Worker(url);
  worker.onerror = (event) => console.error(event.message);
  let [frames, levels, id, seed, place] = [[], [], 0, 1, [0.5, -0.5]];
  let [wanted, waiting, known] = [false, null, false]; // nothing is computed before somebody looks or plays

  worker.onmessage = ({ data }) => {
    if (data.id !== id) return;
    frames.push(data.points);
    el.dataset.evaluations = frames.length - 1;
    if (player.playing) return;
    if (frames.length - 1 === Math.ceil(player.place)) show(); // it was waited for
    else if (frames.length - 1 < player.place && !player.stillness.matches) picture.redraw(); // as far as it is
  };

  const time = (i) => [0, ...levels][levels.length - i];

  // Another walk, which is seen from where the one before was.
  function begin() {
    const share = levels.length ? player.place / levels.length : 0;
    const points = startingPoints(start.value, place, new Random(seed));
    frames = [points];
    const how = { method: method.value, calls: Number(count.value), eta: method.value === "ddim" ? eta.value : 0 };
    levels = chooseLevels(schedule, levelCount(how.method, how.calls), spacing.value);
    at.input.max = levels.length;
    variance.node.hidden = how.method !== "ancestral";
    eta.node.hidden = how.method !== "ddim";
    const task = { ...how, id: ++id, levels, variance: variance.value, seed: seed + 1000, points };
    el.dataset.evaluations = 0;
    waiting = task;
    if (wanted) compute();
    if (player.playing) player.place = 0;
    else player.moveTo(Math.round(share * levels.length));
  }

  // The walk that was asked for last; the first task brings the network with it.
  function compute() {
    wanted = true;
    seen.disconnect();
    if (waiting) worker.postMessage(known ? waiting : { ...waiting, weights, settings });
    known ||= waiting !== null;
    waiting = null;
  }

  function draw() {
    const position = player.place;
    const here = Math.min(Math.floor(position), frames.length - 1);
    const next = Math.min(here + 1, frames.length - 1);
    const part = Math.min(1, position - here);
    const [a, b] = [frames[here], frames[next]];
    const size = Math.max(2, picture.width / 200);
    const now = a.map((value, k) => value * (1 - part) + b[k] * part);
    picture.line(spiral[0], spiral[1], { width: 1 });
    const { context } = picture;
    context.fillStyle = faint(MODEL, 0.6);
    for (let i = 0; i < now.length; i += 2) {
      context.fillRect(picture.x(now[i]) - size / 2, picture.y(now[i + 1]) - size / 2, size, size);
    }
    const passed = [...frames.slice(0, here + 1), now];
    context.globalAlpha = 0.7;
    for (let i = 0; i < 2 * Number(paths.value); i += 2) {
      picture.line(passed.map((p) => p[i]), passed.map((p) => p[i + 1]), { width: 1.5 });
      picture.dot(now[i], now[i + 1], { radius: 4 });
    }
    context.globalAlpha = 1;
    if (start.value === "one") picture.dot(...place, { colour: MODEL, ring: true });
    el.dataset.frames = Number(el.dataset.frames ?? 0) + 1;
  }

  function show() {
    const { place: position, playing } = player;
    if (playing && !wanted) compute();
    picture.redraw();
    at.value = Math.floor(position);
    says.ariaLive = playing ? "off" : "polite";
    if (playing) says.textContent = `t = ${time(Math.floor(position))}`;
    else if (Math.ceil(position) >= frames.length) says.textContent = `t = ${time(position)}: the network is computing.`;
    else {
      const { off, quarters } = onSpiral(frames[Math.floor(position)], roll);
      says.textContent =
        `t = ${time(Math.floor(position))}. Further than 0.15 from the spiral: ${digits(100 * off)}% ` +
        "(of true points 0.27%). " +
        `Shares in its four quarters, from the inner end: ${quarters.map((share) => digits(share)).join(", ")}.`;
    }
  }

  const edges = Array.from({ length: 241 }, (_, i) => roll.spiral(i / 240));
  const spiral = [edges.map(([x]) => x), edges.map(([, y]) => y)];
  const picture = new Picture(model.get("alt"), { range: [-2.6, 2.6, -2.6, 2.6] }, draw);
  const player = new Player({ seconds: SECONDS, last: () => levels.length, ready: () => frames.length - 1, show });
  const method = choice("Method", METHODS, model.get("method"), begin);
  const counts = Object.fromEntries(model.get("choices").map((n) => [n, String(n)]));
  const count = choice("Network calls", counts, String(model.get("calls")), begin);
  const spacing = choice("Levels, even in", LEVELS, model.get("levels"), begin);
  const at = slider("Step", { min: 0, max: 1, step: 1, value: 0, format: (i) => `t = ${time(i)}` }, (i) => player.moveTo(i));
  const variance = choice("Noise, σ²", VARIANCES, "tilde", begin);
  const eta = slider("New noise, η", { min: 0, max: 1, step: 0.05, value: model.get("eta"), format: digits }, begin);
  const start = choice("Start", NAMES, "normal", () => {
    places.forEach((control) => (control.node.hidden = start.value !== "one"));
    picture.canvas.classList.toggle("drag", start.value === "one");
    begin();
  });
  const coordinate = (k) =>
    slider(`start, ${"xy"[k]}`, { min: -2.5, max: 2.5, step: 0.05, value: place[k], format: digits }, (value) => {
      place[k] = value;
      begin();
    });
  const places = [coordinate(0), coordinate(1)];
  places.forEach((control) => (control.node.hidden = true));
  const paths = choice("Paths", PATHS, model.get("method") === "ancestral" ? "1" : "8", () => picture.redraw());
  const again = button("Draw again", () => {
    seed += 1;
    begin();
  });
  draggable(
    picture,
    () => (start.value === "one" ? { place } : null),
    (_, to) => {
      place = to.map((value) => Math.max(-2.5, Math.min(2.5, value)));
      places.forEach((control, k) => (control.value = place[k]));
      begin();
    },
  );
  picture.canvas.classList.remove("drag"); // until there is something to drag
  const says = saying();
  const seen = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && compute());
  const more = folded("Start, paths, other noise", pair(start, paths), ...places, again);
  const controls = [player.button, at, pair(method, count), variance, eta, spacing, more];
  const stop = assemble(el, "reverse", { hint: model.get("hint"), pictures: [picture], controls, says });
  begin();
  seen.observe(picture.canvas);
  return () => {
    seen.disconnect();
    player.set(false);
    worker.terminate();
    URL.revokeObjectURL(url);
    stop();
  };
}

export default { render };
