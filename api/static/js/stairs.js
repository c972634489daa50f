// The steps of a staircase as bars: how accuracy falls from float32 to the chip, and rises again in its loop.

import { el, percent, t } from "./common.js";

/** Shows the steps of a staircase's job in a list; those that are not measured yet are open. */
export function showStairs(list, { result, metrics }) {
  const steps = result?.steps ?? metrics.steps ?? [];
  const names = metrics.stairs ?? steps.map(({ name }) => name);
  list.replaceChildren(...names.map((name, place) => row(name, steps[place])));
}

function row(name, step) {
  const bar = el("span", { className: "step-bar" }), within = el("span", { className: "step-range" });
  const value = el("span", { className: "value" }, step ? percent(step.accuracy, 1) : "…");
  if (step) {
    const [low, high] = step.interval;
    bar.style.setProperty("--score", step.accuracy);
    within.style.left = `${100 * low}%`;
    within.style.width = `${100 * (high - low)}%`;
    value.title = t("stairs.interval", { low: percent(low, 1), high: percent(high, 1) });
  }
  return el("li", { className: step ? "ended" : "" }, el("span", {}, t(`stairs.${name}`)),
    el("span", { className: "step-track", "aria-hidden": "true" }, bar, step ? within : null), value);
}

/** Whether a staircase ends before the chip, as there is a mock alone. */
export const isWithoutChip = ({ metrics }) => Boolean(metrics.stairs) && !metrics.stairs.includes("chip");
