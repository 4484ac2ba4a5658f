// The connection to the program: it comes back by itself, and says how it stands.

const PROTOCOL = 1;
// What the server ends a connection with for good (rtsep/control/protocol.py).
const UNKNOWN_VERSION = 4400;
const WRONG_TOKEN = 4401;
const SHORTEST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5000;
// The program tells its state 15 times a second; after so long without one it is gone or stuck.
const SILENCE_MS = 3000;

export class Connection extends EventTarget {
  #socket = null;
  #pauseMs = SHORTEST_PAUSE_MS;
  #silence = 0;
  // By what they set: those to send with the next picture, of each the newest alone.
  #waiting = new Map();

  open() {
    const token = encodeURIComponent(location.hash.slice(1));
    this.#tell("connecting", "Connecting");
    const socket = new WebSocket(`ws://${location.host}/v${PROTOCOL}?token=${token}`);
    this.#socket = socket;
    this.#watch();
    socket.onmessage = (event) => this.#take(JSON.parse(event.data));
    socket.onclose = (event) => {
      clearTimeout(this.#silence);
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#waiting.clear();
      if (event.code === WRONG_TOKEN) {
        this.#tell("ended", "Wrong token: scan the code of this session");
      } else if (event.code === UNKNOWN_VERSION) {
        this.#tell("ended", "Another version of rtsep: load this page again");
      } else {
        this.#tell("lost", event.reason || "No connection: trying again");
        setTimeout(() => this.open(), this.#pauseMs);
        this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
      }
    };
  }

  send(what, args = {}) {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ do: what, ...args }));
    } else {
      this.#take({ type: "refused", why: "No connection: nothing was changed" });
    }
  }

  // For what is set again and again while a finger moves.
  sendNewest(key, what, args) {
    if (this.#waiting.size === 0) {
      requestAnimationFrame(() => {
        for (const [oneWhat, oneArgs] of this.#waiting.values()) this.send(oneWhat, oneArgs);
        this.#waiting.clear();
      });
    }
    this.#waiting.set(key, [what, args]);
  }

  #take(message) {
    if (message.type === "state") {
      this.#pauseMs = SHORTEST_PAUSE_MS;
      this.#watch();
      this.#tell("connected", "Connected");
    }
    this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
  }

  #watch() {
    clearTimeout(this.#silence);
    const socket = this.#socket;
    this.#silence = setTimeout(() => {
      this.#tell("lost", "No news from the program");
      socket.close();
    }, SILENCE_MS);
  }

  #tell(name, words) {
    this.dispatchEvent(new CustomEvent("connection", { detail: { name, words } }));
  }
}
