// The drawing page: sends the drawing, one request at a time, and has the reading shown.

import { isBeside, showBeside } from "./beside.js";
import { Drawing, decode, encode, paint } from "./canvas.js";
import { $, Problem, call, number, showProblem, sleep, t, user } from "./common.js";
import { offerCorrection } from "./correct.js";
import { isUntrained, listModels } from "./models.js";
import { isThinking, showPixels, showThought } from "./think.js";
import { offerReadings } from "./twice.js";
import { showAnswer, showInput, showNothing } from "./verdict.js";

const SLOW_MS = 1000; // then the page says that the answer is late
const AGAIN = new Set([0, 429, 503]);
const REST_MS = 25; // requests per second are limited, and more would not be visible
const RAW = "application/octet-stream";
const KEPT = "hxserve-drawn"; // until the tab is closed

let isDirty = false;
let isBusy = false;
let isChoosing = false;

const drawing = new Drawing($("#canvas"), changed);

function changed() {
  isDirty = true;
  $("#undo").disabled = !drawing.canUndo;
  $("#redo").disabled = !drawing.canRedo;
  invite();
  if ($("#live").checked || drawing.isEmpty) recognise();
}

/** Shows the invitation while nothing is drawn. */
function invite() {
  $("#invitation").classList.toggle("gone", !drawing.isEmpty);
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
      if (!$("#live").checked) break;
    }
  } finally {
    isBusy = false;
  }
}

async function recogniseOnce() {
  const slow = setTimeout(() => $("#problem").hidden && showNote(t("draw.slow")), SLOW_MS);
  try {
    if (!$("#model").value) await showModels();
    const [model, version] = $("#model").value.split("@");
    const started = performance.now();
    const crop = { method: "POST", body: drawing.bytes(), type: RAW }, centre = `centre=${$("#centre").checked}`;
    const path = `/v1/models/${model}/versions/${version}/classify?${centre}`;
    const answer = await call(`${path}&pixels=true${isThinking() ? "&activations=true" : ""}${isBeside() ? "&mock=true" : ""}`, crop);
    if (!answer.predictions) throw await tooLate(answer);
    showAnswer(answer, performance.now() - started);
    showInput(answer.predictions[0].pixels);
    showPixels(answer.predictions[0].pixels);
    showThought({ model, version, answer });
    showBeside(answer);
    offerReadings({ reference: `${model}@${version} ${centre}`, path, bytes: crop.body });
    offerCorrection({ model, version, centre, crop, digit: answer.predictions[0].digit });
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
    await attempt(showModels);
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

/** Reads the drawing once more. */
function again() {
  isDirty = true;
  recognise();
}

function showNote(words) {
  $("#note").hidden = !words;
  $("#note").textContent = words;
}

function forget() {
  offerCorrection(null);
  showNothing();
  showThought(null);
  showBeside(null);
  offerReadings(null);
  showProblem($("#problem"), null);
}

/** Lists the models; the page about teaching starts from the one chosen. */
async function showModels() {
  const isTrained = await listModels($("#model"));
  $("#only-untrained").hidden = isTrained || !isUntrained($("#model").value);
  showTeacher();
}

function showTeacher() {
  $("#teach").href = isUntrained($("#model").value) ? "/teach" : `/teach?model=${encodeURIComponent($("#model").value)}`;
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

function takeWidth() {
  drawing.width = Number($("#width").value);
  $("#width-shown").textContent = number(drawing.width, 1);
}

/** Keeps the drawing for when this page is opened again, as by a change of the language; then the model, too. */
function keep() {
  const kept = { user, drawn: encode(drawing.bytes()), model: isChoosing ? $("#model").value : "", width: $("#width").value,
    live: $("#live").checked, centre: $("#centre").checked };
  sessionStorage.setItem(KEPT, JSON.stringify(kept));
}

async function restore() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  const isMine = kept?.user === user;
  if (isMine) {
    $("#width").value = kept.width;
    for (const name of ["live", "centre"]) $(`#${name}`).checked = kept[name];
    const pixels = decode(kept.drawn);
    if (pixels.some(Boolean)) drawing.begin(pixels);
  }
  takeWidth();
  $("#once").hidden = $("#live").checked;
  invite();
  await showModels();
  if (isMine && [...$("#model").options].some(({ value }) => value === kept.model)) {
    $("#model").value = kept.model;
    showTeacher();
  }
  if (!drawing.isEmpty) changed();
}

$("#ink").addEventListener("change", (event) => (drawing.ink = event.target.value));
$("#width").addEventListener("input", takeWidth);
$("#centre").addEventListener("change", changed);
$("#canvas").addEventListener("pointerdown", () => $("#invitation").classList.add("gone"));
$("#canvas").addEventListener("pointerup", invite);
$("#undo").addEventListener("click", undo);
$("#redo").addEventListener("click", () => drawing.redo());
$("#clear").addEventListener("click", clear);
document.addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase(), isControl = event.ctrlKey || event.metaKey;
  const action = isControl && key === "z" ? (event.shiftKey ? () => drawing.redo() : undo)
    : isControl && key === "y" ? () => drawing.redo()
      : event.key === "Delete" && event.target === $("#canvas") ? clear : null;
  if (!action) return;
  event.preventDefault();
  action();
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
  showTeacher();
  changed();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) attempt(showModels); // a training may have ended meanwhile
});
$("#once").addEventListener("click", again);
for (const name of ["think", "beside"]) $(`#${name}`).addEventListener("toggle", ({ target }) => target.open && again());
$("#live").addEventListener("change", ({ target }) => {
  $("#once").hidden = target.checked;
  if (target.checked) changed();
});
$(".choices").addEventListener("click", () => (isChoosing = true));
addEventListener("pagehide", keep);
attempt(restore);
