// A lesson: digits become a data set, a network is read with before, learns from them, and is read with after.

import { SIDE, decode, paint } from "./canvas.js";
import { Problem, call, el, sleep, t } from "./common.js";
import { listen } from "./stream.js";

const KEPT = "hxserve-lesson"; // until the tab is closed
const AGAIN_MS = 1000;
const LOOK_MS = 2000; // without an event

export const keptLesson = () => JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
export const forgetLesson = () => sessionStorage.removeItem(KEPT);
const keep = (lesson) => sessionStorage.setItem(KEPT, JSON.stringify(lesson));
const freshKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** A lesson of crops with digit and part, for a version `teacher` to become a model `name`. */
export function newLesson(teacher, name, crops) {
  const lesson = { key: freshKey(), teacher, name, crops, began: Date.now() };
  keep(lesson);
  return lesson;
}

export const heldBack = ({ crops }) => crops.filter(({ part }) => part === "test");

/**
 * Takes the steps of a lesson that are still to be taken, so that it can go on after a reload.
 *
 * `show` is called with the lesson, and the job that runs, after each change. Throws a Problem; the lesson can go on.
 */
export async function teach(lesson, show) {
  /** Takes a step whose result is kept. */
  async function take(name, action) {
    lesson[name] ??= await insist(action);
    keep(lesson);
    show(lesson, null);
  }

  /** Submits a job and waits for its end; one without a result is submitted anew when the lesson goes on. */
  async function run(name, submit) {
    if (lesson[name]?.result) return;
    await take(name, async () => ({ id: (await submit(`${lesson.key}-${name}`)).id }));
    const job = await follow(lesson[name].id, (job) => show(lesson, job));
    if (job.state !== "succeeded") {
      delete lesson[name];
      lesson.key = freshKey();
      keep(lesson);
      if (job.state === "cancelled") throw new Problem(t("teach.stopped"), { code: "cancelled" });
      throw new Problem(job.error?.message ?? t(`job.${job.state}`), { status: 500, code: job.error?.code });
    }
    lesson[name] = { id: job.id, result: job.result, params: job.params, epochs: job.metrics.epochs };
    keep(lesson);
    show(lesson, null);
  }

  const form = await formOf(lesson.crops);
  await run("saving", (key) => call(`/v1/datasets/${encodeURIComponent(lesson.name)}/versions`, { method: "POST", body: form, headers: keyed(key) }));
  const { dataset, version } = lesson.saving.result;
  lesson.dataset = `${dataset}@${version}`;
  await take("before", () => read(lesson.teacher, heldBack(lesson)));
  await run("training", (key) => submit({ kind: "training", model: lesson.name,
    params: { recipe: "adapt", start_from: lesson.teacher, dataset: lesson.dataset } }, key));
  const learnt = lesson.training;
  await take("after", () => read(`${learnt.result.model}@${learnt.result.version}`, heldBack(lesson)));
  const [first] = Object.keys(learnt.params.dataset).filter((name) => name !== lesson.dataset);
  const [model, of] = lesson.teacher.split("@");
  await run("measuring", (key) => submit({ kind: "evaluation", model, params: { version: of, dataset: first } }, key));
  lesson.ended ??= Date.now();
  keep(lesson);
}

const keyed = (key) => ({ "Idempotency-Key": key });
const submit = (body, key) => call("/v1/jobs", { method: "POST", body, headers: keyed(key) });

/** Does an action again until the service answers. */
async function insist(action) {
  for (;;) {
    try {
      return await action();
    } catch (problem) {
      if (problem.status !== 0 && problem.status !== 503 && problem.code !== "queue_full") throw problem;
      await sleep(AGAIN_MS);
    }
  }
}

/** Follows a job to its end. */
async function follow(id, show) {
  let wake = () => {};
  const heard = Object.fromEntries(["state", "progress"].map((type) => [type, () => wake()]));
  const stop = listen(`/v1/jobs/${id}/events`, heard);
  try {
    for (;;) {
      const event = new Promise((resolve) => (wake = resolve));
      const job = await insist(() => call(`/v1/jobs/${id}`));
      if (!["queued", "running"].includes(job.state)) return job;
      show(job);
      await Promise.race([event, sleep(LOOK_MS)]);
    }
  } finally {
    stop();
  }
}

/** The digits that a version reads in crops. */
async function read(reference, crops) {
  const [model, version] = reference.split("@");
  const body = Uint8Array.from(crops.flatMap(({ pixels }) => [...decode(pixels)]));
  let answer = await call(`/v1/models/${model}/versions/${version}/classify`, { method: "POST", body, type: "application/octet-stream" });
  if (!answer.predictions) ({ result: answer } = await follow(answer.id, () => {})); // the chip was busy
  if (!answer) throw new Problem(t("teach.late"), { status: 503 });
  return answer.predictions.map(({ digit }) => digit);
}

/** Crops as pictures in folders: train/3/1.png. */
async function formOf(crops) {
  const form = new FormData(), canvas = el("canvas", { width: SIDE, height: SIDE });
  for (const [i, { digit, part, pixels }] of crops.entries()) {
    paint(canvas.getContext("2d"), decode(pixels));
    form.append("pictures", await new Promise((resolve) => canvas.toBlob(resolve)), `${part}/${digit}/${i}.png`);
  }
  return form;
}
