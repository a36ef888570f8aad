// A page whose work isn't ready looks again every few seconds, and opens it when it is.

interface Standing {
  stage: "published" | "waiting" | "gone";
  state?: string;
  percent?: number;
}

export function waitForWork(): void {
  const notice = document.querySelector<HTMLElement>("[data-waiting]");
  if (!notice) return;
  const every = Number(notice.dataset.poll) * 1000;
  const look = async () => {
    try {
      const answer = await fetch(notice.dataset.waiting!, { cache: "no-store" });
      const standing = (await answer.json()) as Standing;
      if (standing.stage !== "waiting" || standing.state !== notice.dataset.state) return location.reload();
      const progress = document.querySelector("progress");
      if (progress) progress.value = standing.percent ?? 0;
    } catch {
      // The server is away for the moment: look again.
    }
    setTimeout(() => void look(), document.hidden ? every * 5 : every);
  };
  setTimeout(() => void look(), every);
}
