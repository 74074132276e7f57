// What is drawn of two rungs, A and B: their samples, and bars for what their bounds cost.

const REACH = 1.8; // the coordinate at the border of a panel
const SHADES = { A: 1, B: 0.45 }; // of the ink: neither is data, nor any other thing that has a colour of its own

// Points that a page holds as text, in hundredths.
function hundredths(base64) {
  const whole = new Int16Array(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer);
  return Array.from({ length: whole.length / 2 }, (_, i) => [whole[2 * i] / 100, whole[2 * i + 1] / 100]);
}

const three = (value) => digits(value, 3);
const given = ([mean, error]) => three(mean) + (error === null ? "" : ` ± ${three(error)}`);

// Round numbers along an axis, about four.
function ticksBetween(low, high) {
  const power = 10 ** Math.floor(Math.log10((high - low) / 4));
  const step = power * [1, 2, 5, 10].find((times) => 4 * times * power >= high - low);
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(3)));
}

function drawSamples(picture, now) {
  for (const [side, middle] of [["A", -1.05 * REACH], ["B", 1.05 * REACH]]) {
    const [left, right] = [middle - REACH, middle + REACH];
    picture.line([left, right, right, left, left], [-REACH, -REACH, REACH, REACH, -REACH], { width: 1 });
    picture.text(side, left, REACH, { dx: 8, dy: 18 });
    for (const tick of [-1, 0, 1]) picture.text(digits(tick, 0), middle + tick, -REACH, { align: "center", dy: 16 });
    const points = hundredths(now[side].samples);
    const inside = points.filter((point) => point.every((value) => Math.abs(value) < REACH));
    for (const [x, y] of inside) picture.dot(middle + x, y, { radius: picture.width / 340 });
    const lost = points.length - inside.length;
    if (lost) picture.text(`${lost} outside`, right, -REACH, { align: "right", dx: -6, dy: -8 });
  }
}

// Two bars from zero, those of A and B, below the place `top`; what they are worth stands where `beside` says.
function drawBars(picture, now, top, value, beside) {
  for (const [side, rung] of Object.entries(now)) {
    const [y, [mean, error]] = [top - (side === "A" ? 1.4 : 2.4), value(rung)];
    picture.context.globalAlpha = SHADES[side];
    picture.line([0, mean], [y, y], { width: 12 });
    picture.context.globalAlpha = 1;
    if (error) {
      picture.line([mean - error, mean + error], [y, y]);
      for (const end of [mean - error, mean + error]) picture.line([end, end], [y - 0.4, y + 0.4]);
    }
    beside(side, given([mean, error]), mean + error, y);
  }
}

function drawCosts(picture, now) {
  const rows = { gap: "gap: the negative bound less the entropy", KL: "KL of the samples; if large, a score" };
  const ends = Object.keys(rows).flatMap((row) => Object.values(now).map((rung) => rung[row][0] + rung[row][1]));
  picture.range = [0, Math.max(...ends), 0, 6];
  Object.entries(rows).forEach(([row, title], i) => {
    picture.text(title, 0, 6 - 3 * i - 0.5, { dy: 5 });
    drawBars(picture, now, 6 - 3 * i, (rung) => rung[row], (side, said, end, y) => {
      picture.text(side, 0, y, { align: "right", dx: -8, dy: 5 });
      picture.text(said, end, y, { dx: 8, dy: 5 });
    });
  });
  picture.axis(ticksBetween(0, picture.range[1]), "nats");
}

function drawTerms(picture, now) {
  const whole = (terms) => terms.reduce((a, b) => a + b);
  const values = Object.values(now).flatMap(({ terms }) => [...terms, whole(terms)]);
  picture.range = [Math.min(0, ...values), Math.max(0, ...values), 0, 12];
  ["reconstruction", "layers", "prior", "the bound"].forEach((title, i) => {
    const value = ({ terms }) => [i < 3 ? terms[i] : whole(terms), null];
    picture.text(title, picture.range[0], 12 - 3 * i - 1.9, { align: "right", dx: -8, dy: 5 });
    drawBars(picture, now, 12 - 3 * i, value, (side, said, _, y) => {
      picture.text(said, picture.range[1], y, { align: "right", dx: 54, dy: 5 });
    });
  });
  picture.line([0, 0], [0, 12], { width: 1 });
  picture.axis(ticksBetween(...picture.range), "nats: the sum is the bound");
}
