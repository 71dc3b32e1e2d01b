// The licences of what is built in go with it, as they ask: on top of the script, each once.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** The folder of the package that a module is of, or null for our own. */
const packageOf = (id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id.replaceAll("\\", "/"))?.[0] ?? null;

function notice(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  const text = file && existsSync(join(folder, file)) ? readFileSync(join(folder, file), "utf8").trim() : license;
  return `${name} ${version}\n\n${text.replaceAll("*/", "* /")}`;
}

export function licences() {
  return {
    name: "licences",
    enforce: "post",
    generateBundle(_options, bundle) {
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== "chunk") continue;
        const folders = [...new Set(chunk.moduleIds.map(packageOf).filter((folder) => folder !== null))].sort();
        if (folders.length > 0) chunk.code = `/*!\nBuilt in:\n\n${folders.map(notice).join("\n\n---\n\n")}\n*/\n${chunk.code}`;
      }
    },
  };
}
