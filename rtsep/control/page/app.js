// The page: what comes in over the connection is handed to the parts that show it.

import { Connection } from "./connection.js";
import { setAttribute, setText } from "./elements.js";
import { showStrips } from "./strip.js";
import "./stream.js";
import "./transport.js";

const REFUSAL_SHOWN_MS = 6000;

const byId = (id) => document.getElementById(id);
const bypass = byId("bypass");
const transport = document.querySelector("rtsep-transport");
const stream = document.querySelector("rtsep-stream");
const connection = new Connection();

connection.addEventListener("connection", ({ detail: { name, words } }) => {
  setText(byId("connection"), words);
  byId("connection").classList.toggle("lost", name !== "connected");
  document.querySelector("main").classList.toggle("stale", name !== "connected");
});

connection.addEventListener("hello", ({ detail }) => {
  setText(document.querySelector("h1"), detail.program);
  document.title = detail.program;
  transport.build(connection, detail.commands);
  stream.build(connection, detail.commands);
  bypass.disabled = !detail.commands.includes("bypass");
});

connection.addEventListener("state", ({ detail: state }) => {
  showStrips(byId("strips"), state, connection);
  byId("mix").show(state.mix_dbfs);
  setAttribute(bypass, "aria-pressed", state.bypass);
  transport.show(state.transport ?? null);
  stream.show(state.stream ?? null);
});

let refusalTimer = 0;
connection.addEventListener("refused", ({ detail }) => {
  const shown = byId("refusal");
  shown.hidden = false;
  setText(shown, detail.why);
  clearTimeout(refusalTimer);
  refusalTimer = setTimeout(() => { shown.hidden = true; }, REFUSAL_SHOWN_MS);
});

bypass.addEventListener("click", () => {
  connection.send("bypass", { on: bypass.getAttribute("aria-pressed") !== "true" });
});

connection.open();
