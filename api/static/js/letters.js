// The running letter centres: the rates and the newest letters of each.

import { $, el, number, percent, showProblem, t } from "./common.js";
import { showOrders } from "./order.js";
import { listen } from "./stream.js";

const cards = new Map(); // by letter: its card, while it is on a belt
const shown = new Map(); // by user: the elements of their centre

/** Translates the known phrases of a centre, which are in English; several are separated by semicolons. */
function phrase(words) {
  if (words.includes("; ")) return words.split("; ").map(phrase).join("; ");
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

/** Creates the elements of a user's centre. */
function newCentre(user) {
  const parts = { title: el("h2"), bar: el("progress", { "aria-label": t("letters.done") }),
    figures: el("dl", { className: "figures" }), belt: el("ol", { className: "belt" }), rejects: el("div") };
  parts.section = el("section", { className: "panel centre", "aria-label": user },
    parts.title, parts.bar, parts.figures, el("h3", {}, t("letters.belt")), parts.belt, parts.rejects);
  return parts;
}

function showCentre(parts, { user, title, done, letters, machines, routed, wrong, rejects, letters_per_h: speed, belt }) {
  const facts = {
    done: t("letters.done_value", { done: number(done), letters: number(letters) }),
    machines: number(machines), speed: number(speed),
    read_rate: done ? percent(routed / done, 1) : "–",
    error_rate: routed ? percent(wrong / routed, 2) : "–",
    reject_rate: done ? percent(1 - routed / done, 1) : "–",
  };
  const words = t("letters.of_user", { user, title: phrase(title) });
  if (parts.title.textContent !== words) parts.title.textContent = words;
  Object.assign(parts.bar, { max: letters || 1, value: done });
  parts.figures.replaceChildren(...Object.entries(facts).map(([name, value]) =>
    el("div", {}, el("dt", {}, t(`letters.${name}`)), el("dd", {}, value))));
  moveBelt(parts.belt, belt);
  const reasons = Object.entries(rejects).sort((a, b) => b[1] - a[1]);
  parts.rejects.replaceChildren(...(reasons.length ? [rejectTable(reasons)] : []));
}

/** Puts the newest letters first; cards that stay are moved, not created again. */
function moveBelt(belt, ids) {
  const wanted = ids.map((id) => cards.get(id)).filter(Boolean).reverse();
  for (const gone of [...belt.children].filter((item) => !wanted.includes(item))) gone.remove();
  wanted.forEach((item, place) => {
    if (belt.children[place] !== item) belt.insertBefore(item, belt.children[place] ?? null);
  });
}

function rejectTable(reasons) {
  return el("table", { className: "reasons" }, el("caption", {}, t("letters.rejects")),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("letters.reason")), el("th", { scope: "col" }, t("letters.count")))),
    el("tbody", {}, ...reasons.map(([reason, count]) => el("tr", {}, el("td", {}, phrase(reason)), el("td", {}, number(count))))));
}

function show({ centres, letters, orders }) {
  showProblem($("#problem"), null);
  if (orders) showOrders(orders);
  for (const [id, letter] of Object.entries(letters)) cards.set(id, card(letter));
  const onBelts = new Set(centres.flatMap(({ belt }) => belt));
  for (const id of [...cards.keys()].filter((known) => !onBelts.has(known))) cards.delete(id);
  const isGone = ([known]) => !centres.some(({ user: one }) => one === known);
  for (const [user, { section, bar }] of [...shown].filter(isGone)) {
    if (bar.value === bar.max) continue; // finished: its result stays to be read
    section.remove();
    shown.delete(user);
  }
  for (const centre of centres) {
    if (!shown.has(centre.user)) {
      shown.set(centre.user, newCentre(centre.user));
      $("#centres").append(shown.get(centre.user).section);
    }
    showCentre(shown.get(centre.user), centre);
  }
  $("#none").hidden = shown.size > 0 || Boolean(orders?.ready);
}

listen("/v1/letters/events", { letters: show, unavailable: (problem) => showProblem($("#problem"), problem) });
