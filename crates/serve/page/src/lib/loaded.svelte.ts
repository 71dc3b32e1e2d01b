// Something asked of the server once, and again when it is wanted.

import { type Problem, asProblem, get } from "./api";

export class Loaded<T> {
  value = $state.raw<T | null>(null);
  problem = $state<Problem | null>(null);
  loading = $state(false);

  constructor(private readonly path: string) {}

  load = async (): Promise<void> => {
    this.loading = true;
    try {
      this.value = await get<T>(this.path);
      this.problem = null;
    } catch (error) {
      this.problem = asProblem(error);
    }
    this.loading = false;
  };
}
