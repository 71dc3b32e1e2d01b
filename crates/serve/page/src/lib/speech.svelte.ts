// What is said to those who do not see the page: one polite region, fed whole sentences.

import { speakable } from "../pure/spoken.js";

class Speech {
  /** The last few things said; a region that grows without end is slow to read. */
  said = $state<{ id: number; text: string }[]>([]);
  #count = 0;

  say(text: string): void {
    if (text.trim() === "") return;
    this.said = [...this.said.slice(-3), { id: (this.#count += 1), text }];
  }
}

export const speech = new Speech();

/** Reads out a text that grows. */
export class Reader {
  #said = 0;

  grow(text: string, over = false): void {
    const to = speakable(text, this.#said, over);
    if (to <= this.#said) return;
    speech.say(text.slice(this.#said, to));
    this.#said = to;
  }
}
