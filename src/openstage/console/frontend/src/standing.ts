// How a work stands, as the server tells it: by events, or by asking now and then where events don't get through.

export interface Standing {
  stage: "published" | "waiting" | "gone";
  state?: string;
  percent?: number;
  notice?: string;
  /** Nothing is being made any more. */
  settled?: boolean;
  /** Changes when there is something else to play. */
  mark?: string;
  storyboard?: boolean | string | null;
  waveform?: boolean | string | null;
}

const ASK_EVERY = 4000;

/**
 * Tell `onStanding` how a work stands, now and whenever it changes, until it is settled or gone.
 *
 * @param page address of the work's page, `/w/<slug>`
 * @returns a function that stops it
 */
export function watchStanding(page: string, onStanding: (standing: Standing) => void): () => void {
  let timer = 0;
  let stopped = false;
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
    events.close();
  };
  const hear = (standing: Standing) => {
    if (stopped) return;
    if (standing.settled || standing.stage === "gone") stop();
    onStanding(standing);
  };
  const ask = async () => {
    try {
      const answer = await fetch(`${page}/play`, { cache: "no-store" });
      if (answer.status < 500) hear((await answer.json()) as Standing);
    } catch {
      // The server is away for the moment: ask again.
    }
    if (!stopped) timer = window.setTimeout(() => void ask(), document.hidden ? ASK_EVERY * 5 : ASK_EVERY);
  };

  const events = new EventSource(`${page}/events`);
  events.addEventListener("message", (event) => hear(JSON.parse(event.data as string) as Standing));
  events.addEventListener("error", () => {
    // A connection that broke comes back by itself; one that was refused doesn't.
    if (events.readyState === EventSource.CLOSED && !stopped && !timer) void ask();
  });
  return stop;
}
