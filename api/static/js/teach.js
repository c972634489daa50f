// The page for teaching: write digits, watch the lesson, see what it brought.

import { Boxes } from "./boxes.js";
import { LineChart } from "./chart.js";
import { $, call, number, percent, showProblem, t } from "./common.js";
import { forgetLesson, keptLesson, newLesson, teach } from "./lesson.js";
import { isUntrained, listModels } from "./models.js";
import { countOf, digitTable, remembered, verdict, wrongList } from "./taught.js";
import { duration, outlook, progressBar } from "./words.js";

let chart = null, boxes = null;
boxes = new Boxes($("#canvas"), $("#boxes"), showBoxes);

function showBoxes(problem = null) {
  if (!boxes) return; // while they are built
  $("#prompt").textContent = t("teach.write", { digit: boxes.digit });
  $("#place").textContent = t(boxes.state === "dot" || boxes.state === "blot" ? `teach.fault_${boxes.state}` : "teach.place",
    { digit: boxes.digit, row: Math.floor(boxes.current / 10) + 1, rows: boxes.times });
  $("#place").classList.toggle("problem", ["dot", "blot"].includes(boxes.state));
  $("#undo").disabled = !boxes.drawing.canUndo;
  $("#written").textContent = t("teach.written", { ready: boxes.ready, of: boxes.count });
  showProblem($("#problem"), problem);
}

function view(name) {
  for (const section of ["writing", "lesson", "result"]) $(`#${section}`).hidden = section !== name;
}

/** Goes on to the next box; after the last one, to the start. */
function next() {
  if (boxes.next()) $("#canvas").focus({ preventScroll: true });
  else $("#start").focus();
}

async function begin() {
  await boxes.fetchAll();
  const missing = boxes.missing;
  if (missing !== undefined) {
    boxes.choose(missing);
    $("#canvas").focus();
    $("#not-yet").textContent = t("teach.not_yet", { n: boxes.count - boxes.ready });
    return;
  }
  $("#not-yet").textContent = "";
  await goOn(newLesson($("#model").value, $("#name").value, boxes.crops));
}

/** Takes the steps of a lesson that are left, and shows them. */
async function goOn(lesson) {
  view(lesson.ended ? "result" : "lesson");
  showProblem($("#trouble"), null);
  $("#again").hidden = $("#back").hidden = true;
  if (chart) chart.draw([]);
  try {
    await teach(lesson, showLesson);
    showResult(lesson);
  } catch (problem) {
    showProblem($("#trouble"), problem);
    $("#step").textContent = "";
    $("#bar").replaceChildren();
    $("#stop").hidden = true;
    $("#again").hidden = $("#back").hidden = false;
    $("#again").onclick = () => goOn(lesson);
    $("#again").focus();
  }
}

function showLesson(lesson, job) {
  const step = !lesson.saving?.result ? "saving" : !lesson.before ? "reading" : !lesson.training?.result ? "training" : "ending";
  const { epoch, epochs_total: of, epochs } = job?.metrics ?? {};
  $("#step").textContent = step === "training" && epoch ? t("teach.step_epoch", { epoch, of }) : t(`teach.step_${step}`);
  $("#outlook").textContent = job ? outlook(job) : "";
  $("#known").textContent = lesson.before ? countOf(lesson, "before") : "";
  if (job) $("#bar").replaceChildren(progressBar(job.progress, $("#step").textContent));
  $("#stop").hidden = step !== "training" || !lesson.training;
  $("#stop").disabled = Boolean(job?.cancel_requested);
  $("#stop").onclick = () => stop(lesson);
  if (step === "training" && epochs?.length) showEpochs(lesson, epochs, of);
}

/** The accuracy on the held-back digits, and on the data set learnt first, epoch by epoch. */
function showEpochs(lesson, epochs, of) {
  chart ??= new LineChart($("#chart"), { title: t("teach.chart"),
    x: { label: t("job.epoch"), format: (n) => number(n, n % 1 ? 1 : 0), exact: (n) => number(n), min: 0, max: of },
    y: { label: t("job.accuracy_axis"), min: 0, max: 1, format: (y) => percent(y, 0) } });
  const names = Object.keys(epochs[0].accuracies);
  chart.draw(names.map((name) => ({ name: name === lesson.dataset ? t("teach.your_digits") : name === "mnist" ? "MNIST" : t("teach.small_set"),
    color: name === lesson.dataset ? "orange" : "blue", dots: true, points: epochs.map((e) => [e.epoch, e.accuracies[name]]),
    format: (y) => percent(y, 1) })));
}

async function stop(lesson) {
  $("#stop").disabled = true;
  try {
    await call(`/v1/jobs/${lesson.training.id}/cancel`, { method: "POST" });
  } catch (problem) {
    showProblem($("#trouble"), problem);
    $("#stop").disabled = false;
  }
}

function showResult(lesson) {
  const { model, version } = lesson.training.result;
  view("result");
  $("#before").textContent = countOf(lesson, "before");
  $("#after").textContent = countOf(lesson, "after");
  $("#verdict").textContent = `${verdict(lesson)} ${t("teach.took", { time: duration((lesson.ended - lesson.began) / 1000) })}`;
  $("#digits").replaceChildren(digitTable(lesson));
  $("#wrong").replaceChildren(...wrongList(lesson));
  $("#wrong-panel").hidden = !$("#wrong").children.length;
  $("#remembered").textContent = remembered(lesson);
  $("#draw").href = `/?model=${encodeURIComponent(`${model}@${version}`)}`;
  $("#details").href = `/jobs/${lesson.training.id}`;
  $("#outcome").focus();
}

function backToWriting() {
  forgetLesson();
  view("writing");
  boxes.choose(boxes.current);
}

function startOver() {
  boxes.clear();
  backToWriting();
}

$("#next").addEventListener("click", next);
$("#undo").addEventListener("click", () => boxes.drawing.undo());
$("#clear").addEventListener("click", () => boxes.drawing.clear());
document.addEventListener("keydown", (event) => {
  if ($("#writing").hidden) return;
  const isUndo = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z";
  const key = event.target === $("#canvas") ? event.key : "";
  if (isUndo) boxes.drawing.undo();
  else if (key === "Delete") boxes.drawing.clear();
  else if (key === "Enter") next();
  else return;
  event.preventDefault();
});
$("#times").addEventListener("change", ({ target }) => {
  boxes.times = Number(target.value);
  boxes.build();
});
$("#start-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("#start").disabled = true;
  await begin();
  $("#start").disabled = false;
});
$("#back").addEventListener("click", backToWriting);
$("#more").addEventListener("click", backToWriting);
$("#over").addEventListener("click", startOver);

$(`#times [value="${boxes.times}"]`).checked = true;
showBoxes();
const lesson = keptLesson();
if (lesson) goOn(lesson);
try {
  const isTrained = await listModels($("#model"));
  $("#only-untrained").hidden = isTrained || !isUntrained($("#model").value);
  $("#start").disabled = !$("#only-untrained").hidden;
} catch (problem) {
  showBoxes(problem);
}
