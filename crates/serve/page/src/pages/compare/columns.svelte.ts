// Two to four models, or settings, that answer the same prompt.

import { Problem } from "../../lib/api";
import { type Ended, chat, complete } from "../../lib/generate";
import { keep, kept, strings } from "../../lib/kept";
import { Reader } from "../../lib/speech.svelte";
import { read } from "../../pure/settings.js";

export class Column {
  model = $state("");
  settings = $state<Record<string, string>>({ max_tokens: "100" });
  /** How a conversation is written down; empty: the model's own way. */
  template = $state("");
  text = $state("");
  ended = $state<Ended | null>(null);
  busy = $state(false);
  #abort = new AbortController();

  constructor(
    readonly id: number,
    model: string,
    settings?: Record<string, string>,
    template = "",
  ) {
    this.model = model;
    this.template = template;
    if (settings) this.settings = settings;
  }

  stop(): void {
    this.#abort.abort();
  }

  async run(prompt: string, asChat: boolean, aloud: boolean): Promise<void> {
    this.text = "";
    this.ended = null;
    const { body, flaws } = read(this.settings);
    if (Object.keys(flaws).length > 0) {
      const problem = new Problem("Some settings of this column are not what they can be.", 400);
      this.ended = { finish: null, tokens: 0, rate: null, problem };
      return;
    }
    this.busy = true;
    this.#abort = new AbortController();
    // Several voices at once are none: only the first is read out as it comes.
    const reader = aloud ? new Reader() : null;
    const watch = {
      text: (text: string) => {
        this.text = text;
        reader?.grow(text);
      },
    };
    const model = this.model || undefined;
    this.ended = asChat
      ? await chat({ model, messages: [{ role: "user", content: prompt }], chat_template: this.template || undefined, ...body }, watch, this.#abort.signal)
      : await complete({ model, prompt, ...body }, watch, this.#abort.signal);
    this.busy = false;
    reader?.grow(this.text, true);
  }
}

class Columns {
  all = $state<Column[]>([]);
  prompt = $state("");
  asChat = $state(false);
  /** What all that is shown answers. */
  asked = $state("");
  askedChat = $state(false);
  best = $state<number | null>(null);
  #count = 0;

  get busy(): boolean {
    return this.all.some((column) => column.busy);
  }

  /** As many as there were, or two. */
  begin(names: string[]): void {
    if (this.all.length > 0 || names.length === 0) return;
    const last = kept("compare");
    const before = Array.isArray(last) ? last.slice(0, 4) : [];
    for (const one of before) {
      const model = names.find((name) => name === one?.model) ?? names[0];
      this.#put(model, strings(one?.settings), strings(one).template);
    }
    while (this.all.length < 2) this.#put(names[this.all.length % names.length]);
  }

  #put(model: string, settings?: Record<string, string>, template?: string): void {
    this.all.push(new Column((this.#count += 1), model, settings, template));
  }

  add(names: string[]): void {
    if (this.all.length < 4) this.#put(names[this.all.length % Math.max(names.length, 1)] ?? "", { ...this.all.at(-1)?.settings });
  }

  remove(column: Column): void {
    column.stop();
    this.all = this.all.filter((one) => one !== column);
    if (this.best === column.id) this.best = null;
  }

  async run(): Promise<void> {
    this.best = null;
    this.asked = this.prompt;
    this.askedChat = this.asChat;
    keep("compare", this.all.map(({ model, settings, template }) => ({ model, settings: $state.snapshot(settings), template })));
    await Promise.all(this.all.map((column, at) => column.run(this.asked, this.askedChat, at === 0)));
  }
}

export const columns = new Columns();
