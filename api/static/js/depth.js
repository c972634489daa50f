// The depth of the queue in the last hour: pictures and jobs.

import { LineChart } from "./chart.js";
import { $, call, number, t } from "./common.js";
import { MINUTE, timeAxis } from "./times.js";

const HOUR = 60 * MINUTE;
const GAP = MINUTE / 2; // the service was down if points are further apart

const axis = () => timeAxis(t("chip.time"));
const count = (label) => ({ label, min: 0, atLeast: 5, format: (y) => number(y) });
const crops = new LineChart($("#crops-depth"), { title: t("chip.crops_depth"), height: 180, x: axis(), y: count(t("chip.crops")) });
const jobs = new LineChart($("#jobs-depth"), { title: t("chip.jobs_depth"), height: 180, x: axis(), y: count(t("chip.jobs")) });
let points = [];

/** Fetches new points and draws the last hour. */
export async function showDepth() {
  const { points: found } = await call(`/v1/queue/depth?minutes=${points.length ? 2 : 60}`);
  const newest = points.at(-1)?.at ?? 0;
  const fresh = found.map((point) => ({ ...point, at: Date.parse(point.at) })).filter(({ at }) => at > newest);
  points = [...points, ...fresh];
  const until = points.at(-1)?.at ?? Date.now();
  points = points.filter(({ at }) => at > until - HOUR);
  for (const chart of [crops, jobs]) Object.assign(chart.x, { min: until - HOUR, max: until });
  const series = (name, color, what, dash) => ({ name: t(`chip.${name}`), color, dash, gap: GAP,
    points: points.map((point) => [point.at, point[what]]) });
  crops.draw([series("crops_waiting", "blue", "crops")]);
  jobs.draw([series("jobs_queued", "orange", "queued"), series("jobs_running", "green", "running", "5 3")]);
}
