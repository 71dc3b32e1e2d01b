// Texts as they are generated: one loop for chat and for completions.

import { Arriving, type Token } from "../pure/tokens.js";
import { type Problem, asProblem, isAbort, stream } from "./api";

export interface Usage {
  prompt: number;
  completion: number;
}

/** What is known of an answer when it has ended, however it ended. */
export interface Ended {
  finish: string | null;
  tokens: number;
  /** Tokens in a second, from the first to the last; null where there were too few. */
  rate: number | null;
  problem: Problem | null;
}

export interface Watch {
  /** All of it so far. */
  text(text: string): void;
  /** All tokens so far, and the first that is new or has changed. */
  tokens?(tokens: Token[], first: number): void;
}

export type Message = { role: "system" | "user" | "assistant"; content: string };

export const chat = (body: Record<string, unknown>, watch: Watch, signal: AbortSignal): Promise<Ended> =>
  follow("/v1/chat/completions", body, watch, signal);

export const complete = (body: Record<string, unknown>, watch: Watch, signal: AbortSignal): Promise<Ended> =>
  follow("/v1/completions", body, watch, signal);

async function follow(path: string, body: Record<string, unknown>, watch: Watch, signal: AbortSignal): Promise<Ended> {
  const arriving = new Arriving();
  const ended: Ended = { finish: null, tokens: 0, rate: null, problem: null };
  let text = "";
  let [parts, first, last] = [0, 0, 0];
  let usage: Usage | null = null;
  try {
    for await (const event of stream(path, { ...body, stream: true, stream_options: { include_usage: true } }, signal)) {
      if (event.usage) usage = { prompt: event.usage.prompt_tokens, completion: event.usage.completion_tokens };
      const choice = event.choices?.[0];
      if (!choice) continue;
      ended.finish = choice.finish_reason ?? ended.finish;
      const more: string = choice.delta?.content ?? choice.text ?? "";
      const spelled = choice.logprobs?.tokens?.length ?? 0;
      if (more === "" && spelled === 0) continue;
      last = performance.now();
      if (parts === 0) first = last;
      parts += Math.max(spelled, 1);
      text += more;
      watch.text(text);
      if (watch.tokens) {
        const changed = arriving.take(more, choice.logprobs);
        watch.tokens(arriving.tokens, changed);
      }
    }
  } catch (error) {
    if (isAbort(error)) ended.finish = "cancelled";
    else ended.problem = asProblem(error);
  }
  ended.tokens = usage?.completion ?? parts;
  if (ended.tokens > 1 && last > first) ended.rate = (ended.tokens - 1) / ((last - first) / 1000);
  return ended;
}

/** Why an answer ended, where that is worth a word. */
export function ending(finish: string | null | undefined): string {
  switch (finish) {
    case null:
    case undefined:
    case "stop": return "";
    case "length": return "cut off: it reached the longest answer allowed";
    case "content_filter": return "ended by a rail: what came next is not allowed here";
    case "cancelled": return "stopped by you";
    default: return `ended: ${finish}`;
  }
}
