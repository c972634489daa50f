// The result of a training, an evaluation or a comparison: the confusion matrix, the worst mistakes, the differences.

import { el, number, percent, t } from "./common.js";

/** The confusion matrix as a table with tinted cells. */
export function confusionTable(confusion, name = "") {
  const head = el("tr", {}, el("th", { scope: "col" }, t("job.shown_read")),
    ...confusion.map((_, answer) => el("th", { scope: "col" }, String(answer))));
  const rows = confusion.map((counts, digit) => {
    const total = counts.reduce((a, b) => a + b, 0) || 1;
    return el("tr", {}, el("th", { scope: "row" }, String(digit)), ...counts.map((count, answer) => {
      const cell = el("td", { className: answer === digit ? "right" : count ? "wrong" : "",
        title: t("job.cell", { count: number(count), digit, answer, percent: percent(count / total, 1) }) },
      count ? String(count) : "·"); // without separators, for narrow screens
      cell.style.setProperty("--part", answer === digit ? count / total : Math.min(1, (8 * count) / total));
      return cell;
    }));
  });
  return el("table", { className: "confusion" }, el("caption", { className: name ? "" : "unseen" }, name || t("job.confusion")),
    el("thead", {}, head), el("tbody", {}, ...rows));
}

/** The misread crops with the highest confidence, as pictures. */
export function mistakeList(mistakes) {
  return mistakes.map(({ png, digit, answer, margin }) =>
    picture(png, t("job.mistake", { digit, answer }), t("job.margin", { margin: number(margin) })));
}

/** The verdict of a comparison in words. */
export function verdict(result) {
  const points = (part) => number(100 * part, 2);
  const [low, high] = result.difference_interval;
  return t(`job.${result.verdict}`, { version: result.version, against: result.against,
    mine: percent(result.candidate.accuracy, 2), theirs: percent(result.present.accuracy, 2), dataset: result.dataset,
    points: points(result.difference), low: points(low), high: points(high), margin: points(result.margin) });
}

/** The crops that two versions read as different digits, as pictures. */
export function differenceList({ version, against, differences }) {
  return differences.map(({ png, digit, candidate, present, agreement }) =>
    picture(png, t("job.differs", { digit, version, candidate, against, present }),
      t("job.agreement", { percent: percent(agreement) })));
}

function picture(png, words, hint) {
  return el("li", {}, el("img", { src: `data:image/png;base64,${png}`, alt: words, width: 84, height: 84 }),
    el("span", {}, words), el("span", { className: "hint" }, hint));
}
