export interface Run {
  id: string | number;
  name: string;
  kind: string;
  state: string;
  started: number | string | null;
  seconds: number | null;
  steps: number | null;
  loss: number | null;
  tokens_per_second: number | null;
}

export interface Detail {
  run: Run;
  settings: Record<string, unknown>;
  metrics: string[];
  samples: { step: number; text: string }[];
  notes: { when: number | string; text: string }[];
}
