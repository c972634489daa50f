// Actions of forms and buttons: their problems are shown, and what cannot be undone is asked for first.

import { $, el, showProblem, t } from "./common.js";

/** Returns a function that runs an action and shows its problem in an element. */
export const attempting = (element) => async (action) => {
  try {
    await action();
    showProblem(element, null);
  } catch (problem) {
    showProblem(element, problem);
    element.scrollIntoView({ block: "nearest" });
  }
};

/** A button that runs an action; it is off meanwhile. */
export function button(text, attempt, action, properties = {}) {
  const created = el("button", { type: "button", ...properties }, text);
  created.addEventListener("click", async () => {
    created.disabled = true;
    await attempt(action);
    created.disabled = false;
  });
  return created;
}

/** Asks in a dialog; gives whether the action was chosen. Escape and "Keep" leave all as it is. */
export async function confirmed(question, action) {
  const dialog = el("dialog", { "aria-labelledby": "question" }, el("form", { method: "dialog" },
    el("p", { id: "question" }, question),
    el("div", { className: "row" }, el("button", { value: "" }, t("js.keep")), el("button", { value: "yes", className: "danger" }, action))));
  document.body.append(dialog);
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  dialog.remove();
  return dialog.returnValue === "yes";
}

/** A dialog with a form; gives its values by name, or null when it is left. */
export async function filledIn(heading, fields, action) {
  const form = el("form", { method: "dialog", className: "dialog-form" }, el("h2", { id: "dialog-heading" }, heading), ...fields,
    el("div", { className: "row" }, el("button", { type: "button", className: "leave" }, t("js.leave")),
      el("button", { value: "yes", className: "main" }, action)));
  const dialog = el("dialog", { "aria-labelledby": "dialog-heading" }, form);
  $(".leave", form).addEventListener("click", () => dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  dialog.remove();
  return dialog.returnValue === "yes" ? Object.fromEntries(new FormData(form)) : null;
}

/** A labelled field of such a form. */
export function field(label, input, hint) {
  const id = `field-${input.name}`;
  input.id = id;
  if (hint) input.setAttribute("aria-describedby", `${id}-hint`);
  return el("div", { className: "field" }, el("label", { htmlFor: id }, label), input,
    hint ? el("p", { className: "hint", id: `${id}-hint` }, hint) : null);
}

/** A select with options of [value, text]. */
export const choice = (name, options, value) => {
  const select = el("select", { name }, ...options.map(([key, text]) => new Option(text, key)));
  if (value !== undefined) select.value = value;
  return select;
};
