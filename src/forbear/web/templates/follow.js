"use strict";
// What grows is asked for again while somebody looks: how far a pilot is, and the list of journals.
const status = document.getElementById("status");
let busy = false;
const again = async (address, show) => {
  if (document.hidden || busy) return;
  busy = true;
  try {
    const answer = await fetch(address);
    if (answer.ok) show(await answer.text());
  } catch {
    // The viewer was stopped: what was last known stands.
  } finally {
    busy = false;
  }
};
if (status) {
  setInterval(() => again(status.dataset.from, (text) => (status.textContent = text)), 3000);
} else {
  const rows = () => document.querySelector("#journals tbody");
  setInterval(
    () =>
      again("/", (text) => {
        const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("#journals tbody");
        // Nobody's place in the list is taken away.
        if (fresh && rows() && !rows().contains(document.activeElement)) rows().replaceWith(fresh);
      }),
    3000,
  );
}
