// A drawing of 28 x 28 points, made by mouse, touch, pen or keyboard.

export const SIDE = 28;
const MOST_UNDONE = 100;

export const encode = (bytes) => btoa(String.fromCharCode(...bytes));
export const decode = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/** The drawing on a canvas; calls `changed` after every change, once a frame while a stroke is drawn. */
export class Drawing {
  ink = "white";
  width = 2.5;
  #context;
  #canvas;
  #changed;
  #last = null;
  #pen = null;
  #cursor = { x: SIDE / 2, y: SIDE / 2 };
  #penDown = false;
  #before = [];
  #undone = [];
  #segments = []; // of the stroke, not painted yet
  #frame = null;

  constructor(canvas, changed) {
    this.#canvas = canvas;
    this.#changed = changed;
    this.#context = canvas.getContext("2d", { willReadFrequently: true });
    this.#context.lineCap = this.#context.lineJoin = "round";
    this.#wipe();
    canvas.addEventListener("pointerdown", (event) => this.#lower(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.#lift(event));
    // A stroke that ends in motion would count as a fling, and the browser then ignores a tap that soon follows.
    canvas.addEventListener("touchstart", (event) => event.cancelable && event.preventDefault(), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /** The grey values, 784 bytes, bright on dark. */
  bytes() {
    const { data } = this.#context.getImageData(0, 0, SIDE, SIDE);
    return Uint8Array.from({ length: SIDE * SIDE }, (_, i) => data[4 * i]);
  }

  get isEmpty() {
    return this.bytes().every((value) => value === 0);
  }

  get canUndo() {
    return this.#before.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  /** Takes back the last stroke, picture or clearing. */
  undo() {
    this.#exchange(this.#before, this.#undone);
  }

  /** Repeats what was taken back last. */
  redo() {
    this.#exchange(this.#undone, this.#before);
  }

  #exchange(from, to) {
    if (!from.length) return;
    this.#paint();
    this.#last = this.#pen = null;
    to.push(this.#state());
    this.#context.putImageData(from.pop(), 0, 0);
    this.#changed();
  }

  clear() {
    this.#remember();
    this.#wipe();
    this.#changed();
  }

  /** Replaces the drawing with a picture of 784 grey values. */
  show(pixels) {
    this.#remember();
    paint(this.#context, pixels);
    this.#changed();
  }

  /** Begins another drawing, empty or with a picture of 784 grey values, which can be taken back. */
  begin(pixels = null) {
    this.#last = this.#pen = null;
    this.#penDown = false;
    this.#cursor = { x: SIDE / 2, y: SIDE / 2 };
    this.#before = [];
    this.#undone = [];
    this.#segments = [];
    this.#wipe();
    if (!pixels) return;
    this.#remember();
    paint(this.#context, pixels);
  }

  #state() {
    return this.#context.getImageData(0, 0, SIDE, SIDE);
  }

  #remember() {
    this.#paint();
    this.#undone = [];
    this.#before.push(this.#state());
    if (this.#before.length > MOST_UNDONE) this.#before.shift();
  }

  #wipe() {
    this.#context.fillStyle = "black";
    this.#context.fillRect(0, 0, SIDE, SIDE);
  }

  #place(event) {
    const box = this.#canvas.getBoundingClientRect();
    const scale = SIDE / box.width;
    return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
  }

  #lower(event) {
    if (event.button > 0 || this.#pen !== null) return;
    event.preventDefault();
    this.#canvas.focus({ preventScroll: true });
    this.#pen = event.pointerId;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#last = this.#place(event);
    this.#remember();
    this.#line(this.#last, this.#last, event);
    this.#paint();
  }

  #move(event) {
    if (event.pointerId !== this.#pen) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const move of moves.length ? moves : [event]) {
      const place = this.#place(move);
      this.#line(this.#last, place, move);
      this.#last = place;
    }
    this.#frame ??= requestAnimationFrame(() => this.#paint());
  }

  #lift(event) {
    if (event.pointerId !== this.#pen) return;
    this.#paint();
    this.#pen = this.#last = null;
  }

  #line(from, to, event) {
    const pressure = event?.pointerType === "pen" && event.pressure > 0 ? 0.5 + event.pressure : 1;
    this.#segments.push({ from, to, ink: this.ink, width: this.width * pressure });
  }

  /** Paints what was added to the stroke since the last frame. */
  #paint() {
    cancelAnimationFrame(this.#frame);
    this.#frame = null;
    if (!this.#segments.length) return;
    const context = this.#context;
    for (const { from, to, ink, width } of this.#segments) {
      context.strokeStyle = ink;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(from.x, from.y);
      context.lineTo(to.x + 0.01, to.y);
      context.stroke();
    }
    this.#segments = [];
    this.#changed();
  }

  #key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step) {
      const from = { ...this.#cursor };
      this.#cursor.x = Math.min(SIDE - 1, Math.max(1, from.x + step[0]));
      this.#cursor.y = Math.min(SIDE - 1, Math.max(1, from.y + step[1]));
      if (this.#penDown) this.#line(from, { ...this.#cursor });
    } else if (event.key === " ") {
      this.#penDown = !this.#penDown;
      if (this.#penDown) {
        this.#remember();
        this.#line({ ...this.#cursor }, { ...this.#cursor });
      }
    } else {
      return;
    }
    this.#paint();
    event.preventDefault();
  }
}

/** Paints 784 grey values on a canvas of 28 x 28. */
export function paint(context, pixels) {
  const image = context.createImageData(SIDE, SIDE);
  pixels.forEach((value, i) => image.data.set([value, value, value, 255], 4 * i));
  context.putImageData(image, 0, 0);
}
