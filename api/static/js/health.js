// The health of the chips shown: canaries, temperatures and fixed patterns.

import { LineChart } from "./chart.js";
import { $, call, el, number, t } from "./common.js";
import { patternMaps } from "./pattern.js";
import { timeAxis } from "./times.js";

const COLORS = ["blue", "orange", "green", "purple", "yellow"];
const FEW = 60; // up to this number, each point has a dot
const known = new Map(); // by chip: its series, its pattern and the time of its calibration

const canary = new LineChart($("#canary"), { title: t("chip.canary"), x: timeAxis(t("chip.time")),
  y: { label: "LSB", min: 0, format: (y) => number(y, 2) } });
const temperature = new LineChart($("#temperature"), { title: t("chip.temperature"), x: timeAxis(t("chip.time")),
  y: { label: "°C", low: (y) => Math.floor(y - 2), high: (y) => Math.ceil(y + 2), format: (y) => number(y, 1) } });

/** Fetches new data of a chip; returns whether there is any. */
async function learn(chip) {
  const calibration = chip.calibration?.sha256 ?? null;
  let of = known.get(chip.id);
  if (!of) {
    const { points } = await call(`/v1/chip/${chip.id}/series/canary`);
    of = { points, pattern: null, calibration: undefined };
    known.set(chip.id, of);
  }
  let isNew = false;
  if (chip.canary && chip.canary.at > (of.points.at(-1)?.at ?? 0)) {
    const { at, score_lsb, limit_lsb } = chip.canary;
    const warmth = chip.temperature_c ?? null;
    of.points.push({ at, score_lsb, limit_lsb, ...(warmth === null ? {} : { temperature_c: warmth }) });
    isNew = true;
  }
  if (of.calibration !== calibration) {
    of.pattern = await call(`/v1/chip/${chip.id}/pattern`);
    of.calibration = calibration;
    isNew = true;
  }
  return isNew;
}

/** Shows these chips; draws again only if the data or the choice of chips has changed. */
export async function showHealth(chips, anew) {
  const news = await Promise.all(chips.map(learn));
  if (!anew && !news.includes(true)) return;
  const places = ({ id }, name) =>
    known.get(id).points.filter((point) => name in point).map((point) => [1000 * point.at, point[name]]);
  const named = ({ id }, words) => (chips.length > 1 ? `${id}: ${words}` : words);
  const color = (i) => COLORS[i % COLORS.length];
  showCanary(chips.flatMap((chip, i) => {
    const scores = places(chip, "score_lsb");
    return scores.length ? [
      { name: named(chip, t("chip.canary_score")), color: color(i), dots: scores.length < FEW, points: scores },
      { name: named(chip, t("chip.canary_limit")), color: chips.length > 1 ? color(i) : "orange", dash: "6 4",
        points: places(chip, "limit_lsb") }] : [];
  }));
  const warm = chips.map((chip, i) => ({ name: named(chip, t("chip.temperature")),
    color: chips.length > 1 ? color(i) : "purple", points: places(chip, "temperature_c") })).filter(({ points }) => points.length);
  $("#temperature-panel").hidden = !warm.length;
  if (warm.length) temperature.draw(warm.map((series) => ({ ...series, dots: series.points.length < FEW })));
  showPatterns(chips);
}

function showCanary(series) {
  $("#canary-note").textContent = t(series.length ? "chip.canary_hint" : "chip.canary_none");
  $("#canary").hidden = !series.length;
  canary.draw(series);
}

function showPatterns(chips) {
  const measured = chips.filter(({ id }) => known.get(id).pattern?.after_lsb);
  $("#pattern-note").hidden = measured.length > 0;
  $("#pattern").replaceChildren(...measured.flatMap(({ id }) => [
    ...(chips.length > 1 ? [el("h3", {}, id)] : []), el("div", { className: "patterns" }, ...patternMaps(known.get(id).pattern))]));
}
