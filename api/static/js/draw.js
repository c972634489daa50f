// The drawing page: sends the drawing, one request at a time, and shows the reading.

import { Drawing, paint } from "./canvas.js";
import { $, Problem, call, el, milliseconds, number, percent, showProblem, sleep, t, user } from "./common.js";

const UNTRAINED = "untrained";
const SLOW_MS = 1000; // then the page says that the answer is late
const LEADING = 5;
const AGAIN = new Set([0, 429, 503]);
const REST_MS = 25; // requests per second are limited, and more would not be visible
const RAW = "application/octet-stream";
const EVENT = 128; // from this grey value on, a pixel sends events to the chip

let isLive = true;
let isDirty = false;
let isBusy = false;

const drawing = new Drawing($("#canvas"), changed);
const rows = Array.from({ length: 10 }, (_, digit) => row(digit));

function row(digit) {
  const bar = el("span", { className: "bar" });
  const value = el("span", { className: "value" });
  const item = el("li", {}, el("span", { className: "name" }, String(digit)), el("span", { className: "track" }, bar), value);
  item.hidden = true;
  $("#ranking").append(item);
  return { digit, item, bar, value };
}

function changed() {
  isDirty = true;
  $("#undo").disabled = !drawing.canUndo;
  if (isLive || drawing.isEmpty) recognise();
}

/** Sends the newest picture until there is none newer, at most one request at a time. */
async function recognise() {
  if (isBusy) return;
  isBusy = true;
  try {
    while (isDirty) {
      isDirty = false;
      if (drawing.isEmpty) forget();
      else await Promise.all([recogniseOnce(), sleep(REST_MS)]);
      if (!isLive) break;
    }
  } finally {
    isBusy = false;
  }
}

async function recogniseOnce() {
  const slow = setTimeout(() => $("#problem").hidden && showNote(t("draw.slow")), SLOW_MS);
  try {
    if (!$("#model").value) await listModels();
    const [model, version] = $("#model").value.split("@");
    const started = performance.now();
    const crop = { method: "POST", body: drawing.bytes(), type: RAW }, centre = `centre=${$("#centre").checked}`;
    const [answer] = await Promise.all([
      call(`/v1/models/${model}/versions/${version}/classify?${centre}`, crop),
      call(`/v1/crops?${centre}`, crop).then(({ crops: [{ pixels }] }) => showInput(pixels)),
    ]);
    if (!answer.predictions) throw await tooLate(answer);
    show(answer, performance.now() - started);
    showProblem($("#problem"), null);
  } catch (problem) {
    await recover(problem);
  } finally {
    clearTimeout(slow);
    if ($("#note").textContent === t("draw.slow")) showNote("");
  }
}

/** Cancels the job of a picture that was not read in time, and gives the problem to show. */
async function tooLate(job) {
  await call(`/v1/jobs/${job.id}/cancel`, { method: "POST" });
  const { chips } = await call("/v1/chip");
  return new Problem(t(chips.every(({ state }) => state === "absent") ? "draw.chip_absent" : "draw.chip_busy"));
}

/** Shows a problem, and recovers from it where possible. */
async function recover(problem) {
  if ($("#digit").textContent === "?") $("#sure").textContent = t("draw.unread");
  if (problem.code === "model_not_found") {
    const model = $("#model").selectedOptions[0]?.label;
    await attempt(listModels);
    showNote(t("draw.gone", { model }));
    isDirty = true;
    return;
  }
  showProblem($("#problem"), problem);
  if (AGAIN.has(problem.status)) {
    isDirty = true;
    await sleep(1000);
  }
}

function showNote(words) {
  $("#note").hidden = !words;
  $("#note").textContent = words;
}

function show(answer, roundTrip) {
  const [{ digit, scores, confidence }] = answer.predictions;
  const order = scores.map((score, i) => i).sort((a, b) => scores[b] - scores[a] || a - b);
  $("#digit").textContent = digit;
  $("#digit").classList.toggle("unsure", confidence < 0.5);
  const sure = confidence > 0.9 ? "very" : confidence > 0.6 ? "rather" : confidence > 0.3 ? "hardly" : "not";
  $("#sure").textContent = t(`draw.sure_${sure}`, { digit });
  $("#detail").textContent = t("draw.confidence", { percent: percent(confidence), second: order[1] });
  speakSoon();
  order.forEach((place, rank) => showScore(rows[place], scores[place], rank));
  $("#ranking").append(...order.map((place) => rows[place].item));
  $("#round-trip").textContent = milliseconds(roundTrip);
  $("#waiting").textContent = milliseconds(answer.timing.waiting_ms);
  $("#chip-time").textContent = milliseconds(answer.timing.chip_ms);
  $("#by").textContent = `${answer.chip} (${answer.backend})`;
}

/** Shows the binary picture that the chip computes with. */
function showInput(pixels) {
  paint($("#binary").getContext("2d"), pixels.map((value) => (value < EVENT ? 0 : 255)));
}

let speech = null;

/** Announces the reading to screen readers once it is stable: a live drawing has many readings per second. */
function speakSoon() {
  clearTimeout(speech);
  speech = setTimeout(() => ($("#spoken").textContent = `${$("#sure").textContent}. ${$("#detail").textContent}`), 800);
}

