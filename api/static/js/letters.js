// The running letter centres: a belt with the newest letters, and the rates.

import { $, call, el, number, percent, showProblem, t } from "./common.js";

const EVERY_MS = 1000;

/** What a centre says of itself in English, in the reader's language where it is one of the usual phrases. */
function phrase(words) {
  const name = `letters.said_${words.replaceAll(" ", "_")}`;
  return t(name) === name ? words : t(name);
}

function card(letter) {
  const { number: n, written, read, confidence, outcome, reason, town, envelope, crops } = letter;
  const fate = { routed: "succeeded", wrong: "failed", rejected: "queued" }[outcome];
  const sign = { routed: "✓", wrong: "✕", rejected: "↷" }[outcome];
  return el("li", { className: `letter ${outcome}` },
    el("img", { className: "envelope", src: `data:image/jpeg;base64,${envelope}`, alt: t("letters.envelope", { number: n, written }) }),
    el("div", { className: "crops", role: "group", "aria-label": t("letters.crops") },
      ...crops.map((crop) => el("img", { src: `data:image/png;base64,${crop}`, alt: "", width: 34, height: 34 }))),
    el("span", { className: "hint" }, t("letters.written", { written })),
    el("span", {}, read ? t("letters.read", { read, percent: percent(confidence) }) : t("letters.unread")),
    el("span", { className: `state ${fate}` }, el("span", { "aria-hidden": "true" }, `${sign} `),
      t(`letters.${outcome}`, { town, reason: phrase(reason ?? "") })));
}

function centre(status) {
  const { user, title, done, letters, machines, routed, wrong, rejects, letters_per_h: speed, recent } = status;
  const facts = {
    done: t("letters.done_value", { done: number(done), letters: number(letters) }),
    machines: number(machines), speed: number(speed),
    read_rate: done ? percent(routed / done, 1) : "–",
    error_rate: routed ? percent(wrong / routed, 2) : "–",
    reject_rate: done ? percent(1 - routed / done, 1) : "–",
  };
  const reasons = Object.entries(rejects).sort((a, b) => b[1] - a[1]);
  return el("section", { className: "panel centre", "aria-label": user },
    el("h2", {}, t("letters.of_user", { user, title: phrase(title) })),
    el("progress", { max: letters || 1, value: done, "aria-label": t("letters.done") }),
    el("dl", { className: "figures" }, ...Object.entries(facts).map(([name, value]) =>
      el("div", {}, el("dt", {}, t(`letters.${name}`)), el("dd", {}, value)))),
    el("h3", {}, t("letters.belt")),
    el("ol", { className: "belt" }, ...[...recent].reverse().map(card)),
    reasons.length ? el("table", { className: "reasons" }, el("caption", {}, t("letters.rejects")),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("letters.reason")), el("th", { scope: "col" }, t("letters.count")))),
      el("tbody", {}, ...reasons.map(([reason, count]) => el("tr", {}, el("td", {}, phrase(reason)), el("td", {}, number(count)))))) : null);
}

async function refresh() {
  try {
    const { centres } = await call("/v1/letters");
    $("#none").hidden = centres.length > 0;
    $("#centres").replaceChildren(...centres.map(centre));
    showProblem($("#problem"), null);
  } catch (problem) {
    if (problem.status) showProblem($("#problem"), problem);
  }
  setTimeout(refresh, EVERY_MS);
}

refresh();
