// A class, as its teacher sees it, kept up to date.

import { $, call, el, showProblem, sleep, t } from "./common.js";
import { at, stateOf } from "./class_words.js";
import { ago, date, duration, stateBadge } from "./words.js";

const EVERY_MS = 2000;
const { code, most } = $("#class").dataset;
const path = `/v1/classes/${code}`;

let shown = "";

function button(name, nickname, action) {
  const made = el("button", { type: "button", className: "quiet", "aria-label": t(`class.${name}_of`, { nickname }) }, t(`class.${name}`));
  made.addEventListener("click", () => attempt(action));
  return made;
}

const list = (items) => (items.length ? el("ul", {}, ...items.map((each) => el("li", {}, ...each))) : "");

function row({ seat, nickname, joined_at: joined, chip_s: chip, unfinished, jobs, models }, isOver) {
  const cell = (name, ...content) => el("td", { "data-label": t(`class.${name}`) }, ...content);
  const actions = isOver ? [] : [
    button("let_back", nickname, async () => {
      const { code: entry, link } = await call(`${path}/seats/${seat}/return`, { method: "POST" });
      const inGroups = `${entry.slice(0, 3)} ${entry.slice(3)}`;
      showNote("#return", t("class.return_code", { nickname, link, code: inGroups }));
    }),
    button("rename", nickname, async () => {
      const wanted = prompt(t("class.rename_to", { nickname }), nickname);
      if (wanted) await call(`${path}/seats/${seat}`, { method: "PATCH", body: { nickname: wanted.slice(0, Number(most)) } });
    }),
  ];
  actions.push(button("remove", nickname, async () => {
    if (confirm(t("class.remove_sure", { nickname }))) await call(`${path}/seats/${seat}`, { method: "DELETE" });
  }));
  return el("tr", { className: unfinished ? "busy" : "", "data-seat": seat },
    cell("nickname", nickname),
    cell("joined", el("time", { dateTime: joined, title: date(joined) }, ago(joined))),
    cell("chip_time", duration(chip)),
    cell("jobs", list(jobs.map(({ id, kind, state }) => [el("a", { href: `/jobs/${id}` }, t(`job.${kind}`)), " ", stateBadge(state)]))),
    cell("models", list(models.map(({ name, versions }) => {
      const model = `${name.split("~")[1]} ${versions.at(-1)}`;
      const href = `/?model=${encodeURIComponent(`${name}@${versions.at(-1)}`)}`;
      return [el("a", { href, "aria-label": t("class.draw_with", { model }) }, model)];
    }))),
    cell("actions", el("div", { className: "row" }, ...actions)));
}

function showNote(place, words) {
  $(place).hidden = !words;
  $(place).textContent = words;
}

function show(found) {
  const isOver = found.state === "ended" || found.state === "deleting";
  $("#title").textContent = found.title;
  $("#state").replaceChildren(stateOf(found), isOver ? "" : ` · ${t("class.ends", { time: at(found.until) })}`);
  $("#taken").textContent = t("class.taken", found);
  $("#screen").hidden = isOver;
  $("#pause").hidden = found.state !== "open";
  $("#resume").hidden = found.state !== "paused";
  $("#end").hidden = isOver;
  $("#delete").hidden = found.state === "deleting";
  showNote("#note", found.state === "paused" ? t("class.paused_note")
    : found.state === "ended" ? t("class.deleted_at", { time: at(found.deleted_at) }) : "");
  const text = JSON.stringify([found.pupils, isOver]);
  if (text === shown) return; // so that a button keeps the focus
  shown = text;
  const focused = document.activeElement?.getAttribute("aria-label");
  $("#pupils tbody").replaceChildren(...found.pupils.map((pupil) => row(pupil, isOver)));
  if (focused) $(`#pupils [aria-label="${CSS.escape(focused)}"]`)?.focus();
  $("#pupils").hidden = !found.pupils.length;
  $("#nobody").hidden = found.pupils.length > 0;
}

let isGone = false;

async function refresh() {
  try {
    show(await call(path));
    showProblem($("#problem"), null);
  } catch (problem) {
    if (problem.code !== "class_not_found") throw problem;
    isGone = true;
    for (const each of document.querySelectorAll("#class .actions, #class .panel, #return")) each.hidden = true;
    showNote("#note", t("class.was_deleted"));
  }
}

/** Runs an action that may fail, and shows the class after it, or its problem. */
async function attempt(action) {
  try {
    await action();
    await refresh();
  } catch (problem) {
    showProblem($("#problem"), problem);
  }
}

const change = (body) => attempt(() => call(path, { method: "PATCH", body }));
$("#pause").addEventListener("click", () => change({ paused: true }));
$("#resume").addEventListener("click", () => change({ paused: false }));
$("#end").addEventListener("click", () => attempt(async () => {
  if (confirm(t("class.end_sure"))) await call(`${path}/end`, { method: "POST" });
}));
$("#delete").addEventListener("click", () => attempt(async () => {
  if (confirm(t("class.delete_sure"))) await call(path, { method: "DELETE" });
}));

while (!isGone) {
  if (!document.hidden) {
    try {
      await refresh();
    } catch (problem) {
      showProblem($("#problem"), problem);
    }
  }
  await sleep(EVERY_MS);
}
