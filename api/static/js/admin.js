// Administration: chips with their maintenance and calibration, users with their roles, limits and tokens.

import { $, call, el, number, t, user as me } from "./common.js";
import { attempting, button, choice, confirmed, field, filledIn } from "./forms.js";
import { showStairs } from "./stairs.js";
import { ago, duration } from "./words.js";

const REFRESH_MS = 5000;
const MODEL = "digits"; // the service's, whose staircase shows how a chip does
const attempt = attempting($("#problem"));
const say = (text) => ($("#said").textContent = text);
const post = (path, body) => call(path, { method: "POST", body });
const pathOf = (name) => `/v1/users/${encodeURIComponent(name)}`;

/** The newest staircase of the model on a chip. */
function stairsOf(chip, jobs) {
  const job = jobs.find(({ model, state, params, provenance }) =>
    model === MODEL && state !== "cancelled" && (provenance.chip ?? params.chip) === chip);
  if (!job) return { isOpen: false, shown: [el("p", { className: "hint" }, t("admin.unmeasured", { model: MODEL }))] };
  const version = `${job.model}@${job.params.version}`, list = el("ol", { className: "stairs" });
  showStairs(list, job);
  const words = job.state === "succeeded" ? t("admin.measured", { version, ago: ago(job.finished_at) })
    : t("admin.measuring", { version, state: t(`job.${job.state}`) });
  return { isOpen: ["queued", "running"].includes(job.state), shown: [el("p", { className: "hint" }, el("a", { href: `/jobs/${job.id}` }, words)), list] };
}

function chipRow({ id, state, backend, calibration, maintenance }, jobs) {
  const { isOpen, shown } = stairsOf(id, jobs);
  const act = (text, action, disabled = false) => button(t(`admin.${text}`), attempt, action, { disabled, "aria-label": `${t(`admin.${text}`)}: ${id}` });
  return el("div", { className: "row chip-row" },
    el("strong", {}, id), el("span", { className: `state ${state}` }, t(`chip.${state}`)), el("span", { className: "hint" }, backend ?? "–"),
    el("span", { className: "hint grow" }, maintenance ? t("admin.in_maintenance", { user: maintenance.user, ago: ago(maintenance.since), message: maintenance.message })
      : calibration?.at ? t("admin.calibrated", { ago: ago(calibration.at * 1000) }) : ""),
    act("calibrate", async () => {
      const { id: job } = await post("/v1/jobs", { kind: "calibration", params: { chip: id } });
      location.assign(`/jobs/${job}`);
    }),
    maintenance ? act("resume", async () => {
      await post("/v1/chip/resume", { chip: id });
      await showChips();
      say(t("admin.resumed", { chip: id }));
    }) : act("drain", () => drain(id)),
    el("div", { className: "chip-stairs" }, ...shown), act("measure", async () => {
      await post("/v1/jobs", { kind: "staircase", model: MODEL, params: { chip: id, allow_transfer: true } });
      await showChips();
      say(t("admin.requested", { chip: id }));
    }, isOpen));
}

async function drain(id) {
  const given = await filledIn(t("admin.drain_heading", { chip: id }), [
    field(t("admin.message"), el("input", { name: "message", maxLength: 500 }), t("admin.message_hint")),
    field(t("admin.running"), choice("running", [["pause", t("admin.pause")], ["finish", t("admin.finish")]]))], t("admin.drain"));
  if (!given) return;
  await post("/v1/chip/drain", { chip: id, ...given });
  await showChips();
  say(t("admin.drained", { chip: id }));
}

async function showChips() {
  const [{ chips }, { jobs }] = await Promise.all([call("/v1/chip"), call("/v1/jobs?kind=staircase&limit=50")])
    .finally(() => $("#chips").removeAttribute("aria-busy"));
  if (document.activeElement?.closest("#chips")) document.activeElement.blur();
  $("#chips").replaceChildren(...(chips.length ? chips.map((chip) => chipRow(chip, jobs)) : [t("chip.none")]));
}

