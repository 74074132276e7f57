// Mixtures of Gaussians in the plane with one diagonal covariance, and what an observation makes of them: data/mixtures.py.
const NOTHING = 45; // in the logarithm: a part that weighs so much less than the heaviest is not computed

class Mixture {
  // log weights; the centres, by axis; the variance of each axis, 0 where it is known exactly
  constructor(logWeights, centres, variance) {
    const most = logWeights.reduce((a, b) => Math.max(a, b));
    const total = most + Math.log(logWeights.reduce((sum, log) => sum + Math.exp(log - most), 0));
    const kept = [...logWeights.keys()].filter((k) => logWeights[k] > most - NOTHING);
    this.part = kept; // which of the parts given each is
    this.log = Float64Array.from(kept, (k) => logWeights[k] - total);
    this.centres = centres.map((centre) => Float64Array.from(kept, (k) => centre[k]));
    this.variance = variance;
    this.buffer = new Float64Array(kept.length);
  }
  get free() {
    return [0, 1].filter((d) => this.variance[d] > 0);
  }
  // q(x_0 | y) of y = x_0 + noise · n, in each axis with its own noise: 0 if it is known, infinite if it is not seen.
  given(value, noise) {
    const log = Float64Array.from(this.log);
    const [centres, variance] = [[], []];
    for (const d of [0, 1]) {
      const [k2, v] = [noise[d] ** 2, this.variance[d]];
      const seen = Number.isFinite(k2);
      const share = seen ? v / (v + k2) : 0;
      if (seen) {
        const constant = Math.log(2 * Math.PI * (v + k2)) / 2;
        this.centres[d].forEach((m, k) => (log[k] -= (value[d] - m) ** 2 / (2 * (v + k2)) + constant));
      }
      centres.push(this.centres[d].map((m) => (k2 === 0 ? value[d] : m + share * (value[d] - m))));
      variance.push(seen ? share * k2 : v);
    }
    const posterior = new Mixture(log, centres, variance);
    posterior.part = posterior.part.map((k) => this.part[k]);
    return posterior;
  }
  // The probability of each part, at a place of which these axes are looked at, with so much more variance.
  origin(place, more = 0, axes = this.free) {
    const { log, buffer } = this;
    const [xs, ys] = this.centres;
    const [x, y] = place;
    const [narrow, flat] = [0, 1].map((d) => (axes.includes(d) ? 1 / (2 * (this.variance[d] + more)) : 0));
    let most = -Infinity;
    for (let k = 0; k < log.length; k++) {
      const value = log[k] - (x - xs[k]) * (x - xs[k]) * narrow - (y - ys[k]) * (y - ys[k]) * flat;
      buffer[k] = value;
      if (value > most) most = value;
    }
    let total = 0;
    for (let k = 0; k < log.length; k++) {
      buffer[k] = buffer[k] > most - NOTHING ? Math.exp(buffer[k] - most) : 0;
      total += buffer[k];
    }
    for (let k = 0; k < log.length; k++) buffer[k] /= total;
    this.logTotal = most + Math.log(total);
    return buffer;
  }
  logDensity(place, more = 0) {
    this.origin(place, more);
    return this.free.reduce((log, d) => log - Math.log(2 * Math.PI * (this.variance[d] + more)) / 2, this.logTotal);
  }
  // E[x_0 | y] of points y = x_0 + κε, as (x, y, x, y, …); and, if asked for, its slopes, three of them for each point.
  guess(points, kappa, slopes = null) {
    const { centres, variance } = this;
    const more = kappa ** 2;
    const found = new Float64Array(points.length);
    const [xs, ys] = centres;
    const [v, w] = variance.map((each) => each + more);
    for (let i = 0; i < points.length; i += 2) {
      const share = this.origin([points[i], points[i + 1]], more, [0, 1]);
      let [x, y, xx, xy, yy] = [0, 0, 0, 0, 0];
      for (let k = 0; k < share.length; k++) {
        const s = share[k];
        if (s === 0) continue;
        x += s * xs[k];
        y += s * ys[k];
        xx += s * xs[k] * xs[k];
        xy += s * xs[k] * ys[k];
        yy += s * ys[k] * ys[k];
      }
      found[i] = (more * x + variance[0] * points[i]) / v;
      found[i + 1] = (more * y + variance[1] * points[i + 1]) / w;
      if (!slopes) continue;
      const at = (3 * i) / 2;
      slopes[at] = (variance[0] + (more * (xx - x * x)) / v) / v;
      slopes[at + 1] = (more * (xy - x * y)) / (v * w);
      slopes[at + 2] = (variance[1] + (more * (yy - y * y)) / w) / w;
    }
    return found;
  }
  sample(count, random) {
    const points = new Float64Array(2 * count);
    for (let i = 0; i < count; i++) {
      let [left, k] = [random.uniform(), -1];
      while (left >= 0 && k + 1 < this.log.length) left -= Math.exp(this.log[++k]);
      for (const d of [0, 1]) points[2 * i + d] = this.centres[d][k] + Math.sqrt(this.variance[d]) * random.normal();
    }
    return points;
  }
  // The distribution functions of the free axes, each given those before it: F(x_1), F(x_2 | x_1).
  uniforms(place) {
    return this.free.map((d, i) => {
      const share = this.origin(place, 0, this.free.slice(0, i));
      const std = Math.sqrt(this.variance[d]);
      return share.reduce((sum, s, k) => sum + (s ? s * gaussianCdf((place[d] - this.centres[d][k]) / std) : 0), 0);
    });
  }
  // KL(points ‖ this) in nats, from cells of equal probability: metrics.plug_in_kl.
  divergence(points, along) {
    const cells = along ** this.free.length;
    const counts = new Float64Array(cells);
    for (let i = 0; i < points.length; i += 2) {
      const place = this.uniforms([points[i], points[i + 1]]);
      const cell = place.map((u) => Math.max(0, Math.min(along - 1, Math.floor(u * along))));
      counts[cell.reduce((a, b) => a * along + b, 0)] += 1;
    }
    const count = points.length / 2;
    const divergence = counts.reduce((sum, c) => sum + (c && (c / count) * Math.log((c * cells) / count)), 0);
    return divergence - (cells - 1) / (2 * count);
  }
}

// The roll in so many pieces of u, with as many nodes each: SwissRoll.mixture.
function rollMixture(pieces, count) {
  const roll = new SwissRoll(0.05, 0.1, count);
  const places = Array.from({ length: pieces * count }, (_, k) => {
    return roll.spiral((Math.floor(k / count) + roll.nodes[k % count]) / pieces);
  });
  const logs = Float64Array.from(places, (_, k) => Math.log(roll.weights[k % count]));
  const axis = (d) => Float64Array.from(places, (place) => place[d]);
  return new Mixture(logs, [axis(0), axis(1)], [roll.noise ** 2, roll.noise ** 2]);
}
