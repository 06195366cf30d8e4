// The page of "posthorn demo live".
import * as chat from "./chat.js";
import * as measure from "./measure.js";

const notice = document.getElementById("notice");
const button = document.getElementById("restart");

button.addEventListener("click", async () => {
  button.disabled = true;
  say("The server is stopping. Everybody who listens will come back by themselves and go on where they stopped.");
  try {
    // The header keeps pages of other origins from doing it.
    await fetch("/demo/restart", { method: "POST", headers: { "X-Posthorn-Demo": "restart" } });
    await ready();
    say("The server is back.");
  } catch {
    say("The server cannot be reached.");
  }
  setTimeout(() => say(""), 4000);
  button.disabled = false;
});

function say(text) {
  notice.textContent = text;
  notice.hidden = text === "";
}

/** Waits until the server, which is away for a moment, answers again. */
async function ready() {
  for (let tries = 0; tries < 60; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    try {
      if ((await fetch("/readyz", { cache: "no-store" })).ok) return;
    } catch {
      // not yet
    }
  }
  throw new Error("the server stays away");
}

measure.start();
chat.start();
