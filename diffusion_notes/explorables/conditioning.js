// Draws from a posterior by a model that was trained without the observation, with exact scores: conditioning.py.
// Points are (x, y, x, y, …); every method yields them at each level that it visits, from x_T to x_0.

// The steps between levels, which fall, in the terms of their κ; the noise is that of β̃, and √β in the last one.
function conditionedSteps({ alphaBar, noise }, levels) {
  const visited = [...levels].reverse().concat(0);
  const kappa = (t) => Math.sqrt(noise[t] / alphaBar[t]);
  const signal = (t) => Math.sqrt(alphaBar[t]);
  return levels.map((_, i) => {
    const [t, s] = [visited[i], visited[i + 1]];
    const kept = (kappa(s) / kappa(t)) ** 2;
    const beta = (kappa(t) ** 2 - kappa(s) ** 2) * signal(t) ** 2;
    const sigma = s > 0 ? kappa(s) * signal(s) * Math.sqrt(1 - kept) : Math.sqrt(beta);
    const step = { t, s, kappa: kappa(t), kappaS: kappa(s), signal: signal(t), signalS: signal(s), sigma, beta };
    return { ...step, fromX0: signal(s) * (1 - kept), fromXt: (signal(s) / signal(t)) * kept, alpha: 1 - beta };
  });
}

const stepMean = ({ fromX0, fromXt }, x, x0) => x.map((value, i) => fromX0 * x0[i] + fromXt * value);
const guessed = (law, x, { signal, kappa }, slopes) => law.guess(x.map((value) => value / signal), kappa, slopes);

// A draw of the step; of the last one, its mean.
function down({ s, sigma }, mean, random) {
  if (s === 0) return mean;
  const z = random.normals(mean.length);
  return mean.map((value, i) => value + sigma * z[i]);
}

// Ancestral steps with the score of a law: of the posterior, or of the data, from where the chain is entered.
function* ancestral(law, x, steps, random) {
  yield x;
  for (const step of steps) {
    x = down(step, stepMean(step, x, guessed(law, x, step)), random);
    yield x;
  }
}

// What is known is written over what was drawn, as noisy as the level is, after each step; RePaint takes each several times.
function* replacement(law, x, steps, random, { value, noise }, resamplings) {
  const write = (points, kappa, signal) => {
    const z = kappa > 0 ? random.normals(points.length) : points.map(() => 0);
    return points.map((each, i) => (noise[i % 2] === 0 ? signal * (value[i % 2] + kappa * z[i]) : each));
  };
  x = write(x, steps[0].kappa, steps[0].signal);
  yield x;
  for (const step of steps) {
    for (let again = 0; again < (step.s > 0 ? resamplings : 1); again++) {
      if (again) {
        const z = random.normals(x.length);
        x = x.map((each, i) => Math.sqrt(step.alpha) * each + Math.sqrt(step.beta) * z[i]);
      }
      x = down(step, stepMean(step, x, guessed(law, x, step)), random);
      x = write(x, step.kappaS, step.signalS);
    }
    yield x;
  }
}

// N(x; mean, variance) times the likelihood of the observation at x, as if x were clean.
function product({ value, noise }, mean, variance) {
  const share = noise.map((k) => (Number.isFinite(k) ? variance / (variance + k ** 2) : 0));
  return {
    mean: mean.map((each, i) => each + share[i % 2] * (value[i % 2] - each)),
    std: share.map((each) => Math.sqrt(variance * (1 - each))),
  };
}

// Every step times the likelihood (Sohl-Dickstein et al.).
function* multiplied(law, x, steps, random, observation) {
  const first = product(observation, x.map(() => 0), 1);
  x = x.map((z, i) => first.mean[i] + first.std[i % 2] * z);
  yield x;
  for (const step of steps) {
    const { mean, std } = product(observation, stepMean(step, x, guessed(law, x, step)), step.sigma ** 2);
    const z = step.s > 0 ? random.normals(x.length) : null;
    x = z ? mean.map((each, i) => each + std[i % 2] * z[i]) : mean;
    yield x;
  }
}

