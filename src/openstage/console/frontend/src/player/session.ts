// What the phone's lock screen and the keyboard's media keys show and do.

import type { Player } from "./player";

export function announce(player: Player): void {
  if (!("mediaSession" in navigator)) return;
  const { root, video } = player;
  const session = navigator.mediaSession;
  const poster = root.querySelector<HTMLImageElement>("[data-poster]");
  video.addEventListener(
    "play",
    () => {
      const artwork = poster ? [{ src: poster.src }] : [];
      session.metadata = new MediaMetadata({ title: root.dataset.title ?? "", artist: root.dataset.artist ?? "", artwork });
    },
    { once: true },
  );
  session.setActionHandler("play", () => void player.play());
  session.setActionHandler("pause", () => video.pause());
  session.setActionHandler("seekbackward", ({ seekOffset }) => player.seekBy(-(seekOffset ?? 10)));
  session.setActionHandler("seekforward", ({ seekOffset }) => player.seekBy(seekOffset ?? 10));
  session.setActionHandler("seekto", ({ seekTime }) => player.seek(seekTime ?? 0));
}
