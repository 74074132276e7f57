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

// Over a step of length h in −log κ, the integral of what is continued from the last predictions of x_0, one to three.
function fromThePast(past, h) {
  const newest = past.at(-1);
  const phi = -Math.expm1(-h);
  if (past.length === 1) return newest.x0.map((value) => phi * value);
  const before = past.at(-2);
  let slope = newest.x0.map((value, i) => (value - before.x0[i]) / (newest.at - before.at));
  if (past.length === 2) return newest.x0.map((value, i) => phi * (value + (h / 2) * slope[i]));
  const first = past.at(-3);
  const older = before.x0.map((value, i) => (value - first.x0[i]) / (before.at - first.at));
  const bend = slope.map((value, i) => (value - older[i]) / (newest.at - first.at));
  slope = slope.map((value, i) => value + (newest.at - before.at) * bend[i]);
  return newest.x0.map((value, i) => phi * value + (h - phi) * slope[i] + (h ** 2 / 2 - (h - phi)) * bend[i]);
}

// x_t at each level t below the first, as samplers.walk has it, in y = x_t/√ᾱ_t = x_0 + κ_t ε, for which dy/dκ = ε_θ.
function* walk(network, { method, calls, levels, eta = 0, variance = "tilde", seed, points }) {
  const { alphaBar, noise } = network.schedule;
  const visited = [...levels].reverse().concat(0);
  const root = (t) => Math.sqrt(alphaBar[t]);
  const kappa = (t) => Math.sqrt(noise[t] / alphaBar[t]);
  const asked = (y, t) => network.predict(y.map((value) => root(t) * value), t);
  const random = new Random(seed);
  let y = Float64Array.from(points, (x) => x / root(visited[0]));
  let past = []; // predictions of x_0, and the −log κ at which they were made
  for (let k = 0; k < levels.length; k++) {
    const [t, s] = [visited[k], visited[k + 1]];
    const [from, to] = [kappa(t), kappa(s)];
    const e = asked(y, t);
    const fresh = (method === "ancestral" ? 1 : eta) * to * Math.sqrt(1 - (to / from) ** 2); // new noise
    const kept = Math.sqrt(to ** 2 - fresh ** 2); // of the predicted noise
    if (method === "heun" && s > 0 && (k > 0 || calls % 2)) {
      const ahead = asked(y.map((value, i) => value + (to - from) * e[i]), s);
      y = y.map((value, i) => value + ((to - from) * (e[i] + ahead[i])) / 2);
    } else if (method.startsWith("dpmpp") && s > 0) {
      const x0 = y.map((value, i) => value - from * e[i]);
      past = [...past.slice(method === "dpmpp_2m" ? -1 : -2), { at: -Math.log(from), x0 }];
      const ahead = fromThePast(past, Math.log(from / to));
      y = y.map((value, i) => (to / from) * value + ahead[i]);
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