/** A row of a user; `used` is chip seconds by user. */
function userRow(account, used) {
  const { name, role, disabled, tokens, created_at: since } = account;
  const act = (text, action, properties = {}) => button(t(`admin.${text}`), attempt, action, { className: "quiet", "aria-label": `${t(`admin.${text}`)}: ${name}`, ...properties });
  const cell = (label, ...content) => {
    const created = el("td", {}, ...content);
    created.dataset.label = t(`admin.${label}`);
    return created;
  };
  return el("tr", {}, cell("name", el("strong", {}, name), " ", el("span", { className: "hint" }, ago(since))),
    cell("role", t(`admin.role_${role}`)), cell("state", t(disabled ? "admin.disabled" : "admin.active")), cell("tokens", number(tokens.length)),
    cell("chip_time", duration(used.get(name) ?? 0)),
    cell("actions", el("div", { className: "row" }, act("limits", () => changeLimits(account)),
      act(role === "admin" ? "make_user" : "make_admin", () => change(name, { role: role === "admin" ? "user" : "admin" })),
      act("new_token", () => newToken(name)), tokens.length ? act("revoke", () => revoke(name)) : null,
      name === me ? null : act(disabled ? "enable" : "disable", () => disable(name, !disabled), disabled ? {} : { className: "quiet danger" }))));
}

async function showUsers() {
  const [{ users }, { users: usage }] = await Promise.all([call("/v1/users"), call("/v1/usage")]);
  const used = new Map(usage.map(({ user, total_s: total }) => [user, total]));
  $("#users tbody").replaceChildren(...users.map((account) => userRow(account, used)));
  $("#none").hidden = users.length > 0;
}

function showToken(name, token) {
  $("#new-token").hidden = false;
  $("#secret-label").textContent = t("admin.secret", { name });
  $("#secret").value = token;
  $("#secret").select();
}

async function newToken(name) {
  const { token } = await post(`${pathOf(name)}/tokens`, {});
  await showUsers();
  showToken(name, token);
}

async function change(name, body) {
  await call(pathOf(name), { method: "PATCH", body });
  await showUsers();
  say(t("admin.changed", { name }));
}

async function disable(name, disabled) {
  if (disabled && !(await confirmed(t("admin.ask_disable", { name }), t("admin.disable")))) return;
  await change(name, { disabled });
}

async function revoke(name) {
  if (!(await confirmed(t("admin.ask_revoke", { name }), t("admin.revoke")))) return;
  await call(`${pathOf(name)}/tokens`, { method: "DELETE" });
  await showUsers();
  say(t("admin.changed", { name }));
  $("#heading").focus(); // the button is gone
}

/** Limits as text: a number, "unlimited", or nothing for what all have. */
async function changeLimits({ name, quotas }) {
  const given = await filledIn(t("admin.limits_of", { name }), Object.entries(quotas).map(([quota, limit]) =>
    field(t(`me.${quota}`), el("input", { name: quota, pattern: "[0-9]+([.][0-9]+)?|unlimited", value: limit === null ? "unlimited" : String(limit), spellcheck: false }),
      quota === "max_queued_jobs" ? t("admin.limits_hint") : quota.includes("bytes") ? t("admin.bytes") : quota === "chip_seconds_per_day" ? t("admin.seconds") : undefined)),
  t("admin.save"));
  if (!given) return;
  const before = ([quota]) => (quotas[quota] === null ? "unlimited" : String(quotas[quota]));
  const changed = Object.entries(given).filter((entry) => entry[1] !== before(entry))
    .map(([quota, text]) => [quota, text === "" ? null : text === "unlimited" ? text : Number(text)]);
  await change(name, { quotas: Object.fromEntries(changed) });
}

$("#add").addEventListener("click", () => attempt(async () => {
  const given = await filledIn(t("admin.add_heading"), [
    field(t("admin.name"), el("input", { name: "name", required: true, pattern: "[a-z0-9][a-z0-9._\\-]{0,63}", autocomplete: "off", spellcheck: false }), t("admin.name_hint")),
    field(t("admin.role"), choice("role", [["user", t("admin.role_user")], ["admin", t("admin.role_admin")]]))], t("admin.add"));
  if (!given) return;
  const { name, token } = await post("/v1/users", given);
  await showUsers();
  showToken(name, token);
}));

attempt(async () => { await Promise.all([showChips(), showUsers()]); });
// The state of chips changes by itself; rows under the reader's hand stay as they are.
setInterval(() => {
  const isIdle = !document.querySelector("dialog[open]") && !document.activeElement?.closest("#chips") && !document.hidden;
  if (isIdle) showChips().catch(() => {});
}, REFRESH_MS);
