// The bound of a trained model, term by term: what each t costs, and why.

// For each t: the weight w_t, the constant C_t, and the cost in nats of the smallest loss and of the network's own error.
// Index t is that of L_{t−1}; t = 1 is L_0. `loss` and `own` hold T + 1 values, of which the first is not used.
// The best variance is that of equation (5.12), for a perfect network.
function boundTerms(schedule, loss, own, kind, D = 2) {
  const { T, beta, betaTilde, noise } = schedule;
  const scale = (t) => beta[t] ** 2 / ((1 - beta[t]) * noise[t]);
  const best = (t) => betaTilde[t] + (scale(t) * loss[t]) / D;
  const variance = (t) => (kind === "best" ? best(t) : kind === "tilde" && t > 1 ? betaTilde[t] : beta[t]);
  return Array.from({ length: T + 1 }, (_, t) => {
    if (!t) return null;
    const sigma2 = variance(t);
    const ratio = betaTilde[t] / sigma2;
    const constant = t > 1 ? (D / 2) * (ratio - 1 - Math.log(ratio)) : (D / 2) * Math.log(2 * Math.PI * sigma2);
    const weight = scale(t) / (2 * sigma2);
    const [floor, extra] = [weight * loss[t], weight * own[t]];
    return { weight, constant, floor, extra, total: constant + floor + extra };
  });
}

// The tops of bars for t = 2, …, T over ln t: they touch, and each is as high as its area, `values[t]`, asks for.
function barTops(values) {
  const [xs, ys] = [[], []];
  for (let t = 2; t < values.length; t++) {
    const [left, right] = [Math.log(t - 0.5), Math.log(t + 0.5)];
    xs.push(left, right);
    ys.push(values[t] / (right - left), values[t] / (right - left));
  }
  return { xs, ys };
}

// The distance of the numbers on the axis of heights: at most five of them below the top.
function heightStep(top) {
  return [0.2, 0.5, 1, 2, 5, 10, 20].find((step) => top / step <= 5) ?? top;
}

const KINDS = {
  floor: { words: "wₜ × smallest loss", colour: BOUND },
  constant: { words: "Cₜ", colour: faint(BOUND, 0.5) },
  extra: { words: "wₜ × the network's own error", colour: MODEL },
};
const subscript = (n) => String(n).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);

