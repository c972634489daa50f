// The page of one job: its progress, its result and its events.

import { LineChart } from "./chart.js";
import { $, call, el, isAdmin, number, percent, showProblem, t, user } from "./common.js";
import { confusionTable, differenceList, mistakeList, verdict } from "./outcome.js";
import { showStairs } from "./stairs.js";
import { listen } from "./stream.js";
import { clock, date, duration, outlook, progressBar, sizes, stateBadge } from "./words.js";

const id = $("#job").dataset.job;
const READS = ["evaluation", "comparison", "staircase", "batch"];
const ANSWERS = ["csv", "npz", "parquet", "jsonl"];
const batches = new Map();
let job = null, accuracyChart = null, lossChart = null, epochs = [], compared = null, ownRecipe = {}, stop = null;

function showJob() {
  const name = [t(`job.${job.kind}`), job.model || job.params.program].filter(Boolean).join(" ");
  $("#heading").textContent = name;
  $("#state").replaceChildren(stateBadge(job.state));
  $("#bar").replaceChildren(progressBar(job.progress, name));
  $("#part").textContent = percent(job.progress);
  $("#outlook").textContent = outlook(job);
  $("#cancel").hidden = isFinal();
  $("#cancel").disabled = job.cancel_requested;
  showProblem($("#problem"), job.error);
  showFacts();
  $("#params").textContent = JSON.stringify({ id, params: job.params, provenance: job.provenance }, null, 2);
  if (job.kind === "training") showCurves(job.metrics);
  if (job.kind === "staircase") showStairs($("#stairs"), job);
  if (job.kind === "batch") showAnswers();
  $("#again").hidden = job.kind !== "training" || !(isAdmin || job.user === user);
}

/** Links to the answers of a batch job, all that there are by now. */
function showAnswers() {
  if (!job.started_at) return;
  $("#actions").replaceChildren(t("job.answers"), ...ANSWERS.map((form) =>
    el("a", { className: "button", href: `/v1/jobs/${id}/answers?format=${form}`, download: `${id}.${form}` }, form)));
}

const isFinal = () => !["queued", "running"].includes(job.state);

function showFacts() {
  const { metrics, result } = job;
  const facts = {
    user: job.user,
    created: date(job.created_at),
    took: job.started_at ? duration((new Date(job.finished_at ?? Date.now()) - new Date(job.started_at)) / 1000) : "–",
    chip_time: duration(job.chip_time_s),
    operations: typeof result?.operations === "number" && number(result.operations),
    epoch: metrics.epochs_total && `${metrics.epoch} / ${metrics.epochs_total}`,
    dataset: result?.dataset ?? metrics.dataset,
    network: job.kind === "training" && !job.params.start_from && job.params.network && sizes(job.params.network),
    accuracy: typeof result?.accuracy === "number" && percent(result.accuracy, 2),
    measured: result?.execution === "chip" ? `${result.chip} (${result.backend})` : result?.execution,
    [result?.partial ? "partial_version" : READS.includes(job.kind) ? "of_version" : "version"]: result?.version,
    answered: job.kind === "batch" && metrics.step && `${number(metrics.step)} / ${number(metrics.steps_total)}`,
    unreadable: metrics.unreadable && number(metrics.unreadable),
    stopped_by: result?.stopped_by === "max_chip_s" && t("job.max_chip_s"),
    checked_crops: result?.checked_crops && number(result.checked_crops),
    gain: result?.gain && `${number(result.gain, 5)} LSB`,
    spread: result?.spread_before_lsb && [`${number(result.spread_before_lsb, 1)} → ${number(result.spread_after_lsb, 1)} LSB`,
      result.was_flat ? t("job.was_flat") : ""].filter(Boolean).join(", "),
  };
  $("#facts").replaceChildren(...Object.entries(facts).filter(([, value]) => value).map(([name, value]) =>
    el("div", {}, el("dt", {}, t(`job.${name}`)), el("dd", {}, value))));
}

