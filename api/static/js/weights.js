// The weights of a model's version: which layer they belong to, and where its columns are on the chip.

import { Problem, call, t } from "./common.js";

const ROWS = 128, COLUMNS = 256; // of a tile; two of them fill the chip
const NAMES = { linear: "linear", conv2d: "conv", conv1d: "conv", expanded_conv1d: "conv", relu: "relu", converting_relu: "relu" };

/** The network of a version: `before` names the layer whose products each rectifier takes, `last` the one that gives the scores. */
export async function networkOf(model, version) {
  const { network } = await call(`/v1/models/${model}/versions/${version}`);
  const layers = network.layers ?? [...network.hidden.flatMap(() => [{ type: "linear" }, { type: "converting_relu" }]), { type: "linear" }];
  const seen = {}, before = {};
  let last = null;
  for (const { type } of layers) {
    if (!(type in NAMES)) continue;
    const name = `${NAMES[type]}${(seen[NAMES[type]] = (seen[NAMES[type]] ?? 0) + 1)}`;
    if (NAMES[type] === "relu") before[name] = last;
    else last = name;
  }
  return { before, last };
}

/** The tensors of a version by name: shape and values. Source: the layout of safetensors. */
export async function weightsOf(model, version) {
  const response = await fetch(`/v1/models/${model}/versions/${version}/weights`).catch(() => null);
  if (!response?.ok) throw new Problem(t("think.no_weights"), { status: response?.status });
  const file = await response.arrayBuffer(), length = Number(new DataView(file).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length)));
  return Object.fromEntries(Object.entries(header).filter(([name]) => name !== "__metadata__").map(([name, { shape, data_offsets: [from, to] }]) =>
    [name, { shape, values: new Float32Array(file.slice(8 + length + from, 8 + length + to)) }]));
}

/** The weights that lead to one output of a tensor, outputs first, and their shape without it. */
export function row({ shape, values }, output) {
  const inner = shape.slice(1), size = inner.reduce((a, b) => a * b, 1);
  return { shape: inner, values: values.subarray(output * size, (output + 1) * size) };
}

/** The mean offset of the chip's neurons behind one column of a matrix, in LSB. Source: hxtorch's partitioning. */
export function offsetOf(offsets, rows, column) {
  const tiles = Math.ceil(rows / ROWS), first = Math.floor(column / COLUMNS) * tiles;
  let sum = 0;
  for (let tile = first; tile < first + tiles; tile += 1) sum += offsets[(tile % 2) * COLUMNS + (column % COLUMNS)];
  return sum / tiles;
}
