// The form for a training: three cards that fill it in, all else under "advanced".

import { $, call, number, percent, showProblem, t } from "./common.js";
import { describe } from "./snippets.js";
import { duration } from "./words.js";

const REST_MS = 400; // one request per pause in typing
const NUMBERS = ["epochs", "chip_epochs", "learning_rate", "batch_size"];

const form = $("#training");
const again = JSON.parse(form.getAttribute("data-again") ?? "null"); // form.dataset is the field of this name
const cards = [...document.querySelectorAll(".kind[data-filled]")];

function showRecipe() {
  for (const [name, value] of Object.entries(form.elements.recipe.selectedOptions[0].dataset)) {
    form.elements[name].placeholder = `${name === "hidden" ? value : Number(value)} (${t("train.recipe_value")})`;
  }
}

/** The parameters filled in; the recipe has the others. */
function params() {
  const { recipe, seed, dataset, execution, hidden } = form.elements;
  const mixture = dataset.value.startsWith("{");
  const given = { recipe: recipe.value, dataset: mixture ? JSON.parse(dataset.value) : dataset.value, seed: Number(seed.value || 0) };
  for (const name of NUMBERS) if (form.elements[name]?.value) given[name] = Number(form.elements[name].value);
  if (execution.value) given.execution = execution.value;
  if (hidden.value.trim()) given.network = { hidden: hidden.value.split(",").map(Number) };
  else if (again?.start_from && card() === "own") given.start_from = again.start_from;
  else if (again?.network?.layers && card() === "own" && again.recipe === recipe.value) given.network = again.network;
  return given;
}

const card = () => form.elements.card.value;

/** What /v1/queue is asked for a training. */
const prospectOf = async ({ network: _network, seed: _seed, learning_rate: _rate, ...rest }) => {
  const asked = { kind: "training", ...rest };
  if (typeof asked.dataset === "object") asked.dataset = Object.entries(asked.dataset).map((part) => part.join("=")).join(",");
  const query = new URLSearchParams(Object.entries(asked).filter(([, value]) => value !== undefined && value !== null));
  return (await call(`/v1/queue?${query}`)).kinds.training;
};

let timer = null;
function estimateSoon() {
  clearTimeout(timer);
  timer = setTimeout(estimate, REST_MS);
}

/** Shows the forecast for the training in the form, if there is one. */
async function estimate() {
  if (!form.checkValidity()) return;
  try {
    const { chip_time_s: cost, eta } = await prospectOf(params());
    $("#estimate").textContent = cost && eta ? t("train.estimate", {
      cost: t("train.between", { from: duration(cost.low), to: duration(cost.high) }),
      from: duration(eta.earliest_s), to: duration(eta.latest_s) }) : t("train.no_estimate");
  } catch {
    $("#estimate").textContent = t("train.no_estimate");
  }
}

/** What a card promises: the accuracy of such trainings here, and the time by the present queue. */
async function showCard(label) {
  const expected = JSON.parse(label.dataset.expected);
  const [before, after] = t(expected?.trainings === 1 ? "train.expected_one" : "train.expected", { n: expected && number(expected.trainings),
    dataset: expected?.dataset, where: t(expected?.on_chip ? "train.expected_chip" : "train.expected_mock") }).split("{percent}");
  const figure = document.createElement("b");
  figure.textContent = expected && percent(expected.accuracy, 1);
  $(".expected", label).replaceChildren(...(expected ? [before, figure, after] : [t("train.expected_none")]));
  try {
    const { eta } = await prospectOf({ ...JSON.parse(label.dataset.filled), dataset: "auto" });
    $(".time", label).textContent = eta ? t("train.takes", { from: duration(eta.earliest_s), to: duration(eta.latest_s) }) : t("train.no_estimate");
  } catch {
    $(".time", label).textContent = t("train.no_estimate");
  }
}

function fillIn({ recipe, ...values }) {
  form.elements.recipe.value = recipe;
  for (const name of [...NUMBERS, "hidden"]) if (form.elements[name]) form.elements[name].value = values[name] ?? "";
  form.elements.dataset.value = "auto";
  form.elements.execution.value = "";
  form.elements.seed.value = "0";
  showRecipe();
}

function chooseCard() {
  const chosen = cards.find((label) => $("input", label).checked);
  if (chosen) fillIn(JSON.parse(chosen.dataset.filled));
  else $("#advanced").open = true;
  $("#goes-on").hidden = Boolean(chosen) || !again?.start_from;
}

/** Fills in what another training was given. */
function fillInAgain() {
  const { model, recipe, dataset, execution, seed, network, start_from: start } = again;
  form.elements.model.value = model.split("~").at(-1);
  form.elements.recipe.value = recipe;
  for (const name of NUMBERS) if (form.elements[name]) form.elements[name].value = again[name] ?? "";
  const hidden = network?.hidden?.join(", ");
  if (hidden && hidden !== form.elements.recipe.selectedOptions[0].dataset.hidden) form.elements.hidden.value = hidden;
  const value = typeof dataset === "object" ? JSON.stringify(dataset) : dataset ?? "auto";
  const name = typeof dataset === "object" ? Object.entries(dataset).map((part) => part.join(" × ")).join(", ") : value;
  if (![...form.elements.dataset.options].some((option) => option.value === value)) form.elements.dataset.add(new Option(name, value));
  form.elements.dataset.value = value;
  form.elements.execution.value = execution ?? "";
  form.elements.seed.value = seed ?? 0;
  $("#goes-on").textContent = start ? t("train.goes_on", { version: start }) : "";
  $("#goes-on").hidden = !start;
}

for (const label of document.querySelectorAll(".kind input")) label.addEventListener("change", chooseCard);
$("#advanced").addEventListener("input", () => {
  form.elements.card.value = "own"; // what is changed by hand is no card's any more
});
form.elements.recipe.addEventListener("change", showRecipe);
form.addEventListener("input", estimateSoon);
form.addEventListener("invalid", ({ target }) => {
  if (!target.checkVisibility()) $("#advanced").open = true;
}, true);
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
describe(() => ({ model: form.elements.model.value, params: params() }));
if (again) fillInAgain();
else if (card() !== "own") chooseCard();
showRecipe();
estimate();
for (const label of cards) showCard(label);
