// The mathematics of the book's explorables. The index is the paper's: t = 1, …, T, and alphaBar[0] = 1.

// Numbers that a page holds as text.
function floats(base64) {
  return new Float32Array(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer);
}

// Random numbers that are the same for the same seed (mulberry32), and Gaussian ones by Box and Muller.
class Random {
  constructor(seed) {
    this.state = seed >>> 0;
  }
  uniform() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let a = this.state;
    a = Math.imul(a ^ (a >>> 15), a | 1);
    a ^= a + Math.imul(a ^ (a >>> 7), a | 61);
    return ((a ^ (a >>> 14)) >>> 0) / 4294967296;
  }
  normal() {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }
  normals(count) {
    return Float64Array.from({ length: count }, () => this.normal());
  }
}

// β_1, …, β_T and what follows from them; beta[0] = 0.
class Schedule {
  constructor(beta) {
    this.beta = Float64Array.from(beta);
    this.T = this.beta.length - 1;
    const logs = this.beta.map((b) => Math.log1p(-b));
    for (let t = 1; t <= this.T; t++) logs[t] += logs[t - 1];
    this.alphaBar = logs.map(Math.exp);
    this.noise = logs.map((log) => -Math.expm1(log)); // 1 − ᾱ_t, without the rounding of a difference
    this.betaTilde = this.beta.map((b, t) => (t ? (this.noise[t - 1] / this.noise[t]) * b : 0));
  }
  static linear(T, beta1 = 1e-4, betaT = 0.02) {
    const step = T > 1 ? (betaT - beta1) / (T - 1) : 0;
    return new Schedule(Array.from({ length: T + 1 }, (_, t) => (t ? beta1 + step * (t - 1) : 0)));
  }
  static cosine(T, s = 0.008, largest = 0.999) {
    const level = (t) => Math.cos((((t / T + s) / (1 + s)) * Math.PI) / 2) ** 2;
    const beta = (t) => (t ? Math.min(largest, 1 - level(t) / level(t - 1)) : 0);
    return new Schedule(Array.from({ length: T + 1 }, (_, t) => beta(t)));
  }
  // A shorter chain through the same noise levels: `steps` of the T steps, the last one among them.
  thinned(steps) {
    const times = Array.from({ length: steps + 1 }, (_, i) => Math.round((i * this.T) / steps));
    const ratio = (i) => this.alphaBar[times[i]] / this.alphaBar[times[i - 1]];
    return new Schedule(times.map((_, i) => (i ? 1 - ratio(i) : 0)));
  }
  // q(x_{t−1} | x_t, x_0) for t > 1: its mean in one coordinate, and its variance.
  posterior(xt, x0, t) {
    const fromX0 = (Math.sqrt(this.alphaBar[t - 1]) * this.beta[t]) / this.noise[t];
    const fromXt = (Math.sqrt(1 - this.beta[t]) * this.noise[t - 1]) / this.noise[t];
    return { mean: fromX0 * x0 + fromXt * xt, variance: this.betaTilde[t], fromX0, fromXt };
  }
}

// D_KL(N(m1, v1) ‖ N(m2, v2)) of two numbers' laws, in nats.
function divergence(m1, v1, m2, v2) {
  return ((m1 - m2) ** 2 / v2 + v1 / v2 - 1 - Math.log(v1 / v2)) / 2;
}

// Φ(x), by a series whose terms all have one sign (Marsaglia 2004).
function gaussianCdf(x) {
  if (Math.abs(x) > 8) return x > 0 ? 1 : 0;
  let [sum, term] = [x, x];
  for (let k = 3; sum + term !== sum; k += 2) sum += term *= (x * x) / k;
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}

// Nodes and weights of Gauss and Legendre on [0, 1].
function gaussLegendre(count) {
  const nodes = new Float64Array(count);
  const weights = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    let x = Math.cos((Math.PI * (i + 0.75)) / (count + 0.5));
    let slope = 1;
    for (let again = 0; again < 20; again++) {
      let [before, now] = [1, x];
      for (let k = 2; k <= count; k++) [before, now] = [now, ((2 * k - 1) * x * now - (k - 1) * before) / k];
      slope = (count * (x * now - before)) / (x * x - 1);
      x -= now / slope;
      if (Math.abs(now / slope) < 1e-15) break;
    }
    nodes[i] = (1 + x) / 2;
    weights[i] = 1 / ((1 - x * x) * slope * slope);
  }
  return { nodes, weights };
}

// The swiss roll: a place on a spiral, uniform in its angle, and Gaussian noise around it.
class SwissRoll {
  constructor(noise = 0.05, scale = 0.1, count = 288) {
    Object.assign(this, { noise, scale, ...gaussLegendre(count) });
    this.x = this.nodes.map((u) => this.spiral(u)[0]);
    this.y = this.nodes.map((u) => this.spiral(u)[1]);
  }
  spiral(u) {
    const angle = 1.5 * Math.PI * (1 + 2 * u);
    return [this.scale * angle * Math.cos(angle), this.scale * angle * Math.sin(angle)];
  }
  sample(random) {
    const u = random.uniform();
    const [x, y] = this.spiral(u);
    return { u, x: x + this.noise * random.normal(), y: y + this.noise * random.normal() };
  }
  // Given x_t = (x, y): the probability of each node, and E[x_0 | x_t], E[ε | x_t], log q(x_t).
  given(x, y, alphaBar) {
    const root = Math.sqrt(alphaBar);
    const variance = alphaBar * this.noise ** 2 + 1 - alphaBar;
    const logs = this.nodes.map((_, k) => -((x - root * this.x[k]) ** 2 + (y - root * this.y[k]) ** 2) / (2 * variance));
    const most = logs.reduce((a, b) => Math.max(a, b));
    const share = logs.map((log, k) => this.weights[k] * Math.exp(log - most));
    const total = share.reduce((a, b) => a + b);
    let [cx, cy] = [0, 0];
    share.forEach((s, k) => {
      share[k] = s / total;
      cx += share[k] * this.x[k];
      cy += share[k] * this.y[k];
    });
    const pull = (root * this.noise ** 2) / variance; // how much of x_t's distance from the arm is the data's own noise
    return {
      share,
      x0: [cx + pull * (x - root * cx), cy + pull * (y - root * cy)],
      noise: [x - root * cx, y - root * cy].map((d) => (Math.sqrt(1 - alphaBar) * d) / variance),
      log: most + Math.log(total) - Math.log(2 * Math.PI * variance),
    };
  }
}