function render({ model, el }) {
  const { T, beta1, betaT, prior, entropy } = model.get("settings");
  const schedule = Schedule.linear(T, beta1, betaT);
  const [loss, own] = [floats(model.get("loss")), floats(model.get("own"))];
  const all = Array.from({ length: T }, (_, i) => i + 1);
  // most happens near the data, so the slider's steps grow with t
  const times = [...new Set(Array.from({ length: 121 }, (_, i) => Math.round(T ** (i / 120))))];
  let [terms, sums] = [[], []];

  function update() {
    terms = boundTerms(schedule, loss, own, variance.value);
    let sum = prior;
    sums = terms.map((term) => (term ? (sum += term.total) : sum));
    show();
  }

  function show() {
    const t = times[time.value];
    const { total, floor, extra, constant, weight } = terms[t];
    const mean = all.reduce((sum, each) => sum + terms[each].weight, 0) / T;
    const ours = all.reduce((sum, each) => sum + terms[each].extra, 0);
    const gap = sums[T] - entropy;
    const four = (value) => digits(value, 4);
    says.textContent =
      `t = ${t}: L${subscript(t - 1)} is ${significant(total)} nats: ${significant(floor)} for the smallest loss, ` +
      `times its weight, ${significant(extra)} for the network's own error, and the constant ${significant(constant)}. ` +
      `The weight w is ${significant(weight)}, ${significant(weight / mean)} times the average; ` +
      `L_simple gives every t the same. Up to here ${four(sums[t])} nats. ` +
      `In all ${four(sums[T])} nats, ${four(gap)} above the entropy ${four(entropy)}: ` +
      `${four(gap - ours)} that a perfect network pays too, and ${four(ours)} of its own.`;
    areas.redraw();
    running.redraw();
  }

  const ticks = Array.from({ length: Math.floor(Math.log10(T)) + 1 }, (_, k) => k * Math.LN10);
  function mark(picture) {
    const here = Math.log(times[time.value]);
    picture.line([here, here], picture.range.slice(2), { width: 1, dash: [3, 4] });
    picture.axis(ticks, "t", (tick) => String(Math.round(Math.exp(tick))));
  }

  function drawAreas() {
    areas.range[3] = 1.08 * Math.max(...barTops(terms.map((term) => term?.total)).ys);
    let low = terms.map(() => 0);
    for (const [kind, { colour }] of Object.entries(KINDS)) {
      const high = low.map((base, t) => base + (terms[t]?.[kind] ?? 0));
      const [above, below] = [barTops(high), barTops(low)];
      const outline = [...above.ys, ...below.ys.reverse()];
      areas.line([...above.xs, ...below.xs.reverse()], outline, { colour, width: 0.5, fill: colour });
      low = high;
    }
    const [left, right, top] = [Math.log(T) - 1.1, Math.log(T) - 0.1, areas.range[3]];
    areas.line([left, right, right, left, left], [top - 0.5, top - 0.5, top, top, top - 0.5], { width: 1 });
    areas.text("½ nat", right, top - 0.5, { align: "right", dy: 16 });
    // a bar is as wide as its step of ln t, so its height is nats for each unit of ln t
    const step = heightStep(top);
    for (let height = 0; height < top; height += step) {
      areas.text(digits(height, step < 1 ? 1 : 0), 0, height, { align: "right", dx: -6, dy: 4 });
    }
    areas.text("nats for each unit of ln t", 0, top, { dx: 4, dy: 8 });
    mark(areas);
  }

  function drawRunning() {
    running.range[2] = Math.min(...sums) - 0.5;
    running.range[3] = Math.max(...sums, entropy) + 1.2;
    for (let nats = 2 * Math.ceil(running.range[2] / 2); nats <= entropy; nats += 2) {
      running.text(digits(nats, 0), 0, nats, { align: "right", dx: -8, dy: 4 });
    }
    running.line([0, Math.log(T)], [entropy, entropy], { width: 1 });
    running.text("the entropy of the data", 0, entropy, { dx: 4, dy: -6 });
    running.line(all.map(Math.log), all.map((t) => sums[t]), { colour: BOUND, width: 3 });
    running.dot(Math.log(times[time.value]), sums[times[time.value]], { colour: BOUND, ring: true });
    mark(running);
  }

  const time = slider("t", { min: 0, max: times.length - 1, step: 1, value: 0, format: (i) => String(times[i]) }, show);
  const variance = choice("σ²", { beta: "βₜ", tilde: "β̃ₜ", best: "the best" }, "beta", update);
  const place = () => ({ range: [0, Math.log(T + 0.5), 0, 1], margin: [20, 22, 40, 30] });
  const areas = new Picture(model.get("alt"), { height: 240, ...place() }, drawAreas);
  const sum = "The sum of the terms up to t, in nats: it begins far below zero and ends just above the entropy of the data.";
  const running = new Picture(sum, { height: 210, ...place() }, drawRunning);
  for (const picture of [areas, running]) {
    draggable(picture, () => ({}), (_, [where]) => {
      const off = (i) => Math.abs(times[i] - Math.exp(where));
      time.value = times.reduce((nearest, _, i) => (off(i) < off(nearest) ? i : nearest), 0);
      show();
    });
  }
  const says = saying();
  const hint =
    "Above, from t = 2 on, areas are nats; below, the sum of all terms up to t, which begins with L_T and L₀, far below " +
    "zero. Where are the nats? Choose β̃ₜ: at which t is it expensive? Set t to 2 and read its weight in the line below: " +
    "how many times the average is it?";
  const stop = assemble(el, "bound_bars", { hint, pictures: [areas, running], controls: [time, variance], says });
  areas.canvas.before(el.querySelector(".controls"), legend(Object.values(KINDS)));
  update();
  return stop;
}

export default { render };
