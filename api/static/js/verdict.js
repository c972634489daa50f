// What the chip reads: the digit, its ten scores, its input and its time. No answer moves anything on the page.

import { Bars } from "./bars.js";
import { paint } from "./canvas.js";
import { $, milliseconds, percent, t } from "./common.js";

const EVENT = 128; // from this grey value on, a pixel sends events to the chip
const DIGITS = [...Array(10).keys()];
const SPEAK_MS = 800; // without a new answer, before the answer is announced: a live drawing has many a second

const bars = new Bars($("#ranking"));
let speech = null;

/** Shows an answer that came after `roundTrip` ms. */
export function showAnswer(answer, roundTrip) {
  const [{ digit, scores, confidence }] = answer.predictions;
  const second = DIGITS.filter((other) => other !== digit).reduce((a, b) => (scores[b] > scores[a] ? b : a));
  $("#digit").textContent = digit;
  $("#digit").classList.toggle("unsure", confidence < 0.5);
  const sure = confidence > 0.9 ? "very" : confidence > 0.6 ? "rather" : confidence > 0.3 ? "hardly" : "not";
  $("#sure").textContent = t(`draw.sure_${sure}`, { digit });
  $("#detail").textContent = t("draw.confidence", { percent: percent(confidence), second });
  bars.show(scores, { best: digit });
  const { chip, backend, timing } = answer;
  $("#timing").textContent = t("draw.timing", { chip, backend: t(`draw.backend_${backend}`), read: milliseconds(timing.chip_ms),
    waited: milliseconds(timing.waiting_ms), round: milliseconds(roundTrip) });
  clearTimeout(speech);
  speech = setTimeout(() => ($("#spoken").textContent = `${$("#sure").textContent}. ${$("#detail").textContent}`), SPEAK_MS);
}

/** Shows that nothing is drawn. */
export function showNothing() {
  clearTimeout(speech);
  $("#digit").textContent = "?";
  $("#sure").textContent = t("draw.empty");
  $("#detail").textContent = "";
  $("#timing").textContent = t("draw.timing_none");
  showInput(Array(784).fill(0));
  bars.show(Array(10).fill(null));
}

/** Shows the binary picture that the chip computes with. */
export function showInput(pixels) {
  paint($("#binary").getContext("2d"), pixels.map((value) => (value < EVENT ? 0 : 255)));
}

showNothing();
