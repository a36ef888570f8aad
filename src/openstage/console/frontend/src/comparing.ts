// The page of a certificate: tells whether a file is the certificate or what was delivered, by its SHA-256. Nothing is sent.

/** Bytes; the whole file is in memory while its digest is computed. */
const LARGEST = 1024 ** 3;

type Said = "pdf" | "file" | "other" | "comparing" | "large" | "insecure" | "unreadable";

export function bindComparing(): void {
  const box = document.querySelector<HTMLElement>("[data-compare]");
  if (!box) return;
  const input = box.querySelector<HTMLInputElement>("input[type=file]")!;
  const drop = box.querySelector<HTMLElement>(".drop")!;
  const result = box.querySelector<HTMLElement>("[data-result]")!;
  let turn = 0;

  function say(said: Said, name = ""): void {
    const text = box!.querySelector<HTMLTemplateElement>(`template[data-say=${said}]`)!.content.textContent ?? "";
    result.dataset.result = said;
    result.textContent = name ? `${name}: ${text}` : text;
  }

  async function compare(file: File): Promise<void> {
    const mine = ++turn;
    if (file.size > LARGEST) return say("large", file.name);
    say("comparing", file.name);
    let said: Said = "other";
    try {
      const digest = await sha256(file);
      if (digest === box!.dataset.pdf) said = "pdf";
      else if (digest === box!.dataset.file) said = "file";
    } catch {
      said = "unreadable";
    }
    // Another file may have been chosen meanwhile: what is said last is about the last one.
    if (mine === turn) say(said, file.name);
  }

  box.hidden = false;
  if (!globalThis.crypto?.subtle) {
    drop.hidden = true;
    say("insecure");
    return;
  }
  input.addEventListener("change", () => {
    if (input.files?.[0]) void compare(input.files[0]);
    // The same file may be chosen again.
    input.value = "";
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("dropping", kind === "dragover");
    });
  }
  drop.addEventListener("drop", (event) => {
    const file = event.dataTransfer?.files[0];
    if (file) void compare(file);
  });
}

async function sha256(file: File): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
