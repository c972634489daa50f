// The list of classes, and the form to start one.

import { $, call, el, showProblem, t } from "./common.js";
import { at, stateOf } from "./class_words.js";

const form = $("#start");

/** The next time at which the clock shows this time of day. */
function nextTime(text) {
  const [hours, minutes] = text.split(":").map(Number);
  const time = new Date();
  time.setHours(hours, minutes, 0, 0);
  if (time <= new Date()) time.setDate(time.getDate() + 1);
  return time.toISOString();
}

function item(each) {
  return el("li", {},
    el("a", { href: `/classes/${each.code}` }, each.title),
    el("span", { className: "code" }, each.code.toUpperCase()),
    stateOf(each),
    el("span", { className: "hint" }, t("class.taken", each), " · ", t("class.ends", { time: at(each.until) })));
}

async function show() {
  try {
    const { classes } = await call("/v1/classes");
    $("#classes").replaceChildren(...classes.map(item));
    $("#none").hidden = classes.length > 0;
  } catch (problem) {
    showProblem($("#problem"), problem);
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = $("button", form), { title, seats, until } = form.elements;
  button.disabled = true;
  showProblem($("#problem"), null);
  try {
    const body = { title: title.value, seats: Number(seats.value), until: nextTime(until.value) };
    const { code } = await call("/v1/classes", { method: "POST", body });
    location.assign(`/classes/${code}`);
  } catch (problem) {
    showProblem($("#problem"), problem);
    button.disabled = false;
  }
});

const inTwoHours = new Date(Date.now() + 2 * 3_600_000);
form.elements.until.value = `${String(inTwoHours.getHours()).padStart(2, "0")}:00`;
show();
