import type { Row } from "../../pure/scores.js";

export interface Evaluation {
  run: string | number;
  model: string;
  when: number | string;
  rows: Row[];
}
