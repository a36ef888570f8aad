// The parts of the player's markup (templates/_player.html) that the scripts work with.

export function part<T extends Element = HTMLElement>(within: ParentNode, name: string): T {
  const found = within.querySelector<T>(`[data-${name}]`);
  if (!found) throw new Error(`the player's markup lacks data-${name}`);
  return found;
}

/** Texts in the page's language, by the names under which `_player.html` puts them into `data-texts`. */
export type Texts = Record<
  "play" | "pause" | "replay" | "mute" | "unmute" | "fullscreen" | "shrink" | "auto" | "position" | "growing" | Fault,
  string
>;

/** Why nothing plays. */
export type Fault = "network" | "gone" | "media" | "unsupported";

/** Name a button for eyes (tooltip) and screen readers. */
export function name(button: HTMLElement, text: string): void {
  button.setAttribute("aria-label", text);
  button.title = text;
}

/** 0:07, 12:05, 1:02:03. */
export function clock(seconds: number): string {
  const whole = Number.isFinite(seconds) ? Math.max(0, Math.floor(seconds)) : 0;
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number) => String(n).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