function showCurves(metrics) {
  if (!metrics.epochs_total) return;
  $("#curves").hidden = false;
  const most = Math.max(metrics.epochs_total, ...(compared?.epochs ?? []).map(({ epoch }) => epoch));
  const x = { label: t("job.epoch"), format: (n) => number(n, n % 1 ? 1 : 0), exact: (n) => number(n, n % 1 ? 2 : 0), min: 0,
    max: most };
  accuracyChart ??= new LineChart($("#accuracy-curve"), { title: t("job.accuracy_curve"), x,
    y: { label: t("job.accuracy_axis"), low: (y) => Math.max(0, Math.floor(10 * y - 0.001) / 10), max: 1, format: (y) => percent(y, 0) } });
  lossChart ??= new LineChart($("#loss-curve"), { title: t("job.loss_curve"), x,
    y: { label: t("job.loss_axis"), min: 0, regionsAtTop: true, format: (y) => number(y, y && y < 0.1 ? 3 : 2) } });
  accuracyChart.x.max = lossChart.x.max = most;
  if (metrics.step) {
    batches.set((metrics.step / metrics.steps_total) * metrics.epochs_total, metrics);
  }
  epochs = metrics.epochs ?? epochs;
  showWatched(metrics.watched ?? []);
  const last = epochs.findIndex(({ execution }) => execution === "chip");
  $("#two-parts").hidden = last < 1;
  const first = last < 0 ? Infinity : (epochs[last - 1]?.epoch ?? 0);
  const parts = epochs.length ? [{ from: 0, to: Math.min(first, epochs.at(-1).epoch), name: t("job.in_model") },
    { from: first, to: metrics.epochs_total, name: t("job.in_loop") }] : [];
  accuracyChart.regions = lossChart.regions = last < 0 ? [] : parts.filter(({ from, to }) => to > from);
  if (last >= 1) $("#two-parts").textContent = t("job.two_parts", { last: number(epochs[last - 1].epoch) });
  drawCurves();
}

/** The digits of the test set that are watched: each shows how it was read after the last epoch. */
function showWatched(watched) {
  const readings = epochs.at(-1)?.readings ?? [];
  const known = `${epochs.length} ${watched.length}`;
  $("#watched-panel").hidden = !watched.length;
  if ($("#watched").dataset.known === known) return;
  $("#watched").dataset.known = known;
  $("#watched").replaceChildren(...watched.map(({ digit, png }, index) => {
    const read = readings[index];
    const words = read === undefined ? t("job.not_read", { digit }) : t("job.read_as", { digit, answer: read });
    return el("li", { className: read === undefined ? "" : read === digit ? "right" : "wrong", title: words },
      el("img", { src: `data:image/png;base64,${png}`, alt: words, width: 56, height: 56 }),
      el("span", { "aria-hidden": "true" }, read === undefined ? "?" : `${read} ${read === digit ? "✓" : "✕"}`));
  }));
  const right = readings.filter((read, index) => read === watched[index]?.digit).length;
  $("#watched-right").textContent = readings.length ? t("job.watched_right", { right, of: watched.length, epoch: number(epochs.at(-1).epoch) }) : t("job.watched_none");
}

function drawCurves() {
  const xs = [...batches.keys()].sort((a, b) => a - b);
  const fine = (y) => percent(y, 2);
  const series = (what, format) => [
    { name: t("job.minibatch"), color: "grey", points: xs.map((x) => [x, batches.get(x)[what]]), format },
    { name: t("job.learnt"), color: "orange", dash: "5 3", dots: true, points: epochs.map((e) => [e.epoch, e[`train_${what}`]]), format },
    { name: t("job.tested"), color: "blue", dots: true, points: epochs.map((e) => [e.epoch, e[`test_${what}`]]), format },
    ...(compared ? [{ name: t("job.tested_other", { name: compared.label }), color: "green", dash: "2 3", dots: true,
      points: compared.epochs.map((e) => [e.epoch, e[`test_${what}`]]), format }] : []),
  ];
  accuracyChart.draw(series("accuracy", fine));
  lossChart.draw(series("loss", (y) => number(y, 4)));
}

function log(event, at) {
  const text = event.type === "state" ? t(`job.${event.state}`)
    : event.type === "progress" ? t("job.progressed", { percent: percent(event.progress) })
      : `${t(`job.${event.type}`)}${event.problem ? `: ${event.problem.message}` : ""}`;
  const body = $("#log tbody");
  const row = el("tr", { className: event.type }, el("td", { className: "mono" }, clock(at * 1000)), el("td", {}, text));
  if (event.type === "progress" && body.firstChild?.className === "progress") body.firstChild.remove();
  body.prepend(row);
}

async function hear(event) {
  log(event, event.at);
  if (event.type === "progress") {
    job = { ...job, progress: event.progress, metrics: event.metrics ?? job.metrics };
    if (job.kind === "training" && event.metrics) showCurves(event.metrics);
    refreshSoon();
  } else {
    await refresh();
  }
}

let timer = null;
function refreshSoon() {
  timer ??= setTimeout(async () => {
    timer = null;
    if (!isFinal()) await refresh();
  }, 500);
}

async function refresh() {
  try {
    job = await call(`/v1/jobs/${id}`);
  } catch (problem) {
    if (problem.status) showProblem($("#problem"), problem);
    return;
  }
  showJob();
  if (isFinal()) {
    stop?.();
    await showOutcome();
  }
}

