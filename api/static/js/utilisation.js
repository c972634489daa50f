// The use of the chips in the last hour, minute by minute, by kind of work, user or chip.

import { StackedColumns } from "./chart.js";
import { $, call, percent, t } from "./common.js";
import { MINUTE, minuteAxis } from "./times.js";

export const KINDS = { classification: "blue", training: "orange", evaluation: "green", calibration: "purple",
  program: "yellow", upload: "grey", comparison: "sky", staircase: "rose" };
const COLORS = ["blue", "orange", "green", "purple", "yellow"];

const chart = new StackedColumns($("#utilisation"), { title: t("chip.utilisation_title"), height: 240,
  x: minuteAxis(t("chip.time")), y: { label: t("chip.busy"), max: 1, format: (y) => percent(y) } });
let minutes = [], shown = [], serving = [];

const keys = { kind: (part) => part.kind, user: (part) => part.user ?? "", chip: (part) => part.chip };
const names = { kind: (kind) => t(`job.${kind}`), user: (user) => user || t("chip.others"), chip: (chip) => chip };

/** Draws the last hour of these chips from the data fetched last; `ready` are those that serve now. */
export function showUtilisation(chips = shown, ready = serving) {
  [shown, serving] = [chips, ready];
  const by = $("#by input:checked").value;
  const used = minutes.map(({ at, used: parts }) => [Date.parse(at) + MINUTE / 2,
    parts.filter(({ chip }) => chips.includes(chip))]);
  const present = new Set([...serving, ...used.flatMap(([, parts]) => parts.map(({ chip }) => chip))]);
  const totals = new Map(by === "kind" ? Object.keys(KINDS).map((kind) => [kind, 0]) : []);
  for (const part of used.flatMap(([, parts]) => parts)) {
    totals.set(keys[by](part), (totals.get(keys[by](part)) ?? 0) + part.seconds);
  }
  const order = [...totals.keys()];
  if (by === "user") order.sort((a, b) => totals.get(b) - totals.get(a));
  if (by === "chip") order.sort();
  const single = by !== "kind" && order.length > COLORS.length ? order.slice(0, COLORS.length - 1) : order;
  const rest = order.slice(single.length);
  const series = (name, color, test) => ({ name, color, format: (y) => percent(y, 1), points: used.map(([at, parts]) =>
    [at, parts.filter((part) => test(keys[by](part))).reduce((sum, { seconds }) => sum + seconds, 0) / (60 * Math.max(1, present.size))]) });
  chart.draw([
    ...single.map((name, i) => series(names[by](name), KINDS[name] ?? COLORS[i], (key) => key === name)),
    ...(rest.length ? [series(t("chip.more", { n: rest.length }), "grey", (key) => rest.includes(key))] : [])]);
}

/** Fetches the last hour and draws it. */
export async function refreshUtilisation() {
  ({ minutes } = await call("/v1/usage/minutes"));
  showUtilisation();
}

$("#by").addEventListener("change", () => showUtilisation());