// x̂_0, log N(y; x̂_0, k² + spread) and its gradient in x_t; or, with a length of step, that of −length ‖y − x̂_0‖².
function look(law, x, step, { value, noise }, spread, length) {
  const slopes = new Float64Array(1.5 * x.length);
  const x0 = guessed(law, x, step, slopes);
  const log = new Float64Array(x.length / 2);
  const gradient = new Float64Array(x.length);
  for (let n = 0; n < log.length; n++) {
    const away = [0, 1].map((d) => (Number.isFinite(noise[d]) ? value[d] - x0[2 * n + d] : 0));
    const wide = noise.map((k) => k ** 2 + spread);
    for (const d of [0, 1]) {
      if (Number.isFinite(noise[d])) log[n] -= away[d] ** 2 / (2 * wide[d]) + Math.log(2 * Math.PI * wide[d]) / 2;
    }
    const distance = Math.max(Math.hypot(...away), Number.MIN_VALUE);
    const pull = away.map((each, d) => (length ? (2 * length * each) / distance : each === 0 ? 0 : each / wide[d]));
    const [xx, xy, yy] = slopes.subarray(3 * n, 3 * n + 3);
    gradient[2 * n] = (xx * pull[0] + xy * pull[1]) / step.signal;
    gradient[2 * n + 1] = (xy * pull[0] + yy * pull[1]) / step.signal;
  }
  return { x0, log, gradient };
}

// How far x_0 is taken to be from the guess at it, as a variance.
const spreadOf = (guess, kappa) => (guess === "dps" ? 0 : kappa ** 2 / (1 + kappa ** 2));

// Steps that follow the gradient of a guess at p(y | x_t): DPS or ΠGDM; with a length, the step of DPS's authors.
function* gradientGuidance(law, x, steps, random, observation, guess, length = null) {
  const { value, noise } = observation;
  yield x;
  for (const step of steps) {
    const { x0, gradient } = look(law, x, step, observation, spreadOf(guess, step.kappa), length);
    const factor = length ? 1 : step.beta / Math.sqrt(step.alpha);
    const mean = stepMean(step, x, x0).map((each, i) => each + factor * gradient[i]);
    x = down(step, mean, random);
    if (step.s === 0) x = x.map((each, i) => (noise[i % 2] === 0 ? value[i % 2] : each));
    yield x;
  }
}

// Twisted sequential Monte Carlo: ΠGDM as a proposal, and weights that make up for what is wrong with it.
function* twistedParticles(law, x, steps, random, observation) {
  const n = x.length / 2;
  let { x0, log: guess, gradient } = look(law, x, steps[0], observation, spreadOf("pigdm", steps[0].kappa));
  let weights = normalised(guess);
  yield x;
  for (const [k, step] of steps.entries()) {
    const effective = 1 / weights.reduce((sum, w) => sum + w * w, 0);
    const chosen = drawn(weights, random.uniform());
    if (effective < n / 2) {
      [x, x0, gradient] = [x, x0, gradient].map((values) => values.map((_, i) => values[2 * chosen[i >> 1] + (i & 1)]));
      guess = guess.map((_, i) => guess[chosen[i]]);
      weights = weights.map(() => 1 / n);
    }
    const mean = stepMean(step, x, x0);
    const z = random.normals(x.length);
    const more = new Float64Array(n);
    if (k + 1 === steps.length) {
      const wide = observation.noise.map((each) => each ** 2 + step.sigma ** 2);
      mean.forEach((each, i) => {
        const d = i & 1;
        if (!Number.isFinite(wide[d])) return;
        more[i >> 1] -= (observation.value[d] - each) ** 2 / (2 * wide[d]) + Math.log(2 * Math.PI * wide[d]) / 2;
      });
      const last = product(observation, mean, step.sigma ** 2);
      x = last.mean.map((each, i) => each + last.std[i & 1] * z[i]);
      more.forEach((_, i) => (more[i] -= guess[i]));
    } else {
      const shift = gradient.map((each) => (step.beta / Math.sqrt(step.alpha)) * each);
      x = mean.map((each, i) => each + shift[i] + step.sigma * z[i]);
      z.forEach((each, i) => (more[i >> 1] += (each ** 2 - (each + shift[i] / step.sigma) ** 2) / 2));
      const before = guess;
      ({ x0, log: guess, gradient } = look(law, x, steps[k + 1], observation, spreadOf("pigdm", steps[k + 1].kappa)));
      more.forEach((_, i) => (more[i] += guess[i] - before[i]));
    }
    weights = normalised(more.map((each, i) => each + Math.log(weights[i])));
    if (k + 1 < steps.length) yield x;
  }
  const chosen = drawn(weights, random.uniform());
  yield x.map((_, i) => x[2 * chosen[i >> 1] + (i & 1)]);
}

// exp(log), adding up to 1.
function normalised(logs) {
  const most = logs.reduce((a, b) => Math.max(a, b));
  const weights = logs.map((log) => Math.exp(log - most));
  const total = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / total);
}

// Which particles go on, systematically drawn.
function drawn(weights, u) {
  const rising = Float64Array.from(weights);
  for (let i = 1; i < rising.length; i++) rising[i] += rising[i - 1];
  let at = 0;
  return rising.map((_, i) => {
    while (at + 1 < rising.length && rising[at] <= ((i + u) / rising.length) * rising.at(-1)) at++;
    return at;
  });
}
