// A page whose work isn't ready: shows how far it is, and becomes the page that plays it the moment it can be played.

import { arrive, type Arrival } from "./page";
import { Source } from "./player/source";
import { watchStanding } from "./standing";

export function waitForWork(): void {
  const notice = document.querySelector<HTMLElement>("[data-waiting]");
  if (!notice) return;
  Source.warm(); // what plays it is here before it can be played
  const stop = watchStanding(notice.dataset.waiting!, (standing) => {
    if (standing.stage !== "waiting" || standing.state !== notice.dataset.state) {
      stop();
      void become(standing.stage === "published" ? "playing" : "showing");
      return;
    }
    const progress = document.querySelector("progress");
    if (progress) progress.value = standing.percent ?? 0;
    const told = document.querySelector<HTMLElement>("[data-notice]")!;
    if (told.textContent !== (standing.notice ?? "")) told.textContent = standing.notice ?? "";
  });
}

/** Put the page as it is now in the place of this one: quicker than to load it, and the sound may start. */
async function become(arrival: Arrival): Promise<void> {
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.title = page.title;
    document.body.replaceWith(document.adoptNode(page.body));
  } catch {
    setTimeout(() => void become(arrival), 2000);
    return;
  }
  arrive(arrival);
}
