// Light, dark, or as the system has it.

import { keep, kept } from "./kept";

export type Choice = "system" | "light" | "dark";
const CHOICES: Choice[] = ["system", "light", "dark"];

class Theme {
  choice = $state<Choice>(CHOICES.find((choice) => choice === kept("theme")) ?? "system");

  apply(): void {
    if (this.choice === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.choice;
  }

  choose(choice: Choice): void {
    this.choice = choice;
    keep("theme", choice);
    this.apply();
  }
}

export const theme = new Theme();
