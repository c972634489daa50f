// The form for a training.

import { $, call, showProblem, t } from "./common.js";
import { duration } from "./words.js";

const REST_MS = 400; // one request per pause in typing

const form = $("#training");

function showRecipe() {
  for (const [name, value] of Object.entries(form.elements.recipe.selectedOptions[0].dataset)) {
    form.elements[name].placeholder = `${name === "hidden" ? value : Number(value)} (${t("train.recipe_value")})`;
  }
}

/** The parameters filled in; the recipe has the others. */
function params() {
  const { recipe, seed, dataset, execution, hidden } = form.elements;
  const given = { recipe: recipe.value, dataset: dataset.value, seed: Number(seed.value || 0) };
  for (const name of ["epochs", "chip_epochs", "learning_rate", "batch_size"]) {
    if (form.elements[name]?.value) given[name] = Number(form.elements[name].value);
  }
  if (execution.value) given.execution = execution.value;
  if (hidden.value.trim()) given.network = { hidden: hidden.value.split(",").map(Number) };
  return given;
}

let timer = null;
function estimateSoon() {
  clearTimeout(timer);
  timer = setTimeout(estimate, REST_MS);
}

/** Shows the forecast for the training in the form, if there is one. */
async function estimate() {
  if (!form.checkValidity()) return;
  const { recipe, epochs, chip_epochs, batch_size, dataset, execution } = params();
  const query = new URLSearchParams(Object.entries({ kind: "training", recipe, epochs, chip_epochs, batch_size, dataset, execution })
    .filter(([, value]) => value !== undefined));
  try {
    const { chip_time_s: cost, eta } = (await call(`/v1/queue?${query}`)).kinds.training;
    $("#estimate").textContent = cost && eta ? t("train.estimate", {
      cost: t("train.between", { from: duration(cost.low), to: duration(cost.high) }),
      from: duration(eta.earliest_s), to: duration(eta.latest_s) }) : t("train.no_estimate");
  } catch {
    $("#estimate").textContent = t("train.no_estimate");
  }
}

form.elements.recipe.addEventListener("change", showRecipe);
form.addEventListener("input", estimateSoon);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = $("button", form);
  button.disabled = true;
  showProblem($("#problem"), null);
  try {
    const body = { kind: "training", model: form.elements.model.value, params: params() };
    const job = await call("/v1/jobs", { method: "POST", body });
    location.assign(`/jobs/${job.id}`);
  } catch (problem) {
    showProblem($("#problem"), problem);
    button.disabled = false;
  }
});
showRecipe();
estimate();
