// "Never twice the same": one picture read 64 times, each reading a dot, and the mean of the first of them.

import { svg } from "./chart.js";
import { $, Problem, call, number, showProblem, t } from "./common.js";

const READINGS = 64; // as many as a request is read in one call
const COLUMN = 36, LEFT = 42, TOP = 8, HEIGHT = 256; // of the picture; 1 LSB is one unit high
const DIGITS = [...Array(10).keys()];

let crop = null; // the picture read last, and by which model
let scores = []; // of each reading, the ten scores

/** Offers to read a picture again; null for none. Another picture takes the readings away. */
export function offerReadings(newest) {
  const isSame = newest && crop && newest.reference === crop.reference && newest.bytes.every((value, i) => value === crop.bytes[i]);
  crop = newest;
  $("#read-again").disabled = !newest;
  if (isSame) return;
  scores = [];
  show();
}

async function readAgain() {
  const { path, bytes } = crop, body = new Uint8Array(READINGS * bytes.length);
  for (let i = 0; i < READINGS; i += 1) body.set(bytes, i * bytes.length);
  $("#read-again").disabled = true;
  try {
    const { predictions } = await call(path, { method: "POST", body, type: "application/octet-stream" });
    if (!predictions) throw new Problem(t("correct.late"));
    scores = predictions.map((prediction) => prediction.scores);
    showProblem($("#twice-problem"), null);
    show();
  } catch (problem) {
    showProblem($("#twice-problem"), problem);
  }
  $("#read-again").disabled = !crop;
}

const y = (score) => TOP + 127 - score;
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const best = (row) => row.indexOf(Math.max(...row));

function show() {
  $("#clouds-of").hidden = !scores.length;
  $("#twice-hint").hidden = Boolean(crop);
  if (!scores.length) return;
  const grid = [-128, -64, 0, 64, 127].map((score) => svg("g", {},
    svg("line", { class: "gridline", x1: LEFT, x2: LEFT + 10 * COLUMN, y1: y(score), y2: y(score) }),
    svg("text", { class: "tick", x: LEFT - 6, y: y(score) + 4, "text-anchor": "end" }, number(score).replace("-", "−"))));
  const dots = scores.flatMap((row, reading) => row.map((score, digit) => svg("circle", { class: `cloud ${digit === best(row) ? "orange" : "blue"}`,
    // Dots of equal scores lie beside each other.
    cx: LEFT + (digit + 0.2 + (0.6 * ((reading * 29) % READINGS)) / READINGS) * COLUMN, cy: y(score), r: 2.2 })));
  const means = DIGITS.map((digit) => svg("line", { class: "mean", "data-digit": digit, x1: LEFT + (digit + 0.08) * COLUMN,
    x2: LEFT + (digit + 0.92) * COLUMN }));
  const names = DIGITS.map((digit) => svg("text", { class: "tick", x: LEFT + (digit + 0.5) * COLUMN, y: TOP + HEIGHT + 16, "text-anchor": "middle" }, String(digit)));
  const counts = DIGITS.map((digit) => [digit, scores.filter((row) => best(row) === digit).length]).filter(([, n]) => n).sort((a, b) => b[1] - a[1]);
  $("#said").textContent = t(counts.length === 1 ? "twice.agreed" : "twice.said", { n: READINGS, digit: counts[0][0],
    list: counts.map(([digit, n]) => t("twice.times", { digit, n })).join(", ") });
  $("#clouds").replaceChildren(svg("svg", { viewBox: `0 0 ${LEFT + 10 * COLUMN} ${TOP + HEIGHT + 22}`, role: "img", "aria-label": t("twice.clouds") },
    ...grid, ...dots, ...means, ...names));
  showMean();
}

function showMean() {
  const n = Number($("#readings").value), first = scores.slice(0, n);
  $("#readings-shown").textContent = number(n);
  if (!n || !scores.length) return;
  const means = DIGITS.map((digit) => mean(first.map((row) => row[digit]))), winner = best(means);
  for (const line of $("#clouds").querySelectorAll(".mean")) {
    for (const end of ["y1", "y2"]) line.setAttribute(end, y(means[line.dataset.digit]));
  }
  const all = scores.map((row) => row[winner]), spread = Math.sqrt(mean(all.map((score) => (score - mean(all)) ** 2)));
  $("#settled").textContent = t(n === 1 ? "twice.one" : "twice.mean", { n, digit: winner, score: number(means[winner], n > 1 ? 1 : 0),
    swing: number(spread / Math.sqrt(n), 1) });
}

$("#read-again").addEventListener("click", readAgain);
$("#readings").addEventListener("input", showMean);
