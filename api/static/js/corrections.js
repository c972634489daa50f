// The page of corrections: accuracy in production, the open corrections, and closing them into a data set.

import { $, call, el, number, percent, showProblem, t } from "./common.js";
import { ago, date } from "./words.js";

const PAGE = 50;
let limit = PAGE;

const cell = (name, ...content) => el("td", { "data-label": t(`corrections.${name}`) }, ...content);

function versionRow({ model, version, right, wrong, not_a_digit: none, accuracy, interval }) {
  const between = interval && t("corrections.between", { low: percent(interval[0], 1), high: percent(interval[1], 1) });
  return el("tr", {},
    cell("version", `${model}@${version}`), cell("right", number(right)), cell("wrong", number(wrong)),
    cell("not_a_digit", number(none)), cell("accuracy", accuracy === null ? "–" : percent(accuracy, 1)),
    cell("interval", between ?? "–"));
}

const said = (digit) => (digit === null ? t("corrections.none") : String(digit));

function correctionRow(correction) {
  const { id, png, digit, read, confidence, model, version, source, at } = correction;
  const crop = el("img", { className: "crop", src: `data:image/png;base64,${png}`, alt: t("corrections.crop") });
  const remove = el("button", { type: "button", className: "quiet", "aria-label": t("corrections.delete", { digit: said(digit) }) },
    t("corrections.remove"));
  remove.addEventListener("click", () => attempt(async () => {
    await call(`/v1/corrections/${id}`, { method: "DELETE" });
    await refresh();
    $("#said").textContent = t("corrections.removed");
  }));
  return el("tr", {},
    cell("crop", crop), cell("digit", said(digit)),
    cell("read", read === null ? "–" : `${read} (${percent(confidence)})`),
    cell("by", model ? `${model}@${version}` : t(`corrections.${source}`)),
    cell("at", el("time", { dateTime: at, title: date(at) }, ago(at))), cell("action", remove));
}

async function refresh() {
  const [{ versions }, { corrections, next_cursor: next }] = await Promise.all([
    call("/v1/accuracy"), call(`/v1/corrections?limit=${limit}`)]);
  $("#versions tbody").replaceChildren(...versions.map(versionRow));
  $("#open tbody").replaceChildren(...corrections.map(correctionRow));
  for (const [table, hint, rows] of [["#versions", "#no-versions", versions], ["#open", "#no-open", corrections]]) {
    $(table).hidden = !rows.length;
    $(hint).hidden = rows.length > 0;
  }
  $("#close").hidden = !corrections.length;
  $("#more").hidden = !next || limit >= 200;
}

/** Runs an action that may fail, and shows its problem. */
async function attempt(action) {
  try {
    await action();
    showProblem($("#problem"), null);
  } catch (problem) {
    showProblem($("#problem"), problem);
  }
}

$("#close").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const body = { dataset: $("#dataset").value };
    const { dataset, version, closed, remarks } = await call("/v1/corrections/close", { method: "POST", body });
    await refresh();
    $("#said").textContent = [t("corrections.closed", { n: number(closed), dataset, version }), ...remarks].join(" ");
  });
});
$("#more").addEventListener("click", () => {
  limit = Math.min(200, limit + PAGE);
  attempt(refresh);
});
attempt(refresh);
