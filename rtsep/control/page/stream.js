// How the stream does: its plan and latency, and what was late or lost.

import { Choice, clock, make, setText } from "./elements.js";

// Of each: its member in the state, without which it is not shown, its name, its words, what is bad.
const ROWS = [
  ["plan", "Running as", (stream) => stream.plan],
  ["latency_ms", "Latency", (stream) => `${stream.latency_ms.toFixed(0)} ms`],
  ["late_masks", "Late masks", (stream) => withShare(stream.late_masks, stream.hops), isSome],
  ["xruns", "Xruns", (stream) => String(stream.xruns), isSome],
  ["bad_samples", "Bad samples", (stream) => String(stream.bad_samples), isSome],
  ["lost_s", "Not recorded", (stream) => `${stream.lost_s.toFixed(1)} s`, isSome],
  ["model", "Model", (stream) => stream.model],
  ["played_s", "Running for", (stream) => clock(stream.played_s)],
];

function isSome(count) {
  return count > 0;
}

function withShare(count, hops) {
  return count && hops ? `${count} (${((100 * count) / hops).toPrecision(2)} %)` : String(count);
}

class Stream extends HTMLElement {
  #rows = null;
  #plan = null;

  build(connection, commands) {
    this.#plan ??= new Choice("Plan", (name) => connection.send("plan", { name }));
    this.#plan.element.hidden = !commands.includes("plan");
  }

  show(stream) {
    this.hidden = !stream;
    if (!stream) return;
    if (!this.#rows) {
      this.#rows = ROWS.map(([, name]) => make("div", {}, make("dt", {}, name), make("dd")));
      this.append(
        make("h2", {}, "Stream"), this.#plan.element, make("dl", {}, ...this.#rows),
      );
    }
    this.#plan.show(stream.plans ?? [], stream.plan_choice);
    ROWS.forEach(([member, , words, isBad], at) => {
      const row = this.#rows[at];
      row.hidden = stream[member] === undefined;
      if (row.hidden) return;
      setText(row.lastChild, words(stream));
      row.classList.toggle("bad", Boolean(isBad?.(stream[member])));
    });
  }
}
customElements.define("rtsep-stream", Stream);
