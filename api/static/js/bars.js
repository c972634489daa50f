// Ten bars, one for each digit, to the right for what is above zero and to the left for what is below.

import { el, number } from "./common.js";

export class Bars {
  /** Fills a list with ten bars. */
  constructor(list) {
    this.rows = Array.from({ length: 10 }, (_, digit) => {
      const bar = el("span", { className: "bar" }), value = el("span", { className: "value" });
      const item = el("li", {}, el("span", { className: "name" }, String(digit)), el("span", { className: "track" }, bar), value);
      list.append(item);
      return { item, bar, value };
    });
  }

  /** Shows ten values; a bar is full at `most`, and values that are null are unknown. */
  show(values, { most = 128, best = null } = {}) {
    this.rows.forEach(({ item, bar, value: shown }, digit) => {
      const value = values[digit];
      item.classList.toggle("best", digit === best);
      bar.classList.toggle("below", value < 0);
      bar.style.setProperty("--score", Math.min(1, Math.abs(value) / most));
      shown.textContent = value === null ? "–" : number(value).replace("-", "−");
    });
  }
}
