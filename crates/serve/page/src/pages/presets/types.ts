export interface PresetField {
  name: string;
  label: string;
  kind: "text" | "line" | "choice";
  placeholder?: string;
  choices?: string[];
}

export interface Preset {
  name: string;
  title: string;
  group: string;
  description: string;
  fields: PresetField[];
  template: string;
  settings: Record<string, unknown>;
}
