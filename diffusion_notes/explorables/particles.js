// Points in the plane that move through frames: played, paused, scrubbed. Plain canvas, no library.
// The model holds: frames (base64: levels from 0 to 1023 by frame, point and
// coordinate, all the high bytes first), reach (the coordinates of the levels 0
// and 1023 are -reach and reach), extent (that of the upper border), aspect,
// count, hue (base64, uint8), labels (one a frame), slider (its name), stages
// (names of equal stretches), alt, seconds, autoplay.

const LARGEST = 1023;

const STYLE = `
[data-explorable="particles"] { max-width: 30rem; margin: 1rem auto; color: inherit; }
[data-explorable="particles"]:has(.stages) { max-width: min(52rem, 110vh) !important; }
[data-explorable="particles"] canvas { cursor: pointer; display: block; width: 100%; aspect-ratio: var(--aspect);
  border: 1px solid; border-color: color-mix(in srgb, currentColor 25%, transparent); border-radius: 0.4rem; }
[data-explorable="particles"] .controls { display: flex; flex-wrap: wrap; align-items: center; gap: 0 0.8rem;
  margin-top: 0.5rem; }
[data-explorable="particles"] .bar { flex: 1 1 9rem; min-width: 0; }
[data-explorable="particles"] .stages { display: flex; justify-content: space-between; margin: -0.5rem 0 0; padding: 0;
  list-style: none; font-size: 0.9em; line-height: 1.3; text-align: center; }
[data-explorable="particles"] .stages li { flex: 1; padding: 0.2rem 0.4rem 0; opacity: 0.7;
  border-top: 3px solid color-mix(in srgb, currentColor 30%, transparent); }
[data-explorable="particles"] .stages li + li { margin-left: 3px; }
[data-explorable="particles"] .stages .now { opacity: 1; font-weight: 600; border-color: currentColor; }
[data-explorable="particles"] button { min-width: 5.5rem; min-height: 2.75rem; font: inherit; color: inherit;
  background: transparent; border: 1px solid; border-radius: 0.4rem; cursor: pointer; }
[data-explorable="particles"] label { display: flex; align-items: center; gap: 0.6rem; }
[data-explorable="particles"] input { flex: 1; min-height: 2.75rem; min-width: 6rem; margin: 0; }
[data-explorable="particles"] output { min-width: 4.5em; font-variant-numeric: tabular-nums; }
[data-explorable="particles"] :is(button, input):focus-visible { outline: 2px solid; outline-offset: 2px; }
[data-explorable="particles"] > svg { display: none; }
@media (max-width: 600px) { [data-explorable="particles"] canvas { aspect-ratio: 1; }
  [data-explorable="particles"] .bar { order: 1; flex-basis: 100%; } }
@media print { [data-explorable="particles"]:has(> svg) :is(canvas, .controls) { display: none; }
  [data-explorable="particles"] > svg { display: block; } }
`;

