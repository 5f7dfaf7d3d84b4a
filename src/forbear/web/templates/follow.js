"use strict";
// How far a running pilot is, asked for again while somebody looks.
const status = document.getElementById("status");
setInterval(async () => {
  if (document.hidden) return;
  try {
    const answer = await fetch(status.dataset.from);
    if (answer.ok) status.textContent = await answer.text();
  } catch {
    // The viewer was stopped: what was last known stands.
  }
}, 3000);
