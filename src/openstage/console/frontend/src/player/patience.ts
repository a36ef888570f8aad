// Where playback has come to the end of what is there of a growing work: better one pause than a stutter with each segment.

import { part } from "./elements";
import type { Player } from "./player";

/** Seconds that are gathered before playing goes on. */
const GATHERED = 10;
const LOOK_EVERY = 250;

export function bindPatience(player: Player): void {
  const { root, video } = player;
  const more = part(root, "more");
  let looking = 0;

  const goOn = () => {
    clearInterval(looking);
    looking = 0;
    more.hidden = true;
    root.classList.remove("is-gathering");
    video.playbackRate = video.defaultPlaybackRate;
  };
  const look = () => {
    const left = player.duration - video.currentTime;
    const enough = player.loadedAhead >= Math.min(GATHERED, left - 0.5);
    if (enough || !player.source.growing || video.paused || video.seeking) goOn();
  };
  video.addEventListener("waiting", () => {
    // A seek, a slow line, the very beginning: the browser knows best when to go on.
    const atItsEnd = player.available - video.currentTime < 1;
    if (looking || !player.source.growing || video.seeking || video.paused || !atItsEnd || !video.currentTime) return;
    // It goes on "playing", so that buttons and keys mean what they meant.
    video.playbackRate = 0;
    more.hidden = false;
    root.classList.add("is-gathering");
    looking = window.setInterval(look, LOOK_EVERY);
  });
}
