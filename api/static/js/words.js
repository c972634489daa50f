// Wording of jobs and times.

import { el, lang, number, t } from "./common.js";

const UNITS = [[60, "second"], [3600, "minute"], [86400, "hour"], [Infinity, "day"]];
const SIZE = { second: 1, minute: 60, hour: 3600, day: 86400 };

/** A time relative to now. */
export function ago(iso) {
  const seconds = (Date.now() - new Date(iso)) / 1000;
  const unit = UNITS.find(([limit]) => Math.abs(seconds) < limit)[1];
  return new Intl.RelativeTimeFormat(lang, { numeric: "auto", style: "short" })
    .format(-Math.round(seconds / SIZE[unit]), unit);
}

export const clock = (at) =>
  new Date(at).toLocaleTimeString(lang, { hour: "2-digit", minute: "2-digit", second: "2-digit",
    hourCycle: "h23" });
export const date = (at) => new Date(at).toLocaleString(lang, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });

/** A duration. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds === 0) return "0 s";
  if (seconds < 0.0995) return `${number(seconds * 1000, 1)} ms`;
  if (seconds < 60) return `${number(seconds, seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return `${number(seconds / 86400, 1)} d`;
}

/** The sizes of a network: those of its layers with weights. */
export const sizes = ({ hidden, layers }) => (hidden ? [784, ...hidden, 10]
  : layers.filter(({ out_channels, out_features }) => out_channels || out_features)
    .map(({ type, out_channels, out_features }) => `${type} ${out_channels ?? out_features}`)).join(" → ");

const SIGNS = { queued: "◷", running: "▶", succeeded: "✓", failed: "✕", cancelled: "⊘", expired: "⌛" };

/** A job's state as a sign and a word. */
export const stateBadge = (state) =>
  el("span", { className: `state ${state}` }, el("span", { "aria-hidden": "true" }, `${SIGNS[state]} `), t(`job.${state}`));

/** A job's place in the queue, or a program's turn, and the forecast of its end, if there is one. */
export function outlook(job) {
  const parts = [];
  if (job.queue) parts.push(t("job.position", { position: job.queue.position, of: job.queue.of }));
  const { waiting, position } = job.kind === "program" && job.result ? job.result : {};
  if (waiting) parts.push(t(position ? "job.later_turn" : "job.next_turn", { waiting, ahead: position }));
  if (job.eta) parts.push(t("job.eta", { from: duration(job.eta.earliest_s), to: duration(job.eta.latest_s) }));
  return parts.join(" · ");
}

export const progressBar = (part, label) =>
  el("progress", { max: 1, value: part, "aria-label": label });
