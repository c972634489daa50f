// The staircase of the chosen model on the page to draw on: one button starts its job, which is followed until it ends.

import { $, call, el, showProblem, sleep, t, user } from "./common.js";
import { isWithoutChip, showStairs } from "./stairs.js";
import { outlook } from "./words.js";

const KEPT = "hxserve-staircase"; // until the tab is closed
const EVERY_MS = 1000;

let run = 0;

async function start(model, version) {
  const { id } = await call("/v1/jobs", { method: "POST", body: { kind: "staircase", model, params: { version } } });
  sessionStorage.setItem(KEPT, JSON.stringify({ user, id }));
}

/** Shows the job of this tab until it has ended. */
async function follow() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null"), mine = (run += 1);
  if (kept?.user !== user) return;
  for (let isOver = false; !isOver && mine === run;) {
    const job = await call(`/v1/jobs/${kept.id}`);
    isOver = !["queued", "running"].includes(job.state);
    show(job, isOver);
    if (!isOver) await sleep(EVERY_MS);
  }
}

function show(job, isOver) {
  const version = `${job.model}@${job.params.version}`;
  $("#staircase-of").replaceChildren(t(isWithoutChip(job) ? "twice.stairs_mock" : "twice.stairs_of", { version }), " ",
    el("a", { href: `/jobs/${job.id}` }, isOver ? t(`job.${job.state}`) : outlook(job) || t(`job.${job.state}`)));
  showStairs($("#stairs"), job);
  showProblem($("#staircase-problem"), job.error);
}

async function attempt(action) {
  try {
    showProblem($("#staircase-problem"), null);
    await action();
  } catch (problem) {
    if (problem.status === 404 && action === follow) sessionStorage.removeItem(KEPT); // it was kept for its time
    else showProblem($("#staircase-problem"), problem);
  }
}

$("#start-staircase").addEventListener("click", async ({ target }) => {
  target.disabled = true;
  await attempt(() => start(...$("#model").value.split("@")));
  target.disabled = false;
  attempt(follow);
});
attempt(follow);
