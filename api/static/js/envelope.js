// An envelope on which a visitor writes the postcode: the chip reads it, and the letter goes onto a belt.

import { Drawing, SIDE, paint } from "./canvas.js";
import { $, Problem, call, el, percent, showProblem, t, user } from "./common.js";
import { townOf } from "./postcodes.js";

const MOST_ON_BELT = 8;
const SURE = 0.6; // least product of the five confidences; below, a person looks
const SIZE = { width: 260, height: 130 };

/** The model that reads: the newest whole version of one's own, else of the service. */
async function reader() {
  const { models } = await call("/v1/models");
  const rank = ({ owner }) => (owner === user ? 0 : owner === null ? 1 : 2);
  const trained = models.filter(({ name, aliases }) => name !== "untrained" && aliases.latest).sort((a, b) => rank(a) - rank(b));
  const found = trained[0] ?? models.find(({ name }) => name === "untrained");
  if (!found) throw new Problem(t("draw.no_model"));
  return `/v1/models/${encodeURIComponent(found.name)}/versions/${found.aliases.latest ?? found.versions.at(-1)}/classify?wait=10`;
}

/** Reads five crops; gives the postcode and how sure the chip is of all of it. */
async function read(path, crops) {
  const { predictions } = await call(path, { method: "POST", type: "application/octet-stream", body: new Uint8Array(crops.flatMap((crop) => [...crop])) });
  if (!predictions) throw new Problem(t("draw.chip_busy"));
  return { postcode: predictions.map(({ digit }) => digit).join(""), confidence: predictions.reduce((product, { confidence }) => product * confidence, 1) };
}

/** The decision about a letter: its outcome and where it goes. */
function sort({ postcode, confidence }) {
  const town = townOf(postcode);
  if (confidence < SURE) return { outcome: "rejected", words: t("envelope.unsure", { postcode }) };
  if (!town) return { outcome: "rejected", words: t("envelope.no_town", { postcode }) };
  return { outcome: "routed", words: t("envelope.to", { postcode, town }) };
}

function envelope(crops, label) {
  const canvas = el("canvas", { ...SIZE, role: "img", "aria-label": label });
  const context = canvas.getContext("2d");
  context.fillStyle = "#f3ead7";
  context.fillRect(0, 0, SIZE.width, SIZE.height);
  context.strokeStyle = "#b9a97e";
  for (const y of [30, 48]) context.strokeRect(110, y, 120, 0.5);
  crops.forEach((crop, place) => {
    const box = el("canvas", { width: SIDE, height: SIDE });
    const ink = box.getContext("2d");
    paint(ink, crop);
    const pixels = ink.getImageData(0, 0, SIDE, SIDE);
    for (let i = 0; i < pixels.data.length; i += 4) pixels.data.set([30, 30, 60, pixels.data[i]], i); // ink on paper
    ink.putImageData(pixels, 0, 0);
    context.drawImage(box, 105 + 29 * place, 78, 28, 28);
  });
  return canvas;
}

function onBelt(crops, reading, { outcome, words }) {
  const sign = { routed: "✓", rejected: "↷" }[outcome], state = { routed: "succeeded", rejected: "queued" }[outcome];
  const label = t("envelope.by_you");
  const item = el("li", { className: `letter ${outcome}` }, envelope(crops, label), el("span", { className: "hint" }, label),
    el("span", {}, t("letters.read", { read: reading.postcode, percent: percent(reading.confidence) })),
    el("span", { className: `state ${state}` }, el("span", { "aria-hidden": "true" }, `${sign} `), words));
  $("#own-belt").prepend(item);
  while ($("#own-belt").children.length > MOST_ON_BELT) $("#own-belt").lastChild.remove();
}

const boxes = [...document.querySelectorAll(".box")].map((canvas) => new Drawing(canvas, () => {}));

/** Runs an action of a button, which is off meanwhile, and shows its problem. */
async function attempt(button, action) {
  button.disabled = true;
  try {
    await action();
    showProblem($("#own-problem"), null);
  } catch (problem) {
    showProblem($("#own-problem"), problem);
  }
  button.disabled = false;
}

$("#send").addEventListener("click", ({ target }) => attempt(target, async () => {
  const empty = boxes.findIndex((box) => box.isEmpty);
  if (empty >= 0) throw new Problem(t("envelope.incomplete", { n: empty + 1 }));
  const crops = boxes.map((box) => box.bytes());
  const reading = await read(`${await reader()}&centre=true`, crops);
  const decision = sort(reading);
  $("#fate").textContent = decision.words;
  onBelt(crops, reading, decision);
}));
$("#wipe").addEventListener("click", () => {
  for (const box of boxes) box.clear();
  $("#fate").textContent = "";
});
