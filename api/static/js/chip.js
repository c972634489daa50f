// The page of the chips: their state, their queue and their use.

import { $, call, el, isAdmin, number, showProblem, t } from "./common.js";
import { showDepth } from "./depth.js";
import { showHealth } from "./health.js";
import { listen } from "./stream.js";
import { KINDS, refreshUtilisation, showUtilisation } from "./utilisation.js";
import { ago, duration } from "./words.js";

const SIGNS = { ready: "✓", drifted: "≈", lost: "✕", starting: "◷", absent: "✕" };
const USE_EVERY_MS = 15_000;

let chips = [], running = [], drawn = "", jobWait = null, changes = null;

const given = (value) => value !== null && value !== undefined;

function factsOf(chip) {
  const { calibration, canary } = chip;
  const work = running.filter(({ provenance }) => provenance?.chip === chip.id).map(({ id, kind, model, user }) =>
    el("a", { href: `/jobs/${id}` }, [t(`job.${kind}`), model].filter(Boolean).join(" "), ` (${user})`));
  return {
    works_on: work.length ? el("span", { className: "works" }, ...work) : null,
    backend: chip.backend,
    identifier: chip.identifier,
    holder: chip.holder?.host,
    since: chip.since && ago(chip.since),
    calibration: calibration ? t("chip.calibrated", { age: duration(calibration.age_s) }) : t("chip.uncalibrated"),
    canary_now: canary ? t("chip.canary_value", { score: number(canary.score_lsb, 2), limit: number(canary.limit_lsb, 2) }) : null,
    temperature: given(chip.temperature_c) ? `${number(chip.temperature_c, 1)} °C` : null,
    gain: chip.gain && number(chip.gain, 5),
    noise: given(chip.noise_std) ? `${number(chip.noise_std, 2)} LSB` : null,
  };
}

function chipCard(chip) {
  const button = isAdmin && chip.backend === "emulator"
    ? el("button", { type: "button", "aria-label": t("chip.calibrate_this", { chip: chip.id }),
      onclick: (event) => calibrate(chip.id, event.target) }, t("chip.calibrate")) : null;
  return el("section", { className: "panel chip", "aria-label": chip.id },
    el("div", { className: "row spread" },
      el("h2", {}, `${chip.id} `, el("span", { className: `state ${chip.state}` },
        el("span", { "aria-hidden": "true" }, `${SIGNS[chip.state]} `), t(`chip.${chip.state}`))), button),
    chip.maintenance ? el("p", { className: "banner note" }, t("chip.maintenance", { message: chip.maintenance.message ?? "" })) : null,
    el("dl", { className: "figures" }, ...Object.entries(factsOf(chip)).filter(([, value]) => value).map(([name, value]) =>
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

function showCards() {
  const focused = ["BUTTON", "A"].includes(document.activeElement?.tagName) && $("#chips").contains(document.activeElement);
  if (focused) return;
  $("#chips").replaceChildren(...(chips.length ? chips.map(chipCard) : [el("p", { className: "panel" }, t("chip.none"))]));
}

function showQueue({ crops, operations, jobs }) {
  const facts = {
    crops_waiting: number(crops.waiting), crops_wait: duration(crops.expected_wait_s),
    ...(operations.sessions ? { programs_open: number(operations.sessions),
      operations_waiting: number(operations.waiting) } : {}),
    jobs_running: number(jobs.running), jobs_queued: number(jobs.queued), jobs_wait: duration(jobWait),
  };
  $("#queue").replaceChildren(...Object.entries(facts).map(([name, value]) =>
    el("div", {}, el("dt", {}, t(`chip.${name}`)), el("dd", {}, value))));
}

/** The chips in the charts: all of them, or the chosen one. */
function offerChips() {
  const select = $("#which");
  const ids = chips.map(({ id }) => id);
  const offered = [...select.options].slice(1).map(({ value }) => value);
  if (ids.join() !== offered.join()) {
    const { value } = select;
    select.replaceChildren(select.options[0], ...ids.map((id) => new Option(id, id)));
    select.value = ids.includes(value) ? value : "";
  }
  const areSeveral = ids.length > 1;
  $("#chooser").hidden = !areSeveral;
  $("#by-chip").hidden = !areSeveral || Boolean(select.value);
  if ($("#by-chip").hidden && $("#by input:checked").value === "chip") $("#by input").checked = true;
  return chips.filter(({ id }) => !select.value || id === select.value);
}

async function showCharts() {
  const shown = offerChips();
  const ids = shown.map(({ id }) => id);
  const serving = shown.filter(({ state }) => ["ready", "drifted"].includes(state)).map(({ id }) => id);
  const anew = `${ids};${serving}` !== drawn;
  drawn = `${ids};${serving}`;
  if (anew) showUtilisation(ids, serving);
  await showHealth(shown, anew);
}

async function showUse() {
  jobWait = (await call("/v1/queue")).jobs.expected_wait_s;
  await refreshUtilisation();
  await showDepth();
  showUsage(await call("/v1/usage"));
}

function showUsage({ users, all }) {
  const kinds = Object.keys(KINDS);
  const row = (name, used) => el("tr", {}, el("th", { scope: "row" }, name),
    ...kinds.map((kind) => el("td", {}, used.chip_time_s[kind] ? duration(used.chip_time_s[kind]) : "–")),
    el("td", {}, duration(used.total_s)));
  $("#usage").replaceChildren(el("caption", { className: "unseen" }, t("chip.usage")),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("chip.user")),
      ...kinds.map((kind) => el("th", { scope: "col" }, t(`job.${kind}`))), el("th", { scope: "col" }, t("chip.total")))),
    el("tbody", {}, ...[...users].sort((a, b) => b.total_s - a.total_s).map((used) => row(used.user, used))),
    el("tfoot", {}, row(t("chip.together"), all)));
}

async function showRunning() {
  running = (await call("/v1/jobs?state=running&limit=20")).jobs;
  showCards();
}

const attempt = (action) => action().catch((problem) => problem.status && showProblem($("#problem"), problem));

$("#which").addEventListener("change", ({ target }) => {
  history.replaceState(null, "", target.value ? `#${encodeURIComponent(target.value)}` : location.pathname);
  attempt(showCharts);
});
const named = decodeURIComponent(location.hash.slice(1));
if ([...$("#which").options].some(({ value }) => value === named)) $("#which").value = named;
attempt(showUse);
setInterval(() => attempt(showUse), USE_EVERY_MS);
listen("/v1/pulse", {
  pulse(state) {
    showProblem($("#problem"), null);
    chips = state.chips;
    showCards();
    showQueue(state.queue);
    attempt(showCharts);
    if (state.changes !== changes) attempt(showRunning);
    changes = state.changes;
  },
  unavailable: (problem) => showProblem($("#problem"), problem),
});
