// Plays from 0 to an end: smoothly, or, for those who want no motion, in eight still pictures, a second each.
// `last` says where the end is, and `ready` how far one can go as yet; `show` is called after every change.
class Player {
  constructor({ seconds, last, ready = last, again = "Play again", show }) {
    Object.assign(this, { seconds, last, ready, again, show, place: 0, playing: false, request: 0, before: 0 });
    this.stillness = matchMedia("(prefers-reduced-motion: reduce)");
    this.button = button("Play", () => {
      if (!this.playing && this.place >= this.last()) this.place = 0;
      this.set(!this.playing);
    });
  }
  set(playing) {
    this.playing = playing;
    cancelAnimationFrame(this.request);
    this.before = performance.now();
    if (playing) this.request = requestAnimationFrame((now) => this.tick(now));
    this.changed();
  }
  moveTo(place) {
    this.place = place;
    this.set(false);
  }
  tick(now) {
    const seconds = Math.max(0, Math.min(0.25, (now - this.before) / 1000)); // a frame may bear a time before the click
    const end = Math.min(this.ready(), this.last());
    if (!this.stillness.matches) {
      this.place = Math.min(end, this.place + (this.last() / this.seconds) * seconds);
      this.before = now;
    } else if (now - this.before >= 1000) {
      this.place = Math.min(end, Math.round(this.place + this.last() / 7));
      this.before = now;
    }
    if (this.place >= this.last()) return this.set(false);
    this.request = requestAnimationFrame((then) => this.tick(then));
    this.changed();
  }
  changed() {
    this.button.textContent = this.playing ? "Pause" : this.place >= this.last() ? this.again : "Play";
    this.show();
  }
}
