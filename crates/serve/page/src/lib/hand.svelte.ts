// A text on its way from one page to another: from a preset or a chat to the playground.

class Hand {
  text = $state<string | null>(null);
  model = $state<string | null>(null);

  take(): { text: string; model: string | null } | null {
    if (this.text === null) return null;
    const given = { text: this.text, model: this.model };
    this.text = this.model = null;
    return given;
  }
}

export const hand = new Hand();
