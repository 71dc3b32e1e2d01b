// What this browser keeps: under one prefix, as JSON, and never trusted when it comes back.

const PREFIX = "gptneo.";

/** Null where nothing is kept, or what is kept cannot be read. */
export function kept(name: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name) ?? "null");
  } catch {
    return null;
  }
}

/** Whether it was kept: a browser may be full, or keep nothing. */
export function keep(name: string, value: unknown): boolean {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

export function forget(name: string): void {
  try {
    localStorage.removeItem(PREFIX + name);
  } catch {
    // Then nothing was kept.
  }
}

/** The names that begin so, without the beginning. */
export function keptNames(beginning: string): string[] {
  try {
    return Object.keys(localStorage)
      .filter((key) => key.startsWith(PREFIX + beginning))
      .map((key) => key.slice(PREFIX.length + beginning.length));
  } catch {
    return [];
  }
}

/** Strings of an object that came from storage. */
export function strings(value: unknown): Record<string, string> {
  if (value === null || typeof value !== "object") return {};
  return Object.fromEntries(Object.entries(value).filter(([, one]) => typeof one === "string"));
}

/** A name that was not given before. */
export const fresh = (): string => Date.now().toString(36) + Math.random().toString(36).slice(2, 8);
