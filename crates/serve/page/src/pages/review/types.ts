export interface Review {
  id: string | number;
  title: string;
  items: number;
  judges: string[] | number;
}

export interface Item {
  id: string | number;
  prompt: string;
  a: string;
  b: string;
}

export interface Next {
  done: boolean;
  place: number;
  of: number;
  item: Item | null;
}

export interface Report {
  rows: {
    source: string;
    fluency: number | null;
    coherence: number | null;
    relevance: number | null;
    won: number | null;
    strength: number | null;
    interval: [number, number] | null;
    count: number;
  }[];
  alpha: number | null;
  answers: number;
}

export const SCALES: [string, string][] = [
  ["fluency", "reads as correct language"],
  ["coherence", "holds together"],
  ["relevance", "has to do with the prompt"],
];