function bytes(base64) {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function render({ model, el }) {
  const count = model.get("count");
  const labels = model.get("labels");
  const stages = model.get("stages");
  const [reach, extent] = [model.get("reach"), model.get("extent")];
  const last = labels.length - 1;
  const packed = bytes(model.get("frames"));
  const half = packed.length / 2;
  const frames = Uint16Array.from({ length: half }, (_, i) => packed[i] * 256 + packed[half + i]);
  const hue = bytes(model.get("hue"));
  const stillness = matchMedia("(prefers-reduced-motion: reduce)");

  const canvas = element("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", model.get("alt"));
  const play = element("button", { type: "button" });
  const slider = element("input", { type: "range", min: 0, max: last, step: 1, value: 0 });
  const output = element("output");
  const names = stages.map((stage) => element("li", { textContent: stage }));
  const label = element("label", {}, ...(names.length ? [] : [model.get("slider")]), slider);
  slider.ariaLabel = model.get("slider");
  const bar = element("div", { className: "bar" }, label);
  if (names.length) bar.append(element("ol", { className: "stages", ariaHidden: "true" }, ...names));
  canvas.style.setProperty("--aspect", model.get("aspect"));
  el.dataset.explorable = "particles";
  el.prepend(
    element("style", { textContent: STYLE }),
    canvas,
    element("div", { className: "controls" }, play, bar, output),
  );

  const context = canvas.getContext("2d");
  let position = 0; // in frames, with a fraction: points move along straight lines between frames
  let playing = false;
  let request = 0;
  let before = 0;

  function draw() {
    const { width, height } = canvas;
    const scale = Math.min(width, height) / (2 * extent); // pixels a unit
    const pixel = (level) => ((2 * level) / LARGEST - 1) * reach * scale;
    const here = Math.min(Math.floor(position), last);
    const part = position - here;
    const a = here * count * 2;
    const b = Math.min(here + 1, last) * count * 2;
    const radius = Math.max(1.2, Math.min(width, height) * (count > 500 ? 0.004 : 0.005));
    context.clearRect(0, 0, width, height);
    for (let i = 0; i < count; i++) {
      const x = frames[a + 2 * i] * (1 - part) + frames[b + 2 * i] * part;
      const y = frames[a + 2 * i + 1] * (1 - part) + frames[b + 2 * i + 1] * part;
      context.fillStyle = `hsl(${200 + (hue[i] * 200) / 255}, 75%, 52%)`;
      context.beginPath();
      context.arc(width / 2 + pixel(x), height / 2 - pixel(y), radius, 0, 2 * Math.PI);
      context.fill();
    }
    const nearest = Math.round(position);
    slider.value = nearest;
    const stage = Math.min(stages.length - 1, Math.floor((position / last) * stages.length));
    names.forEach((name, i) => name.classList.toggle("now", i === stage));
    slider.setAttribute("aria-valuetext", stages.length ? `${stages[stage]}: ${labels[nearest]}` : labels[nearest]);
    output.value = labels[nearest];
  }

  function setPlaying(value) {
    playing = value;
    play.textContent = playing ? "Pause" : position >= last ? "Play again" : "Play";
    output.setAttribute("aria-live", playing ? "off" : "polite"); // say the step, but not sixty times a second
    cancelAnimationFrame(request);
    if (playing) {
      before = performance.now();
      request = requestAnimationFrame(tick);
    }
  }

  function tick(now) {
    const rate = last / model.get("seconds");
    if (stillness.matches) {
      // eight still pictures, a second each, in place of motion
      if (now - before >= 1000) {
        position = Math.min(last, Math.round(position + last / 7));
        before = now;
        draw();
      }
    } else {
      position = Math.min(last, position + (rate * (now - before)) / 1000);
      before = now;
      draw();
    }
    if (position >= last) setPlaying(false);
    else if (playing) request = requestAnimationFrame(tick);
  }

  for (const node of [play, canvas]) {
    node.addEventListener("click", () => {
      if (!playing && position >= last) position = 0;
      draw();
      setPlaying(!playing);
    });
  }
  slider.addEventListener("input", () => {
    position = Number(slider.value);
    setPlaying(false);
    draw();
  });

  const resized = new ResizeObserver(() => {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * devicePixelRatio));
    if (width && (width !== canvas.width || height !== canvas.height)) {
      [canvas.width, canvas.height] = [width, height];
      draw();
    }
  });
  resized.observe(canvas);

  // plays once, when it is first seen, unless the reader has asked for stillness or has taken over
  const seen = new IntersectionObserver(
    ([entry]) => {
      if (!entry.isIntersecting) return;
      seen.disconnect();
      if (model.get("autoplay") && !stillness.matches && position === 0) setPlaying(true);
    },
    { threshold: 0.6 },
  );
  seen.observe(canvas);

  setPlaying(false);
  draw();
  return () => {
    setPlaying(false);
    resized.disconnect();
    seen.disconnect();
  };
}

export default { render };
