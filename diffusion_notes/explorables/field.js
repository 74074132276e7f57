// What the network learns: the exact E[ε | x_t] of the roll, the posterior over x_0 behind it, and the trained answer.
const GRID = Array.from({ length: 15 }, (_, i) => -1.75 + 0.25 * i);
const PLACES = Float32Array.from(GRID.flatMap((y) => GRID.flatMap((x) => [x, y])));
const [SCALE, LONGEST] = [0.13, 0.23]; // of an arrow of the plane: for a noise of length one, and at most

// Both answers at one place: [x, y] of the exact and of the trained one, and E[x_0 | x_t].
function answers(network, roll, x, y, t) {
  const exact = roll.given(x, y, network.schedule.alphaBar[t]);
  const trained = Array.from(network.predict(Float32Array.of(x, y), t));
  return { exact: exact.noise, x0: exact.x0, share: exact.share, trained };
}

// The exact answer at many places, as (x, y, x, y, …).
function exactField(roll, places, alphaBar) {
  const found = new Float32Array(places.length);
  for (let i = 0; i < places.length; i += 2) found.set(roll.given(places[i], places[i + 1], alphaBar).noise, i);
  return found;
}

function render({ model, el }) {
  const network = trainedNetwork(model.get("weights"), model.get("settings"));
  const roll = new SwissRoll();
  const { T, alphaBar, noise } = network.schedule;
  // most happens near the data, so the slider's steps grow with t
  const spread = Array.from({ length: 201 }, (_, i) => Math.round(T ** (i / 200)));
  const times = [...new Set([...spread, model.get("t")])].sort((a, b) => a - b);
  const step = (place) => times[place];
  let [field, now] = [null, null];

  function update() {
    const t = step(time.value);
    const exact = which.value === "trained" ? null : exactField(roll, PLACES, alphaBar[t]);
    const trained = which.value === "exact" ? null : network.predict(PLACES, t);
    field = exact && trained ? trained.map((value, k) => 10 * (value - exact[k])) : (exact ?? trained);
    now = answers(network, roll, x.value, y.value, t);
    const off = Math.hypot(now.exact[0] - now.trained[0], now.exact[1] - now.trained[1]);
    const pair = (values) => `(${values.map((value) => digits(value, 3)).join(", ")})`;
    says.textContent =
      `t = ${t}. At xₜ = (${digits(x.value)}, ${digits(y.value)}): E[ε | xₜ] is ${pair(now.exact)}, ` +
      `the network says ${pair(now.trained)}, ${digits(off, 3)} away. E[x₀ | xₜ] is ${pair(now.x0)}.`;
    picture.redraw();
  }

  function draw() {
    const t = step(time.value);
    const root = Math.sqrt(alphaBar[t]);
    const colour = { trained: MODEL, exact: picture.ink, difference: WRONG }[which.value];
    for (let k = 0; k < PLACES.length; k += 2) {
      const scale = -Math.min(SCALE, LONGEST / Math.hypot(field[k], field[k + 1])); // towards the data: against the noise
      picture.arrow(PLACES[k], PLACES[k + 1], scale * field[k], scale * field[k + 1], { colour, width: 1.5 });
    }
    const likely = now.share.map((share, k) => share / roll.weights[k]).reduce((a, b) => Math.max(a, b));
    now.share.forEach((share, k) => {
      const strength = share / roll.weights[k] / likely;
      const colour = faint(DATA, 0.12 + 0.88 * strength);
      picture.dot(roll.x[k], roll.y[k], { colour, radius: 1.5 + 3.5 * strength });
    });
    const place = [x.value, y.value];
    const ends = [now.exact, now.trained].map((e) => place.map((p, k) => (p - Math.sqrt(noise[t]) * e[k]) / root));
    picture.line([place[0], ends[0][0]], [place[1], ends[0][1]], { width: 3 });
    picture.line([place[0], ends[1][0]], [place[1], ends[1][1]], { colour: MODEL, width: 3, dash: [6, 6] });
    picture.dot(...ends[0], { radius: 5 });
    picture.dot(...place, { colour: MODEL, radius: 8, ring: true });
    picture.name("xₜ", ...place);
  }

  const format = (value) => String(step(value));
  const time = slider("t", { min: 0, max: times.length - 1, step: 1, value: times.indexOf(model.get("t")), format }, update);
  const coordinate = (name, value) => slider(name, { min: -1.8, max: 1.8, step: 0.02, value, format: digits }, update);
  const [x, y] = [coordinate("xₜ, across", 0.2), coordinate("xₜ, up", 0.9)];
  const which = choice(
    "Arrows",
    { trained: "the network's", exact: "the exact", difference: "10 × difference" },
    "trained",
    update,
  );
  const picture = new Picture(model.get("alt"), { range: [-1.9, 1.9, -1.9, 1.9] }, draw);
  draggable(picture, () => ({ place: [x.value, y.value] }), (_, to) => {
    [x.value, y.value] = to; // the sliders keep them within their limits
    update();
  });
  const says = saying();
  const hint =
    "Drag xₜ to a place between two arms of the spiral, and move t, between 40 and 400 say. " +
    "Where on the spiral may it have come from? Which x₀ does the average name, and is it a likely one?";
  const stop = assemble(el, "field", { hint, pictures: [picture], controls: [time, x, y, which], says });
  update();
  return stop;
}

export default { render };
