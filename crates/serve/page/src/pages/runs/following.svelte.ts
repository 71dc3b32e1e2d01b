// A run as it goes: what is known of it, and its curves, of which only new points are asked for.

import { type Problem, asProblem, get, isAbort } from "../../lib/api";
import { type Point, joined } from "../../pure/curves.js";
import type { Detail } from "./types";

const EVERY = 2000;

export class Following {
  detail = $state.raw<Detail | null>(null);
  series = $state.raw<Record<string, Point[]>>({});
  problem = $state<Problem | null>(null);
  #shown: string[] = [];
  #abort = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #path: string;

  constructor(id: string) {
    this.#path = `/local/runs/${encodeURIComponent(id)}`;
  }

  get running(): boolean {
    return this.detail?.run.state === "running";
  }

  start = async (): Promise<void> => {
    clearTimeout(this.#timer);
    if (!document.hidden || this.detail === null) await this.#look();
    if (this.#abort.signal.aborted) return;
    if (this.running || this.problem) this.#timer = setTimeout(this.start, this.problem ? 3 * EVERY : EVERY);
  };

  end(): void {
    clearTimeout(this.#timer);
    this.#abort.abort();
  }

  /** Which metrics are looked at. */
  async show(metrics: string[]): Promise<void> {
    this.#shown = metrics;
    try {
      await this.#points(metrics.filter((metric) => !this.series[metric]));
    } catch (error) {
      if (!isAbort(error)) this.problem = asProblem(error);
    }
  }

  async #look(): Promise<void> {
    try {
      this.detail = await get<Detail>(this.#path, this.#abort.signal);
      await this.#points(this.#shown);
      this.problem = null;
    } catch (error) {
      if (!isAbort(error)) this.problem = asProblem(error);
    }
  }

  async #points(metrics: string[]): Promise<void> {
    for (const metric of metrics) {
      const last = this.series[metric]?.at(-1);
      const after = last ? `&after=${last[0]}` : "";
      const path = `${this.#path}/series?metric=${encodeURIComponent(metric)}${after}`;
      const { points } = await get<{ points: Point[] }>(path, this.#abort.signal);
      // Asked twice at once, the same points come twice: `joined` puts them in one place.
      if (points.length > 0 || !this.series[metric]) this.series = { ...this.series, [metric]: joined(this.series[metric] ?? [], points) };
    }
  }
}
