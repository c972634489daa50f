// "See it think": the layers of the network for the crop just read, and what one neuron listens to and says.

import { Bars } from "./bars.js";
import { $, call, el, number, showProblem, t } from "./common.js";
import { Sheet, signed, warm } from "./tiles.js";
import { networkOf, offsetOf, row, weightsOf } from "./weights.js";

const MOST_LSB = 8; // of the fixed pattern that a calibration leaves
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const PIXELS = { layer: "pixels", shape: [28, 28] };

let reading = null; // the answer shown, with its model and version
let layers = []; // of the network, the pixels first, as they are shown
let picked = null; // layer and number of the neuron shown
let known = { reference: "" }; // network, weights and pattern of the version
const adds = new Bars($("#adds"));

/** True while the page shows hidden activations, so that readings should have them. */
export const isThinking = () => $("#think").open;

/** Shows the pixels that the chip computes with: 784 grey values. */
export function showPixels(pixels) {
  if (isThinking()) layerOf(0, { ...PIXELS, values: pixels.map((value) => (value < 128 ? 0 : 31)) });
}

/** Shows what the layers were while a crop was read; null while nothing is drawn. */
export function showThought(newest) {
  const hidden = newest?.answer.predictions[0].activations;
  if (!newest) {
    for (const layer of layers) layer.values = layer.values.map(() => 0);
    reading = null;
    showAll();
  } else if (hidden) {
    reading = newest;
    hidden.forEach((layer, i) => layerOf(i + 1, layer));
    while (layers.length > hidden.length + 1) layers.pop().figure.remove();
    showAll();
    learn().catch((problem) => showProblem($("#think-problem"), problem));
  }
}

function layerOf(place, { layer: name, shape, values }) {
  const same = layers[place];
  if (same?.name === name && same.shape.join() === shape.join()) {
    same.values = values;
  } else {
    for (const old of layers.splice(place)) old.figure.remove();
    layers.push(newLayer(place, name, shape, values));
    picked = null;
  }
  if (place === 0) paintLayer(layers[0]);
}

function newLayer(place, name, shape, values) {
  const sheet = new Sheet(shape);
  const words = place === 0 ? t("think.pixels") : t(shape.length === 3 ? "think.maps" : "think.neurons",
    { n: number(sheet.count), layer: place, maps: number(sheet.maps), size: `${sheet.mapHeight} × ${sheet.mapWidth}` });
  const canvas = el("canvas", place === 0 ? { role: "img", "aria-label": words }
    : { tabIndex: 0, role: "application", "aria-label": `${words}. ${t("think.keys")}` });
  const pick = el("span", { className: "pick", hidden: true });
  const figure = el("figure", { className: "layer" }, el("div", { className: "sheet-of" }, canvas, pick), el("figcaption", {}, words));
  const layer = { name, shape, values, sheet, canvas, pick, figure, place };
  canvas.style.aspectRatio = `${sheet.width} / ${sheet.height}`;
  if (place > 0) listen(layer);
  $("#outputs").before(figure);
  return layer;
}

function listen(layer) {
  const point = (event) => {
    const box = layer.canvas.getBoundingClientRect(), { width, height } = layer.sheet;
    const index = layer.sheet.at(Math.floor(((event.clientX - box.left) / box.width) * width),
      Math.floor(((event.clientY - box.top) / box.height) * height));
    if (index !== null) choose(layer, index);
  };
  layer.canvas.addEventListener("pointermove", point);
  layer.canvas.addEventListener("pointerdown", point);
  layer.canvas.addEventListener("focus", () => picked?.layer === layer || choose(layer, strongest(layer)));
  layer.canvas.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const place = layer.sheet.placeOf(picked.index);
    // Between two maps there is a gap to leap over.
    const next = [1, 2].map((leap) => layer.sheet.at(place[0] + leap * step[0], place[1] + leap * step[1])).find((index) => index !== null);
    if (next !== undefined) choose(layer, next);
  });
}

const strongest = ({ values }) => values.indexOf(Math.max(...values));

function choose(layer, index) {
  picked = { layer, index };
  showPicked();
}

