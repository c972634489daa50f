// The page of data sets: uploading, looking at samples and counts, sharing, deleting.

import { $, Problem, call, el, isAdmin, number, showProblem, t, user } from "./common.js";
import { droppedFiles, sendFiles, waitFor } from "./dataset_upload.js";
import { ago, date } from "./words.js";

const SHEET = { width: 602, height: 302 };
const DIGITS = [...Array(10).keys()];

const form = $("#upload");
let chosen = []; // {name, file}

const sum = (counts) => counts.reduce((total, count) => total + count, 0);
const megabytes = (bytes) => t("datasets.megabytes", { n: number(bytes / 1e6, bytes < 1e7 ? 1 : 0) });
const made = (at) => el("time", { dateTime: new Date(at * 1000).toISOString(), title: date(at * 1000) }, ago(at * 1000));
/** A name as it is shown: one's own without oneself. */
const short = (name) => (name.startsWith(`${user}~`) ? name.slice(user.length + 1) : name);
const path = (name, version) => `/v1/datasets/${encodeURIComponent(name)}${version ? `/versions/${version}` : ""}`;

/** Runs an action that may fail, and shows its problem above the list. */
async function attempt(action) {
  try {
    await action();
    showProblem($("#problem"), null);
  } catch (problem) {
    showProblem($("#problem"), problem);
    $("#problem").scrollIntoView({ block: "nearest" });
  }
}

function button(text, action, properties = {}) {
  const created = el("button", { type: "button", ...properties }, text);
  created.addEventListener("click", () => attempt(action));
  return created;
}

const sheet = (name, version, part) => el("img", { ...SHEET, className: "sheet", loading: "lazy",
  src: `${path(name, version)}/sheet?part=${part}`, alt: t(`datasets.sheet_${part}`, { name: short(name) }) });

function countsTable({ counts }) {
  const row = (part) => el("tr", {}, el("th", { scope: "row" }, t(`datasets.${part}`)),
    ...[...counts[part], sum(counts[part])].map((count) => el("td", {}, number(count))));
  const head = [t("datasets.digit"), ...DIGITS, t("datasets.all")].map((text) => el("th", { scope: "col" }, String(text)));
  return el("div", { className: "scroll", tabIndex: 0, role: "group", "aria-label": t("datasets.counts") },
    el("table", { className: "counts" }, el("thead", {}, el("tr", {}, ...head)),
      el("tbody", {}, row("train"), row("test"))));
}

function origin({ counts, user: author, created_at: at, source }) {
  return el("p", { className: "hint" }, t("datasets.facts", { train: number(sum(counts.train)), test: number(sum(counts.test)),
    user: author, source: t(`datasets.from_${source}`) }), " · ", made(at));
}

/** What one version has, in full. */
const contents = (name, manifest) => [
  origin(manifest),
  sheet(name, manifest.version, "train"),
  countsTable(manifest),
  manifest.remarks.length ? el("ul", { className: "remarks" }, ...manifest.remarks.map((remark) => el("li", { lang: "en" }, remark))) : null,
  fold(t("datasets.more_of", { version: manifest.version }), () => [
    sheet(name, manifest.version, "test"),
    el("ul", { className: "remarks" }, ...manifest.files.map((file) => el("li", {}, `${file.name} (${megabytes(file.bytes)})`))),
    el("p", { className: "hint mono" }, `sha256 ${manifest.sha256}`)]),
];

/** A part that is made when it is opened. */
function fold(summary, make) {
  const details = el("details", {}, el("summary", {}, summary));
  details.addEventListener("toggle", () => attempt(async () => {
    if (details.open && details.childElementCount === 1) details.append(...(await make()).filter(Boolean));
  }));
  return details;
}

const trainLink = (name, version) => el("a", { className: "button", href: `/train?dataset=${encodeURIComponent(`${name}@${version}`)}` },
  t("datasets.train_on"));
const downloadLink = (name, version) => el("a", { className: "button", href: `${path(name, version)}/crops`, download: "" },
  t("datasets.download"));

async function olderVersions(name, mayChange) {
  const { versions } = await call(path(name));
  return versions.slice(0, -1).reverse().map((manifest) => el("section", { className: "older" },
    el("h4", {}, t("datasets.version", { version: manifest.version })),
    ...(manifest.problem ? [el("p", { className: "problem" }, manifest.problem.message)] : contents(name, manifest)),
    el("div", { className: "row" }, ...(manifest.problem ? [] : [trainLink(name, manifest.version), downloadLink(name, manifest.version)]),
      mayChange ? deletion(name, manifest.version) : null)));
}

