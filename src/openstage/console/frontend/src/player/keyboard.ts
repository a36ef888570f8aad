// Keys that people know from other players. They work on the whole page, except where a key means something else.

import { toggleMute } from "./bar";
import type { Player } from "./player";

export function bindKeyboard(player: Player): void {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (takesKey(event.target as Element, event.key, player.root)) return;
    const act = action(event.key, player);
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function action(key: string, player: Player): (() => void) | undefined {
  const { video } = player;
  if (/^[0-9]$/.test(key)) return () => player.seek((Number(key) / 10) * player.duration);
  const actions: Record<string, () => void> = {
    " ": () => player.toggle(),
    k: () => player.toggle(),
    ArrowLeft: () => player.seekBy(-5),
    ArrowRight: () => player.seekBy(5),
    j: () => player.seekBy(-10),
    l: () => player.seekBy(10),
    ArrowUp: () => player.setVolume(video.volume + 0.1),
    ArrowDown: () => player.setVolume(video.volume - 0.1),
    Home: () => player.seek(0),
    End: () => player.seek(player.duration),
    m: () => toggleMute(video),
    f: () => void player.toggleFullscreen(),
  };
  return actions[key.length === 1 ? key.toLowerCase() : key];
}

/** Whether the focused element needs the key itself. */
function takesKey(target: Element, key: string, root: Element): boolean {
  if (target.closest("input[type=radio]")) return key === " " || key.startsWith("Arrow");
  if (target.matches("[data-volume]")) return key.startsWith("Arrow");
  if (target.matches("[data-seek]")) return false; // ours are better: whole steps of 5 s
  if (target.closest("input, textarea, select, [contenteditable]")) return true;
  if (target.closest("button, summary, a")) return key === " " || key === "Enter";
  // Up, down, Home and End scroll the page unless the player is what the user is at.
  const scrolls = ["ArrowUp", "ArrowDown", "Home", "End"].includes(key);
  return scrolls && !root.contains(target) && !document.body.classList.contains("page-embed");
}
