// The fixed pattern of a chip: each neuron's offset as a tile, without any calibration and with the last one.

import { svg } from "./chart.js";
import { el, number, t } from "./common.js";

const COLUMNS = 32;
const TILE = 10;
const MOST_LSB = 30; // the same for all chips and times, so that maps can be compared

/** Two maps of 512 neurons on one scale, and the scale. */
export function patternMaps({ before_lsb: before, after_lsb: after, was_flat: wasFlat }) {
  return [map(t("chip.before"), before), map(t("chip.after"), after), scale(),
    wasFlat ? el("p", { className: "hint" }, t("chip.was_flat")) : null].filter(Boolean);
}

function map(name, offsets) {
  const spread = quantile(offsets, 0.9) - quantile(offsets, 0.1);
  const words = t("chip.pattern_spread", { name, spread: number(spread, 1) });
  const tiles = offsets.map((offset, neuron) => {
    const tile = svg("rect", { x: (neuron % COLUMNS) * TILE, y: Math.floor(neuron / COLUMNS) * TILE, width: TILE - 0.8,
      height: TILE - 0.8 }, svg("title", {}, t("chip.neuron", { neuron, offset: number(offset, 1) })));
    tint(tile, offset / MOST_LSB);
    return tile;
  });
  const size = `0 0 ${COLUMNS * TILE} ${(offsets.length / COLUMNS) * TILE}`;
  return el("figure", {}, svg("svg", { viewBox: size, role: "img", "aria-label": words }, ...tiles), el("figcaption", {}, words));
}

function scale() {
  const steps = Array.from({ length: 41 }, (_, i) => i / 20 - 1);
  const tiles = steps.map((part, i) => {
    const tile = svg("rect", { x: i * 8, y: 0, width: 8.5, height: 12 });
    tint(tile, part);
    return tile;
  });
  return el("div", { className: "scale" }, el("span", {}, `−${MOST_LSB} LSB`),
    svg("svg", { viewBox: "0 0 328 12", "aria-hidden": "true" }, ...tiles), el("span", {}, `+${MOST_LSB} LSB`));
}

/** Blue below, orange above, the panel's own tone in the middle. */
function tint(tile, part) {
  const strength = Math.min(1, Math.abs(part));
  tile.setAttribute("class", part < 0 ? "tile below" : "tile above");
  tile.style.setProperty("--part", strength);
}

function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.round(part * (sorted.length - 1))];
}
