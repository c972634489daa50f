// The letter centre that an admin starts and stops.

import { $, call, number, showProblem, t } from "./common.js";

const ACTIVE = ["waiting", "running", "stopping"];
const form = $("#order");
let shown = ""; // id and state of the order on the page

/** Shows the newest order, and whether a process is there that carries it out. */
export function showOrders({ ready, order }) {
  const isActive = ACTIVE.includes(order?.state);
  $("#order-absent").hidden = ready || isActive;
  form.hidden = !ready && !isActive;
  $("#order-start").disabled = isActive;
  $("#order-stop").disabled = !isActive || order.state === "stopping";
  const now = order ? `${order.id} ${order.state}` : "";
  if (now === shown) return; // what a button met stays to be read
  shown = now;
  const words = order ? t(`order.${order.problem ? "failed" : order.state}`, { letters: number(order.params.letters) }) : "";
  $("#order-state").textContent = words;
  showProblem($("#order-problem"), order?.problem);
}

/** Sends what a button asks for; the stream of events shows what comes of it. */
async function send(button, method, body) {
  button.disabled = true;
  try {
    await call("/v1/letters/order", { method, body });
    showProblem($("#order-problem"), null);
  } catch (problem) {
    button.disabled = false;
    showProblem($("#order-problem"), problem);
  }
}

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const { model, ...numbers } = Object.fromEntries(new FormData(form));
  const counts = Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, Number(value)]));
  send($("#order-start"), "POST", { model, ...counts });
});
$("#order-stop")?.addEventListener("click", ({ target }) => send(target, "DELETE"));
