// Two Gaussians on a line, at −1 and at 1, diffused by the linear schedule of a thousand steps: data.Peaks.
const SCHEDULE = Schedule.linear(1000);
const WIDTH = 0.15; // of a peak

const normal = (x, m, v) => Math.exp(-((x - m) ** 2) / (2 * v)) / Math.sqrt(2 * Math.PI * v);
const mixture = ({ weights, means, variance }, x) =>
  weights[0] * normal(x, means[0], variance) + weights[1] * normal(x, means[1], variance);

// q(x_t): the left peak and the right one, where ᾱ of the signal's square is left, and 1 − ᾱ of noise.
function diffused(alphaBar, noise, share) {
  const root = Math.sqrt(alphaBar);
  return { weights: [1 - share, share], means: [-root, root], variance: alphaBar * WIDTH ** 2 + noise };
}
const peaks = (t, share) => diffused(SCHEDULE.alphaBar[t], SCHEDULE.noise[t], share);

// The probability that x is from the left peak, and from the right one.
function origin({ weights, means, variance }, x) {
  const logs = means.map((m, k) => Math.log(weights[k]) - (x - m) ** 2 / (2 * variance));
  return [1 / (1 + Math.exp(logs[1] - logs[0])), 1 / (1 + Math.exp(logs[0] - logs[1]))];
}

// E[ε | x_t] = −√(1 − ᾱ_t) ∇ log q(x_t).
function expectedNoise(q, t, x) {
  const [left, right] = origin(q, x);
  return (Math.sqrt(SCHEDULE.noise[t]) * (x - (left * q.means[0] + right * q.means[1]))) / q.variance;
}

// q(x_s | x_t) for an earlier step s: two Gaussians again.
function posterior(t, s, xt, share) {
  const [now, before] = [peaks(t, share), peaks(s, share)];
  const ratio = before.variance / now.variance;
  const root = Math.sqrt(SCHEDULE.alphaBar[t] / SCHEDULE.alphaBar[s]);
  let added = 0; // 1 − r² without the rounding of a difference
  for (let i = s + 1; i <= t; i++) added += Math.log1p(-SCHEDULE.beta[i]);
  const means = before.means.map((m, k) => m + root * ratio * (xt - now.means[k]));
  return { weights: origin(now, xt), means, variance: ratio * -Math.expm1(added) };
}
