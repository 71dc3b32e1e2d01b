// The conversations that this browser keeps, each under its own name, so that two tabs do not lose each other's.

import { fresh, forget, keep, kept, keptNames, strings } from "../../lib/kept";
import { type Message, type Tree, empty, whole } from "../../pure/branches.js";

export interface Conversation {
  id: string;
  title: string;
  /** Milliseconds since 1970. */
  changed: number;
  model: string;
  /** The template that the reader has picked; empty: the model's own. */
  template: string;
  system: string;
  settings: Record<string, string>;
  tree: Tree;
}

const PREFIX = "chat.";

function read(id: string): Conversation | null {
  const found = kept(PREFIX + id) as Partial<Conversation> | null;
  if (!found || typeof found !== "object" || !whole(found.tree)) return null;
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return {
    id,
    title: text(found.title) || "Untitled",
    changed: typeof found.changed === "number" ? found.changed : 0,
    model: text(found.model),
    template: text(found.template),
    system: text(found.system),
    settings: strings(found.settings),
    tree: found.tree,
  };
}

class Conversations {
  all = $state<Conversation[]>([]);
  current = $state<Conversation>(blank(""));
  /** Whether the browser keeps them. */
  kept = $state(true);

  constructor() {
    const found = keptNames(PREFIX).map(read).filter((one) => one !== null);
    this.all = found.sort((one, other) => other.changed - one.changed);
    if (this.all.length > 0) this.current = this.all[0];
  }

  /** An empty one, with the settings of the one before. It is kept when something is said in it. */
  begin(model: string): void {
    const { system, settings, template, model: last } = this.current;
    this.current = { ...blank(last || model), system, settings: { ...settings }, template };
  }

  open(id: string): void {
    const found = this.all.find((one) => one.id === id);
    if (found) this.current = found;
  }

  /** Stores a conversation, and puts it first. */
  save(one: Conversation): void {
    const said = Object.keys(one.tree.messages).length > 0;
    if (!said) return;
    one.changed = Date.now();
    const first = Object.values(one.tree.messages).find((message: Message) => message.role === "user");
    one.title = first?.text.trim().replace(/\s+/g, " ").slice(0, 60) || "Untitled";
    if (!this.all.some((other) => other.id === one.id)) {
      this.all = [one, ...this.all];
      // What the list holds is what is written to from now on.
      if (this.current.id === one.id) this.current = this.all[0];
    }
    this.kept = keep(PREFIX + one.id, $state.snapshot(one));
  }

  remove(id: string): void {
    forget(PREFIX + id);
    this.all = this.all.filter((one) => one.id !== id);
    if (this.current.id === id) {
      if (this.all.length > 0) this.current = this.all[0];
      else this.begin(this.current.model);
    }
  }
}

function blank(model: string): Conversation {
  return { id: fresh(), title: "New conversation", changed: 0, model, template: "", system: "", settings: { max_tokens: "256" }, tree: empty() };
}

export const conversations = new Conversations();
