// What is dragged on a picture, by a mouse or by a finger.
const FINGER = 44; // pixels: how far from a point a finger still means it

// Points that are dragged on a picture: `nearest` takes a place and gives what is meant there, or null; `move` puts it
// elsewhere. A mouse takes it from anywhere. Where it has a `place`, a finger must be near that, or it scrolls the page;
// where it has none, it is dragged sideways, and a finger that goes up or down scrolls.
function draggable(picture, nearest, move) {
  let held = null;
  const { canvas } = picture;
  const far = (event, [x, y]) => Math.hypot(event.offsetX - picture.x(x), event.offsetY - picture.y(y)) > FINGER;
  canvas.classList.add("drag");
  canvas.addEventListener("pointerdown", (event) => {
    held = nearest(picture.place(event));
    if (event.pointerType === "touch" && held?.place && far(event, held.place)) held = null;
    if (held === null) return;
    canvas.setPointerCapture(event.pointerId);
    move(held, picture.place(event));
  });
  // it comes after pointerdown, and before the browser decides to scroll
  canvas.addEventListener("touchstart", (event) => held?.place && event.preventDefault(), { passive: false });
  canvas.addEventListener("pointermove", (event) => held !== null && move(held, picture.place(event)));
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (held = null));
}
