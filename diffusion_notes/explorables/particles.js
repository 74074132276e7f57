// Points in the plane that move through frames: played, paused, scrubbed. Plain canvas, no library.
// The model holds: frames (base64: levels from 0 to 1023 by frame, point and
// coordinate, all the high bytes first), count, hue (base64, uint8),
// labels (one a frame), slider (its name), alt, seconds, autoplay.

const LARGEST = 1023;

const STYLE = `
[data-explorable="particles"] { max-width: 30rem; margin: 1rem auto; color: inherit; }
[data-explorable="particles"] canvas { cursor: pointer; display: block; width: 100%; aspect-ratio: 1; border: 1px solid;
  border-color: color-mix(in srgb, currentColor 25%, transparent); border-radius: 0.4rem; }
[data-explorable="particles"] .controls { display: flex; flex-wrap: wrap; align-items: center; gap: 0.3rem 0.8rem;
  margin-top: 0.5rem; }
[data-explorable="particles"] button { min-width: 5.5rem; min-height: 2.75rem; font: inherit; color: inherit;
  background: transparent; border: 1px solid; border-radius: 0.4rem; cursor: pointer; }
[data-explorable="particles"] label { display: flex; flex: 1 1 10rem; align-items: center; gap: 0.6rem; }
[data-explorable="particles"] input { flex: 1; min-height: 2.75rem; min-width: 6rem; }
[data-explorable="particles"] output { flex: 1 0 100%; font-variant-numeric: tabular-nums; }
[data-explorable="particles"] :is(button, input):focus-visible { outline: 3px solid; outline-offset: 2px; }
[data-explorable="particles"] > svg { display: none; }
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
  el.dataset.explorable = "particles";
  el.prepend(
    element("style", { textContent: STYLE }),
    canvas,
    element("div", { className: "controls" }, play, element("label", {}, model.get("slider"), slider), output),
  );

  const context = canvas.getContext("2d");
  let position = 0; // in frames, with a fraction: points move along straight lines between frames
  let playing = false;
  let request = 0;
  let before = 0;

  function draw() {
    const size = canvas.width;
    const here = Math.min(Math.floor(position), last);
    const part = position - here;
    const a = here * count * 2;
    const b = Math.min(here + 1, last) * count * 2;
    const radius = Math.max(1.5, size / 200);
    context.clearRect(0, 0, size, size);
    for (let i = 0; i < count; i++) {
      const x = frames[a + 2 * i] * (1 - part) + frames[b + 2 * i] * part;
      const y = frames[a + 2 * i + 1] * (1 - part) + frames[b + 2 * i + 1] * part;
      context.fillStyle = `hsl(${200 + (hue[i] * 200) / 255}, 75%, 52%)`;
      context.beginPath();
      context.arc((x / LARGEST) * size, (1 - y / LARGEST) * size, radius, 0, 2 * Math.PI);
      context.fill();
    }
    const nearest = Math.round(position);
    slider.value = nearest;
    slider.setAttribute("aria-valuetext", labels[nearest]);
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
    const size = Math.round(canvas.clientWidth * devicePixelRatio);
    if (size && size !== canvas.width) {
      canvas.width = canvas.height = size;
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
