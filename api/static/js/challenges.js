// The challenges: chooses one, shows the board.

import { $, call, el, number, showProblem, t } from "./common.js";
import { Drawing } from "./canvas.js";
import { Fooling } from "./fooling.js";
import { listModels } from "./models.js";
import { Quiz } from "./quiz.js";
import { Sixty } from "./sixty.js";

const EVERY_MS = 5000;

/** The version to play against, as requests have it. */
function against() {
  const [model, version] = $("#model").value.split("@");
  return { model, version };
}

/** Runs an action that may fail, and shows its problem. */
async function attempt(action) {
  try {
    await action();
    showProblem($("#problem"), null);
  } catch (problem) {
    showProblem($("#problem"), problem);
  }
}

const drawing = new Drawing($("#canvas"), () => games.sixty.drawn());
const parts = { drawing, against, attempt, ended: () => attempt(showBoard) };
const games = { sixty: new Sixty(parts), fool: new Fooling(parts), mistakes: new Quiz(parts) };

const chosen = () => $("#which input:checked").value;

function choose() {
  const name = chosen();
  for (const [other, game] of Object.entries(games)) if (other !== name) game.leave();
  $("#drawn").hidden = name === "mistakes";
  $("#quiz").hidden = name !== "mistakes";
  $("#votes").hidden = $("#mean").hidden = $("#try").hidden = name !== "fool";
  $("#start").hidden = $(".ask").hidden = name !== "sixty";
  $("#how").textContent = name === "mistakes" ? "" : t(`challenge.${name}_how`);
  $("#said").textContent = "";
  drawing.begin();
  attempt(() => games[name].enter());
  attempt(showBoard);
}

async function showBoard() {
  const board = await call("/v1/challenges/board"), name = chosen();
  $("#board-what").textContent = t(`challenge.board_${name}`);
  $("#board").replaceChildren(...board[name].map(({ nickname, score, you }) =>
    el("li", { className: you ? "you" : "" }, nickname, el("span", {}, number(score)))));
  $("#board-none").hidden = board[name].length > 0;
  $("#best").textContent = board.yours[name] ? t("challenge.best", { n: number(board.yours[name]) }) : "";
  if (document.activeElement !== $("#on-board")) $("#on-board").checked = board.nickname !== null;
  if (board.nickname && $("#nickname") && document.activeElement !== $("#nickname")) $("#nickname").value = board.nickname;
}

$("#which").addEventListener("change", choose);
$("#model").addEventListener("change", choose);
$("#clear").addEventListener("click", () => drawing.clear());
for (const name of ["#on-board", "#nickname"]) {
  $(name)?.addEventListener("change", () => attempt(async () => {
    const nickname = $("#on-board").checked ? $("#nickname")?.value || "-" : null;
    await call("/v1/challenges/board", { method: "PUT", body: { nickname } });
    await showBoard();
  }));
}
attempt(async () => {
  await listModels($("#model"));
  choose();
});
setInterval(async () => {
  if (document.hidden) return;
  try {
    await Promise.all([showBoard(), games[chosen()].refresh?.()]);
  } catch {
    // a problem of the player's own stays to be read; the next look is soon
  }
}, EVERY_MS);
