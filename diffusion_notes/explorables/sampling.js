// Sampling with few calls of a network: the levels to visit, and the steps between them.

// To the nearest integer, and from half-way to the even one, as Python rounds.
const rounded = (value) => (value % 1 === 0.5 ? 2 * Math.round(value / 2) : Math.round(value));

// `count` of the steps t, rising, as samplers.choose_levels takes them; "thinned" is "uniform" from T / count on.
function chooseLevels({ T, alphaBar, noise }, count, spacing, highest = T) {
  if (count === 1) return [highest];
  const lowest = spacing === "thinned" ? rounded(highest / count) : 1;
  const step = (highest - lowest) / (count - 1);
  let wanted = (k) => rounded(lowest + k * step);
  if (spacing === "log_snr" || spacing === "karras") {
    const logs = Array.from(noise, (n, t) => Math.log(n / alphaBar[t]) / 2); // log κ
    const [to, from] = spacing === "karras" ? [(log) => Math.exp(log / 7), (v) => 7 * Math.log(v)] : [(v) => v, (v) => v];
    const place = (k) => from(to(logs[lowest]) + (k / (count - 1)) * (to(logs[highest]) - to(logs[lowest])));
    const nearest = (log) => logs.reduce((best, l, t) => (Math.abs(l - log) < Math.abs(logs[best] - log) ? t : best), 1);
    wanted = (k) => nearest(place(k));
  }
  const t = Array.from({ length: count }, (_, k) => wanted(k));
  for (let k = 1; k < count; k++) t[k] = Math.max(t[k], t[k - 1] + 1);
  return t.map((each, k) => Math.min(each, highest - (count - 1 - k)));
}

// How many levels a method visits with so many calls: Heun's asks twice a step, but once in the last one.
const levelCount = (method, calls) => (method === "heun" ? Math.floor(calls / 2) + 1 : calls);

// x_t at each level t below the first, as samplers.walk has it, in y = x_t/√ᾱ_t = x_0 + κ_t ε, for which dy/dκ = ε_θ.
function* walk(network, { method, calls, levels, eta = 0, variance = "tilde", seed, points }) {
  const { alphaBar, noise } = network.schedule;
  const visited = [...levels].reverse().concat(0);
  const root = (t) => Math.sqrt(alphaBar[t]);
  const kappa = (t) => Math.sqrt(noise[t] / alphaBar[t]);
  const asked = (y, t) => network.predict(y.map((value) => root(t) * value), t);
  const random = new Random(seed);
  let y = Float64Array.from(points, (x) => x / root(visited[0]));
  let before = null;
  for (let k = 0; k < levels.length; k++) {
    const [t, s] = [visited[k], visited[k + 1]];
    const [from, to] = [kappa(t), kappa(s)];
    const e = asked(y, t);
    const fresh = (method === "ancestral" ? 1 : eta) * to * Math.sqrt(1 - (to / from) ** 2); // new noise
    const kept = Math.sqrt(to ** 2 - fresh ** 2); // of the predicted noise
    if (method === "heun" && s > 0 && (k > 0 || calls % 2)) {
      const ahead = asked(y.map((value, i) => value + (to - from) * e[i]), s);
      y = y.map((value, i) => value + ((to - from) * (e[i] + ahead[i])) / 2);
    } else if (method === "dpmpp_2m" && s > 0) {
      const x0 = y.map((value, i) => value - from * e[i]);
      const h = Math.log(from / to);
      const ahead = before ? x0.map((value, i) => value + (h / (2 * before.h)) * (value - before.x0[i])) : x0;
      y = y.map((value, i) => (to / from) * value + (1 - to / from) * ahead[i]);
      before = { x0, h };
    } else {
      const beta = 1 - alphaBar[t] / alphaBar[s]; // of the one step from s to t
      const widths = { tilde: fresh, beta: s > 0 ? Math.sqrt(beta) / root(s) : 0, none: 0 };
      const width = method === "ancestral" ? widths[variance] : fresh;
      const z = width ? random.normals(y.length) : null;
      y = y.map((value, i) => value + (kept - from) * e[i] + (z ? width * z[i] : 0));
    }
    yield y.map((value) => root(s) * value);
  }
}
