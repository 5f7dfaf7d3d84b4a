"use strict";
// The page is whole without this: it filters and sorts what is there, and shows sentences that were computed before.
const byId = (id) => document.getElementById(id);

for (const slider of document.querySelectorAll("[data-curve]")) {
  const says = JSON.parse(byId(slider.dataset.curve).textContent);
  const input = slider.querySelector("input");
  const output = slider.querySelector("output");
  const line = byId(slider.dataset.line);
  const show = () => {
    output.textContent = says[input.value];
    input.setAttribute("aria-valuetext", input.value + " %");
    const at = Number(slider.dataset.left) + (Number(slider.dataset.width) * input.value) / 100;
    line.setAttribute("x1", at);
    line.setAttribute("x2", at);
    line.setAttribute("visibility", "visible");
  };
  input.addEventListener("input", show);
  slider.hidden = false;
  show();
}

const tools = byId("tools");
if (tools) {
  const list = byId("changed");
  const tasks = [...list.children];
  const count = byId("counted");
  const value = (name) => byId("by-" + name).value;
  const orders = {
    "as listed": () => 0,
    task: (a, b) => a.dataset.task.localeCompare(b.dataset.task, undefined, { numeric: true }),
    "first intervention": (a, b) => a.dataset.step - b.dataset.step,
  };
  const apply = () => {
    const words = value("words").toLowerCase();
    let shown = 0;
    for (const task of tasks) {
      const fits =
        (!value("arm") || task.dataset.arm === value("arm")) &&
        (!value("kind") || task.dataset.kind === value("kind")) &&
        (!words || task.textContent.toLowerCase().includes(words));
      task.hidden = !fits;
      shown += fits;
    }
    list.append(...[...tasks].sort(orders[value("order")]));
    count.textContent = shown + " of " + tasks.length + " shown";
  };
  for (const name of ["arm", "kind", "words", "order"]) byId("by-" + name).addEventListener("input", apply);
  tools.hidden = false;
  apply();
}

// What scrolls can be reached by keyboard.
for (const one of document.querySelectorAll(".wide, .picture")) if (one.scrollWidth > one.clientWidth) one.tabIndex = 0;

// What is folded away would be missing on paper.
addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details:not([hidden])")) one.open = true;
});
