// The aliases of a model: what each names, its history, promotion after a comparison, rollback, rollout.

import { call, el, number, percent, t } from "./common.js";
import { button, choice, confirmed, field, filledIn } from "./forms.js";
import { ago, date } from "./words.js";

const MOST_COMPARISONS = 30;
const why = () => field(t("models.why"), el("input", { name: "why", maxLength: 1000 }), t("models.why_hint"));
const newestFirst = (versions) => [...versions].reverse().map((version) => [version, t("models.version", { version })]);

/** One alias of a card; what it has in full is asked for when it is opened. */
export function aliasRow(context, alias, version, mayChange) {
  const line = el("div", { className: "row" }, el("span", { className: "badge" }, alias), el("span", { className: "grow" }, t("models.names", { version })));
  if (!mayChange) return el("div", { className: "alias" }, line);
  const details = el("details", {}, el("summary", {}, t("models.history_of", { alias })));
  details.addEventListener("toggle", () => context.attempt(async () => {
    if (details.open && details.childElementCount === 1) details.append(...(await inFull(context, alias)));
  }));
  return el("div", { className: "alias" }, line, details);
}

async function inFull(context, alias) {
  const path = `${context.path}/${encodeURIComponent(alias)}`;
  const history = await call(`${path}/history`);
  const isRolledOut = history.changes[0]?.action === "rollout";
  const act = (text, action, properties) => button(t(`models.${text}`), context.attempt, () => action(context, alias, path, history), properties);
  return [
    isRolledOut ? rolloutNote(await call(`${path}/rollout`)) : "",
    el("div", { className: "row" }, act("promote", promote), act("move", move),
      history.earlier.length ? act("roll_back", rollBack) : "", act(isRolledOut ? "end_rollout" : "roll_out", isRolledOut ? endRollout : rollOut),
      act("delete_alias", remove, { className: "danger", "aria-label": t("models.delete_alias_of", { alias }) })),
    el("ul", { className: "changes" }, ...history.changes.map((change) => el("li", {},
      el("time", { dateTime: change.at, title: date(change.at) }, ago(change.at)), ` · ${change.user} · `,
      t(`models.did_${change.action}`, { version: change.version, before: change.before ?? "–",
        candidate: change.figures?.candidate ?? "" }),
      typeof change.figures?.difference === "number" ? ` (${t("models.points", { points: signed(change.figures.difference) })})` : "",
      change.why ? el("span", { className: "hint" }, ` “${change.why}”`) : ""))),
  ];
}

const signed = (part) => `${part > 0 ? "+" : ""}${number(100 * part, 2).replace("-", "−")}`;

function rolloutNote({ candidate, share, shadow, trial }) {
  return el("p", { className: "note" }, t("models.rollout_is", { candidate, share: percent(share), shadow: percent(shadow) }), " ",
    trial.crops ? t("models.trial", { crops: number(trial.crops), differ: percent(trial.disagreement, 1) }) : t("models.no_trial"));
}

/** Moves an alias by the verdict of a comparison that has been made; without one, offers to make it. */
async function promote({ view, short, changed, compare }, alias, path, { version: present }) {
  const { jobs } = await call(`/v1/jobs?kind=comparison&state=succeeded&limit=${MOST_COMPARISONS}`);
  const full = view.name.replace(/^service~/, "");
  const made = jobs.filter(({ model, params, result }) => model === full && result.against === present && [undefined, null, "chip"].includes(params.execution) && view.versions.includes(result.version));
  const others = view.versions.filter((version) => version !== present);
  if (!made.length) {
    if (!others.length) return void (await changed(t("models.only_one")));
    const given = await filledIn(t("models.promote_heading", { alias }), [el("p", {}, t("models.no_comparison", { present })),
      field(t("models.candidate"), choice("version", newestFirst(others)))], t("models.to_comparison"));
    if (given) await compare(view, given.version, present);
    return;
  }
  const words = ({ result }) => `${t("models.version", { version: result.version })}: ${t(`models.${result.verdict}`)} (${t("models.points", { points: signed(result.difference) })}, ${result.dataset})`;
  const given = await filledIn(t("models.promote_heading", { alias }),
    [field(t("models.comparison"), choice("comparison", made.map((job) => [job.id, words(job)])), t("models.promote_hint")), why()], t("models.promote"));
  if (!given) return;
  const { result } = made.find(({ id }) => id === given.comparison);
  const { version } = await call(`${path}/promote`, { method: "POST", body: { version: result.version, comparison: given.comparison, why: given.why } });
  await changed(t("models.now_names", { alias, version, name: short(view.name) }));
}

async function move({ view, short, changed }, alias, path, { version: present }) {
  const given = await filledIn(t("models.move_heading", { alias }),
    [field(t("models.candidate"), choice("version", newestFirst(view.versions), present), t("models.move_hint")), why()], t("models.move"));
  if (!given) return;
  await call(path, { method: "PUT", body: given });
  await changed(t("models.now_names", { alias, version: given.version, name: short(view.name) }));
}

async function rollBack({ view, short, changed }, alias, path, { earlier }) {
  const given = await filledIn(t("models.roll_back_heading", { alias, version: earlier[0] }), [why()], t("models.roll_back"));
  if (!given) return;
  const { version } = await call(`${path}/rollback`, { method: "POST", body: given });
  await changed(t("models.now_names", { alias, version, name: short(view.name) }));
}

async function rollOut({ view, changed }, alias, path, { version: present }) {
  const others = view.versions.filter((version) => version !== present);
  if (!others.length) return void (await changed(t("models.only_one")));
  const part = (name) => el("input", { name, type: "number", min: 0, max: 100, step: "any", value: 10, required: true });
  const given = await filledIn(t("models.rollout_heading", { alias }), [field(t("models.candidate"), choice("candidate", newestFirst(others))),
    field(t("models.share_part"), part("share"), t("models.share_hint")), field(t("models.shadow_part"), part("shadow"), t("models.shadow_hint"))], t("models.roll_out"));
  if (!given) return;
  const body = { candidate: given.candidate, share: given.share / 100, shadow: given.shadow / 100 };
  await call(`${path}/rollout`, { method: "PUT", body });
  await changed(t("models.rolled_out", { alias, candidate: given.candidate }));
}

async function endRollout({ changed }, alias, path) {
  await call(`${path}/rollout`, { method: "DELETE" });
  await changed(t("models.rollout_over", { alias }));
}

async function remove({ changed }, alias, path) {
  if (!(await confirmed(t("models.ask_alias", { alias }), t("models.delete_alias")))) return;
  await call(path, { method: "DELETE" });
  await changed(t("models.alias_gone", { alias }));
}

/** Gives a version a further name. */
export async function newAlias({ view, short, changed, path }) {
  const given = await filledIn(t("models.new_alias_heading", { name: short(view.name) }), [
    field(t("models.alias"), el("input", { name: "alias", required: true, pattern: "[a-z][a-z0-9._\\-]{0,63}", spellcheck: false, value: "production" }), t("models.alias_hint")),
    field(t("models.candidate"), choice("version", newestFirst(view.versions))), why()], t("models.new_alias"));
  if (!given) return;
  await call(`${path}/${encodeURIComponent(given.alias)}`, { method: "PUT", body: { version: given.version, why: given.why } });
  await changed(t("models.now_names", { alias: given.alias, version: given.version, name: short(view.name) }));
}
