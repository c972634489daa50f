// The list of jobs, kept up to date.

import { $, call, el, percent, showProblem, t } from "./common.js";
import { listen } from "./stream.js";
import { ago, date, duration, outlook, progressBar, stateBadge } from "./words.js";

const PAGE = 25;
let limit = PAGE;
let changes = null;
let isBusy = false, isStale = false;

function row(job) {
  const name = job.model || job.params.program;
  const label = [t(`job.${job.kind}`), name].filter(Boolean).join(" ");
  const cell = (name, ...content) => el("td", { "data-label": t(`jobs.${name}`) }, ...content);
  const progress = job.state === "running"
    ? el("span", { className: "withbar" }, progressBar(job.progress, label), percent(job.progress)) : "";
  return el("tr", {},
    cell("state", stateBadge(job.state)),
    cell("kind", el("a", { href: `/jobs/${job.id}` }, t(`job.${job.kind}`))),
    cell("model", name || "–"), cell("user", job.user), cell("progress", progress),
    cell("outlook", outlook(job) || "–"), cell("chip_time", duration(job.chip_time_s)),
    cell("created", el("time", { dateTime: job.created_at, title: date(job.created_at) }, ago(job.created_at))));
}

/** Lists the jobs again; calls during a request are combined into one more request. */
async function refresh() {
  if (isBusy) {
    isStale = true;
    return;
  }
  isBusy = true;
  try {
    do {
      isStale = false;
      const query = new URLSearchParams([...new FormData($("#filters"))].filter(([, value]) => value));
      query.set("limit", limit);
      const { jobs, next_cursor: next } = await call(`/v1/jobs?${query}`);
      const focused = document.activeElement?.getAttribute("href");
      $("#jobs tbody").replaceChildren(...jobs.map(row));
      if (focused) $(`#jobs a[href="${focused}"]`)?.focus();
      $("#none").hidden = jobs.length > 0;
      $("#jobs").hidden = !jobs.length;
      $("#more").hidden = !next || limit >= 200;
      showProblem($("#problem"), null);
    } while (isStale);
  } catch (problem) {
    showProblem($("#problem"), problem);
  } finally {
    isBusy = false;
  }
}

$("#filters").addEventListener("change", refresh);
$("#filters").addEventListener("submit", (event) => event.preventDefault());
$("#more").addEventListener("click", () => {
  limit = Math.min(200, limit + PAGE);
  refresh();
});
refresh();
listen("/v1/pulse", {
  pulse(state) {
    if (state.changes !== changes) refresh();
    changes = state.changes;
  },
});
