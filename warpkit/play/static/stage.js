// The picture with the grid and the handles over it. Places are parts of the picture's width and height.

const INSET = 0.09; // of the stage on each side, as in play.css: handles may lie a little outside of the picture
const KEY_STEP = 0.01; // of the picture's side, with an arrow key

export class Stage {
  // `dragged(places, moved, hold)`: some handles are put elsewhere; `quiet()`: once all that was asked is answered.
  constructor(dragged, quiet) {
    this.box = document.getElementById("stage");
    this.canvas = document.getElementById("grid");
    this.layer = document.getElementById("handles");
    this.dragged = dragged;
    this.quiet = quiet;
    this.handles = []; // [x, y], or null where one has no place
    this.hold = null; // the drag in progress: where it began, and which handles it moves
    this.grid = null;
    new ResizeObserver(() => this.draw()).observe(this.box);
    this.box.addEventListener("pointerdown", (event) => this.grab(event));
    this.box.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) this.box.addEventListener(end, () => this.release());
    this.layer.addEventListener("keydown", (event) => this.key(event));
    this.layer.addEventListener("focusout", () => this.release());
  }

  // What the server answered: handles and the grid's lines.
  show(handles, grid, shape) {
    this.handles = handles;
    this.grid = grid && { points: grid, shape };
    while (this.layer.children.length > handles.length) this.layer.lastChild.remove();
    while (this.layer.children.length < handles.length) this.layer.append(this.made(this.layer.children.length));
    this.layer.style.setProperty("--reach", handles.length > 36 ? "26px" : "44px");
    handles.forEach((place, i) => this.put(this.layer.children[i], place));
    this.draw();
  }

  made(i) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "handle";
    button.dataset.index = i;
    button.setAttribute("role", "slider");
    button.setAttribute("aria-label", `Handle ${i + 1}`);
    return button;
  }

  put(button, place) {
    button.hidden = place === null;
    if (place === null) return;
    const least = -INSET / (1 - 2 * INSET) + 0.015;
    const seen = place.map((x) => Math.min(Math.max(x, least), 1 - least));
    button.classList.toggle("beyond", seen.some((x, axis) => x !== place[axis]));
    button.style.left = `${100 * (INSET + seen[0] * (1 - 2 * INSET))}%`;
    button.style.top = `${100 * (INSET + seen[1] * (1 - 2 * INSET))}%`;
    button.setAttribute("aria-valuenow", Math.round(100 * place[0]));
    button.setAttribute("aria-valuetext", `${Math.round(100 * place[0])} % across, ${Math.round(100 * place[1])} % down`);
  }

  // Where the pointer is, in parts of the picture.
  place(event) {
    const box = this.box.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map(
      (x) => (x - INSET) / (1 - 2 * INSET),
    );
  }

  grab(event) {
    const button = event.target.closest(".handle");
    // A finger beside the handles scrolls the page; a mouse moves all of them.
    if (event.button !== 0 || (!button && event.pointerType === "touch")) return;
    event.preventDefault();
    const moved = button ? [Number(button.dataset.index)] : this.handles.map((_, i) => i);
    button?.focus({ preventScroll: true }); // first: the handle that loses the focus ends its own drag
    this.begin(moved);
    this.hold.from = this.place(event);
    this.box.setPointerCapture(event.pointerId);
    (button || this.box).classList.add("held");
  }

  move(event) {
    if (!this.hold?.from) return;
    const at = this.place(event);
    this.hold.by = at.map((x, axis) => x - this.hold.from[axis]);
    this.tell();
  }

  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const button = event.target.closest(".handle");
    if (!step || !button) return;
    event.preventDefault();
    const i = Number(button.dataset.index);
    if (this.hold?.moved[0] !== i) this.begin([i]);
    const far = KEY_STEP * (event.shiftKey ? 5 : event.altKey ? 0.1 : 1);
    this.hold.by = step.map((x, axis) => this.hold.by[axis] + far * x);
    this.tell();
  }

  begin(moved) {
    this.release();
    this.hold = { moved, by: [0, 0], handles: null, base: null };
  }

  // All of a drag is told from where it began, so that going back undoes it. It begins where the last one ended: what
  // is on its way for that comes first.
  async tell() {
    const hold = this.hold;
    if (!hold.handles) {
      if (hold.waits) return;
      hold.waits = true;
      await this.quiet();
      hold.handles = this.handles;
    }
    const { moved, by, handles } = hold;
    const places = handles.map((place, i) => (place && moved.includes(i) ? [place[0] + by[0], place[1] + by[1]] : place));
    this.dragged(places, moved, hold);
  }

  release() {
    this.hold = null;
    for (const held of [this.box, ...this.layer.children]) held.classList.remove("held");
  }

  draw() {
    const { width, height } = this.box.getBoundingClientRect();
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    const pen = this.canvas.getContext("2d");
    if (!this.grid || this.hidden) return;
    const [lines, stops] = this.grid.shape;
    const path = new Path2D();
    for (let line = 0; line < lines; line++) {
      let down = false;
      for (let stop = 0; stop < stops; stop++) {
        const k = 2 * (line * stops + stop);
        const [x, y] = [this.grid.points[k], this.grid.points[k + 1]].map((part) => INSET + part * (1 - 2 * INSET));
        down = Number.isFinite(x + y) && Math.abs(x) + Math.abs(y) < 100 && this.stroke(path, down, x, y);
      }
    }
    const style = getComputedStyle(this.canvas);
    for (const [color, wide] of [[style.getPropertyValue("--halo"), 2.6], [style.color, 1.2]]) {
      pen.strokeStyle = color;
      pen.lineWidth = wide * scale;
      pen.stroke(path);
    }
  }

  stroke(path, down, x, y) {
    path[down ? "lineTo" : "moveTo"](x * this.canvas.width, y * this.canvas.height);
    return true;
  }
}
