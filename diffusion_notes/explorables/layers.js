// Two layers of latents, all of them numbers: the bound, the right way to split it, and two wrong ones.
const S2 = 0.25; // the variance of x given z1

// All in closed form: z1 = a z2 + noise and x = z1 + noise; q(z1|x) is the true one, and z2 = c z1 + noise under q.
function splits(x, a, c) {
  const [m, r] = [x / (1 + S2), S2 / (1 + S2)]; // mean and variance of q(z1 | x)
  const [p, q] = [1 - a * a, 1 - c * c]; // the variances of z1 given z2 under p, and of z2 given z1 under q
  const log2pi = Math.log(2 * Math.PI);
  const second = m * m + r; // E z1²
  const v = c * c * r + q; // the variance of z2 given x under q
  const gain = (c * r) / v;
  const left = r - gain * c * r; // the variance of z1 given z2 and x under q
  const reconstruction = -(log2pi + Math.log(S2) + ((x - m) ** 2 + r) / S2) / 2;
  const below = -(log2pi + Math.log(p) + ((1 - a * c) ** 2 * second + a * a * q) / p) / 2; // E log p(z1 | z2)
  const top = -(log2pi + c * c * second + q) / 2; // E log p(z2)
  const entropies = (1 + log2pi + Math.log(r)) / 2 + (1 + log2pi + Math.log(q)) / 2;
  const kl = (variance, square, other) => ((variance + square) / other - 1 - Math.log(variance / other)) / 2;
  const topGivenBelow = kl(q, c * c * second, 1);
  const apart = (gain - a) * c * m + m - gain * c * m;
  return {
    logProb: -(log2pi + Math.log(1 + S2) + (x * x) / (1 + S2)) / 2,
    bound: reconstruction + below + top + entropies,
    turned: reconstruction - kl(left, apart ** 2 + (gain - a) ** 2 * v, p) - kl(v, (c * m) ** 2, 1),
    printed: reconstruction - topGivenBelow, // its middle term is zero, since q(z1 | x) is the true posterior
    repaired: reconstruction - kl(r, ((1 - a * c) * m) ** 2 + a * a * v, p) - topGivenBelow,
  };
}

const LINES = {
  bound: { words: "bound, turned", colour: BOUND, width: 6 },
  turned: { width: 1.5 }, // in the ink, on the bound
  printed: { words: "printed", colour: WRONG, dash: [10, 4] },
  repaired: { words: "repaired", colour: WRONG, dash: [3, 4] },
};
const APART = 17; // pixels between two names

function render({ model, el }) {
  const couplings = Array.from({ length: 397 }, (_, i) => -0.99 + i / 200);
  const coupling = () => (encoder.value === "perfect" ? a.value : c.value);

  function update() {
    c.node.hidden = encoder.value === "perfect";
    const now = splits(x.value, a.value, coupling());
    const [log, ...values] = ["logProb", "bound", "turned", "printed", "repaired"].map((name) => digits(now[name], 4));
    const over = ["printed", "repaired"].filter((name) => now[name] > now.logProb + 5e-5);
    says.textContent =
      `log p(x) ${log}. The bound ${values[0]}, turned around ${values[1]}, printed ${values[2]}, repaired ${values[3]}.` +
      over.map((name) => ` The ${name} form is above log p(x), so it is not a bound.`).join("") +
      (now.repaired > now.bound + 5e-5 ? " The repaired form is above the bound." : "");
    picture.redraw();
  }

  function draw() {
    const all = couplings.map((at) => splits(x.value, at, encoder.value === "perfect" ? at : c.value));
    const now = splits(x.value, a.value, coupling());
    picture.range[2] = now.logProb - 5;
    picture.range[3] = now.logProb + 2.5;
    const [bottom, top] = picture.range.slice(2);
    picture.context.globalAlpha = 0.3;
    const ticks = [0, 1, 2, 3].map((i) => 2 * Math.floor(top / 2) - 2 * i).filter((nats) => nats > bottom + 0.2);
    for (const nats of ticks) picture.line([-1, 1], [nats, nats], { width: 1 });
    picture.context.globalAlpha = 1;
    for (const nats of ticks.filter((tick) => Math.abs(picture.y(tick) - picture.y(now.logProb)) > 18))
      picture.text(digits(nats, 0), -1, nats, { align: "right", dx: -6, dy: 4 });
    picture.text("log p(x)", -1, now.logProb, { align: "right", dx: -6, dy: 4 });
    picture.line([-1, 1], [now.logProb, now.logProb], { width: 1 });
    picture.line([a.value, a.value], [bottom, top], { width: 1, dash: [2, 4] });
    picture.clip();
    for (const [name, style] of Object.entries(LINES)) {
      picture.line(couplings, all.map((it) => it[name]), { width: 3, ...style });
      picture.dot(a.value, now[name], { colour: style.colour, radius: 5, ring: true });
    }
    picture.context.restore();
    name(now);
    picture.axis([-1, -0.5, 0, 0.5, 1], "a: how the model couples the layers");
  }

  // The names of the lines, at the marked a, one below the other where they would meet.
  function name(now) {
    const side = a.value > 0 ? -1 : 1;
    const [align, dx] = [side > 0 ? "left" : "right", 10 * side];
    const [highest, lowest] = [picture.margin[0] + 14, picture.height - picture.margin[2] - 8];
    const names = ["printed", "bound", "repaired"].sort((one, other) => now[other] - now[one]);
    const places = names.map((it) => Math.max(highest, Math.min(lowest, picture.y(now[it]) - 11)));
    const apart = (i) => APART + (names[i] === "bound" ? 10 : 0); // its line, which is wide, stands below its name
    for (let i = 1; i < 3; i++) places[i] = Math.max(places[i], places[i - 1] + apart(i - 1));
    places[2] = Math.min(places[2], lowest);
    for (let i = 1; i >= 0; i--) places[i] = Math.min(places[i], places[i + 1] - apart(i));
    names.forEach((it, i) => {
      const { words, colour } = LINES[it];
      picture.text(words, a.value, now.logProb, { colour, align, dx, dy: places[i] - picture.y(now.logProb) });
    });
  }

  const a = slider("a", { min: -0.99, max: 0.99, step: 0.01, value: model.get("a"), format: digits }, update);
  const x = slider("x", { min: -3, max: 3, step: 0.1, value: model.get("x"), format: digits }, update);
  const names = { perfect: "perfect, c = a", own: "its own c" };
  const encoder = choice("Encoder", names, "perfect", update);
  const c = slider("c", { min: -0.99, max: 0.99, step: 0.01, value: 0.5, format: digits }, update);
  const picture = new Picture(model.get("alt"), { aspect: 1.5, range: [-1, 1, -6, 0], margin: [8, 12, 40, 64] }, draw);
  const says = saying();
  const hint =
    "Move a. Which line stays on the bound? Where does the printed form promise more than log p(x), and what becomes " +
    "of the repaired one as the layers are coupled more closely? Then give the encoder a c of the opposite sign. " +
    "(The axis is in nats.)";
  const stop = assemble(el, "layers", { hint, pictures: [picture], controls: [a, x, encoder, c], says });
  update();
  return stop;
}

export default { render };
