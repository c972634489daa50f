// "Do this in Python, on the command line, with curl": what a page shows or does, with the values that are filled in.
// Programs take the address here and the token from HXSERVE_TOKEN: no token is ever shown.

const origin = location.origin;
const value = (selector) => document.querySelector(selector)?.value ?? "";
const python = (data) => JSON.stringify(data).replaceAll(/\btrue\b/g, "True").replaceAll(/\bfalse\b/g, "False").replaceAll(/\bnull\b/g, "None");
const quoted = (text) => (/^[\w@%+=:,./~-]+$/.test(text) ? text : `'${String(text).replaceAll("'", "'\\''")}'`);
const query = (parts) => {
  const given = Object.entries(parts).filter(([, part]) => part);
  return given.length ? `?${new URLSearchParams(given)}` : "";
};

const inPython = (...lines) => ["from hxserve import Client", "", `with Client(${JSON.stringify(origin)}) as client:`, ...lines.map((line) => `    ${line}`)].join("\n");
const inShell = (...words) => ["hxserve", ...words.filter((word) => word !== "" && word !== null).map((word) => quoted(String(word)))].join(" ");
const inCurl = (path, { json, file, type } = {}) => [
  `curl -H "Authorization: Bearer $HXSERVE_TOKEN"`,
  ...(json ? [`-H 'Content-Type: application/json'`, `-d ${quoted(JSON.stringify(json))}`] : []),
  ...(file ? [`-H 'Content-Type: ${type}'`, `--data-binary @${file}`] : []),
  quoted(origin + path)].join(" \\\n  ");
const shown = (expression, words, path) => ({ python: inPython(`print(${expression})`), shell: inShell(...words), curl: inCurl(path) });

function reading() {
  const [model, version = "latest"] = (value("#model") || "digits@latest").split("@");
  return {
    python: inPython(`print(client.classify("digit.png", model=${python(model)}, version=${python(version)}))`),
    shell: inShell("classify", "digit.png", "--model", model, "--version", version),
    curl: inCurl(`/v1/models/${encodeURIComponent(model)}/versions/${encodeURIComponent(version)}/classify`, { file: "digit.png", type: "image/png" }),
  };
}

/** A training as the form has it: train.js describes its params. */
function training({ model, params }) {
  const { network, dataset, ...plain } = params;
  const numbers = Object.entries(plain);
  const mixture = typeof dataset === "object" ? Object.entries(dataset).map((part) => part.join("=")) : [dataset];
  const options = numbers.flatMap(([name, number]) => [`--${name.replaceAll("_", "-")}`, number]);
  const given = { ...plain, dataset, ...(network ? { network } : {}) };
  return {
    python: inPython(`job = client.train(${[python(model), ...Object.entries(given).map(([name, data]) => `${name}=${python(data)}`)].join(", ")})`, "print(job.id)"),
    shell: network && !network.hidden ? `# layers.json: ${JSON.stringify(network.layers)}\n${inShell("train", "--model", model, ...options, ...mixture.flatMap((part) => ["--dataset", part]), "--network", "layers.json")}`
      : inShell("train", "--model", model, ...options, ...mixture.flatMap((part) => ["--dataset", part]), ...(network ? ["--hidden", network.hidden.join(",")] : [])),
    curl: inCurl("/v1/jobs", { json: { kind: "training", model, params } }),
  };
}

function jobs() {
  const { user, state, kind } = Object.fromEntries(new FormData(document.querySelector("#filters")));
  const given = Object.entries({ user, state, kind }).filter(([, part]) => part);
  return {
    python: inPython(`for job in client.jobs(${given.map(([name, part]) => `${name}=${python(part)}`).join(", ")}):`, "    print(job.id, job.kind, job.state)"),
    shell: inShell("jobs", "list", ...given.flatMap(([name, part]) => [`--${name}`, part])),
    curl: inCurl(`/v1/jobs${query({ user, state, kind })}`),
  };
}

const job = (id) => ({ python: inPython(`print(client.job(${python(id)}))`), shell: inShell("jobs", "show", id), curl: inCurl(`/v1/jobs/${id}`) });
const oneClass = (code) => shown(`client.classes.show(${python(code)})`, ["classes", "show", code], `/v1/classes/${code}`);

const OF_PATHS = [
  [/^\/$/, reading],
  [/^\/train$/, () => training(described())],
  [/^\/models$/, () => shown("client.models()", ["models"], "/v1/models")],
  [/^\/jobs$/, jobs],
  [/^\/jobs\/(\w+)$/, job],
  [/^\/chip$/, () => shown("client.chip()", ["chip"], "/v1/chip")],
  [/^\/letters/, () => ({ shell: inShell("letters", "--machines", 2, "--letters", 2000), curl: `${inCurl("/v1/letters/events").replace("curl ", "curl --no-buffer --max-time 3 ")}` })],
  [/^\/datasets$/, () => shown("client.datasets.list()", ["datasets"], "/v1/datasets")],
  [/^\/teach$/, () => ({ python: inPython(`print(client.teach("my-digits/"))`), shell: inShell("teach", "my-digits/") })],
  [/^\/corrections$/, () => shown("list(client.corrections())", ["corrections"], "/v1/corrections")],
  [/^\/classes$/, () => shown("client.classes.list()", ["classes"], "/v1/classes")],
  [/^\/classes\/(\w+)$/, oneClass],
  [/^\/me$/, () => shown("client.me()", ["me"], "/v1/me")],
  [/^\/admin$/, () => shown("client.users.list()", ["users"], "/v1/users")],
];

let described = () => ({});
/** Lets a page say what its form has. */
export const describe = (values) => (described = values);

const details = document.querySelector("#snippets");
const [found, make] = OF_PATHS.map(([pattern, maker]) => [pattern.exec(location.pathname), maker]).find(([match]) => match) ?? [];

function fill() {
  const texts = make(...found.slice(1));
  for (const block of details.querySelectorAll("[data-way]")) {
    const text = texts[block.dataset.way];
    block.hidden = !text;
    const code = block.querySelector("pre");
    code.textContent = block.dataset.way === "shell" && text ? `${text} --url ${origin}` : text ?? "";
  }
}

if (details && found) {
  details.hidden = false;
  details.addEventListener("toggle", () => details.open && fill());
  for (const type of ["input", "change"]) document.addEventListener(type, () => details.open && fill());
  details.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (!button) return;
    const code = button.closest("[data-way]").querySelector("pre");
    getSelection().selectAllChildren(code);
    navigator.clipboard?.writeText(code.textContent).catch(() => {}); // else what is selected can be copied by hand
  });
}
