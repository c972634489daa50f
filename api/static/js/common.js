// Shared by all scripts: texts, localised numbers, requests, elements.

const page = JSON.parse(document.getElementById("texts").textContent);
export const lang = page.lang;
export const user = page.user;
export const isAdmin = page.admin;

/** Gives a text with values in place of its {names}. */
export function t(name, values = {}) {
  const text = page.texts[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (whole, key) => (key in values ? values[key] : whole));
}

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(lang, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
export const percent = (part, digits = 0) =>
  new Intl.NumberFormat(lang, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits })
    .format(part);
export const milliseconds = (ms) => (ms < 1000 ? t("js.ms", { n: number(ms, ms < 10 ? 2 : ms < 100 ? 1 : 0) })
  : t("js.s", { n: number(ms / 1000, 1) }));

export const $ = (selector, root = document) => root.querySelector(selector);

/** Creates an element with properties, `data-` and `aria-` attributes and children. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name in element && !name.startsWith("aria")) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** An error answer of the service; `message` is for people. */
export class Problem extends Error {
  constructor(message, { status = 0, code = "unreachable" } = {}) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Sends a request and returns the answer's JSON. Throws a Problem. */
export async function call(path, { method = "GET", body, type, signal, headers: more } = {}) {
  const headers = { Accept: "application/json", ...more };
  const isForm = body instanceof FormData; // the browser names its type
  if (body !== undefined && !isForm) headers["Content-Type"] = type ?? "application/json";
  const content = body === undefined || type || isForm ? body : JSON.stringify(body);
  let response;
  try {
    response = await fetch(path, { method, headers, body: content, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    showConnection(false);
    throw new Problem(t("js.unreachable"));
  }
  showConnection(true);
  if (response.status === 401) {
    location.assign(`/login?ended=1&next=${encodeURIComponent(location.pathname + location.search)}`);
    throw new Problem("", { status: 401, code: "not_authenticated" });
  }
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) {
    throw new Problem(answer?.detail ?? response.statusText, { status: response.status, code: answer?.code });
  }
  return answer;
}

let isConnected = true;

/** Shows at the top of the page that the connection is lost, or that it is back. */
export function showConnection(connected) {
  if (connected === isConnected) return;
  isConnected = connected;
  const banner = $("#connection");
  banner.hidden = false;
  banner.classList.toggle("good", connected);
  banner.textContent = connected ? t("js.restored") : t("js.unreachable");
  if (connected) setTimeout(() => (banner.hidden = isConnected), 3000);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Describes a problem: its message is in English, so other languages put their name of the error before it. A name
    that is a whole sentence, with its full stop, says all and stands alone. */
function inWords({ code, message }) {
  const name = `error.${code}`;
  if (lang === "en" || !(name in page.texts)) return message;
  return t(name).endsWith(".") ? t(name) : t("js.because", { words: t(name), detail: message });
}

/** Shows a problem in an element, or hides the element. */
export function showProblem(element, problem) {
  element.hidden = !problem;
  element.textContent = problem ? inWords(problem) : "";
}
