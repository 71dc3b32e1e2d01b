"use strict";
const byId = (id) => document.getElementById(id);
const tasks = [...document.querySelectorAll(".task")];

byId("controls").hidden = tasks.length === 0;
byId("filter").addEventListener("input", () => {
  const wanted = byId("filter").value.trim().toLowerCase();
  let shown = 0;
  for (const task of tasks) {
    task.hidden = !task.querySelector("h3").textContent.toLowerCase().includes(wanted);
    shown += task.hidden ? 0 : 1;
  }
  byId("matching").textContent = wanted === "" ? "" : `${shown} of ${tasks.length}`;
});
for (const [id, open] of [["open", true], ["close", false]]) {
  byId(id).addEventListener("click", () => {
    document.querySelectorAll(".task:not([hidden]) details.samples").forEach((part) => { part.open = open; });
  });
}

const table = byId("scores");
const heads = [...table.querySelectorAll("thead th")];
const key = (row, at) => {
  const text = row.cells[at].textContent;
  const number = Number.parseFloat(text);
  return Number.isNaN(number) || !row.cells[at].classList.contains("number") ? text : number;
};
heads.forEach((head, at) => {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = head.textContent;
  head.replaceChildren(button);
  button.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const compare = (a, b) => {
      const [x, y] = [key(a, at), key(b, at)];
      if (typeof x !== typeof y) { return typeof x === "number" ? -1 : 1; }
      const order = typeof x === "number" ? x - y : x.localeCompare(y);
      return up ? order : -order;
    };
    const rows = [...table.tBodies[0].rows].sort(compare);
    table.tBodies[0].append(...rows);
  });
});
