// One's webhooks: the addresses, and what came of the newest deliveries.

import { $, call, el, number, t } from "./common.js";
import { attempting, button, confirmed } from "./forms.js";
import { ago, date } from "./words.js";

const SHOWN = 10;
const REFRESH_MS = 2000;
const PATH = "/v1/webhooks";
const attempt = attempting($("#hooks-problem"));
const say = (text) => ($("#hooks-said").textContent = text);
const post = (path) => call(`${PATH}/${path}`, { method: "POST" });

const eventName = (event) => (event === "webhook.test" ? t("hooks.a_test") : t(`hooks.${event.replace("job.", "")}`));

function stateOf({ off, failing_since: since }) {
  if (off) return t("hooks.off", { why: off });
  return since ? t("hooks.failing", { at: date(since) }) : t("hooks.on");
}

function hookItem(hook) {
  const { id, url, events, kinds, active } = hook, name = url ?? t("hooks.named");
  const words = [stateOf(hook), url ? events.map(eventName).join(", ") || t("hooks.only_named") : "", kinds.map((kind) => t(`job.${kind}`)).join(", ")];
  const act = (text, action, className = "quiet") =>
    button(t(`hooks.${text}`), attempt, action, { className, "aria-label": `${t(`hooks.${text}`)}: ${name}` });
  return el("li", { className: "row" }, el("span", { className: "grow hook" }, el("strong", {}, name), " ",
    el("span", { className: "hint" }, words.filter(Boolean).join(" · "))),
  url && active ? act("test", async () => {
    await post(`${id}/test`);
    await refresh();
    say(t("hooks.sent"));
  }) : null,
  act(active ? "switch_off" : "switch_on", async () => {
    await call(`${PATH}/${id}`, { method: "PATCH", body: { active: !active } });
    await refresh();
  }),
  act("delete", async () => {
    if (!(await confirmed(t("hooks.ask_delete", { url: name }), t("hooks.delete")))) return;
    await call(`${PATH}/${id}`, { method: "DELETE" });
    await refresh();
    $("#hooks-heading").focus(); // the button is gone
  }, "danger quiet"));
}

function deliveryItem({ id, event, job, state, tries, status, created_at: at, problem }) {
  const what = job ? el("a", { href: `/jobs/${job}` }, eventName(event)) : eventName(event);
  const words = [t(`hooks.${state}`), tries > 1 ? t("hooks.tries", { n: number(tries) }) : "", status ? `HTTP ${status}` : "", problem ?? ""];
  return el("li", { className: "row" }, el("span", { className: "grow hook" }, what, " ", el("span", { className: `state ${state}` }, words.filter(Boolean).join(" · ")), " ",
    el("time", { className: "hint", dateTime: at, title: date(at) }, ago(at))),
  button(t("hooks.again"), attempt, async () => {
    await post(`deliveries/${id}/again`);
    await refresh();
    say(t("hooks.sent"));
  }, { className: "quiet", "aria-label": t("hooks.again_of", { id }) }));
}

let shown = "";

async function refresh() {
  const [{ webhooks }, { deliveries }] = await Promise.all([call(PATH), call(`${PATH}/deliveries?limit=${SHOWN}`)]);
  const now = JSON.stringify([webhooks, deliveries]);
  if (now === shown) return; // a button that has the focus keeps it
  shown = now;
  $("#hooks").replaceChildren(...webhooks.map(hookItem));
  $("#deliveries").replaceChildren(...deliveries.map(deliveryItem));
  $("#deliveries-of-hooks").hidden = !webhooks.length && !deliveries.length;
  $("#no-deliveries").hidden = deliveries.length > 0;
}

$("#add-hook").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const { secret } = await call(PATH, { method: "POST", body: { url: $("#hook-url").value } });
    $("#new-hook").hidden = false;
    $("#hook-secret").value = secret;
    $("#hook-secret").select();
    $("#add-hook").reset();
    await refresh();
  });
});
setInterval(() => !document.hidden && refresh().catch(() => {}), REFRESH_MS);
attempt(refresh);
