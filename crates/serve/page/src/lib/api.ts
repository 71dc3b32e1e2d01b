// Asking the server. What it refuses becomes a `Problem` with its own words.

import { DONE, EventParser } from "../pure/sse.js";

export class Problem extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string | null = null,
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }

  /** What it means, before the server's words. */
  get heading(): string {
    switch (this.status) {
      case 0: return "The server cannot be reached";
      case 401: return "The server wants a key";
      case 403: return "The server does not allow this";
      case 404: return "The server has no such thing";
      case 429: return "Too much at once";
      case 503: return "The server is not ready";
      default: return this.status >= 500 ? "The server failed" : "The server refused the request";
    }
  }
}

export const asProblem = (error: unknown): Problem =>
  error instanceof Problem ? error : new Problem(error instanceof Error ? error.message : String(error), 0);

export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === "AbortError";

async function send(path: string, options: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Problem("There is no answer. Is `gptneo serve` still running?", 0);
  }
  if (response.ok) return response;
  const text = await response.text().catch(() => "");
  let found: { message?: unknown; code?: unknown } | string | undefined;
  try {
    found = JSON.parse(text)?.error;
  } catch {
    found = text.slice(0, 300);
  }
  const words = typeof found === "string" ? found : found?.message;
  const wait = Number(response.headers.get("retry-after") ?? Number.NaN);
  throw new Problem(
    typeof words === "string" && words !== "" ? words : `It answered with status ${response.status}, and no words.`,
    response.status,
    typeof found === "object" && typeof found?.code === "string" ? found.code : null,
    Number.isFinite(wait) ? wait : null,
  );
}

const posting = (body: unknown, signal?: AbortSignal): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
  signal,
});

async function json<T>(response: Response): Promise<T> {
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Problem("Its answer is not JSON.", response.status);
  }
}

export const get = async <T>(path: string, signal?: AbortSignal): Promise<T> => json<T>(await send(path, { signal }));

export const post = async <T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> =>
  json<T>(await send(path, posting(body, signal)));

export const remove = async (path: string): Promise<void> => {
  await send(path, { method: "DELETE" });
};

/** The objects of an answer that comes as events. Ends after the last one; a stream that breaks off before is a problem. */
export async function* stream(path: string, body: unknown, signal: AbortSignal): AsyncGenerator<any> {
  const response = await send(path, posting(body, signal));
  if (!response.body) throw new Problem("Its answer has no body.", response.status);
  const parser = new EventParser();
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const part = await reader.read().catch((error: unknown) => {
        if (isAbort(error)) throw error;
        throw new Problem("The connection broke before the answer was complete.", 0);
      });
      const text = part.done ? decoder.decode() : decoder.decode(part.value, { stream: true });
      for (const data of parser.feed(text)) {
        if (data === DONE) return;
        const event = parsed(data);
        if (event.error) throw new Problem(String(event.error.message ?? event.error), 500, event.error.code ?? null);
        yield event;
      }
      if (part.done) throw new Problem("The connection ended before the answer was complete.", 0);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsed(data: string): any {
  try {
    const event: unknown = JSON.parse(data);
    if (event !== null && typeof event === "object") return event;
  } catch {
    // Said below.
  }
  throw new Problem("A part of its answer is not JSON.", 500);
}
