"use strict";
// How far a running pilot is, asked for again while somebody looks.
const status = document.getElementById("status");
setInterval(async () => {
  if (document.hidden) return;
  const answer = await fetch(status.dataset.from);
  if (answer.ok) status.textContent = await answer.text();
}, 3000);
