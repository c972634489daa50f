// The chip: how it is, what waits for it, and who uses it.

import { LineChart, StackedColumns, ticks } from "./chart.js";
import { $, call, el, isAdmin, number, percent, showProblem, t } from "./common.js";
import { patternMaps } from "./pattern.js";
import { listen } from "./stream.js";
import { ago, date, duration } from "./words.js";

const KINDS = { classification: "blue", training: "orange", evaluation: "green", calibration: "purple" };
const COLORS = ["blue", "orange", "green", "purple", "yellow"];
const SIGNS = { ready: "✓", drifted: "≈", lost: "✕", starting: "◷", absent: "✕" };
const MINUTE = 60_000;

let chosen = null, seenCalibration = null, minutes = [], serving = 1, jobWait = null;

const time = { format: (at) => new Date(at).toLocaleTimeString(document.documentElement.lang,
  { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }), exact: date };

/** Full minutes, tens of minutes, hours: at most so many. */
function timeTicks(low, high, most) {
  const step = [1, 5, 10, 30, 60, 180, 360, 720, 1440].map((n) => n * MINUTE).find((n) => (high - low) / n <= most);
  if (!step || high - low < 2 * MINUTE) return [low, high];
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

const utilisation = new StackedColumns($("#utilisation"), { title: t("chip.utilisation_title"), height: 240,
  x: { label: t("chip.minute"), ...time, exact: time.format, ticks: timeTicks },
  y: { label: t("chip.busy"), max: 1, format: (y) => percent(y) } });
const canary = new LineChart($("#canary"), { title: t("chip.canary"),
  x: { label: t("chip.time"), ...time, ticks: timeTicks }, y: { label: "LSB", min: 0, format: (y) => number(y, 2) } });
let temperature = null;

function chipCard(chip) {
  const { calibration, canary: last } = chip;
  const facts = {
    backend: chip.backend,
    identifier: chip.identifier,
    holder: chip.holder?.host,
    since: chip.since && ago(chip.since),
    calibration: calibration ? t("chip.calibrated", { age: duration(calibration.age_s) }) : t("chip.uncalibrated"),
    canary_now: last ? t("chip.canary_value", { score: number(last.score_lsb, 2), limit: number(last.limit_lsb, 2) }) : null,
    temperature: chip.temperature_c !== null && chip.temperature_c !== undefined ? `${number(chip.temperature_c, 1)} °C` : null,
    gain: chip.gain && number(chip.gain, 5),
    noise: chip.noise_std !== null && chip.noise_std !== undefined ? `${number(chip.noise_std, 2)} LSB` : null,
  };
  return el("section", { className: "panel chip", "aria-label": chip.id },
    el("div", { className: "row spread" },
      el("h2", {}, `${chip.id} `, el("span", { className: `state ${chip.state}` },
        el("span", { "aria-hidden": "true" }, `${SIGNS[chip.state]} `), t(`chip.${chip.state}`))),
      isAdmin && chip.backend === "emulator" ? el("button", { type: "button", onclick: (event) => calibrate(chip.id, event.target) },
        t("chip.calibrate")) : null),
    chip.maintenance ? el("p", { className: "banner note" }, t("chip.maintenance", { message: chip.maintenance.message ?? "" })) : null,
    el("dl", { className: "figures" }, ...Object.entries(facts).filter(([, value]) => value).map(([name, value]) =>
      el("div", {}, el("dt", {}, t(`chip.${name}`)), el("dd", {}, value)))));
}

async function calibrate(chip, button) {
  button.disabled = true;
  try {
    const job = await call("/v1/jobs", { method: "POST", body: { kind: "calibration", params: { chip } } });
    location.assign(`/jobs/${job.id}`);
  } catch (problem) {
    showProblem($("#problem"), problem);
    button.disabled = false;
  }
}

function showQueue({ crops, jobs }) {
  const facts = {
    crops_waiting: number(crops.waiting), crops_wait: duration(crops.expected_wait_s),
    jobs_running: number(jobs.running), jobs_queued: number(jobs.queued), jobs_wait: duration(jobWait),
  };
  $("#queue").replaceChildren(...Object.entries(facts).map(([name, value]) =>
    el("div", {}, el("dt", {}, t(`chip.${name}`)), el("dd", {}, value))));
}

function showUtilisation() {
  const by = $("#by input:checked").value;
  const totals = new Map();
  for (const { used } of minutes) {
    for (const part of used) totals.set(keyOf(part, by), (totals.get(keyOf(part, by)) ?? 0) + part.seconds);
  }
  let names = [...totals.keys()].sort((a, b) => totals.get(b) - totals.get(a));
  if (by === "kind") names = Object.keys(KINDS);
  const leading = names.slice(0, COLORS.length - 1);
  const rest = names.length > COLORS.length ? [] : names.slice(COLORS.length - 1);
  const shown = [...leading, ...rest];
  const points = (test) => minutes.map(({ at, used }) => [Date.parse(at) + MINUTE / 2,
    used.filter((part) => test(keyOf(part, by))).reduce((sum, part) => sum + part.seconds, 0) / (60 * serving)]);
  const series = shown.map((name, i) => ({ name: by === "kind" ? t(`job.${name}`) : name || t("chip.others"),
    color: by === "kind" ? KINDS[name] : COLORS[i], points: points((key) => key === name), format: (y) => percent(y, 1) }));
  const hidden = names.filter((name) => !shown.includes(name));
  if (hidden.length) series.push({ name: t("chip.more_users", { n: hidden.length }), color: "grey", points: points((key) => hidden.includes(key)),
    format: (y) => percent(y, 1) });
  utilisation.draw(series);
}

const keyOf = (part, by) => (by === "kind" ? part.kind : part.user ?? "");

async function showUse() {
  jobWait = (await call("/v1/queue")).jobs.expected_wait_s;
  minutes = (await call("/v1/usage/minutes")).minutes;
  showUtilisation();
  const { users, all } = await call("/v1/usage");
  const kinds = Object.keys(KINDS);
  const row = (name, used) => el("tr", {}, el("th", { scope: "row" }, name),
    ...kinds.map((kind) => el("td", {}, used.chip_time_s[kind] ? duration(used.chip_time_s[kind]) : "–")),
    el("td", {}, duration(used.total_s)));
  const parts = [el("caption", { className: "unseen" }, t("chip.usage")),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("chip.user")),
      ...kinds.map((kind) => el("th", { scope: "col" }, t(`job.${kind}`))), el("th", { scope: "col" }, t("chip.total")))),
    el("tbody", {}, ...[...users].sort((a, b) => b.total_s - a.total_s).map((used) => row(used.user, used)))];
  if (all) parts.push(el("tfoot", {}, row(t("chip.together"), all)));
  $("#usage").replaceChildren(...parts);
}

