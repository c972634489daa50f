// Fool the chip: a drawing that people read and the chip does not, and the votes on those of others.

import { decode, encode, paint } from "./canvas.js";
import { $, call, el, t } from "./common.js";

export class Fooling {
  #parts;
  #judging = null;

  constructor(parts) {
    this.#parts = parts;
    $("#try").addEventListener("click", () => parts.attempt(() => this.#try()));
  }

  enter() {
    return this.refresh();
  }

  leave() {}

  async #try() {
    const { drawing, against } = this.#parts;
    const digit = Number($("#mean input:checked").value);
    const body = { ...against(), digit, crop: encode(drawing.bytes()) };
    const { read, fooled } = await call("/v1/challenges/fools", { method: "POST", body });
    $("#said").textContent = t(fooled ? "challenge.fooled" : "challenge.not_fooled", { read });
    if (fooled) drawing.begin();
    await this.refresh();
  }

  async refresh() {
    const { judge, yours } = await call("/v1/challenges/fools");
    if (!judge.some(({ id }) => id === this.#judging)) this.#showJudge(judge[0]);
    $("#yours").replaceChildren(...yours.map((fool) =>
      el("li", {}, t("challenge.your_line", fool), fool.counts ? ` – ${t("challenge.counts")}` : "")));
  }

  #showJudge(fool) {
    this.#judging = fool?.id ?? null;
    if (!fool) {
      $("#judge").replaceChildren(el("p", { className: "hint" }, t("challenge.judge_none")));
      return;
    }
    const canvas = el("canvas", { width: 28, height: 28, role: "img", "aria-label": t("challenge.drawing") });
    paint(canvas.getContext("2d"), decode(fool.crop));
    const buttons = Array.from({ length: 10 }, (_, digit) => {
      const button = el("button", { type: "button", "aria-label": t("challenge.read_a", { digit }) }, String(digit));
      button.addEventListener("click", () => this.#parts.attempt(() => this.#vote(fool.id, digit)));
      return button;
    });
    $("#judge").replaceChildren(canvas, el("div", { className: "digits" }, ...buttons));
  }

  async #vote(id, digit) {
    const judged = await call(`/v1/challenges/fools/${id}/votes`, { method: "POST", body: { digit } });
    $("#judged").textContent = t("challenge.judged", judged);
    this.#judging = null;
    await this.refresh();
    this.#parts.ended();
  }
}
