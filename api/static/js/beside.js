// "Chip beside mock": what the chip and its mock twin read in the same drawing.

import { Bars } from "./bars.js";
import { $, number, t } from "./common.js";

const NOTHING = Array(10).fill(null);
const chip = new Bars($("#by-chip")), mock = new Bars($("#by-mock"));

/** True while the page shows the mock's reading, so that answers should have it. */
export const isBeside = () => $("#beside").open;

/** Shows both readings of an answer; null while nothing is drawn. */
export function showBeside(answer) {
  const read = answer?.predictions[0], twin = read?.mock;
  if (answer && !twin) return;
  chip.show(read?.scores ?? NOTHING, { best: read?.digit });
  mock.show(twin?.scores ?? NOTHING, { best: twin?.digit });
  $("#compared-scores").textContent = answer ? compared(answer.backend, read, twin) : t("beside.nothing");
}

function compared(backend, read, twin) {
  const off = read.scores.reduce((sum, score, digit) => sum + Math.abs(score - twin.scores[digit]), 0) / 10;
  const words = t(read.digit === twin.digit ? "beside.agree" : "beside.differ", { chip: read.digit, mock: twin.digit, off: number(off, 1) });
  return backend === "mock" ? `${words} ${t("beside.is_mock")}` : words;
}

showBeside(null);
