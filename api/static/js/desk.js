// The coding desk: shows a letter that could not be read, and takes the five digits of its postcode.

import { $, call, el, number, showProblem, sleep, t } from "./common.js";

const DIGITS = 5;
const LOOK_AGAIN_MS = 1000;

const field = $("#postcode");
let letter = null; // the letter shown
let last = null; // the one keyed before it, which can be taken back
let keyed = 0;
let began = null; // when the first letter was shown

/** Draws a crop, 784 grey values in base64. */
function crop(content) {
  const canvas = el("canvas", { width: 28, height: 28 });
  const image = new ImageData(28, 28);
  for (const [i, character] of [...atob(content)].entries()) {
    image.data.set(Array(3).fill(character.charCodeAt(0)).concat(255), 4 * i);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function show(found) {
  letter = found;
  $("#letter").hidden = !found;
  $("#none").hidden = Boolean(found);
  if (!found) return;
  began ??= performance.now();
  $("#envelope").src = `data:image/jpeg;base64,${found.envelope}`;
  $("#crops").replaceChildren(...found.crops.map(crop));
  field.value = "";
  field.focus({ preventScroll: true });
}

function showFigures({ waiting }) {
  $("#waiting").textContent = number(waiting);
  $("#count").textContent = number(keyed);
  $("#undo").disabled = !last;
  const hours = began === null ? 0 : (performance.now() - began) / 3.6e6;
  $("#per-hour").textContent = keyed && hours ? number(keyed / hours) : "–";
}

/** Runs an action on the desk; shows its problem, or hides the one before. One runs at a time. */
let isBusy = false;
async function attempt(action) {
  if (isBusy) return;
  isBusy = true;
  try {
    await action();
    showProblem($("#problem"), null);
  } catch (problem) {
    showProblem($("#problem"), problem);
  }
  isBusy = false;
}

async function claim() {
  const desk = await call("/v1/desk/claims", { method: "POST" });
  show(desk.letter);
  showFigures(desk);
}

/** Keys a postcode, null for one that cannot be read, and goes on to the next letter. */
const key = (postcode) => attempt(async () => {
  if (!letter) return;
  const { id } = letter;
  try {
    await call(`/v1/desk/letters/${id}/postcode`, { method: "PUT", body: { postcode } });
  } catch (problem) {
    if (problem.status !== 404) throw problem;
    await claim(); // keyed by another coder meanwhile, and collected
    return;
  }
  last = id;
  keyed += 1;
  $("#last").textContent = postcode === null ? t("desk.passed_on") : t("desk.last", { postcode: [...postcode].join(" ") });
  await claim();
});

const takeBack = () => attempt(async () => {
  if (!last) return;
  const id = last;
  last = null;
  try {
    const desk = await call(`/v1/desk/letters/${id}/postcode`, { method: "DELETE" });
    keyed -= 1;
    show(desk.letter);
    showFigures(desk);
    $("#last").textContent = t("desk.taken_back");
  } catch (problem) {
    if (problem.status !== 404) throw problem;
    $("#last").textContent = t("desk.gone");
  }
  $("#undo").disabled = true;
});

function put(digits) {
  field.value = digits.replace(/\D/g, "").slice(0, DIGITS);
  if (field.value.length === DIGITS) key(field.value);
}

field.addEventListener("input", () => put(field.value));
$("#keyed").addEventListener("submit", (event) => {
  event.preventDefault();
  put(field.value); // again, after a problem
});
$("#keyed").addEventListener("click", ({ target }) => {
  if (target.dataset.digit) put(field.value + target.dataset.digit);
});
$("#erase").addEventListener("click", () => put(field.value.slice(0, -1)));
$("#unreadable").addEventListener("click", () => key(null));
$("#undo").addEventListener("click", takeBack);
document.addEventListener("keydown", (event) => {
  const isUndo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
  if (!isUndo && event.key !== "Escape") return;
  event.preventDefault();
  (isUndo ? takeBack : () => key(null))();
});

/** Claims the next letter when there is none, as long as the page is seen. */
async function watch() {
  for (;;) {
    if (!letter && !document.hidden) await attempt(claim);
    await sleep(LOOK_AGAIN_MS);
  }
}

watch();
