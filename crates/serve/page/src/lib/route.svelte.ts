// Where the reader is: what stands behind the # of the address, as parts.

class Route {
  parts = $state<string[]>(read());

  constructor() {
    window.addEventListener("hashchange", () => (this.parts = read()));
  }

  get page(): string {
    return this.parts[0] ?? "chat";
  }

  /** What is open on the page. */
  get item(): string | undefined {
    return this.parts[1];
  }
}

function read(): string[] {
  const parts = location.hash.replace(/^#\/?/, "").split("/").filter((part) => part !== "");
  try {
    return parts.map(decodeURIComponent);
  } catch {
    return [];
  }
}

export const link = (...parts: string[]): string => `#/${parts.map(encodeURIComponent).join("/")}`;

export function go(...parts: string[]): void {
  location.hash = link(...parts);
}

export const route = new Route();
