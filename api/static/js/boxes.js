// The boxes on the page for teaching: one digit is written into each, and shown as the chip sees it.

import { Drawing, SIDE, decode, encode, paint } from "./canvas.js";
import { $, Problem, call, el, t } from "./common.js";

const KEPT = "hxserve-written"; // until the tab is closed
const REST_MS = 250; // without a stroke, before the crop is shown
const EVENT = 128; // from this grey value on, a pixel sends events to the chip
const LEAST_SIDE = 6; // of a digit on the canvas, in points
const MOST_INK = 0.6; // of the canvas

/** What is wrong with a drawing: "empty", "dot", "blot", or nothing. */
function fault(pixels) {
  const ink = [...pixels.keys()].filter((i) => pixels[i] >= EVENT);
  if (!ink.length) return "empty";
  const span = (values) => Math.max(...values) - Math.min(...values) + 1;
  const side = Math.max(span(ink.map((i) => i % SIDE)), span(ink.map((i) => Math.floor(i / SIDE))));
  return side < LEAST_SIDE ? "dot" : ink.length > MOST_INK * pixels.length ? "blot" : "";
}

/** The boxes, row by row: one row has all digits. Rows are in turns learnt from and held back. */
export class Boxes {
  times = 4;
  current = 0;
  drawing;
  #written = []; // by box: the drawing, its crop and what is wrong
  #grid;
  #changed;
  #timer = null;

  /** Calls `changed` after each change, with the problem of the service if there was one. */
  constructor(canvas, grid, changed) {
    this.#grid = grid;
    this.#changed = changed;
    this.drawing = new Drawing(canvas, () => this.#draw());
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
    if (kept) Object.assign(this, { times: kept.times, current: kept.current });
    this.#written = (kept?.written ?? []).map((box) => box && { ...box, drawn: decode(box.drawn), crop: box.crop && decode(box.crop) });
    grid.addEventListener("click", ({ target }) => {
      const box = target.closest("button");
      if (!box) return;
      this.choose(Number(box.dataset.box));
      canvas.focus(); // scrolls to it on a narrow screen
    });
    this.build();
  }

  get count() {
    return 10 * this.times;
  }

  get digit() {
    return this.current % 10;
  }

  get ready() {
    return this.#indices.filter((i) => this.#state(i) === "written").length;
  }

  get #indices() {
    return [...Array(this.count).keys()];
  }

  /** The first box that has to be written or written again; undefined if there is none. */
  get missing() {
    return this.#indices.find((i) => this.#state(i) !== "written");
  }

  /** The state of the present box. */
  get state() {
    return this.#state(this.current);
  }

  /** All crops with their digit and part; every second row is held back. */
  get crops() {
    return this.#indices.map((i) => ({ digit: i % 10, part: this.part(i), pixels: encode(this.#written[i].crop) }));
  }

  part = (i) => (Math.floor(i / 10) % 2 ? "test" : "train");

  #state(i) {
    const box = this.#written[i];
    return !box || box.fault === "empty" ? "empty" : box.fault || (box.crop ? "written" : "waiting");
  }

  /** Builds the grid, for the number of times chosen. */
  build() {
    const rows = Array.from({ length: this.times }, (_, row) =>
      el("div", { className: `boxes ${this.part(10 * row)}`, role: "group", "aria-label": t(`teach.row_${this.part(10 * row)}`, { row: row + 1 }) },
        el("span", { className: "hint", "aria-hidden": "true" }, t(`teach.row_${this.part(10 * row)}`, { row: row + 1 })),
        ...Array.from({ length: 10 }, (_, digit) =>
          el("button", { type: "button", "data-box": 10 * row + digit }, el("canvas", { width: SIDE, height: SIDE }), el("span", {}, String(digit))))));
    this.#grid.replaceChildren(...rows);
    for (const i of this.#indices) this.#show(i);
    this.choose(this.current < this.count ? this.current : 0);
  }

  /** Takes the drawing of a box onto the canvas. */
  choose(i) {
    this.#rest();
    const before = this.current;
    this.current = i;
    this.drawing.begin(this.#written[i]?.drawn);
    if (before < this.count) this.#show(before);
    this.#show(i);
    this.#keep();
    this.#changed();
  }

  /** Goes on to the next box that is not written, or to the next one. Returns whether there is one. */
  next() {
    this.#rest();
    const order = [...this.#indices.slice(this.current + 1), ...this.#indices.slice(0, this.current)];
    const open = order.find((i) => ["empty", "dot", "blot"].includes(this.#state(i)));
    if (open !== undefined) this.choose(open);
    return open !== undefined;
  }

  clear() {
    this.#written = [];
    this.current = 0;
    this.build();
  }

  #draw() {
    const drawn = this.drawing.bytes();
    this.#written[this.current] = { drawn, fault: fault(drawn) };
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#rest(), REST_MS);
    this.#changed();
  }

  /** Has the drawing that is at rest shown as a crop. */
  #rest() {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#show(this.current);
    this.#keep();
    this.fetch(this.current);
  }

  /** Fetches the crops that are still waiting, such as after a lost connection. */
  fetchAll() {
    return Promise.all(this.#indices.filter((i) => this.#state(i) === "waiting").map((i) => this.fetch(i)));
  }

  async fetch(i) {
    const box = this.#written[i];
    if (box.fault) return;
    let problem;
    try {
      const { crops: [{ pixels }] } = await call("/v1/crops?centre=true", { method: "POST", body: box.drawn, type: "application/octet-stream" });
      box.crop = Uint8Array.from(pixels);
    } catch (found) {
      if (!(found instanceof Problem)) throw found;
      problem = found;
    }
    this.#show(i);
    this.#keep();
    this.#changed(problem);
  }

  #show(i) {
    const button = $(`[data-box="${i}"]`, this.#grid), state = this.#state(i), box = this.#written[i];
    if (!button) return;
    button.className = state;
    if (i === this.current) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    button.setAttribute("aria-label", t(`teach.box_${state}`, { digit: i % 10, row: Math.floor(i / 10) + 1 }));
    paint($("canvas", button).getContext("2d"), [...(box?.crop ?? Array(SIDE * SIDE).fill(0))].map((value) => (value < EVENT ? 0 : 255)));
  }

  #keep() {
    const written = Array.from(this.#written, (box) => box && { ...box, drawn: encode(box.drawn), crop: box.crop && encode(box.crop) });
    sessionStorage.setItem(KEPT, JSON.stringify({ times: this.times, current: this.current, written }));
  }
}