function showScore({ item, bar, value }, score, rank) {
  item.hidden = false;
  item.classList.toggle("leading", rank < LEADING);
  item.classList.toggle("best", rank === 0);
  bar.classList.toggle("below", score < 0);
  bar.style.setProperty("--score", Math.abs(score) / 128);
  value.textContent = number(score).replace("-", "−");
}

function forget() {
  clearTimeout(speech);
  $("#digit").textContent = "?";
  $("#sure").textContent = t("draw.empty");
  $("#detail").textContent = "";
  showInput(drawing.bytes());
  for (const { item } of rows) item.hidden = true;
  for (const name of ["round-trip", "waiting", "chip-time"]) $(`#${name}`).textContent = "–";
  showProblem($("#problem"), null);
}

/**
 * Lists the models, your own and the service's before those of others, and keeps the choice.
 *
 * Without one it is what `latest` means in the first model that has it: a partial version is never the default.
 */
async function listModels() {
  const { models } = await call("/v1/models");
  const select = $("#model");
  const chosen = select.value || new URLSearchParams(location.search).get("model");
  const isOthers = ({ owner }) => owner !== null && owner !== user;
  const trained = models.filter(({ name }) => name !== UNTRAINED).sort((a, b) => isOthers(a) - isOthers(b));
  const options = trained.flatMap(({ name, versions, partial_versions: partial, aliases }) =>
    [...versions].reverse().map((version) => {
      const known = Object.keys(aliases).filter((alias) => aliases[alias] === version);
      if (partial.includes(version)) known.unshift(t("draw.partial"));
      return new Option(`${name} ${version}${known.length ? ` (${known.join(", ")})` : ""}`, `${name}@${version}`);
    }));
  const whole = trained.find(({ aliases }) => aliases.latest);
  const untrained = models.find(({ name }) => name === UNTRAINED);
  if (untrained) options.push(new Option(t("draw.untrained"), `${UNTRAINED}@${untrained.versions.at(-1)}`));
  select.replaceChildren(...options);
  if (options.some(({ value }) => value === chosen)) select.value = chosen;
  else if (whole) select.value = `${whole.name}@${whole.aliases.latest}`;
  else if (untrained) select.value = options.at(-1).value;
  $("#only-untrained").hidden = Boolean(whole) || !select.value.startsWith(`${UNTRAINED}@`);
  if (!options.length) throw new Problem(t("draw.no_model"));
}

async function takeSample(digit) {
  const { pixels, dataset } = await call(`/v1/samples/${digit}`);
  forgetSource();
  $("#sample").textContent = t("draw.shown", { digit, dataset });
  drawing.show(pixels);
  recognise();
}

async function takePhoto(file) {
  const { crops } = await call("/v1/crops", { method: "POST", body: file, type: file.type || RAW });
  $("#original").src = URL.createObjectURL(file);
  paint($("#normalised").getContext("2d"), crops[0].pixels);
  $("#compared").hidden = false;
  $("#sample").textContent = "";
  drawing.show(crops[0].pixels);
  recognise();
}

/** Runs an action that may fail, and shows its result in place. */
async function attempt(action) {
  try {
    await action();
  } catch (problem) {
    showProblem($("#problem"), problem);
  }
}

$("#ink").addEventListener("change", (event) => (drawing.ink = event.target.value));
$("#width").addEventListener("input", ({ target }) => {
  drawing.width = Number(target.value);
  $("#width-shown").textContent = number(drawing.width, 1);
});
$("#centre").addEventListener("change", changed);

function forgetSource() {
  $("#compared").hidden = true;
  $("#sample").textContent = "";
}

function undo() {
  forgetSource();
  drawing.undo();
}

/** Starts anew, with the pen. */
function clear() {
  forgetSource();
  drawing.ink = "white";
  $("#ink [value=white]").checked = true;
  drawing.clear();
}

$("#undo").addEventListener("click", undo);
$("#clear").addEventListener("click", clear);
document.addEventListener("keydown", (event) => {
  const isUndo = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z";
  const isClear = event.key === "Delete" && event.target === $("#canvas");
  if (!isUndo && !isClear) return;
  event.preventDefault();
  (isUndo ? undo : clear)();
});
$("#samples").addEventListener("click", ({ target }) => {
  if (target.dataset.digit) attempt(() => takeSample(target.dataset.digit));
});
$("#photo").addEventListener("change", ({ target }) => {
  if (target.files.length) attempt(() => takePhoto(target.files[0]));
  target.value = "";
});
$("#model").addEventListener("change", () => {
  showNote("");
  changed();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) attempt(listModels); // a training may have ended meanwhile
});
$("#once").addEventListener("click", () => {
  isDirty = true;
  recognise();
});
$("#live").addEventListener("click", ({ target }) => {
  isLive = !isLive;
  target.textContent = t(isLive ? "draw.stop" : "draw.start");
  $("#once").hidden = isLive;
  if (isLive) changed();
});
$("#width-shown").textContent = number(drawing.width, 1);
attempt(listModels);
