// The page of models: versions with their accuracies, aliases, sharing, deleting.

import { aliasRow, newAlias } from "./aliases.js";
import { $, call, el, isAdmin, number, percent, t, user } from "./common.js";
import { attempting, button, choice, confirmed, field, filledIn } from "./forms.js";
import { ago, date, sizes } from "./words.js";

const FIRST_OPEN = 2;
const attempt = attempting($("#problem"));
const say = (text) => ($("#said").textContent = text);
/** A name as it is shown: one's own without oneself. */
const short = (name) => (name.startsWith(`${user}~`) ? name.slice(user.length + 1) : name);
const path = (name, version) => `/v1/models/${encodeURIComponent(name)}${version ? `/versions/${version}` : ""}`;
let evaluations = [], opened = null;

/** What was measured, and where: by the training's last test, and by the newest evaluation. */
function accuracies({ metrics, version, chip, backend, dataset, source }, name) {
  const place = (execution, on, by) => (execution === "chip" ? t("models.on_chip", { chip: on, backend: by }) : t(`models.in_${execution}`));
  const last = metrics.epochs?.at(-1);
  const found = evaluations.find(({ model, result }) => model === name.replace(/^service~/, "") && result?.version === version)?.result;
  const trained = typeof metrics.accuracy === "number" && last
    ? el("span", {}, percent(metrics.accuracy, 2), el("small", {}, `${place(last.execution, chip, backend)}, ${dataset.name}`)) : null;
  const evaluated = found ? el("span", {}, percent(found.accuracy, 2),
    el("small", {}, `${t("models.evaluated")}: ${place(found.execution, found.chip, found.backend)}, ${found.dataset}`)) : null;
  const none = trained || evaluated ? null : el("small", {}, t(source === "upload" ? "models.unmeasured" : "models.untested"));
  return el("div", { className: "accuracy" }, trained, evaluated, none);
}

function versionRow(view, manifest, mayChange) {
  const { version, problem } = manifest;
  const names = Object.keys(view.aliases).filter((alias) => view.aliases[alias] === version);
  const remove = mayChange ? button(t("models.delete"), attempt, () => removeVersion(view, version),
    { className: "danger", "aria-label": t("models.delete_version_of", { version, name: short(view.name) }) }) : null;
  if (problem) return el("div", { className: "version" }, el("p", {}, t("models.version", { version })), el("p", { className: "problem" }, problem.message), remove);
  const badges = [...names, ...(manifest.partial ? [t("draw.partial")] : []),
    ...(view.shared_versions.includes(version) && !view.shared ? [t("models.shared_one")] : [])];
  const made = el("time", { dateTime: new Date(manifest.created_at * 1000).toISOString(), title: date(manifest.created_at * 1000) }, ago(manifest.created_at * 1000));
  return el("div", { className: "version" },
    el("div", { className: "facts" }, el("p", {}, el("strong", {}, t("models.version", { version })), " ",
      ...badges.flatMap((text) => [el("span", { className: "badge" }, text), " "])),
    el("p", { className: "hint" }, [manifest.recipe.name ?? t(manifest.source === "upload" ? "models.uploaded" : "draw.untrained"), sizes(manifest.network), manifest.user].join(" · "), " · ", made)),
    accuracies(manifest, view.name),
    el("div", { className: "row" },
      el("a", { className: "button", href: `/?model=${encodeURIComponent(`${view.name}@${version}`)}` }, t("models.draw")),
      button(t("models.evaluate"), attempt, () => evaluate(view, version)),
      view.versions.length > 1 ? button(t("models.compare"), attempt, () => compare(view, version)) : null,
      el("a", { className: "button", href: `${path(view.name, version)}/weights`, download: "" }, t("models.download")),
      manifest.recipe.name && (isAdmin || manifest.user === user) ? el("a", { className: "button", href: `/train?again=${manifest.job}` }, t("job.again")) : null,
      mayChange && view.owner !== null && !view.shared
        ? button(t(view.shared_versions.includes(version) ? "models.unshare_one" : "models.share_one"), attempt, () => share(view.name, !view.shared_versions.includes(version), version)) : null,
      remove));
}

async function evaluate({ name }, version) {
  const given = await filledIn(t("models.evaluate_heading", { name: `${short(name)}@${version}` }), [
    field(t("models.where"), choice("execution", [["", t("models.where_serves")], ["chip", t("models.where_chip")], ["mock", t("models.where_mock")], ["quantised", t("models.where_quantised")]]), t("models.where_hint")),
    field(t("train.dataset"), el("input", { name: "dataset", value: "auto", required: true, spellcheck: false })),
    field(t("models.repeats"), el("input", { name: "repeats", type: "number", min: 1, max: 64, value: 1, required: true }), t("models.repeats_hint")),
  ], t("models.start"));
  if (!given) return;
  const params = { version, dataset: given.dataset, repeats: Number(given.repeats), ...(given.execution ? { execution: given.execution } : {}) };
  await start({ kind: "evaluation", model: name, params });
}