/** Learns what does not change from crop to crop: the network, its weights, the chip's fixed pattern. */
async function learn() {
  const { model, version, answer: { chip } } = reading, reference = `${model}@${version} ${chip}`;
  if (known.reference === reference) return;
  known = { reference };
  const [network, weights, pattern] = await Promise.all([networkOf(model, version), weightsOf(model, version), call(`/v1/chip/${chip}/pattern`)]);
  if (known.reference !== reference) return;
  known = { reference, network, weights, offsets: pattern.after_lsb };
  $("#tint").hidden = !known.offsets;
  if (!known.offsets) $("#tint input").checked = true;
  showAll();
}

function showAll() {
  layers.forEach(paintLayer);
  showOutputs();
  showPicked();
}

function paintLayer(layer) {
  const isPattern = layer.place > 0 && known.offsets && $("#tint input:checked").value === "pattern";
  const most = Math.max(31, ...layer.values);
  layer.sheet.paint(layer.canvas, isPattern ? (index) => signed(offsetIn(layer, index) / MOST_LSB) : (index) => warm(layer.values[index] / most));
}

function offsetIn(layer, index) {
  const { shape } = known.weights[`${known.network.before[layer.name]}.weight`];
  return offsetOf(known.offsets, shape.slice(1).reduce((a, b) => a * b, 1), channelOf(layer, index));
}

/** Which output of its layer's weights a neuron is: all of one map share theirs. */
const channelOf = ({ sheet, shape }, index) => (shape.length === 1 ? index : Math.floor(index / (sheet.count / shape[0])));

function showOutputs() {
  const { scores, digit } = reading?.answer.predictions[0] ?? { scores: Array(10).fill(0) };
  [...$("#outputs ol").children].forEach((item, place) => {
    const colour = warm((scores[place] + 128) / 255).map(Math.round);
    item.style.backgroundColor = reading ? `rgb(${colour})` : "";
    item.style.color = reading && colour[1] > 110 ? "#000" : "#fff";
    item.classList.toggle("best", place === digit);
  });
}

function showPicked() {
  for (const layer of layers) layer.pick.hidden = layer !== picked?.layer;
  $("#neuron-hint").hidden = Boolean(picked);
  $("#neuron").hidden = !picked;
  if (!picked) return;
  const { layer, index } = picked, { sheet } = layer, [x, y] = sheet.placeOf(index), value = layer.values[index];
  Object.assign(layer.pick.style, { left: `${(100 * x) / sheet.width}%`, top: `${(100 * y) / sheet.height}%`,
    width: `${100 / sheet.width}%`, height: `${100 / sheet.height}%` });
  const isLast = layer === layers.at(-1);
  const offset = known.offsets ? t("think.offset", { offset: number(offsetIn(layer, index), 1) }) : "";
  $("#neuron-name").textContent = [t("think.neuron", { index: index + 1, layer: layer.place, value: number(value) }), offset].filter(Boolean).join(" ");
  $("#adds-of").hidden = !isLast;
  if (!known.weights) return;
  const tensor = known.weights[`${known.network.before[layer.name]}.weight`], incoming = row(tensor, channelOf(layer, index));
  const from = layers[layer.place - 1], isWhole = incoming.shape.length === 1;
  new Sheet(isWhole && from.sheet.count === incoming.values.length ? from.shape : incoming.shape)
    .paint($("#incoming"), (place) => signed(incoming.values[place] / 63));
  $("#incoming-of").textContent = t(isWhole ? layer.place === 1 ? "think.incoming_pixels" : "think.incoming" : "think.kernel");
  if (isLast) showAdds(index, value);
}

/** What a neuron of the last hidden layer adds to each digit: its weight there times its activation. */
function showAdds(index, value) {
  const { shape: [, size], values } = known.weights[`${known.network.last}.weight`];
  const products = Array.from({ length: 10 }, (_, digit) => Math.round(values[digit * size + index] * value) || 0);
  adds.show(products, { most: 63 * 31 });
}

$("#tint").addEventListener("change", showAll);
