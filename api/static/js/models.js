// The choice of a model version.

import { Problem, call, t, user } from "./common.js";

const UNTRAINED = "untrained";
const USUAL = "digits"; // the model that client and command line mean unless told otherwise

/**
 * Lists the models in a select, your own and the service's before those of others, and keeps its choice, or that of the
 * address. Returns whether a whole version is trained.
 *
 * Without a choice it is what `latest` means in `digits`, else in the first model that has it: a partial version is never the default.
 */
export async function listModels(select) {
  const { models } = await call("/v1/models");
  const chosen = select.value || new URLSearchParams(location.search).get("model");
  const isOthers = ({ owner }) => owner !== null && owner !== user;
  const trained = models.filter(({ name }) => name !== UNTRAINED).sort((a, b) => isOthers(a) - isOthers(b));
  const options = trained.flatMap(({ name, versions, partial_versions: partial, aliases }) =>
    [...versions].reverse().map((version) => {
      const known = Object.keys(aliases).filter((alias) => aliases[alias] === version);
      if (partial.includes(version)) known.unshift(t("draw.partial"));
      return new Option(`${name} ${version}${known.length ? ` (${known.join(", ")})` : ""}`, `${name}@${version}`);
    }));
  const whole = trained.find(({ name, aliases }) => name === USUAL && aliases.latest) ?? trained.find(({ aliases }) => aliases.latest);
  const untrained = models.find(({ name }) => name === UNTRAINED);
  if (untrained) options.push(new Option(t("draw.untrained"), `${UNTRAINED}@${untrained.versions.at(-1)}`));
  select.replaceChildren(...options);
  if (options.some(({ value }) => value === chosen)) select.value = chosen;
  else if (whole) select.value = `${whole.name}@${whole.aliases.latest}`;
  else if (untrained) select.value = options.at(-1).value;
  if (!options.length) throw new Problem(t("draw.no_model"));
  return Boolean(whole);
}

export const isUntrained = (reference) => reference.startsWith(`${UNTRAINED}@`);
