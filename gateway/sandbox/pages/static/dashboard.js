// Keeps the dashboard's live parts fresh. Without it the page is as current as its last load.
"use strict";

const PAUSE = 2500;

// What somebody is reading, typing or has opened is left alone.
function isInUse(part) {
  const selection = document.getSelection();
  return part.contains(document.activeElement) || part.querySelector("details[open]") || (selection && !selection.isCollapsed && part.contains(selection.anchorNode));
}

async function refresh() {
  if (document.hidden) return;
  const response = await fetch(window.location.href, { headers: { Accept: "text/html" } });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (next && next.innerHTML !== part.innerHTML && !isInUse(part)) part.replaceWith(next);
  }
}

async function keepFresh() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    // A sandbox that is being restarted is asked again later.
    try { await refresh(); } catch { /* not reachable at the moment */ }
  }
}

if (document.querySelector("[data-live]")) keepFresh();

// Without a clipboard (on a plain http address of another machine) there is nothing to press.
document.documentElement.classList.toggle("clipboard", Boolean(navigator.clipboard));
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.textContent = "Copied";
});

// A chosen type needs no second press.
document.getElementById("type")?.addEventListener("change", ({ target }) => target.form.requestSubmit(target.form.querySelector("button")));

// A jump may take a while: say so and do not jump twice.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || button.hasAttribute("aria-disabled")) return event.preventDefault();
  button.setAttribute("aria-disabled", "true");
});
window.addEventListener("pageshow", () => document.querySelectorAll("button[aria-disabled]").forEach((button) => button.removeAttribute("aria-disabled")));

document.querySelectorAll("[data-print]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
});
