// Which gptneo answers.

import { get } from "./api";

class Version {
  text = $state("");

  constructor() {
    get<{ version: string }>("/version").then(
      (found) => (this.text = found.version),
      () => (this.text = ""),
    );
  }
}

export const version = new Version();
