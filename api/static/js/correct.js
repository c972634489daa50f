// Corrections on the drawing page: keeps a reading and its right digit, once the reader allows it.

import { $, Problem, call, showProblem, t } from "./common.js";

const KEPT = "hxserve-may-keep";

let reading = null;

/** Offers to correct a reading, or none. */
export function offerCorrection(newest) {
  reading = newest;
  $("#corrected").textContent = "";
  allow();
}

function allow() {
  $("#correction").disabled = !reading || !$("#may-keep").checked;
}

/** Reads the crop once more, to be kept, and returns the answer's id. */
async function keep({ model, version, centre, crop }) {
  const answer = await call(`/v1/models/${model}/versions/${version}/classify?${centre}&keep=true`, crop);
  if (!answer.predictions) throw new Problem(t("correct.late"));
  return answer.id;
}

/** Says what a reading should have been; the last word counts. */
async function correct(reading, digit) {
  reading.kept ??= keep(reading).catch((problem) => {
    reading.kept = undefined;
    throw problem;
  });
  await call("/v1/corrections", { method: "POST", body: { answer: await reading.kept, index: 0, digit } });
  $("#corrected").textContent = digit === null ? t("correct.thanks_none") : t("correct.thanks", { digit });
}

$("#may-keep").checked = sessionStorage.getItem(KEPT) === "yes";
$("#may-keep").addEventListener("change", ({ target }) => {
  sessionStorage.setItem(KEPT, target.checked ? "yes" : "no");
  allow();
});
$("#correction").addEventListener("click", async ({ target }) => {
  if (!reading || target.type !== "button") return;
  const right = target.dataset.right;
  const digit = right === undefined ? reading.digit : right === "none" ? null : Number(right);
  try {
    await correct(reading, digit);
    showProblem($("#problem"), null);
  } catch (problem) {
    showProblem($("#problem"), problem);
  }
});
