// An answer on its way: one at a time.

import { Problem } from "../../lib/api";
import { fresh } from "../../lib/kept";
import { type Message as Sent, chat } from "../../lib/generate";
import { Reader, speech } from "../../lib/speech.svelte";
import { ROOT, add, remove, upTo } from "../../pure/branches.js";
import { read } from "../../pure/settings.js";
import { type Conversation, conversations } from "./conversations.svelte";

class Answering {
  /** The message that is being written. */
  id = $state<string | null>(null);
  problem = $state<Problem | null>(null);
  /** The message after which an answer was wanted and none came. */
  wanted = $state<string | null>(null);
  #abort = new AbortController();

  stop(): void {
    this.#abort.abort();
  }

  /** What the server is sent to answer the message `parent`. */
  messages(one: Conversation, parent: string): Sent[] {
    const said: Sent[] = upTo(one.tree, parent).map(({ role, text }) => ({ role, content: text }));
    return one.system.trim() === "" ? said : [{ role: "system", content: one.system }, ...said];
  }

  /** Adds what the user says, and answers it. */
  async say(one: Conversation, text: string, parent: string): Promise<void> {
    const id = fresh();
    add(one.tree, { id, parent, role: "user", text });
    conversations.save(one);
    await this.answer(conversations.current.id === one.id ? conversations.current : one, id);
  }

  /** Adds an answer to the message `parent`. */
  async answer(one: Conversation, parent: string): Promise<void> {
    if (this.id !== null || parent === ROOT) return;
    const { body, flaws } = read(one.settings);
    this.wanted = parent;
    if (Object.keys(flaws).length > 0) {
      this.problem = new Problem("Some settings are not what they can be: see the settings of this conversation.", 400);
      return;
    }
    this.problem = null;
    this.#abort = new AbortController();
    const id = fresh();
    add(one.tree, { id, parent, role: "assistant", text: "", model: one.model, finish: null });
    this.id = id;
    const message = one.tree.messages[id];
    const reader = new Reader();
    speech.say("The answer begins.");
    const watch = {
      text: (text: string) => {
        message.text = text;
        reader.grow(text);
      },
    };
    const request = { model: one.model || undefined, messages: this.messages(one, parent), chat_template: one.template || undefined, ...body };
    const ended = await chat(request, watch, this.#abort.signal);
    this.id = null;
    this.problem = ended.problem;
    if (message.text === "" && ended.tokens === 0 && (ended.problem || ended.finish === "cancelled")) {
      remove(one.tree, id);
    } else {
      this.wanted = null;
      message.finish = ended.problem ? "problem" : ended.finish;
      message.tokens = ended.tokens;
      if (ended.rate !== null) message.rate = ended.rate;
      reader.grow(message.text, true);
      speech.say(ended.problem ? "The answer broke off." : "The answer ends.");
    }
    conversations.save(one);
  }
}

export const answering = new Answering();
