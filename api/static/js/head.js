// The head of each page: the theme changes without a reload, the language keeps what is filled in, the menu closes.

const $ = (selector) => document.querySelector(selector);

for (const link of document.querySelectorAll(".choices a[href*='theme=']")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    document.documentElement.dataset.theme = new URLSearchParams(link.search).get("theme");
    for (const other of link.parentElement.children) other.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
    fetch(link.href, { redirect: "manual", keepalive: true }).catch(() => {}); // stores the choice for the next page, if the service answers
  });
}

const KEPT = `hxserve-kept ${location.pathname}`;
const kept = (field) => (field.id || field.name) && !["password", "file", "hidden"].includes(field.type);
const fields = () => [...document.querySelectorAll("main :is(input, select, textarea)")].filter(kept);
const nameOf = (field) => [field.id || field.name, ["radio", "checkbox"].includes(field.type) ? field.value : ""].join(" ");

for (const link of document.querySelectorAll(".choices a[href*='lang=']")) {
  link.addEventListener("click", () => {
    const values = fields().map((field) => [nameOf(field), field.checked ?? null, field.value]);
    const open = [...document.querySelectorAll("main details[id][open]")].map(({ id }) => id);
    sessionStorage.setItem(KEPT, JSON.stringify({ values, open }));
  });
}

/** Fills in again what a change of the language would have lost; the page's scripts hear of it. */
function restore({ values, open }) {
  for (const id of open) $(`#${CSS.escape(id)}`)?.setAttribute("open", "");
  const before = new Map(values.map(([name, checked, value]) => [name, { checked, value }]));
  for (const field of fields()) {
    const { checked, value } = before.get(nameOf(field)) ?? field;
    if (checked === field.checked && value === field.value) continue;
    if (["radio", "checkbox"].includes(field.type)) field.checked = checked;
    else if (field.tagName !== "SELECT" || [...field.options].some((option) => option.value === value)) field.value = value;
    for (const type of ["input", "change"]) field.dispatchEvent(new Event(type, { bubbles: true }));
  }
}

const stored = sessionStorage.getItem(KEPT);
if (stored) {
  sessionStorage.removeItem(KEPT);
  window.addEventListener("load", () => restore(JSON.parse(stored)));
}

const menu = $("#menu");
document.addEventListener("click", (event) => {
  if (menu?.open && !menu.contains(event.target)) menu.open = false;
});
menu?.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !menu.open) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
