// Something is known of a point of the roll: its exact posterior, and what each method draws in its place.
const COUNT = 1000; // of particles
const PIECES = 6; // of the roll: quarter turns, the arms
const NODES = 40; // for each of them
const ALONG = { x1: 100, x2: 100, point: 10 }; // cells along each free axis
const ROW = 24; // pixels
const [WIDE, HIGH] = [1.9, 1.6]; // the coordinates at the border of the picture
const NAMES = {
  draws: "true draws",
  exact: "exact score",
  enter: "enter chain",
  replacement: "replacement",
  repaint: "RePaint",
  multiplied: "multiplied",
  dps: "DPS",
  pigdm: "ΠGDM",
  particles: "particles",
};
const OFFERED = {
  x1: ["draws", "exact", "replacement", "repaint", "multiplied", "dps", "pigdm", "particles"],
  x2: ["draws", "exact", "replacement", "repaint", "multiplied", "dps", "pigdm", "particles"],
  point: ["draws", "enter", "multiplied", "dps", "pigdm", "particles"],
};
const AXES = ["first", "second"];
const LABELS = ["First value", "Second value"];
const STEP_SIZE = 0.1; // of DPS, where a coordinate is known exactly

const SCHEDULE = Schedule.linear(1000);
const seenOf = ({ given, place, noise }) => {
  const noises = { x1: [0, Infinity], x2: [Infinity, 0], point: [noise, noise] };
  return { value: place, noise: noises[given] };
};

// The level whose κ is nearest to that noise: Schedule.nearest.
function entryLevel(noise) {
  const far = (t) => Math.abs(Math.log(SCHEDULE.noise[t] / SCHEDULE.alphaBar[t]) / 2 - Math.log(noise));
  let best = 1;
  for (let t = 2; t <= SCHEDULE.T; t++) if (far(t) < far(best)) best = t;
  return best;
}

// All states of one method, as a generator; the last are draws from what it takes for the posterior.
function statesOf(roll, method, { given, place, noise, steps, resamplings, seed }) {
  const seen = seenOf({ given, place, noise });
  const random = new Random(seed);
  if (method === "draws") return [roll.given(seen.value, seen.noise).sample(COUNT, random)][Symbol.iterator]();
  const highest = method === "enter" ? entryLevel(noise) : SCHEDULE.T;
  const way = conditionedSteps(SCHEDULE, chooseLevels(SCHEDULE, Math.min(steps, highest), "log_snr", highest));
  if (method === "enter") {
    const start = Float64Array.from({ length: 2 * COUNT }, (_, i) => way[0].signal * place[i % 2]);
    return ancestral(roll, start, way, random);
  }
  const start = random.normals(2 * COUNT);
  return {
    exact: () => ancestral(roll.given(seen.value, seen.noise), start, way, random),
    replacement: () => replacement(roll, start, way, random, seen, 1),
    repaint: () => replacement(roll, start, way, random, seen, resamplings),
    multiplied: () => multiplied(roll, start, way, random, seen),
    dps: () => gradientGuidance(roll, start, way, random, seen, "dps", given === "point" ? null : STEP_SIZE),
    pigdm: () => gradientGuidance(roll, start, way, random, seen, "pigdm"),
    particles: () => twistedParticles(roll, start, way, random, seen),
  }[method]();
}

// The share of each arm: among points, the mean of P(arm | x_0); given what is seen, P(arm | y), which is its expectation.
function sharesOf(roll, points) {
  const shares = new Float64Array(PIECES);
  for (let i = 0; i < points.length; i += 2) {
    const origin = roll.origin([points[i], points[i + 1]]);
    for (let k = 0; k < origin.length; k++) shares[Math.floor(k / NODES)] += (2 * origin[k]) / points.length;
  }
  return shares;
}
function exactShares(posterior) {
  const shares = new Float64Array(PIECES);
  posterior.log.forEach((log, k) => (shares[Math.floor(posterior.part[k] / NODES)] += Math.exp(log)));
  return shares;
}

