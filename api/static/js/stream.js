// Server-sent events that reconnect after a lost connection.

import { call, showConnection } from "./common.js";

const PAUSE_MS = 1000;

/** Listens to a stream: `handlers` by event type receive the event's object. Returns a function that ends it. */
export function listen(path, handlers) {
  let source = null, timer = null, ended = false, last = "";

  function open() {
    source = new EventSource(path);
    source.onopen = () => showConnection(true);
    for (const [type, handle] of Object.entries(handlers)) {
      source.addEventListener(type, (event) => {
        // A stream that is opened again starts from its beginning: skip the events received before.
        if (event.lastEventId && compare(event.lastEventId, last) <= 0) return;
        last = event.lastEventId || last;
        handle(JSON.parse(event.data), event.lastEventId);
      });
    }
    source.onerror = () => {
      if (ended) return;
      source.close();
      clearTimeout(timer);
      timer = setTimeout(retry, PAUSE_MS);
    };
  }

  async function retry() {
    // A plain request tells whether the stream has ended, the service is down or the session has ended.
    try {
      await call("/v1/me");
    } catch (problem) {
      if (problem.status === 0) timer = setTimeout(retry, PAUSE_MS);
      if (problem.status === 0 || problem.status === 401) return;
    }
    if (!ended) open();
  }

  open();
  window.addEventListener("pagehide", close);
  function close() {
    ended = true;
    clearTimeout(timer);
    source.close();
  }
  return close;
}

function compare(a, b) {
  const [a1, a2] = a.split("-").map(Number), [b1 = 0, b2 = 0] = b.split("-").map(Number);
  return a1 - b1 || a2 - b2;
}
