// Beat its mistakes: guesses the pictures that the network misread.

import { $, call, el, t } from "./common.js";

export class Quiz {
  #parts;
  #game = null;

  constructor(parts) {
    this.#parts = parts;
    $("#guesses").addEventListener("submit", (event) => {
      event.preventDefault();
      parts.attempt(() => this.#solve());
    });
    $("#quiz-again").addEventListener("click", () => parts.attempt(() => this.enter()));
  }

  leave() {
    this.#game = null;
  }

  async enter() {
    $("#pictures").replaceChildren();
    $("#solved").textContent = "";
    $("#solve").disabled = true;
    const { game, pictures } = await call("/v1/challenges/mistakes", { method: "POST", body: this.#parts.against() });
    this.#game = game;
    $("#pictures").replaceChildren(...pictures.map((png, i) => el("li", {},
      el("img", { src: `data:image/png;base64,${png}`, alt: t("challenge.picture", { n: i + 1 }) }),
      el("input", { inputMode: "numeric", maxLength: 1, pattern: "[0-9]", autocomplete: "off",
        "aria-label": t("challenge.guess", { n: i + 1 }) }))));
    $("#solve").disabled = false;
    $("#solve").hidden = false;
    $("#quiz-again").hidden = true;
  }

  async #solve() {
    const inputs = [...document.querySelectorAll("#pictures input")];
    const digits = inputs.map(({ value }) => (value === "" ? null : Number(value)));
    const { right, guesses } = await call(`/v1/challenges/mistakes/${this.#game}/answers`, { method: "POST", body: { digits } });
    inputs.forEach((input, i) => {
      const { digit, read, yours } = guesses[i], isRight = digit === yours;
      input.disabled = true;
      input.after(el("span", { className: isRight ? "good" : "bad" }, `${isRight ? "✓" : "✕"} ${t("challenge.solution", { digit, read })}`));
    });
    $("#solved").textContent = t("challenge.solved", { right, of: guesses.length });
    $("#solve").hidden = true;
    $("#quiz-again").hidden = false;
    this.#parts.ended();
  }
}
