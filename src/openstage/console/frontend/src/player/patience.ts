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
  const atItsEnd = () => player.available - video.currentTime < 1;
  const look = () => {
    const left = player.duration - video.currentTime;
    const enough = player.loadedAhead >= Math.min(GATHERED, left - 0.5);
    const elsewhere = video.seeking && !atItsEnd();
    if (enough || !player.source.growing || video.paused || elsewhere) goOn();
  };
  video.addEventListener("waiting", () => {
    // A slow line, a jump to what is there, the very beginning: the browser knows best when to go on. A jump to the end of
    // what is there may not even arrive before more comes.
    if (looking || !player.source.growing || video.paused || !atItsEnd() || !video.currentTime) return;
    // It goes on "playing", so that buttons and keys mean what they meant.
    video.playbackRate = 0;
    more.hidden = false;
    root.classList.add("is-gathering");
    looking = window.setInterval(look, LOOK_EVERY);
  });
}
