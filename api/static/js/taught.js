// What a lesson has brought: right readings before and after, by digit, and the pictures that were read wrong.

import { SIDE, decode, paint } from "./canvas.js";
import { el, percent, t } from "./common.js";
import { heldBack } from "./lesson.js";

/** The readings of the held-back digits: picture, digit, reading before, reading after. */
const readings = (lesson) =>
  heldBack(lesson).map(({ digit, pixels }, i) => ({ digit, pixels, before: lesson.before[i], after: lesson.after?.[i] }));

const right = (rows, when) => rows.filter((row) => row[when] === row.digit).length;

/** "Before: 6 of 10", as far as it is known. */
export const countOf = (lesson, when) =>
  t(`teach.${when}`, { right: right(readings(lesson), when), of: heldBack(lesson).length });

/** One sentence about what has changed. */
export function verdict(lesson) {
  const rows = readings(lesson), before = right(rows, "before"), after = right(rows, "after");
  if (after === rows.length) return t("teach.all_right");
  return t(after > before ? "teach.better" : after === before ? "teach.same" : "teach.worse");
}

/** Before and after of each digit. */
export function digitTable(lesson) {
  const rows = readings(lesson);
  const cells = Array.from({ length: 10 }, (_, digit) => {
    const own = rows.filter((row) => row.digit === digit);
    return el("tr", {}, el("th", { scope: "row" }, String(digit)),
      ...["before", "after"].map((when) => {
        const count = right(own, when);
        return el("td", { className: count === own.length ? "good" : "bad" }, t("teach.of", { right: count, of: own.length }));
      }));
  });
  const head = ["digit", "before_column", "after_column"].map((name) => el("th", { scope: "col" }, t(`teach.${name}`)));
  return el("table", { className: "taught" }, el("caption", { className: "unseen" }, t("teach.by_digit")),
    el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...cells));
}

/** The digits read wrong before or after, as pictures. */
export function wrongList(lesson) {
  return readings(lesson).filter(({ digit, before, after }) => before !== digit || after !== digit)
    .map(({ digit, pixels, before, after }) => {
      const words = t("teach.read_as", { digit, before, after });
      const canvas = el("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": t("teach.your", { digit }) });
      paint(canvas.getContext("2d"), decode(pixels));
      return el("li", {}, canvas, el("span", {}, words),
        el("span", { className: after === digit ? "good" : "bad" }, t(after === digit ? "teach.now_right" : "teach.still_wrong")));
    });
}

/** How well the network still reads the data set that it learnt first. */
export function remembered(lesson) {
  const { params, result } = lesson.training;
  const [first] = Object.keys(result.accuracies).filter((name) => name !== lesson.dataset);
  const after = result.accuracies[first], before = lesson.measuring?.result.accuracy;
  const name = { mnist: "MNIST", digits: t("teach.small_set") }[first] ?? Object.keys(params.dataset)[0];
  return t("teach.remembered", { name, before: percent(before, 2), after: percent(after, 2) });
}
