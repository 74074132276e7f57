// The bound and the truth, for one number x and one latent z: everything integrated on a grid.
const NODES = Float64Array.from({ length: 2801 }, (_, i) => -14 + i / 100);
const DECODERS = {
  line: { words: "z", f: (z) => z, s: 0.5 },
  parabola: { words: "z²/2", f: (z) => (z * z) / 2, s: 0.2 },
};
const logNormal = (x, m, v) => -((x - m) ** 2) / (2 * v) - Math.log(2 * Math.PI * v) / 2;
const sum = (f) => NODES.reduce((total, z, i) => total + f(z, i), 0) / 100;

// log p(x), the bound of q = N(m, r²), KL(q ‖ p(z|x)), and the posterior density on the grid.
function numbers(decoder, x, m, r) {
  const { f, s } = DECODERS[decoder];
  const joint = NODES.map((z) => logNormal(x, f(z), s * s) + logNormal(z, 0, 1));
  const q = NODES.map((z) => logNormal(z, m, r * r));
  const most = joint.reduce((a, b) => Math.max(a, b));
  const evidence = most + Math.log(sum((z, i) => Math.exp(joint[i] - most)));
  const bound = sum((z, i) => Math.exp(q[i]) * (joint[i] - q[i]));
  const kl = sum((z, i) => Math.exp(q[i]) * (q[i] - (joint[i] - evidence)));
  return { evidence, bound, kl, posterior: joint.map((log) => Math.exp(log - evidence)) };
}

function render({ model, el }) {
  let now;
  const three = (value) => digits(value, 3);
  const update = () => {
    now = numbers(decoder.value, x.value, m.value, Math.exp(r.value));
    const closed = now.kl < 0.001 ? " It is closed: q is the posterior." : "";
    says.textContent =
      `log p(x) ${three(now.evidence)}, bound ${three(now.bound)}, ` +
      `gap ${three(now.evidence - now.bound)} = divergence of q from the posterior ${three(now.kl)} nats.${closed}`;
    picture.redraw();
    bars.redraw();
  };
  const means = Object.fromEntries(Object.entries(DECODERS).map(([name, { words }]) => [name, words]));
  const decoder = choice("The mean of p(x | z)", means, "line", update);
  const x = slider("x", { min: -2, max: 3, step: 0.05, value: model.get("x"), format: digits }, update);
  const m = slider("mean of q", { min: -3, max: 3, step: 0.01, value: 0, format: digits }, update);
  const r = slider("width of q", { min: -3, max: 0.7, step: 0.01, value: 0, format: (v) => three(Math.exp(v)) }, update);
  const picture = new Picture(model.get("alt"), { height: 210, range: [-3, 3, 0, 1], margin: [8, 12, 36, 12] }, () => {
    const q = NODES.map((z) => Math.exp(logNormal(z, m.value, Math.exp(2 * r.value))));
    const highest = Math.max(1.2, ...now.posterior, ...q);
    picture.range[3] = highest * 1.05;
    const seen = [...NODES.keys()].filter((i) => Math.abs(NODES[i]) <= 3);
    const at = (values) => seen.map((i) => values[i]);
    picture.line(at(NODES), at(now.posterior), { colour: POSTERIOR, fill: faint(POSTERIOR, 0.25) });
    picture.line(at(NODES), at(q), { colour: BOUND, width: 3 });
    picture.axis([-3, -2, -1, 0, 1, 2, 3], "z");
    const modes = seen.filter((i) => now.posterior[i] > now.posterior[i - 1] && now.posterior[i] >= now.posterior[i + 1]);
    const distance = (i) => Math.abs(NODES[i] - m.value);
    const mode = modes.reduce((a, b) => (distance(b) > distance(a) ? b : a)); // the one that q does not cover
    const side = NODES[mode] < m.value ? -1 : 1;
    let half = mode;
    while (now.posterior[half] > now.posterior[mode] / 2) half += side;
    beside("posterior", NODES[half], now.posterior[half], side, POSTERIOR);
    beside("q", m.value - side * 1.18 * Math.exp(r.value), Math.max(...q) / 2, -side, BOUND);
  });
  // a curve's name, outside it at half its height, or inside where the edge of the picture is near
  function beside(words, z, height, side, colour) {
    const width = picture.context.measureText(words).width + 8;
    const room = side > 0 ? picture.width - picture.x(z) : picture.x(z);
    const outward = room > width ? side : -side;
    picture.text(words, Math.max(-3, Math.min(3, z)), height, { colour, align: outward > 0 ? "left" : "right", dx: 8 * outward });
  }
  const bars = new Picture(
    "A scale in nats, with the bound left of log p(x) and the gap between them.",
    { height: 96, range: [-8, 0, 0, 1], margin: [22, 16, 38, 16] },
    () => {
      const right = Math.ceil(now.evidence) + 1; // the scale follows log p(x)
      bars.range = [right - 8, right, 0, 1];
      const low = Math.max(right - 7.6, now.bound);
      bars.line([low, now.evidence], [0.3, 0.3], { width: 1, dash: [4, 4] });
      bars.line([low, low], [0, 1], { colour: BOUND, width: 4 });
      bars.line([now.evidence, now.evidence], [0, 1], { width: 4 });
      bars.text("log p(x)", now.evidence, 1, { dx: 3, dy: -6 });
      const align = low < right - 6 ? "left" : "right"; // there is no room left of it, or log p(x) on its right
      bars.text(now.bound < low ? "◀ the bound is further left" : "the bound", low, 1, { align, colour: BOUND, dx: -3, dy: -6 });
      if (now.kl > 0.6) bars.text("gap", (low + now.evidence) / 2, 0.3, { align: "center", dy: -6 });
      bars.axis([-8, -6, -4, -2, 0].map((step) => right + step), "nats");
    },
  );
  const says = saying();
  const hint =
    "Move q until the gap is closed. Then bend the decoder: choose z²/2, and try again with x = 1: " +
    "how small can the gap be made, and why not smaller?";
  const stop = assemble(el, "gap", { hint, pictures: [picture, bars], controls: [decoder, x, m, r], says });
  update();
  return stop;
}

export default { render };