if (typeof WorkerGlobalScope !== "undefined") {
  const roll = rollMixture(PIECES, NODES);
  let latest = 0;
  const { port1, port2 } = new MessageChannel(); // a timer would wait four milliseconds
  const pause = () => new Promise((go) => ((port1.onmessage = go), port2.postMessage(0)));
  self.onmessage = async ({ data }) => {
    latest = data.id;
    const seen = seenOf(data);
    const posterior = roll.given(seen.value, seen.noise);
    for (const method of data.methods) {
      const states = [];
      for (const points of statesOf(roll, method, data)) {
        states.push(Float32Array.from(points));
        await pause(); // or it would not hear of the next task
        if (latest !== data.id) return;
        if (states.length > 1 || method === "draws") self.postMessage({ id: data.id, method, at: states.length });
      }
      const last = Float64Array.from(states.at(-1));
      const kl = posterior.divergence(last, ALONG[data.given]);
      self.postMessage({ id: data.id, method, states, kl, shares: sharesOf(roll, last) });
    }
  };
}

function render({ model, el }) {
  const roll = rollMixture(PIECES, NODES);
  // the same script, without its export: a page that was opened as a file may not start a module as a worker
  const script = model.get("_esm").replace(/^export default.*/m, "");
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const worker = new Worker(url);
  worker.onerror = (event) => console.error(event.message);
  let [id, seed, place, waiting, wanted] = [0, 1, [...model.get("place")], null, false];
  let [posterior, exact, shade, found, shown] = [null, null, null, {}, null];

  const offered = () => OFFERED[given.value];
  const axis = () => ({ x1: 0, x2: 1 })[given.value]; // which is known
  const handle = () => [[place[0], 1.45], [1.75, place[1]]][axis()] ?? place;
  const words = (name) => (name === "repaint" ? `RePaint ${resamplings.value}×` : NAMES[name]);

  function begin() {
    const line = given.value !== "point";
    places.forEach((control, d) => {
      control.node.hidden = line && axis() !== d;
      control.node.firstChild.textContent = line ? LABELS[d] : `Noisy y${"₁₂"[d]}`;
    });
    noise.node.hidden = line;
    for (const option of method.input.options) option.hidden = option.disabled = !offered().includes(option.value);
    if (!offered().includes(method.value)) method.value = line ? "replacement" : "enter";
    const at = place.map((value, d) => (line && axis() !== d ? 0 : value));
    const task = { given: given.value, place: at, noise: noise.value, steps: Number(steps.value), seed };
    const seen = seenOf(task);
    posterior = roll.given(seen.value, seen.noise);
    exact = exactShares(posterior);
    shade = line ? null : shaded();
    found = {};
    const others = offered().filter((name) => name !== "repaint");
    const methods = [...new Set(["draws", method.value, ...others, ...offered()])]; // what takes longest is last
    rows.canvas.style.height = `${24 + ROW * offered().length}px`;
    waiting = { ...task, resamplings: Number(resamplings.value), id: ++id, methods };
    el.dataset.known = 0;
    if (wanted) compute();
    choose();
  }

  function compute() {
    wanted = true;
    watch.disconnect();
    if (waiting) worker.postMessage(waiting);
    waiting = null;
  }

  worker.onmessage = ({ data }) => {
    if (data.id !== id || !data.states) return;
    found[data.method] = data;
    el.dataset.known = Object.keys(found).length;
    if (data.method === method.value) choose();
    rows.redraw();
  };

  // What is drawn of the method: its points if they are there, and until then those of what was there before.
  function choose() {
    if (found[method.value]) shown = { ...found[method.value], given: given.value };
    player.moveTo(player.last());
    say();
    rows.redraw();
  }

  function say() {
    const line = given.value !== "point";
    const cells = ALONG[given.value] ** posterior.free.length;
    const floor = (2 * Math.sqrt((cells - 1) / 2)) / COUNT;
    const point = `y = (${place.map((value) => digits(value)).join(", ")}) with noise ${digits(noise.value)}`;
    const what = line ? `that the ${AXES[axis()]} coordinate is ${digits(place[axis()])}` : point;
    const listed = (shares) => Array.from(shares, (share) => digits(share)).filter((_, k) => exact[k] > 0.005).join(", ");
    const it = found[method.value];
    says.textContent =
      `Given ${what}, the arms have the probabilities ${listed(exact)}, from the inner end. By ${words(method.value)}: ` +
      (it
        ? `${listed(it.shares)}, and ${digits(it.kl, 3)} nats off in ${cells} cells (true draws: 0 ± ${digits(floor, 3)}).`
        : "it is being drawn.");
  }

  // The exact posterior in the plane, as so much of a colour.
  function shaded() {
    const [columns, lines] = [114, 96];
    const image = new ImageData(columns, lines);
    const logs = Float64Array.from({ length: columns * lines }, (_, i) => {
      const [right, down] = [((i % columns) + 0.5) / columns, (Math.floor(i / columns) + 0.5) / lines];
      return posterior.logDensity([WIDE * (2 * right - 1), HIGH * (1 - 2 * down)]);
    });
    const most = logs.reduce((a, b) => Math.max(a, b));
    logs.forEach((log, i) => image.data.set([0, 158, 115, 240 * Math.exp(0.6 * (log - most))], 4 * i)); // POSTERIOR
    const sheet = element("canvas", { width: columns, height: lines });
    sheet.getContext("2d").putImageData(image, 0, 0);
    return sheet;
  }

  // Along the line: the exact density on one side, and the method's points, counted, on the other.
  function violin(known) {
    const at = (along, beside) => (known === 0 ? [place[0] + beside, along] : [along, place[1] + beside]);
    const alongs = Array.from({ length: 381 }, (_, i) => -1.9 + i / 100);
    const densities = alongs.map((y) => Math.exp(posterior.logDensity(known === 0 ? [place[0], y] : [y, place[1]])));
    const most = densities.reduce((a, b) => Math.max(a, b));
    const draw = (beside, options) => {
      const points = alongs.map((y, i) => at(y, beside[i]));
      picture.line(points.map(([x]) => x), points.map(([, y]) => y), options);
    };
    draw(densities.map((d) => (0.5 * d) / most), { colour: POSTERIOR, fill: faint(POSTERIOR, 0.3), width: 2 });
    if (!shown || shown.given !== given.value) return;
    const counts = new Float64Array(77); // bins of a twentieth
    const last = shown.states.at(-1);
    for (let i = 1 - known; i < last.length; i += 2) {
      const bin = Math.floor((last[i] + 1.9) * 20);
      if (bin >= 0 && bin < 77) counts[bin] += 20 / COUNT;
    }
    const bars = alongs.map((_, i) => counts[Math.floor(i / 5)]);
    const fill = faint(MODEL, shown.id === id ? 0.3 : 0.1); // those of the place before are fainter
    draw(bars.map((d) => Math.max(-0.8, (-0.5 * d) / most)), { colour: MODEL, fill, width: 1.5 });
  }

  function draw() {
    const known = axis();
    const { context } = picture;
    const wide = picture.width / (2 * WIDE);
    context.globalAlpha = shade ? 0.3 : 0.5;
    edges.forEach(([xs, ys], k) => picture.line(xs, ys, { colour: hue((k + 0.5) / PIECES), width: 0.08 * wide }));
    context.globalAlpha = 1;
    if (shade) context.drawImage(shade, 0, 0, picture.width, picture.height);
    const size = Math.max(2, picture.width / 170);
    const ended = player.place >= player.last();
    if (known !== undefined) {
      const [a, b] = known === 0 ? [[place[0], place[0]], [-HIGH, HIGH]] : [[-WIDE, WIDE], [place[1], place[1]]];
      if (ended) violin(known);
      picture.line(a, b, { width: 2 });
      picture.dot(...handle(), { radius: 8 });
    }
    if (shown && !(ended && known !== undefined)) {
      const here = Math.floor(player.place);
      const next = Math.min(here + 1, shown.states.length - 1);
      const part = player.place - here;
      context.fillStyle = faint(MODEL, 0.6);
      const [p, q] = [shown.states[here], shown.states[next]];
      for (let i = 0; i < p.length; i += 2) {
        const [x, y] = [p[i] + part * (q[i] - p[i]), p[i + 1] + part * (q[i + 1] - p[i + 1])];
        context.fillRect(picture.x(x) - size / 2, picture.y(y) - size / 2, size, size);
      }
    }
    if (known === undefined) {
      context.beginPath();
      context.arc(picture.x(place[0]), picture.y(place[1]), noise.value * wide, 0, 2 * Math.PI);
      Object.assign(context, { strokeStyle: picture.ink, lineWidth: 1 });
      context.setLineDash([4, 4]);
      context.stroke();
      context.setLineDash([]);
      picture.dot(...place, { radius: 8 });
    }
  }

  // A row for each method: the shares of the arms, and how far it is off.
  function drawRows() {
    const { context } = rows;
    const names = offered();
    const [left, right] = [102, rows.width - 56];
    const across = (share) => left + share * (right - left);
    context.fillStyle = rows.ink;
    context.textAlign = "right";
    context.fillText("nats off", rows.width - 2, 14);
    context.textAlign = "left";
    context.fillText("shares of the arms", left, 14);
    names.forEach((name, r) => {
      const top = 24 + r * ROW;
      const it = found[name];
      context.fillStyle = rows.ink;
      context.textAlign = "left";
      context.fillText(words(name), 8, top + 15);
      if (name === method.value) context.fillRect(0, top + 3, 3, ROW - 8);
      if (!it) return;
      let from = 0;
      it.shares.forEach((share, k) => {
        context.fillStyle = hue((k + 0.5) / PIECES);
        context.globalAlpha = 0.75;
        context.fillRect(across(from), top + 3, across(from + share) - across(from), ROW - 8);
        context.globalAlpha = 1;
        from += share;
      });
      context.fillStyle = rows.ink;
      context.textAlign = "right";
      context.fillText(digits(it.kl), rows.width - 2, top + 15);
    });
    // where the exact shares end
    let sum = 0;
    exact.forEach((share) => {
      sum += share;
      if (share < 0.005 || sum > 0.995) return;
      context.fillStyle = rows.ink;
      context.fillRect(across(sum) - 1, 22, 2, ROW * names.length);
    });
  }

  const show = () => {
    el.dataset.place = player.place;
    picture.redraw();
  };
  const corners = Array.from({ length: PIECES }, (_, k) => Array.from({ length: 41 }, (_, i) => (k + i / 40) / PIECES));
  const spiral = new SwissRoll();
  const edges = corners.map((us) => [0, 1].map((d) => us.map((u) => spiral.spiral(u)[d])));
  const picture = new Picture(model.get("alt"), { aspect: WIDE / HIGH, range: [-WIDE, WIDE, -HIGH, HIGH] }, draw);
  const rows = new Picture(
    "For each method a bar, cut into the shares of the arms, beside lines at the exact shares, and how many nats it is off.",
    { height: 24 + 8 * ROW },
    drawRows,
  );
  const player = new Player({ seconds: 4, last: () => (shown ? shown.states.length - 1 : 0), again: "Play", show });
  const given = choice("Known", { x1: "the first", x2: "the second", point: "noisy point" }, model.get("given"), begin);
  const method = choice("Method", NAMES, model.get("method"), choose);
  const coordinate = (d) =>
    slider(LABELS[d], { min: -1.4, max: 1.4, step: 0.02, value: place[d], format: digits }, (value) => {
      place[d] = value;
      begin();
    });
  const places = [coordinate(0), coordinate(1)];
  const noise = slider("Its noise", { min: 0.05, max: 1, step: 0.01, value: model.get("noise"), format: digits }, begin);
  const counts = (name) => Object.fromEntries(model.get(name).map((n) => [n, String(n)]));
  const steps = choice("Steps", counts("choices"), String(model.get("steps")), begin);
  const resamplings = choice("Resamplings", counts("resampling_choices"), String(model.get("resamplings")), begin);
  const again = button("New noise", () => {
    seed += 1;
    begin();
  });
  draggable(
    picture,
    () => (axis() === 0 ? {} : { place: handle() }), // a line that is dragged sideways is taken from anywhere
    (_, to) => {
      to.forEach((value, d) => {
        if (axis() !== undefined && axis() !== d) return;
        places[d].value = value;
        place[d] = places[d].value;
      });
      begin();
    },
  );
  const says = saying();
  const watch = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && compute());
  const more = folded("Steps, resamplings, other noise", pair(steps, resamplings), again);
  const controls = [player.button, ...places, noise, pair(given, method), more];
  const hint =
    "Try: drag the line, or choose a noisy point and drag that. Green is where the point may be, exactly, and orange " +
    "is where the method puts it. " +
    "Which method finds the arms in their right shares, and nothing between them?";
  const stop = assemble(el, "conditioned", { hint, pictures: [picture, rows], controls, says });
  picture.canvas.after(el.querySelector(".controls")); // what is moved stands beside what moves
  begin();
  watch.observe(picture.canvas);
  return () => {
    watch.disconnect();
    player.set(false);
    worker.terminate();
    URL.revokeObjectURL(url);
    stop();
  };
}

export default { render };
