// The playground's text: what was given, the tokens that follow, and how it was before.

import { type Problem, asProblem, isAbort, post } from "../../lib/api";
import { type Ended, complete } from "../../lib/generate";
import { keep, kept, strings } from "../../lib/kept";
import { Reader, speech } from "../../lib/speech.svelte";
import { Arriving, type Other, type Token, replaced, summary, textOf } from "../../pure/tokens.js";
import { read } from "../../pure/settings.js";

interface State {
  given: string;
  tokens: Token[];
  /** Whether the tokens are those of the given text, or follow it. */
  scored: boolean;
}

const MOST_UNDONE = 50;

class Writing {
  given = $state("");
  tokens = $state.raw<Token[]>([]);
  scored = $state(false);
  model = $state("");
  settings = $state<Record<string, string>>({ max_tokens: "64" });
  busy = $state(false);
  ended = $state<Ended | null>(null);
  problem = $state<Problem | null>(null);
  past = $state.raw<State[]>([]);
  #abort = new AbortController();

  constructor() {
    const last = strings(kept("playground"));
    this.given = last.given ?? "";
    const settings = strings(kept("playground.settings"));
    if (Object.keys(settings).length > 0) this.settings = settings;
  }

  keep(): void {
    keep("playground", { given: this.given });
    keep("playground.settings", this.settings);
  }

  /** All of it as text. */
  get whole(): string {
    return this.scored ? this.given : this.given + textOf(this.tokens);
  }

  stop(): void {
    this.#abort.abort();
  }

  #remember(): void {
    const now = { given: this.given, tokens: this.tokens, scored: this.scored };
    this.past = [...this.past, now].slice(-MOST_UNDONE);
  }

  undo(): void {
    const before = this.past.at(-1);
    if (!before || this.busy) return;
    this.past = this.past.slice(0, -1);
    Object.assign(this, before);
    this.ended = null;
    this.problem = null;
    speech.say("Undone.");
  }

  /** The tokens become part of the given text. */
  accept(): void {
    this.#remember();
    this.given = this.whole;
    this.tokens = [];
    this.scored = false;
    this.ended = null;
  }

  /** Goes on from the end of what there is. */
  async continue(): Promise<void> {
    this.#remember();
    if (this.scored) {
      this.scored = false;
      this.tokens = [];
    }
    await this.#generate(this.tokens);
  }

  /** Another token in the place of one; what follows is written anew. */
  async replace(at: number, other: Other): Promise<void> {
    if (this.busy || !other.text) return;
    this.#remember();
    const changed = replaced(this.tokens, at, other);
    if (this.scored) {
      this.given = textOf(changed);
      this.scored = false;
      await this.#generate([]);
    } else await this.#generate(changed);
  }

  async #generate(before: Token[]): Promise<void> {
    const body = this.#body();
    if (!body) return;
    this.tokens = before;
    this.#begin();
    const reader = new Reader();
    let all = "";
    const watch = {
      text: (text: string) => reader.grow((all = text)),
      // What has changed is copied: a token that is the same object is not drawn again.
      tokens: (tokens: Token[], first: number) => {
        const changed = tokens.slice(first).map((token) => ({ ...token }));
        this.tokens = [...this.tokens.slice(0, before.length + first), ...changed];
      },
    };
    const prompt = this.given + textOf(before);
    const ended = await complete({ ...body, prompt, logprobs: 5 }, watch, this.#abort.signal);
    this.busy = false;
    this.ended = ended;
    this.problem = ended.problem;
    reader.grow(all, true);
    speech.say(ended.problem ? "The text broke off." : "The text ends.");
  }

  /** How likely the given text is, token by token. */
  async score(): Promise<void> {
    const body = this.#body();
    if (!body) return;
    this.#remember();
    this.given = this.whole;
    this.tokens = [];
    this.scored = true;
    this.#begin();
    const { stop: _, seed: __, ...rest } = body;
    try {
      const answer = await post<any>("/v1/completions", { ...rest, prompt: this.given, max_tokens: 0, echo: true, logprobs: 5 }, this.#abort.signal);
      const arriving = new Arriving();
      const choice = answer.choices?.[0];
      arriving.take(choice?.text ?? "", choice?.logprobs);
      this.tokens = arriving.tokens;
      const found = summary(this.tokens);
      speech.say(found ? `Scored: perplexity ${found.perplexity.toPrecision(3)} over ${found.tokens} tokens.` : "Nothing to score.");
    } catch (error) {
      this.scored = false;
      if (!isAbort(error)) this.problem = asProblem(error);
    }
    this.busy = false;
  }

  #begin(): void {
    this.busy = true;
    this.ended = null;
    this.problem = null;
    this.#abort = new AbortController();
    this.keep();
  }

  #body(): Record<string, unknown> | null {
    const { body, flaws } = read(this.settings);
    if (Object.keys(flaws).length > 0) {
      speech.say("Some settings are not what they can be.");
      return null;
    }
    return { model: this.model || undefined, ...body };
  }
}

export const writing = new Writing();
