// What the seek bar shows of a moment, under the pointer or where the keyboard has gone: its picture and its time.

import { clock, part } from "./elements";
import type { Player } from "./player";

export function bindPreview(player: Player, seek: HTMLInputElement): void {
  const tip = part(player.root, "tip");
  const picture = part(player.root, "tip-picture");
  const time = part(player.root, "tip-time");
  const area = part(player.root, "seek-area");

  const show = (moment: number) => {
    const duration = player.duration;
    const at = Math.min(Math.max(0, moment), duration);
    time.textContent = clock(at);
    tip.style.setProperty("--at", `${duration > 0 ? ((at / duration) * 100).toFixed(2) : 0}%`);
    const tile = player.storyboard?.at(at);
    picture.hidden = !tile;
    if (tile) {
      picture.style.width = `${tile.width}px`;
      picture.style.height = `${tile.height}px`;
      picture.style.backgroundImage = `url("${tile.sheet}")`;
      picture.style.backgroundPosition = `-${tile.left}px -${tile.top}px`;
    }
    tip.style.setProperty("--half", `${tile ? tile.width / 2 + 3 : 24}px`);
    tip.hidden = false;
  };
  const hide = () => (tip.hidden = true);

  area.addEventListener("pointermove", (event) => {
    const box = seek.getBoundingClientRect();
    show(((event.clientX - box.left) / box.width) * player.duration);
  });
  area.addEventListener("pointerleave", hide);
  // By keyboard: shown for where one has gone, until the focus leaves the bar.
  player.root.addEventListener("player-seek", (event) => {
    if (seek.matches(":focus-visible")) show((event as CustomEvent<number>).detail);
  });
  seek.addEventListener("focus", () => {
    if (seek.matches(":focus-visible")) show(Number(seek.value));
  });
  seek.addEventListener("blur", hide);
}
