// Handing a video that plays from one hls.js to another, which knows more rungs, without a break in what is seen and heard.
//
// hls.js can't be told of a rung that came later, and to load another playlist it throws the buffer away. So a second
// instance reads the playlist while the first goes on, then takes over its MediaSource with all that is buffered.

import type Hls from "hls.js";
import type { AttachMediaSourceData } from "hls.js";

/** Seconds of what is buffered that stay, so that the new rung has time to arrive. */
const KEPT_AHEAD = 6;
const UPDATE_WITHIN = 2000;

/**
 * Let `next` (whose playlist is parsed, and which has no media yet) play on where `old` is, and end `old`.
 *
 * @param sharper whether what is buffered further ahead is thrown away, as `next` has better
 */
export async function handOver(old: Hls, next: Hls, video: HTMLVideoElement, sharper: boolean): Promise<void> {
  const boundary = sharper ? segmentAfter(old, video.currentTime + KEPT_AHEAD) : undefined;
  old.stopLoad();
  await settled(video);
  const media = old.transferMedia();
  old.destroy();
  if (!media) {
    next.attachMedia(video);
    next.startLoad(video.currentTime);
    return;
  }
  const ahead = aheadUntil(video);
  if (boundary !== undefined && boundary < ahead) await drop(media, boundary);
  next.attachMedia(media);
  // Not to be sought to: what is before it is in the buffer already.
  next.startLoad(Math.min(boundary ?? ahead, ahead), true);
}

/** Begin of the first segment from `time` on; undefined if there is none. */
function segmentAfter(hls: Hls, time: number): number | undefined {
  return hls.latestLevelDetails?.fragments.find((fragment) => fragment.start >= time)?.start;
}

function aheadUntil({ buffered, currentTime }: HTMLVideoElement): number {
  for (let i = 0; i < buffered.length; i++) {
    if (buffered.start(i) <= currentTime + 0.1 && currentTime <= buffered.end(i)) return buffered.end(i);
  }
  return currentTime;
}

/** Wait until what is being appended is in the buffer: it would be lost else. */
async function settled(video: HTMLVideoElement): Promise<void> {
  let before = "";
  for (let waited = 0; waited < UPDATE_WITHIN; waited += 50) {
    const now = ranges(video);
    if (now === before) return;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function ranges({ buffered }: HTMLVideoElement): string {
  return Array.from({ length: buffered.length }, (_, i) => `${buffered.start(i)}-${buffered.end(i)}`).join();
}

/** Take the pictures from `from` on out of the buffer; the sound stays. */
async function drop(media: AttachMediaSourceData, from: number): Promise<void> {
  const buffer = (media.tracks?.video ?? media.tracks?.audiovideo)?.buffer;
  if (!buffer) return;
  const done = () =>
    new Promise((resolve) => {
      buffer.addEventListener("updateend", resolve, { once: true });
      setTimeout(resolve, UPDATE_WITHIN);
    });
  if (buffer.updating) await done();
  buffer.remove(from, Infinity);
  if (buffer.updating) await done();
}
