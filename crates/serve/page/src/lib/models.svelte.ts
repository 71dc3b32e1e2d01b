// The models that the server offers. Asked once; the page of models asks again.

import { keep, kept } from "./kept";
import { Problem, asProblem, get } from "./api";

export interface Model {
  name: string;
  base: string | null;
  loaded: boolean;
  family: string | null;
  parameters: number | null;
  context: number | null;
  layers: number | null;
  width: number | null;
  heads: number | null;
  weights: string | null;
  output: string | null;
  cache: string | null;
  bytes: number | null;
  has_template: boolean | null;
  rails: string[];
  card: string | null;
}

class Models {
  names = $state<string[]>([]);
  all = $state<Model[]>([]);
  memory = $state<{ budget: number | null; used: number | null } | null>(null);
  problem = $state<Problem | null>(null);
  /** The one that pages begin with. */
  favourite = $state("");
  loading = $state(true);

  async load(): Promise<void> {
    this.loading = true;
    this.problem = null;
    try {
      const listed = await get<{ data: { id: string }[] }>("/v1/models");
      this.names = listed.data.map((model) => model.id);
      const last = kept("model");
      if (!this.names.includes(this.favourite)) {
        this.favourite = this.names.find((name) => name === last) ?? this.names[0] ?? "";
      }
      const local = await get<{ models: Model[]; memory: { budget: number | null; used: number | null } }>("/local/models");
      this.all = local.models;
      this.memory = local.memory;
    } catch (error) {
      this.problem = asProblem(error);
    }
    this.loading = false;
  }

  prefer(name: string): void {
    this.favourite = name;
    keep("model", name);
  }

  named(name: string): Model | undefined {
    return this.all.find((model) => model.name === name);
  }
}

export const models = new Models();