// out = in · Wᵀ + b for n rows, four outputs and two rows at a time, so that the sums stay in registers.
function affine(input, output, n, wide, high, weight, bias) {
  for (let o = 0; o < high; o += 4) {
    const p = o;
    const q = Math.min(o + 1, high - 1);
    const r = Math.min(o + 2, high - 1);
    const s = Math.min(o + 3, high - 1);
    for (let i = 0; i < n; i += 2) {
      const a = i * wide;
      const b = Math.min(i + 1, n - 1) * wide;
      let [ap, aq, ar, as] = [bias[p], bias[q], bias[r], bias[s]];
      let [bp, bq, br, bs] = [ap, aq, ar, as];
      for (let k = 0; k < wide; k++) {
        const u = input[a + k];
        const v = input[b + k];
        const wp = weight[p * wide + k];
        const wq = weight[q * wide + k];
        const wr = weight[r * wide + k];
        const ws = weight[s * wide + k];
        ap += u * wp;
        aq += u * wq;
        ar += u * wr;
        as += u * ws;
        bp += v * wp;
        bq += v * wq;
        br += v * wr;
        bs += v * ws;
      }
      const c = i * high;
      const d = Math.min(i + 1, n - 1) * high;
      output[c + p] = ap;
      output[c + q] = aq;
      output[c + r] = ar;
      output[c + s] = as;
      output[d + p] = bp;
      output[d + q] = bq;
      output[d + r] = br;
      output[d + s] = bs;
    }
  }
}

// ε_θ(x_t, t): the forward pass of networks.NoiseMLP. `numbers` holds its frequencies, then the layers' weights and biases.
class NoiseNetwork {
  constructor(numbers, { width, depth, features, dataStd, schedule }) {
    Object.assign(this, { width, depth, features, dataStd, schedule });
    let at = 0;
    const take = (count) => numbers.subarray(at, (at += count));
    this.frequency = take(2 * features);
    const sizes = [2 + 2 * features + 9, ...Array(depth).fill(width), 2];
    const layer = (wide, high) => ({ wide, high, weight: take(wide * high), bias: take(high) });
    this.layers = sizes.slice(1).map((high, l) => layer(sizes[l], high));
    if (at !== numbers.length) throw new Error(`the network has ${at} parameters, and ${numbers.length} are given`);
  }
  // What the network knows of t, which is the same for all points, goes into the first bias.
  first(t) {
    const { wide, high, weight, bias } = this.layers[0];
    const half = Math.log(this.schedule.alphaBar[t] / this.schedule.noise[t]) / 2;
    const time = [half / 4];
    for (const wave of [Math.sin, Math.cos]) for (let k = 1; k <= 4; k++) time.push(wave((Math.PI / 8) * k * half));
    const narrow = wide - time.length;
    const packed = new Float32Array(narrow * high);
    const shifted = Float64Array.from(bias);
    for (let o = 0; o < high; o++) {
      packed.set(weight.subarray(o * wide, o * wide + narrow), o * narrow);
      time.forEach((value, k) => (shifted[o] += weight[o * wide + narrow + k] * value));
    }
    return { wide: narrow, high, weight: packed, bias: shifted };
  }
  // The predicted noise for n points (x, y, x, y, …), as a new array.
  predict(points, t) {
    const n = points.length / 2;
    const { features: f, frequency } = this;
    const layers = [this.first(t), ...this.layers.slice(1)];
    let now = new Float32Array(n * layers[0].wide);
    for (let i = 0; i < n; i++) {
      const [x, y, row] = [points[2 * i], points[2 * i + 1], i * layers[0].wide];
      now[row] = x;
      now[row + 1] = y;
      for (let k = 0; k < f; k++) {
        const wave = x * frequency[k] + y * frequency[f + k];
        now[row + 2 + k] = Math.sin(wave);
        now[row + 2 + f + k] = Math.cos(wave);
      }
    }
    layers.forEach((layer, l) => {
      const next = new Float32Array(n * layer.high);
      affine(now, next, n, layer.wide, layer.high, layer.weight, layer.bias);
      if (l < this.depth) for (let k = 0; k < next.length; k++) next[k] /= 1 + Math.exp(-next[k]);
      now = next;
    });
    const [signal, noise] = [this.schedule.alphaBar[t], this.schedule.noise[t]];
    const variance = signal * this.dataStd ** 2 + noise;
    const [linear, rest] = [Math.sqrt(noise) / variance, this.dataStd * Math.sqrt(signal / variance)];
    return now.map((value, k) => linear * points[k] + rest * value);
  }
}

// The trained network of a page, from what its model holds.
function trainedNetwork(weights, settings) {
  const schedule = Schedule.linear(settings.T, settings.beta1, settings.betaT);
  return new NoiseNetwork(floats(weights), { ...settings, schedule });
}
