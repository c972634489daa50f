// One's own account: quotas, tokens, the choice to keep answers, chip time, and a second device.

import { $, call, el, lang, number, t, user } from "./common.js";
import { attempting, button, confirmed } from "./forms.js";
import { ago, date, duration } from "./words.js";

const attempt = attempting($("#problem"));
const LOCAL = ["localhost", "127.0.0.1", "[::1]"];

const amount = (quota, value) => (quota === "chip_seconds_per_day" ? duration(value)
  : quota.includes("bytes") ? t("datasets.megabytes", { n: number(value / 1e6, value && value < 1e7 ? 1 : 0) })
    : number(value));

/** A limit as a bar where its use is known. */
function quotaBar([name, { limit, used }]) {
  const words = t(`me.${name}`);
  const free = limit === null ? t("me.no_limit") : null;
  const text = used === null ? free ?? t("me.at_most", { limit: amount(name, limit) })
    : free ? t("me.used_free", { used: amount(name, used) }) : t("me.used_of", { used: amount(name, used), limit: amount(name, limit) });
  return el("div", { className: "quota" }, el("span", {}, words), el("strong", {}, text),
    used === null || limit === null ? null
      : el("meter", { min: 0, max: limit || 1, value: Math.min(used, limit || 1), high: 0.8 * (limit || 1), "aria-label": `${words}: ${text}` }));
}

async function showQuotas() {
  const { quotas, keep } = await call("/v1/me");
  $("#quotas").replaceChildren(...Object.entries(quotas).map(quotaBar));
  $("#quotas").removeAttribute("aria-busy");
  $("#keep").checked = keep;
}

async function showUsage() {
  const { users } = await call("/v1/usage");
  const mine = users.find((each) => each.user === user) ?? { chip_time_s: {}, total_s: 0 };
  const kinds = Object.entries(mine.chip_time_s).filter(([, seconds]) => seconds > 0);
  $("#usage").replaceChildren(...[...kinds.map(([kind, seconds]) => [t(`job.${kind}`), seconds]), [t("me.total"), mine.total_s]]
    .map(([name, seconds]) => el("div", {}, el("dt", {}, name), el("dd", {}, duration(seconds)))));
}

function tokenItem({ id, created_at: made, expires_at: ends, current }) {
  const age = el("time", { dateTime: made, title: date(made) }, t("me.made", { ago: ago(made) }));
  return el("li", { className: "row" }, el("code", {}, id), el("span", { className: "grow" }, age, " · ",
    ends ? t("me.ends", { at: new Date(ends).toLocaleDateString(lang) }) : t("me.endless"), current ? ` · ${t("me.current")}` : ""),
  button(t("me.revoke"), attempt, () => revoke(id, current), { className: "danger quiet", "aria-label": t("me.revoke_of", { id }) }));
}

async function showTokens() {
  const { tokens } = await call("/v1/me/tokens");
  $("#tokens").replaceChildren(...tokens.map(tokenItem));
}

async function revoke(id, current) {
  if (!(await confirmed(t(current ? "me.ask_current" : "me.ask_revoke", { id }), t("me.revoke")))) return;
  await call(`/v1/me/tokens/${id}`, { method: "DELETE" });
  await showTokens();
  $("#said").textContent = t("me.revoked", { id });
  $("#tokens-heading").focus(); // the button is gone
}

$("#issue").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const life = $("#lifetime").value;
    const { token } = await call("/v1/me/tokens", { method: "POST", body: { expires_in: life ? Number(life) : null } });
    $("#new-token").hidden = false;
    $("#secret").value = token;
    $("#secret").select();
    await showTokens();
  });
});
$("#copy").addEventListener("click", () => {
  $("#secret").select();
  // Over plain HTTP from another machine browsers have no clipboard: what is selected can be copied by hand.
  navigator.clipboard?.writeText($("#secret").value).then(() => ($("#said").textContent = t("me.copied")), () => {});
});
$("#keep").addEventListener("change", ({ target }) => attempt(async () => {
  try {
    await call("/v1/me/keep", { method: "PUT", body: { keep: target.checked } });
  } catch (problem) {
    target.checked = !target.checked;
    throw problem;
  }
}));

let timer = null;
$("#make-link").addEventListener("click", () => attempt(async () => {
  const { qr, expires_at: end } = await call("/v1/me/sign-in-links", { method: "POST" });
  $("#qr").src = `data:image/svg+xml,${encodeURIComponent(qr)}`;
  $("#qr").hidden = false;
  $("#link").hidden = false;
  $("#link-local").hidden = !LOCAL.includes(location.hostname);
  $("#make-link").textContent = t("me.new_link");
  clearInterval(timer);
  const ends = new Date(end);
  const count = () => {
    const left = Math.ceil((ends - Date.now()) / 1000);
    $("#link-left").textContent = left > 0 ? t("me.link_left", { n: left }) : t("me.link_over");
    if (left <= 0) {
      clearInterval(timer);
      $("#qr").hidden = true;
    }
  };
  count();
  timer = setInterval(count, 1000);
}));

// The bearer of the token file has no record, so no tokens of its own.
$("#issue").hidden = user === "admin";
$("#no-record").hidden = user !== "admin";
attempt(async () => { await Promise.all([showQuotas(), showUsage(), showTokens()]); });
