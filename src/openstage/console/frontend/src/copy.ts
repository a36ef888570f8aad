// Buttons that copy the text or value of the element they name in `data-copy`.

export function bindCopyButtons(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>("[data-copy]")) {
    const label = button.textContent;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy!)!;
      await copy(source);
      button.textContent = button.dataset.copied ?? label;
      setTimeout(() => (button.textContent = label), 2000);
    });
  }
}

async function copy(source: HTMLElement): Promise<void> {
  const text = source instanceof HTMLInputElement ? source.value : (source.textContent ?? "");
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Pages served without TLS from another machine have no clipboard API.
  if (source instanceof HTMLInputElement) source.select();
  else getSelection()?.selectAllChildren(source);
  document.execCommand("copy");
}
