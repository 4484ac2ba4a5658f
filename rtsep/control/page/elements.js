// What all parts of the page are made of.

// A control shows what the state says, but not while a finger is on it and shortly after.
const HELD_MS = 400;
// What is chosen is done after a moment.
const CHOICE_HELD_MS = 3000;

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Changes the page only where something has changed: screen readers follow every change.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

export function decibels(db) {
  return `${db > 0 ? "+" : db < 0 ? "\u2212" : ""}${Math.abs(db).toFixed(1)} dB`;
}

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// A button that is on or off. Its name stays, as screen readers say "pressed" of it.
export class Toggle {
  constructor(name, label, onPress) {
    this.element = make("button", { type: "button", class: name, "aria-pressed": "false" }, label);
    this.element.addEventListener("click", () => onPress(!this.isOn));
  }

  get isOn() {
    return this.element.getAttribute("aria-pressed") === "true";
  }

  show(isOn) {
    setAttribute(this.element, "aria-pressed", isOn);
  }
}

let numbers = 0;

// One of a few names. What is none of them is shown as no choice.
export class Choice {
  #names = "";
  #heldUntil = 0;

  constructor(label, onChoose) {
    const id = `choice-${++numbers}`;
    this.select = make("select", { id, onchange: () => {
      this.#heldUntil = performance.now() + CHOICE_HELD_MS;
      onChoose(this.select.value);
    } });
    this.element = make("div", { class: "head" }, make("label", { for: id }, label), this.select);
  }

  show(names, chosen) {
    if (this.#names !== String(names)) {
      this.#names = String(names);
      this.select.replaceChildren(...names.map((name) => make("option", { value: name }, name)));
    }
    if (performance.now() < this.#heldUntil) return;
    if (this.select.value !== (chosen ?? "")) this.select.value = chosen ?? "";
  }
}

// A slider with its name and its value in words.
export class Slider {
  #heldUntil = 0;

  constructor(label, { min, max, step, words, neutral }, onInput) {
    const id = `slider-${++numbers}`;
    this.words = words;
    this.input = make("input", { type: "range", id, min, max, step });
    this.value = make("span", { class: "value", "aria-hidden": "true" });
    this.element = make(
      "div", {},
      make("div", { class: "head" }, make("label", { for: id }, label), this.value),
      this.input,
    );
    const send = () => {
      this.#heldUntil = performance.now() + HELD_MS;
      this.#say(this.input.valueAsNumber);
      onInput(this.input.valueAsNumber);
    };
    this.input.addEventListener("input", send);
    this.input.addEventListener("dblclick", () => {
      if (neutral !== undefined) {
        this.input.value = neutral;
        send();
      }
    });
  }

  show(value) {
    if (performance.now() < this.#heldUntil) return;
    if (this.input.valueAsNumber !== value) this.input.value = value;
    this.#say(value);
  }

  limit(min, max) {
    setAttribute(this.input, "min", min);
    setAttribute(this.input, "max", max);
  }

  #say(value) {
    const words = this.words(value);
    setText(this.value, words);
    setAttribute(this.input, "aria-valuetext", words);
  }
}

// A level, drawn with every state; to screen readers it changes once a second.
const LOWEST_DB = -60;
const TOLD_EVERY_MS = 1000;

class Meter extends HTMLElement {
  #toldMs = -Infinity;

  connectedCallback() {
    if (this.fill) return;
    const label = this.getAttribute("label");
    this.fill = make("div");
    this.bar = make(
      "div",
      { class: "bar", role: "meter", "aria-valuemin": LOWEST_DB, "aria-valuemax": 0,
        "aria-valuenow": LOWEST_DB, "aria-label": `Level of ${label}` },
      this.fill,
    );
    this.append(make("div", { class: "name", "aria-hidden": "true" }, this.id ? label : ""), this.bar);
  }

  show(db) {
    const shown = Math.min(0, Math.max(LOWEST_DB, db));
    this.fill.style.clipPath = `inset(0 ${((100 * shown) / LOWEST_DB).toFixed(1)}% 0 0)`;
    const now = performance.now();
    if (now - this.#toldMs > TOLD_EVERY_MS) {
      this.#toldMs = now;
      setAttribute(this.bar, "aria-valuenow", Math.round(shown));
      setAttribute(this.bar, "aria-valuetext", `${Math.round(db)} dB of full scale`);
    }
  }
}
customElements.define("rtsep-meter", Meter);
