// Sixty seconds: draws what is prompted, as often as it is read right.

import { encode } from "./canvas.js";
import { $, call, t } from "./common.js";

const PAUSE_MS = 350; // after the last stroke, a drawing is sent

export class Sixty {
  #parts;
  #game = null;
  #timer = null;
  #clock = null;
  #isBusy = false;
  #isStale = false;

  constructor(parts) {
    this.#parts = parts;
    $("#start").addEventListener("click", () => parts.attempt(() => this.#begin()));
    $("#skip").addEventListener("click", () => parts.attempt(() => this.#send(null)));
  }

  enter() {
    $("#ask").textContent = $("#left").textContent = "";
    $("#start").textContent = t("challenge.start");
  }

  leave() {
    clearTimeout(this.#timer);
    clearInterval(this.#clock);
    this.#game = null;
    $("#skip").hidden = true;
    $("#ask").textContent = $("#left").textContent = "";
  }

  async #begin() {
    const prompt = await call("/v1/challenges/sixty", { method: "POST", body: this.#parts.against() });
    $("#start").hidden = true;
    $("#skip").hidden = false;
    $("#said").textContent = "";
    this.#parts.drawing.begin();
    this.#show(prompt);
    clearInterval(this.#clock);
    this.#clock = setInterval(() => this.#tick(), 200);
    $("#canvas").focus({ preventScroll: true });
  }

  #show(prompt) {
    this.#game = { ...prompt, ends: performance.now() + 1000 * prompt.left_s };
    $("#ask").textContent = t("challenge.draw_a", { digit: prompt.digit });
    this.#tick();
  }

  #tick() {
    if (!this.#game) return;
    const left = Math.max(0, (this.#game.ends - performance.now()) / 1000);
    $("#left").textContent = `${t("challenge.was_right", this.#game)} · ${t("challenge.left", { s: Math.ceil(left) })}`;
    if (left === 0 && !this.#isBusy) this.#end();
  }

  #end() {
    const { right } = this.#game;
    this.leave();
    $("#said").textContent = t("challenge.sixty_end", { right });
    $("#start").hidden = false;
    $("#start").textContent = t("challenge.again");
    $("#start").focus();
    this.#parts.ended();
  }

  /** The drawing has changed: it is sent when it rests. */
  drawn() {
    if (!this.#game) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#parts.attempt(() => this.#sendDrawing()), PAUSE_MS);
  }

  async #sendDrawing() {
    if (!this.#game || this.#parts.drawing.isEmpty) return;
    if (this.#isBusy) {
      this.#isStale = true;
      return;
    }
    await this.#send(encode(this.#parts.drawing.bytes()));
    if (this.#isStale) {
      this.#isStale = false;
      this.drawn();
    }
  }

  async #send(crop) {
    const { game, place } = this.#game;
    this.#isBusy = true;
    try {
      const prompt = await call(`/v1/challenges/sixty/${game}/answers`, { method: "POST", body: { place, crop } });
      if (this.#game?.game !== game) return;
      if (prompt.digit === null) {
        this.#game.right = prompt.right;
        this.#end();
        return;
      }
      const isNext = prompt.place !== place;
      this.#show(prompt);
      $("#said").textContent = isNext || prompt.read === null ? "" : t("challenge.was_read", prompt);
      if (isNext) {
        clearTimeout(this.#timer);
        this.#isStale = false;
        this.#parts.drawing.begin();
      }
    } finally {
      this.#isBusy = false;
    }
  }
}