/** Starts a comparison with another version; the candidate of a promotion is compared with what the alias names. */
export async function compare({ name, versions, aliases }, version, against) {
  const named = (other) => Object.keys(aliases).filter((alias) => aliases[alias] === other);
  const others = versions.map((each) => each.version ?? each).filter((each) => each !== version).reverse();
  const given = await filledIn(t("models.compare_heading", { name: `${short(name)}@${version}` }), [
    field(t("job.against"), choice("against", others.map((each) => [each, [each, ...named(each)].join(" · ")]), against), t("job.against_hint")),
    field(t("train.dataset"), el("input", { name: "dataset", value: "auto", required: true, spellcheck: false })),
    field(t("models.repeats"), el("input", { name: "repeats", type: "number", min: 2, max: 64, value: 8, required: true }), t("models.repeats_hint")),
  ], t("models.start"));
  if (given) await start({ kind: "comparison", model: name, params: { version, ...given, repeats: Number(given.repeats) } });
}

async function start(body) {
  const { id } = await call("/v1/jobs", { method: "POST", body });
  location.assign(`/jobs/${id}`);
}

async function share(name, shared, version) {
  await call(`${path(name, version)}/share`, { method: shared ? "PUT" : "DELETE" });
  await changed(t(shared ? "models.now_shared" : "models.now_private", { name: short(version ? `${name}@${version}` : name) }));
}

async function removeVersion({ name }, version) {
  if (!(await confirmed(t("models.ask_version", { version, name: short(name) }), t("models.delete")))) return;
  await call(path(name, version), { method: "DELETE" });
  await changed(t("models.deleted", { name: short(`${name}@${version}`) }));
  $("#heading").focus(); // the button is gone
}

async function removeModel({ name, versions }) {
  if (!(await confirmed(t("models.ask_model", { name: short(name), n: number(versions.length) }), t("models.delete")))) return;
  await call(path(name), { method: "DELETE" });
  await changed(t("models.deleted", { name: short(name) }));
  $("#heading").focus();
}

/** Shows all anew after a change, the model's versions open as before. */
async function changed(text) {
  opened = new Set([...document.querySelectorAll("details.versions[open]")].map(({ dataset }) => dataset.model));
  await refresh();
  say(text);
}

/** A model; `model` has its versions, if they are shown at once: nothing moves when they come. */
function card(view, model) {
  const mayChange = isAdmin || view.owner === user;
  const audience = view.owner === null ? "of_service" : view.shared ? "shared" : "private";
  const context = { view, short, attempt, changed, compare, path: `${path(view.name)}/aliases` };
  const whole = Object.entries(view.aliases);
  const versions = el("details", { className: "versions", open: Boolean(model) },
    el("summary", {}, t("models.versions", { n: number(view.versions.length) })));
  versions.dataset.model = view.name;
  const fill = ({ versions: manifests }) => versions.append(...manifests.reverse().map((manifest) => versionRow(view, manifest, mayChange)));
  if (model) fill(model);
  versions.addEventListener("toggle", () => attempt(async () => {
    if (versions.open && versions.childElementCount === 1) fill(await call(path(view.name)));
  }));
  return el("article", { className: "panel", "aria-label": short(view.name) },
    el("div", { className: "row spread" }, el("h2", {}, short(view.name)), el("span", { className: "hint" }, t(`models.${audience}`, { owner: view.owner }))),
    el("div", {}, ...whole.map(([alias, version]) => aliasRow(context, alias, version, mayChange))),
    versions,
    mayChange ? el("div", { className: "row actions" },
      button(t("models.new_alias"), attempt, () => newAlias(context)),
      view.owner !== null ? button(t(view.shared ? "models.unshare" : "models.share"), attempt, () => share(view.name, !view.shared)) : null,
      button(t("models.delete_all"), attempt, () => removeModel(view), { className: "danger", "aria-label": t("models.delete_all_of", { name: short(view.name) }) })) : null);
}

async function refresh() {
  const [{ models }, { jobs }] = await Promise.all([call("/v1/models"), call("/v1/jobs?kind=evaluation&state=succeeded&limit=30")]);
  evaluations = jobs;
  const rank = ({ owner, name }) => (name === "untrained" ? 3 : owner === user ? 0 : owner === null ? 1 : 2);
  models.sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  const isOpen = ({ name }, place) => (opened ? opened.has(name) : place < FIRST_OPEN);
  const shown = await Promise.all(models.map((view, place) => isOpen(view, place) && call(path(view.name))));
  $("#models").replaceChildren(...models.map((view, place) => card(view, shown[place])));
  $("#models").removeAttribute("aria-busy");
  $("#none").hidden = models.some(({ name }) => name !== "untrained");
}

attempt(refresh);
