// The start page's line on how the server is.

export async function showHealth(): Promise<void> {
  const line = document.querySelector<HTMLElement>("[data-health]");
  if (!line) return;
  const { ready, notReady, away } = line.dataset;
  const [state, text] = await fetch(line.getAttribute("href")!, { cache: "no-store" }).then(
    (answer) => (answer.ok ? ["good", ready] : ["poor", notReady]),
    () => ["bad", away],
  );
  line.dataset.health = state ?? "";
  line.querySelector("[role=status]")!.textContent = text ?? "";
}