async function showOutcome() {
  const { result } = job;
  if (job.kind === "upload" && result) {
    showActions(result);
    $("#outlook").textContent = t("job.uploaded_by", { user: job.user });
  }
  if (job.kind === "comparison" && result) showDifferences(result);
  if (!result?.confusion) return;
  if (job.kind === "training") showActions(result);
  if (!result.confusion.flat().some(Boolean)) return; // cancelled before the first test
  let { mistakes } = result;
  if (job.kind === "training") {
    const manifest = await call(`/v1/models/${result.model}/versions/${result.version}`);
    mistakes = manifest.metrics.mistakes;
    ownRecipe = manifest.recipe;
    await offerComparison(result);
  }
  $("#outcome").hidden = false;
  $("#confusion").replaceChildren(confusionTable(result.confusion));
  $("#mistakes").replaceChildren(...mistakeList(mistakes ?? []));
  $("#mistakes-panel").hidden = !mistakes?.length;
}

/** The verdict of a comparison in words, and crops that the versions read differently. */
function showDifferences(result) {
  $("#outlook").textContent = verdict(result);
  $("#outcome").hidden = !result.differences.length;
  $("#confusion-panel").hidden = $("#mistakes-panel").hidden = true;
  $("#differences").replaceChildren(...differenceList(result));
  $("#differences-panel").hidden = !result.differences.length;
}

function showActions({ model, version }) {
  $("#actions").replaceChildren(
    el("a", { className: "button main", href: `/?model=${encodeURIComponent(`${model}@${version}`)}` }, t("job.draw")),
    el("a", { className: "button", href: `/v1/models/${model}/versions/${version}/weights` }, t("job.download")));
}

async function offerComparison({ model, version }) {
  if ($("#other").options.length > 1) return;
  const { models } = await call("/v1/models");
  for (const { name, versions, partial_versions: partial } of models) {
    for (const other of [...versions].reverse()) {
      if (name === "untrained" || (name === model && other === version)) continue;
      const mark = partial.includes(other) ? ` (${t("job.partial")})` : "";
      $("#other").append(new Option(`${name} ${other}${mark}`, `${name}@${other}`));
    }
  }
  $("#comparison").hidden = $("#other").options.length < 2;
}

/** Whether two recipes have comparable losses: the loss depends on the scale of the scores. */
const isLossAlike = (a, b) => a.loss_divisor === b.loss_divisor && a.logit_scale === b.logit_scale;

async function compare() {
  const [model, version] = $("#other").value.split("@");
  $("#compared-with").replaceChildren();
  compared = null;
  if (model) {
    const { metrics, recipe, user, dataset, source } = await call(`/v1/models/${model}/versions/${version}`);
    compared = { label: `${model} ${version}`, epochs: metrics.epochs ?? [] };
    const mine = job.result.accuracy, theirs = metrics.accuracy;
    if (typeof theirs !== "number") {
      $("#compared-with").append(el("p", { className: "note" },
        source === "upload" ? t("job.uploaded_by", { user }) : t("job.untested", { name: compared.label })));
      return showCurves(job.metrics);
    }
    const points = (mine - theirs) * 100;
    $("#compared-with").append(
      el("p", {}, t("job.difference", { mine: percent(mine, 2), theirs: percent(theirs, 2), name: compared.label,
        points: `${points > 0 ? "+" : ""}${number(points, 2).replace("-", "−")}` })),
      job.result.dataset === dataset.name ? ""
        : el("p", { className: "note" }, t("job.other_dataset", { mine: job.result.dataset, theirs: dataset.name })),
      isLossAlike(recipe, ownRecipe) ? "" : el("p", { className: "note" }, t("job.other_loss")),
      el("p", { className: "hint" }, t("job.made_with", { recipe: recipe.name ?? "–", epochs: recipe.epochs ?? "–", user })),
      el("div", { className: "scroll" }, confusionTable(metrics.confusion, compared.label)));
  }
  showCurves(job.metrics);
}

$("#other").addEventListener("change", () => compare().catch((problem) => showProblem($("#problem"), problem)));
$("#cancel").addEventListener("click", async () => {
  $("#cancel").disabled = true;
  try {
    job = await call(`/v1/jobs/${id}/cancel`, { method: "POST" });
    showJob();
  } catch (problem) {
    showProblem($("#problem"), problem);
    $("#cancel").disabled = false;
  }
});

await refresh();
const handlers = Object.fromEntries(["state", "progress", "storage_failed", "chip_failed", "cancel_requested"]
  .map((type) => [type, hear]));
stop = listen(`/v1/jobs/${id}/events`, handlers);
