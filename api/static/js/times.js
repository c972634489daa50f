// The time axis of the charts.

import { lang } from "./common.js";
import { date } from "./words.js";

export const MINUTE = 60_000;

const hours = (at) => new Date(at).toLocaleTimeString(lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** At most `most` ticks at full minutes, tens of minutes or hours. */
function timeTicks(low, high, most) {
  const step = [1, 5, 10, 15, 30, 60, 180, 360, 720, 1440].map((n) => n * MINUTE).find((n) => (high - low) / n <= most);
  if (!step || high - low < 2 * MINUTE) return [low, high];
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

/** A time axis with this label; the tooltip shows seconds. */
export const timeAxis = (label) => ({ label, format: hours, exact: date, ticks: timeTicks });

/** A time axis for values per minute. */
export const minuteAxis = (label) => ({ ...timeAxis(label), exact: hours });