const deletion = (name, version) => button(t(version ? "datasets.delete_version" : "datasets.delete"), () => remove(name, version),
  { className: "danger", "aria-label": t(version ? "datasets.delete_version_of" : "datasets.delete_all_of", { name: short(name), version }) });

function card({ name, owner, versions, shared, newest }) {
  const version = versions.at(-1);
  const mayChange = isAdmin || owner === user;
  const audience = owner === null ? "of_service" : shared ? "shared" : "private";
  return el("article", { className: "panel dataset", "aria-label": short(name) },
    el("div", { className: "row spread" }, el("h3", {}, `${short(name)} `, el("span", { className: "hint" }, t("datasets.version", { version }))),
      el("span", { className: "hint" }, t(`datasets.${audience}`, { owner }))),
    ...(newest ? contents(name, newest) : [el("p", { className: "problem" }, t("datasets.damaged"))]),
    el("div", { className: "row actions" },
      newest ? trainLink(name, version) : null, newest ? downloadLink(name, version) : null,
      mayChange && owner !== null ? button(t(shared ? "datasets.unshare" : "datasets.share"), () => share(name, !shared)) : null,
      mayChange ? deletion(name) : null),
    versions.length > 1 ? fold(t("datasets.older", { n: versions.length - 1 }), () => olderVersions(name, mayChange)) : null);
}

async function refresh() {
  const { datasets } = await call("/v1/datasets");
  datasets.sort((a, b) => (b.newest?.created_at ?? 0) - (a.newest?.created_at ?? 0));
  $("#datasets").replaceChildren(...datasets.map(card));
  $("#none").hidden = datasets.length > 0;
}

async function share(name, shared) {
  await call(`${path(name)}/share`, { method: shared ? "PUT" : "DELETE" });
  await refresh();
  say(t(shared ? "datasets.now_shared" : "datasets.now_private", { name: short(name) }));
}

async function remove(name, version) {
  const dialog = $("#confirm");
  $("#question").textContent = t(version ? "datasets.ask_version" : "datasets.ask_all", { name: short(name), version });
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "delete") return;
  await call(path(name, version), { method: "DELETE" });
  await refresh();
  say(t("datasets.deleted", { name: short(version ? `${name}@${version}` : name) }));
  $("#list").focus(); // the button is gone
}

const say = (text) => ($("#said").textContent = text);

function choose(files) {
  chosen = files;
  const total = files.reduce((bytes, { file }) => bytes + file.size, 0);
  $("#chosen").textContent = files.length
    ? t(files.length > 1 ? "datasets.chosen_many" : "datasets.chosen_one", { n: number(files.length), name: files[0].name, size: megabytes(total) })
    : t("datasets.nothing_chosen");
}

for (const input of [$("#files"), $("#folder")]) {
  input.addEventListener("change", () => choose([...input.files].map((file) => ({ name: file.webkitRelativePath || file.name, file }))));
}
const zone = $("#drop");
for (const type of ["dragenter", "dragover"]) {
  zone.addEventListener(type, (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
}
zone.addEventListener("dragleave", () => zone.classList.remove("over"));
zone.addEventListener("drop", async (event) => {
  event.preventDefault();
  zone.classList.remove("over");
  choose(await droppedFiles(event.dataTransfer));
});

function showProgress(part, text) {
  $("#progress").hidden = part === null;
  $("#progress progress").value = part ?? 0;
  $("#progress p").textContent = text;
}

async function send() {
  if (!chosen.length) throw new Problem(t("datasets.choose_first"));
  const options = { test_fraction: Number($("#test_fraction").value) / 100, centre: $("#centre").checked };
  const sent = await sendFiles($("#name").value, chosen, options, (done, total) =>
    showProgress(total ? done / total : 0, t("datasets.sending", { done: megabytes(done), total: megabytes(total) })));
  const job = await waitFor(sent, ({ progress }) => showProgress(progress, t("datasets.importing")));
  if (job.state !== "succeeded") {
    throw new Problem(job.error?.message ?? t(`job.${job.state}`), { status: 422, code: job.error?.code });
  }
  const { dataset, version, counts } = job.result;
  say(t("datasets.added", { name: short(`${dataset}@${version}`), train: number(sum(counts.train)), test: number(sum(counts.test)) }));
  form.reset();
  choose([]);
  await refresh();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const start = $("#start");
  start.disabled = true;
  say("");
  try {
    await send();
    showProblem($("#upload-problem"), null);
  } catch (problem) {
    showProblem($("#upload-problem"), problem);
  }
  showProgress(null, "");
  start.disabled = false;
});

choose([]);
attempt(refresh);