async function showSeries(chip) {
  const { points } = await call(`/v1/chip/${chip.id}/series/canary`);
  $("#canary-note").textContent = points.length ? t("chip.canary_hint") : t("chip.canary_none");
  $("#canary").hidden = !points.length;
  const places = (name) => points.filter((point) => name in point).map((point) => [1000 * point.at, point[name]]);
  canary.draw([
    { name: t("chip.canary_score"), color: "blue", dots: points.length < 60, points: places("score_lsb") },
    { name: t("chip.canary_limit"), color: "orange", dash: "6 4", points: places("limit_lsb") }]);
  const warmth = places("temperature_c");
  $("#temperature-panel").hidden = !warmth.length;
  if (warmth.length) {
    const values = warmth.map(([, y]) => y);
    temperature = new LineChart($("#temperature"), { title: t("chip.temperature"), x: { label: t("chip.time"), ...time, ticks: timeTicks },
      y: { label: "°C", min: Math.floor(Math.min(...values) - 2), max: Math.ceil(Math.max(...values) + 2), format: (y) => number(y, 1) } });
    temperature.draw([{ name: t("chip.temperature"), color: "purple", dots: warmth.length < 60, points: warmth }]);
  }
}

async function showPattern(chip) {
  const pattern = await call(`/v1/chip/${chip.id}/pattern`);
  $("#pattern-note").hidden = Boolean(pattern.after_lsb);
  $("#pattern").replaceChildren(...(pattern.after_lsb ? patternMaps(pattern) : []));
}

async function showChips(chips) {
  const focused = document.activeElement?.tagName === "BUTTON" && $("#chips").contains(document.activeElement);
  if (!focused) $("#chips").replaceChildren(...(chips.length ? chips.map(chipCard) : [el("p", { className: "panel" }, t("chip.none"))]));
  serving = Math.max(1, chips.filter(({ state }) => ["ready", "drifted"].includes(state)).length);
  const first = chips.find(({ id }) => id === chosen) ?? chips[0];
  if (!first) return;
  const mark = `${first.id} ${first.calibration?.sha256} ${first.canary?.at}`;
  if (mark === seenCalibration) return;
  seenCalibration = mark;
  chosen = first.id;
  await showSeries(first);
  await showPattern(first);
}

$("#by").addEventListener("change", showUtilisation);
const attempt = (action) => action().catch((problem) => problem.status && showProblem($("#problem"), problem));
attempt(showUse);
setInterval(() => attempt(showUse), 15_000);
listen("/v1/pulse", {
  pulse(state) {
    showProblem($("#problem"), null);
    showQueue(state.queue);
    attempt(() => showChips(state.chips));
  },
  unavailable: (problem) => showProblem($("#problem"), problem),
});
