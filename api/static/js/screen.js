// The code of a class on the projector: counts who is in.

import { $, call, sleep, t } from "./common.js";

const { code } = $("#screen").dataset;
for (;;) {
  try {
    const { taken } = await call(`/v1/classes/${code}`);
    $("#in-now").textContent = t("class.in_now", { n: taken });
  } catch {
    // the next time is soon
  }
  await sleep(2000);
}
