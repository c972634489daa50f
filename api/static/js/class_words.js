// Wording of classes.

import { el, lang, t } from "./common.js";

/** A time of today, or with its date. */
export function at(iso) {
  const time = new Date(iso), isToday = time.toDateString() === new Date().toDateString();
  const hour = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return time.toLocaleString(lang, isToday ? hour : { day: "numeric", month: "short", ...hour });
}

const SIGNS = { open: "●", paused: "‖", ended: "■", deleting: "⌫" };

/** The state of a class as a sign and a word. */
export const stateOf = ({ state }) =>
  el("span", { className: `state ${state}` }, el("span", { "aria-hidden": "true" }, `${SIGNS[state]} `), t(`class.${state}`));
