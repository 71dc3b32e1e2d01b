// Server-sent events, taken apart as they come: cut anywhere, with any of the three line endings.

/** Gives the data of each event once its blank line has come. */
export class EventParser {
  #line = "";
  /** @type {string[]} */
  #data = [];
  #afterReturn = false;
  #begun = false;

  /**
   * @param {string} text what has come since the last call
   * @returns {string[]} the data of the events that it ends
   */
  feed(text) {
    const found = [];
    let from = 0;
    if (!this.#begun && text !== "") {
      this.#begun = true;
      if (text[0] === "\ufeff") from = 1;
    }
    for (let at = from; at < text.length; at += 1) {
      const c = text[at];
      if (c === "\n" && this.#afterReturn) {
        // The second half of a CRLF, whose line is over already.
        this.#afterReturn = false;
        from = at + 1;
        continue;
      }
      this.#afterReturn = c === "\r";
      if (c !== "\n" && c !== "\r") continue;
      const event = this.#end(this.#line + text.slice(from, at));
      this.#line = "";
      from = at + 1;
      if (event !== null) found.push(event);
    }
    this.#line += text.slice(from);
    return found;
  }

  /** @param {string} line @returns {string | null} */
  #end(line) {
    if (line === "") {
      const data = this.#data;
      this.#data = [];
      return data.length > 0 ? data.join("\n") : null;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    if (field !== "data") return null;
    const value = colon < 0 ? "" : line.slice(colon + 1);
    this.#data.push(value.startsWith(" ") ? value.slice(1) : value);
    return null;
  }
}

/** What ends the streams of OpenAI's protocol. */
export const DONE = "[DONE]";
