// What plays: song, place, loop, tempo and key. Shown where the program has them.

import { Slider, Toggle, clock, make, setText } from "./elements.js";

const SKIP_S = 10;
const signed = (value) => `${value > 0 ? "+" : value < 0 ? "\u2212" : ""}${Math.abs(value)}`;

class Transport extends HTMLElement {
  #transport = null;
  #commands = null;

  // Again after each reconnection: what has the focus keeps it.
  build(connection, commands) {
    if (this.#commands === String(commands)) return;
    this.#commands = String(commands);
    const button = (label, name, onClick) =>
      make("button", { type: "button", "aria-label": name, onclick: onClick }, label);
    const slider = (command, argument, label, options) =>
      commands.includes(command)
        ? new Slider(label, options, (value) =>
            connection.sendNewest(command, command, { [argument]: value }))
        : null;
    const toSong = (step) => () => {
      const number = this.#transport.song_number + step;
      if (number >= 1 && number <= this.#transport.songs) connection.send("song", { number });
    };
    this.song = make("h2", {});
    this.waits = make("p", { class: "value", role: "status" });
    this.position = slider("seek", "position_s", "Position", {
      min: 0, max: 1, step: 0.1,
      words: (seconds) => `${clock(seconds)} of ${clock(this.#transport?.duration_s ?? 0)}`,
    });
    this.play = new Toggle("play", "Play", (on) => connection.send("play", { on }));
    this.songs = commands.includes("song")
      ? [button("Previous", "Previous song", toSong(-1)), button("Next", "Next song", toSong(1))]
      : [];
    const skips = commands.includes("skip")
      ? [-SKIP_S, SKIP_S].map((seconds) =>
          button(`${signed(seconds)} s`, `${seconds < 0 ? "Back" : "On"} ${SKIP_S} seconds`,
            () => connection.send("skip", { seconds })))
      : [];
    // One button for all of it: its words say what comes next, and all phones share the mark.
    this.mark = make("button", { type: "button", onclick: () => connection.send("mark_loop") });
    this.mark.hidden = !commands.includes("mark_loop");
    this.loop = make("p", { class: "value", role: "status" });
    this.tempo = slider("tempo", "percent", "Tempo", {
      min: 50, max: 150, step: 1, neutral: 100, words: (value) => `${Math.round(value)} %`,
    });
    this.key = slider("key", "semitones", "Key", {
      min: -6, max: 6, step: 1, neutral: 0,
      words: (value) => `${signed(value)} semitone${Math.abs(value) === 1 ? "" : "s"}`,
    });
    this.tuning = slider("tuning", "cents", "Tuning", {
      min: -100, max: 100, step: 1, neutral: 0, words: (value) => `${signed(Math.round(value))} cents`,
    });
    const sliders = [this.position, this.tempo, this.key, this.tuning].filter(Boolean);
    const [position, ...others] = this.position ? sliders : [null, ...sliders];
    this.replaceChildren(
      this.song, this.waits,
      ...(position ? [position.element] : []),
      make("div", { class: "buttons" }, ...skips.slice(0, 1), this.play.element, ...skips.slice(1)),
      make("div", { class: "buttons" }, ...this.songs, this.mark),
      this.loop,
      ...others.map((one) => one.element),
    );
  }

  show(transport) {
    this.#transport = transport;
    this.hidden = !transport;
    if (!transport) return;
    const place = transport.songs > 1 ? ` (${transport.song_number} of ${transport.songs})` : "";
    setText(this.song, `${transport.song ?? "No song"}${place}`);
    setText(this.waits, transport.waiting ? "Waiting for the stems" : "");
    for (const one of this.songs) one.hidden = !(transport.songs > 1);
    this.play.show(transport.playing);
    this.position?.limit(0, transport.duration_s);
    this.position?.show(transport.position_s);
    this.#showLoop(transport);
    this.tempo?.show(transport.tempo_percent);
    this.key?.show(transport.key_semitones);
    this.tuning?.show(transport.tuning_cents);
  }

  #showLoop({ loop_s: loop, loop_mark_s: mark }) {
    if (loop) {
      setText(this.loop, `Loop from ${clock(loop[0])} to ${clock(loop[1])}`);
      setText(this.mark, "Loop off");
    } else if (typeof mark === "number") {
      setText(this.loop, `Loop from ${clock(mark)}`);
      setText(this.mark, "Loop to here (B)");
    } else {
      setText(this.loop, "");
      setText(this.mark, "Loop from here (A)");
    }
  }
}
customElements.define("rtsep-transport", Transport);
