// What people say of answers. It stays on the server's machine.

import { post } from "./api";
import type { Message } from "./generate";

export interface Feedback {
  kind: "thumb" | "edit" | "report" | "choice";
  model: string;
  messages?: Message[];
  prompt?: string;
  response: string;
  rating?: 1 | -1;
  better?: string;
  reason?: string;
  note?: string;
}

export interface Stored extends Feedback {
  id: string;
  when: number | string;
}

export const give = (feedback: Feedback): Promise<{ id: string }> => post("/local/feedback", feedback);

export const REASONS: [string, string][] = [
  ["harmful", "It is harmful"],
  ["wrong", "It is wrong"],
  ["private data", "It holds private data"],
  ["other", "Something else"],
];
