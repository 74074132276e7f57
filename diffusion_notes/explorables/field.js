// What the network learns: the exact E[ε | x_t] of the roll, the posterior over x_0 behind it, and the trained answer.
const WIDE = 4 / 3; // the picture's width over its height
const [ACROSS, UP] = [1.9 * WIDE, 1.9]; // the coordinates at its border
const grid = (most) => Array.from({ length: 8 * most + 1 }, (_, i) => 0.25 * i - most);
const PLACES = Float32Array.from(grid(1.75).flatMap((y) => grid(2.25).flatMap((x) => [x, y])));
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
    const differs = which.value === "difference";
    picture.context.globalAlpha = differs ? 0.7 : 0.3; // a background: what is shown is the point, and where it came from
    for (let k = 0; k < PLACES.length; k += 2) {
      const scale = -Math.min(SCALE, LONGEST / Math.hypot(field[k], field[k + 1])); // towards the data: against the noise
      picture.arrow(PLACES[k], PLACES[k + 1], scale * field[k], scale * field[k + 1], {
        colour: differs ? WRONG : picture.ink,
        width: 1.5,
      });
    }
    picture.context.globalAlpha = 1;
    picture.line(roll.x, roll.y, { colour: faint(DATA, 0.75), width: 3 });
    const likely = now.share.map((share, k) => share / roll.weights[k]).reduce((a, b) => Math.max(a, b));
    now.share.forEach((share, k) => {
      const strength = share / roll.weights[k] / likely;
      if (strength > 0.02) {
        picture.dot(roll.x[k], roll.y[k], { colour: faint(POSTERIOR, strength), radius: 1.5 + 4 * strength });
      }
    });
    const place = [x.value, y.value];
    const ends = [now.exact, now.trained].map((e) => place.map((p, k) => (p - Math.sqrt(noise[t]) * e[k]) / root));
    picture.line([place[0], ends[0][0]], [place[1], ends[0][1]], { width: 3 });
    picture.line([place[0], ends[1][0]], [place[1], ends[1][1]], { colour: MODEL, width: 3, dash: [6, 6] });
    picture.dot(...ends[1], { colour: MODEL, radius: 6 });
    picture.dot(...ends[0], { radius: 3.5 });
    picture.dot(...place, { radius: 8 });
    const apart = Math.hypot(picture.x(ends[0][0]) - picture.x(ends[1][0]), picture.y(ends[0][1]) - picture.y(ends[1][1]));
    const other = apart < 12 ? [] : [["the network", ...ends[1], MODEL]];
    label([["xₜ", ...place], ["E[x₀ | xₜ]", ...ends[0]], ...other]);
  }

  // Words beside their points, each where it covers no other and is not cut; if there is no such place, it is left out.
  function label(words) {
    const { context, width, height } = picture;
    const around = (x, y) => ({ left: x - 9, right: x + 9, top: y - 9, bottom: y + 9 }); // of a point's dot
    const taken = words.map(([, x, y]) => around(picture.x(x), picture.y(y)));
    const free = (box) =>
      box.left > 2 && box.right < width - 2 && box.top > 2 && box.bottom < height - 2 &&
      taken.every((b) => box.right < b.left || b.right < box.left || box.bottom < b.top || b.bottom < box.top);
    for (const [text, x, y, colour] of words) {
      const wide = context.measureText(text).width;
      for (const [side, down] of [[1, -10], [-1, -10], [1, 20], [-1, 20], [1, 4], [-1, 4], [1, -28], [-1, 36], [-1, -28], [1, 36]]) {
        const left = picture.x(x) + (side > 0 ? 12 : -12 - wide);
        const base = picture.y(y) + down;
        const box = { left, right: left + wide, top: base - 13, bottom: base + 4 };
        if (!free(box)) continue;
        taken.push(box);
        picture.text(text, x, y, { colour, dx: left - picture.x(x), dy: down });
        break;
      }
    }
  }

  const format = (value) => String(step(value));
  const time = slider("t", { min: 0, max: times.length - 1, step: 1, value: times.indexOf(model.get("t")), format }, update);
  const coordinate = (name, most, value) =>
    slider(name, { min: -most, max: most, step: 0.02, value, format: digits }, update);
  const [x, y] = [coordinate("xₜ, across", 2.4, 0.2), coordinate("xₜ, up", 1.8, 1)];
  const which = choice(
    "Arrows",
    { trained: "the network's", exact: "the exact", difference: "10 × difference" },
    "trained",
    update,
  );
  const picture = new Picture(model.get("alt"), { aspect: WIDE, range: [-ACROSS, ACROSS, -UP, UP] }, draw);
  draggable(picture, () => ({ place: [x.value, y.value] }), (_, to) => {
    [x.value, y.value] = to; // the sliders keep them within their limits
    update();
  });
  const says = saying();
  const hint =
    "Drag xₜ to a place between two arms of the spiral, and move t, between 40 and 400 say. " +
    "Where on the spiral may it have come from? Which x₀ does the average name, and is it a likely one?";
  const stop = assemble(el, "field", { hint, pictures: [picture], controls: [time, which, x, y], says });
  picture.canvas.before(el.querySelector(".controls")); // picture and controls in one window
  update();
  return stop;
}

export default { render };
