// The bound of a trained model, term by term: what each t costs, and why.

// For each t: the weight w_t, the constant C_t, and the cost in nats of the smallest loss and of the network's own error.
// Index t is that of L_{t−1}; t = 1 is L_0. `loss` and `own` hold T + 1 values, of which the first is not used.
function boundTerms(schedule, loss, own, kind, D = 2) {
  const { T, beta, betaTilde, noise } = schedule;
  const scale = (t) => beta[t] ** 2 / ((1 - beta[t]) * noise[t]);
  const best = (t) => betaTilde[t] + (scale(t) * (loss[t] + own[t])) / D;
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

const KINDS = {
  floor: { words: "wₜ × smallest loss", colour: BLUE },
  constant: { words: "Cₜ", colour: GREEN },
  extra: { words: "wₜ × the network's own error", colour: ORANGE },
};

function render({ model, el }) {
  const { T, beta1, betaT, prior, entropy } = model.get("settings");
  const schedule = Schedule.linear(T, beta1, betaT);
  const [loss, own] = [floats(model.get("loss")), floats(model.get("own"))];
  const spread = Array.from({ length: 121 }, (_, i) => Math.round(T ** (i / 120)));
  const times = [...new Set(spread)];
  let [terms, sums] = [[], []];

  function update() {
    terms = boundTerms(schedule, loss, own, variance.value);
    let sum = prior;
    sums = terms.map((term) => (term ? (sum += term.total) : sum));
    show();
  }

  function show() {
    const t = times[time.value];
    const term = terms[t];
    const mean = terms.reduce((total, each) => total + (each?.weight ?? 0), 0) / T;
    const four = (value) => digits(value, 4);
    says.textContent =
      `t = ${t}: L${subscript(t - 1)} is ${four(term.total)} nats, that is ${four(term.floor)} for the smallest loss, times its weight, ` +
      `${four(term.extra)} for the network's own error, and the constant ${four(term.constant)}. ` +
      `Its weight w is ${term.weight.toPrecision(3)}, ${(term.weight / mean).toPrecision(3)} times the average; ` +
      `L_simple gives every t the same. Up to here ${four(sums[t])} nats; in all ${four(sums[T])} nats, ${four(sums[T] - entropy)} above the entropy ` +
      `${four(entropy)}.`;
    areas.redraw();
    running.redraw();
  }

  const log = (t) => Math.log10(t);
  const ticks = Array.from({ length: Math.floor(log(T)) + 1 }, (_, k) => k);
  const name = (k) => String(10 ** k);
  const mark = (picture) => {
    const t = times[time.value];
    picture.line([log(t), log(t)], picture.range.slice(2), { width: 1, dash: [3, 4] });
    picture.axis(ticks, "t", name);
  };

  function drawAreas() {
    // on a logarithmic axis the height is t times the nats of one t, so that areas are nats
    const [low, ts] = [new Float64Array(T - 1), Array.from({ length: T - 1 }, (_, i) => i + 2)];
    areas.range[3] = 1.08 * Math.max(...ts.map((t) => t * terms[t].total));
    for (const [kind, { colour }] of Object.entries(KINDS)) {
      const high = low.map((base, i) => base + ts[i] * terms[ts[i]][kind]);
      const xs = [...ts, ...[...ts].reverse()].map(log);
      areas.line(xs, [...high, ...[...low].reverse()], { colour, width: 1, fill: colour });
      low.set(high);
    }
    mark(areas);
  }

  function drawRunning() {
    const ts = Array.from({ length: T }, (_, i) => i + 1);
    running.range = [0, log(T), Math.min(...sums) - 0.5, Math.max(...sums, entropy) + 1.2];
    running.line([0, log(T)], [entropy, entropy], { width: 1 });
    running.text("the entropy of the data", 0, entropy, { dx: 4, dy: -6 });
    running.line(ts.map(log), ts.map((t) => sums[t]), { colour: BLUE, width: 3 });
    running.dot(log(times[time.value]), sums[times[time.value]], { colour: BLUE, ring: true });
    mark(running);
  }

  const time = slider("t", { min: 0, max: times.length - 1, step: 1, value: 0, format: (i) => String(times[i]) }, show);
  const names = { beta: "βₜ", tilde: "β̃ₜ", best: "the best" };
  const variance = choice("σ²", names, "beta", update);
  const place = { range: [0, log(T), 0, 1], margin: [8, 22, 40, 12] };
  const areas = new Picture(model.get("alt"), { aspect: 2.2, ...place }, drawAreas);
  const sum = "The sum of the terms up to t, which begins far below zero and ends just above the entropy of the data.";
  const running = new Picture(sum, { aspect: 3, ...place, range: [0, log(T), -8, 1.8] }, drawRunning);
  for (const picture of [areas, running]) {
    draggable(picture, () => 0, (_, [place]) => {
      const t = 10 ** place;
      const nearest = times.reduce((best, each, i) => (Math.abs(each - t) < Math.abs(times[best] - t) ? i : best), 0);
      if (nearest === time.value) return;
      time.value = nearest;
      show();
    });
  }
  const says = saying();
  const hint =
    "Above, from t = 2 on, equal areas are equal nats; below, the sum of all terms up to t, which begins with L_T and L₀, far below zero. Where are the nats? " +
    "Choose β̃ₜ: at which t is it expensive? How much heavier is t = 2 in the bound than in L_simple?";
  const stop = assemble(el, "bound_bars", { hint, pictures: [areas, running], controls: [time, variance], says });
  const legend = element("p", { className: "legend" });
  for (const { words, colour } of Object.values(KINDS)) {
    const mark = element("span", { ariaHidden: "true", textContent: "▬ " });
    mark.style.color = colour;
    const item = element("span", {}, mark, words);
    item.style.cssText = "display: inline-block; margin-right: 1.2em";
    legend.append(item);
  }
  areas.canvas.after(legend);
  update();
  return stop;
}

const subscript = (n) => String(n).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);

export default { render };
