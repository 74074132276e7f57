// Two peaks on a line: where a noisy number came from, all the way back or a few steps.
const REACH = 2.6; // the coordinates at the border of the picture
const LOOKS = { 1000: "all the way, to x₀", 100: "100 steps", 10: "10 steps" };

// How far a mixture is from the Gaussian with its mean and variance, in nats: its entropy falls short of that one's.
function fromGaussian(q, variance) {
  const std = Math.sqrt(q.variance);
  const [low, high] = [Math.min(...q.means) - 9 * std, Math.max(...q.means) + 9 * std];
  const step = (high - low) / 4000;
  let entropy = 0;
  for (let i = 0; i <= 4000; i++) {
    const density = mixture(q, low + i * step);
    if (density > 0) entropy -= density * Math.log(density) * step;
  }
  return Math.max(0, (1 + Math.log(2 * Math.PI * variance)) / 2 - entropy);
}

// All that is said and drawn of an earlier step s: q(x_s | x_t), and the best guess of x_s, and of the noise in x_t.
function lookBack(t, s, xt, share) {
  const [now, before] = [peaks(t, share), peaks(s, share)];
  const possible = posterior(t, s, xt, share);
  const [left, right] = possible.weights;
  const mean = left * possible.means[0] + right * possible.means[1];
  const variance = possible.variance + left * right * (possible.means[1] - possible.means[0]) ** 2;
  return {
    now,
    before,
    posterior: possible,
    right,
    mean,
    std: Math.sqrt(variance),
    noise: expectedNoise(now, t, xt),
    off: fromGaussian(possible, variance),
  };
}

function render({ model, el }) {
  const xs = Float64Array.from({ length: 521 }, (_, i) => -REACH + (i * REACH) / 260);
  let now;
  let s;

  function update() {
    const t = time.value;
    s = Math.max(0, t - Number(look.value));
    now = lookBack(t, s, xt.value, Number(share.value));
    const three = (value) => digits(value, 3);
    const where = s === 0 ? "x₀" : `x at step ${s}`;
    const gaussian =
      `A Gaussian in place of the green curve is ${digits(now.off, 4)} nats off ` +
      "(how that is measured is said under “Why small steps”). ";
    const empty = s === 0 && mixture(now.before, now.mean) < 0.01;
    says.textContent =
      `t = ${t}, ᾱₜ = ${significant(SCHEDULE.alphaBar[t])}: ` +
      `xₜ = ${digits(xt.value)} is from the right peak with probability ${three(now.right)}. ` +
      `Best guess of ${where}: ${three(now.mean)}, give or take ${three(now.std)}; of the noise: ${three(now.noise)}. ` +
      (look.value === "1000" ? "" : gaussian) +
      (empty ? "The best guess is where there are practically no data." : "");
    const words = legend([
      { words: s === 0 ? "q(x₀), the data" : `q(x), at step ${s}`, colour: DATA },
      { words: "what it may have been, given xₜ", colour: POSTERIOR },
      { words: "the best guess, and the Gaussian around it", colour: MODEL },
    ]);
    key.replaceWith(words);
    key = words;
    picture.redraw();
    below.redraw();
  }

  // A density, drawn to its own height.
  function hump(into, q, options) {
    const values = xs.map((x) => mixture(q, x));
    const highest = values.reduce((a, b) => Math.max(a, b));
    into.line(xs, values.map((value) => value / highest), options);
    return highest;
  }

  function draw() {
    picture.clip();
    hump(picture, now.before, { colour: DATA, width: 2, fill: faint(DATA, 0.2) });
    hump(picture, now.posterior, { colour: POSTERIOR, width: 3, fill: faint(POSTERIOR, 0.25) });
    const around = { weights: [0.5, 0.5], means: [now.mean, now.mean], variance: now.std ** 2 };
    hump(picture, around, { colour: MODEL, width: 2, dash: [6, 5] });
    picture.line([now.mean, now.mean], [0, 1.1], { colour: MODEL, width: 2 });
    picture.context.restore();
    picture.axis([-2, -1, 0, 1, 2], s === 0 ? "x₀, the number without noise" : `the number at step ${s}`);
    picture.dot(now.mean, 0, { colour: MODEL, radius: 7, ring: true });
  }

  function drawBelow() {
    below.clip();
    const highest = hump(below, now.now, { width: 2 });
    below.context.restore();
    below.line([xt.value, xt.value], [0, 1.1], { width: 1, dash: [2, 4] });
    below.axis([-2, -1, 0, 1, 2], `xₜ, the noisy number: drag it`);
    below.dot(xt.value, mixture(now.now, xt.value) / highest, { radius: 8 });
  }

  const xt = slider(
    "xₜ",
    { min: -2.5, max: 2.5, step: 0.01, value: model.get("xt"), format: digits },
    update,
  );
  const time = slider("t", { min: 1, max: 1000, step: 1, value: model.get("t") }, update);
  const look = choice("Look back", LOOKS, "1000", update);
  const shares = { 0.5: "equally likely", 0.8: "right four times as likely" };
  const share = choice("The peaks", shares, "0.5", update);
  const margin = [8, 12, 36, 12];
  const picture = new Picture(model.get("alt"), { aspect: 2.4, range: [-REACH, REACH, 0, 1.1], margin }, draw);
  const below = new Picture(
    "The density of the noisy number, and on it the number that is given: it is dragged along the axis.",
    { height: 130, range: [-REACH, REACH, 0, 1.1], margin },
    drawBelow,
  );
  draggable(
    below,
    () => xt,
    (held, [x]) => {
      held.value = x;
      update();
    },
  );
  const says = saying();
  const hint =
    "Drag xₜ from left to right: when does the green curve change sides, and where is the best guess meanwhile? " +
    "Move t: where is this flip sudden, and where slow? Then look back only 10 steps, and do it again.";
  const stop = assemble(el, "two_peaks", { hint, pictures: [picture, below], controls: [xt, time, look, share], says });
  let key = legend([]);
  picture.canvas.after(key);
  update();
  return stop;
}

export default { render };
