// The bar: play, position, volume, picture in picture, full screen.

import { clock, name, part } from "./elements";
import type { Player } from "./player";
import { bindPreview } from "./preview";

export function bindBar(player: Player): void {
  const { root } = player;
  part(root, "toggle").addEventListener("click", () => player.toggle());
  part(root, "fullscreen").addEventListener("click", () => void player.toggleFullscreen());
  bindPosition(player);
  bindVolume(player);
  bindPictureInPicture(player);
}

function bindPosition(player: Player): void {
  const { root, video, texts } = player;
  const seek = part<HTMLInputElement>(root, "seek");
  let dragging = false;

  const show = (position: number) => {
    const duration = player.duration;
    seek.max = String(duration);
    if (!dragging) seek.value = String(position);
    seek.style.setProperty("--played", share(position, duration));
    seek.style.setProperty("--loaded", share(video.currentTime + player.loadedAhead, duration));
    seek.style.setProperty("--there", share(player.available, duration));
    part(root, "position").textContent = clock(position);
    // To the nearest second, as the page's text has it: a song of 6.98 s is one of seven.
    const length = Math.round(duration);
    part(root, "length").textContent = clock(length);
    const form = player.source.growing ? texts.growing : texts.position;
    const values = { position, duration: length, there: player.available };
    const spoken = Object.entries(values).reduce((text, [key, time]) => text.replace(`%${key}%`, clock(time)), form);
    seek.setAttribute("aria-valuetext", spoken);
  };

  for (const event of ["timeupdate", "durationchange", "progress", "seeked"]) {
    video.addEventListener(event, () => show(dragging ? Number(seek.value) : video.currentTime));
  }
  root.addEventListener("player-seek", (event) => show((event as CustomEvent<number>).detail));
  seek.addEventListener("pointerdown", () => (dragging = true));
  for (const event of ["pointerup", "pointercancel"]) seek.addEventListener(event, () => (dragging = false));
  seek.addEventListener("input", () => player.seek(Number(seek.value)));
  bindPreview(player, seek);
  show(0);
}

function bindVolume(player: Player): void {
  const { root, video, texts } = player;
  const volume = part<HTMLInputElement>(root, "volume");
  const mute = part(root, "mute");
  const show = () => {
    const loudness = video.muted ? 0 : video.volume;
    volume.value = String(loudness);
    volume.style.setProperty("--played", share(loudness, 1));
    volume.setAttribute("aria-valuetext", `${Math.round(loudness * 100)}%`);
    root.classList.toggle("is-muted", loudness === 0);
    name(mute, loudness === 0 ? texts.unmute : texts.mute);
  };
  volume.addEventListener("input", () => player.setVolume(Number(volume.value)));
  mute.addEventListener("click", () => toggleMute(video));
  video.addEventListener("volumechange", show);
  show();
}

export function toggleMute(video: HTMLVideoElement): void {
  video.muted = !video.muted;
  if (!video.muted && video.volume === 0) video.volume = 0.5;
}

function bindPictureInPicture({ root, video }: Player): void {
  const button = part(root, "pip");
  button.hidden = !document.pictureInPictureEnabled || root.classList.contains("is-sound");
  button.addEventListener("click", () => {
    const change = document.pictureInPictureElement ? document.exitPictureInPicture() : video.requestPictureInPicture();
    change.catch(() => undefined); // not before the first picture is there
  });
}

function share(part: number, whole: number): string {
  return `${whole > 0 ? Math.min(100, (part / whole) * 100).toFixed(2) : 0}%`;
}
