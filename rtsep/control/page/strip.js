// A stem: its fader, mute, solo and fade, and its level.

import { Slider, Toggle, decibels, make, setText } from "./elements.js";

const FADE_S = 2;

class Strip extends HTMLElement {
  build(name, connection) {
    const stem = { stem: name };
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", name);
    this.meter = make("rtsep-meter", { label: name });
    this.fader = new Slider(
      `Gain of ${name}`,
      { min: -60, max: 24, step: 0.5, words: decibels, neutral: 0 },
      (db) => connection.sendNewest(`gain ${name}`, "gain", { ...stem, db }),
    );
    this.mute = new Toggle("mute", "Mute", (on) => connection.send("mute", { ...stem, on }));
    this.solo = new Toggle("solo", "Solo", (on) => connection.send("solo", { ...stem, on }));
    this.out = new Toggle("fade", "Fade out", (on) =>
      connection.send("fade", { ...stem, seconds: FADE_S, gain: on ? 0 : 1 }),
    );
    for (const [toggle, words] of [[this.mute, "Mute"], [this.solo, "Solo"], [this.out, "Fade out"]]) {
      toggle.element.setAttribute("aria-label", `${words} ${name}`);
    }
    this.replaceChildren(
      make("h3", {}, name),
      this.meter,
      this.fader.element,
      make("div", { class: "buttons" }, this.mute.element, this.solo.element, this.out.element),
    );
  }

  show(stem, range) {
    this.classList.toggle("unheard", !stem.heard);
    this.meter.show(stem.level_dbfs);
    this.fader.limit(...range);
    this.fader.show(stem.gain_db);
    this.mute.show(stem.muted);
    this.solo.show(stem.soloed);
    // On while it fades, too: what it was told counts.
    this.out.show(stem.fading_to === 0);
    const fades = stem.fader > 0 && stem.fader < 1;
    setText(this.out.element, fades ? `Fade ${Math.round(100 * stem.fader)} %` : "Fade out");
  }
}
customElements.define("rtsep-strip", Strip);

// Shows the stems of a state in `place`, which gets a strip for each.
export function showStrips(place, state, connection) {
  const names = state.stems.map((stem) => stem.name);
  if (place.dataset.names !== JSON.stringify(names)) {
    place.dataset.names = JSON.stringify(names);
    place.replaceChildren(
      ...names.map((name) => {
        const strip = make("rtsep-strip");
        strip.build(name, connection);
        return strip;
      }),
    );
  }
  state.stems.forEach((stem, at) => place.children[at].show(stem, state.gain_range_db));
}
