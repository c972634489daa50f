// Uploads of data sets in parts, which go on after a lost connection, and when the same files are chosen again.

import { call, sleep } from "./common.js";

const PART_BYTES = 2 ** 21;
const PATIENCE_MS = 60_000; // the longest time without any progress
const PAUSE_MS = 500;
const RESUMED = new Set([0, 409, 429, 502, 503]); // 409: another part was received than this page knows of
const FINAL = new Set(["succeeded", "failed", "cancelled", "expired"]);

/** All files of a drop, those in folders under their paths. */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ name: file.name, file }));
  return (await Promise.all(entries.map(filesOf))).flat();
}

async function filesOf(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ name: entry.fullPath.slice(1), file }];
  }
  const reader = entry.createReader(), found = [];
  for (;;) { // a reader gives at most a hundred at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return (await Promise.all(found.map(filesOf))).flat();
    found.push(...some);
  }
}

/** Begins an upload, or finds the one that was begun with these files and whose import has not ended. */
async function begin(path, files, options) {
  const body = { files: files.map(({ name, file }) => ({ name, bytes: file.size })), ...options };
  const sum = (of) => files.reduce((total, { file }) => total + of(file), 0);
  let key = `page ${files.length} ${sum((file) => file.size)} ${sum((file) => file.lastModified)} ${JSON.stringify(options)}`;
  for (;;) {
    const upload = await call(path, { method: "POST", body, headers: { "Idempotency-Key": key } });
    if (!upload.job || !(await hasEnded(upload.job))) return upload;
    key = `page after ${upload.job}`;
  }
}

async function hasEnded(job) {
  try {
    return FINAL.has((await call(`/v1/jobs/${job}`)).state);
  } catch (problem) {
    if (problem.status === 404) return true;
    throw problem;
  }
}

/** Sends the files of a data set; returns the job that imports them. Throws a Problem. */
export async function sendFiles(name, files, options, onProgress) {
  const uploads = `/v1/datasets/${encodeURIComponent(name)}/uploads`;
  let { upload: id, files: states } = await begin(uploads, files, options);
  const path = `${uploads}/${id}`;
  const total = files.reduce((sum, { file }) => sum + file.size, 0);
  const done = () => states.reduce((sum, { received }) => sum + received, 0);
  let progressedAt = performance.now();
  for (const [index, { file }] of files.entries()) {
    for (;;) {
      onProgress(done(), total);
      const first = states[index].received;
      if (first >= file.size) break;
      const before = done();
      try {
        const part = file.slice(first, first + PART_BYTES);
        const headers = { "Content-Range": `bytes ${first}-${first + part.size - 1}/${file.size}` };
        const type = "application/octet-stream";
        ({ files: states } = await call(`${path}/files/${index}`, { method: "PUT", body: part, type, headers }));
      } catch (problem) {
        if (!RESUMED.has(problem.status) || performance.now() - progressedAt > PATIENCE_MS) throw problem;
        await sleep(PAUSE_MS);
        ({ files: states } = await call(path).catch(() => ({ files: states })));
      }
      if (done() > before) progressedAt = performance.now();
    }
  }
  return call(`${path}/complete`, { method: "POST" });
}

/** Waits for a job; returns it in its final state. */
export async function waitFor(job, onChange) {
  while (!FINAL.has(job.state)) {
    onChange(job);
    await sleep(PAUSE_MS);
    job = await call(`/v1/jobs/${job.id}`).catch((problem) => {
      if (problem.status && problem.status < 500) throw problem;
      return job;
    });
  }
  return job;
}
