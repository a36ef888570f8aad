// The player: one per `[data-player]` element. State is shown by classes on that element, the rest is CSS.

import { bindBar } from "./bar";
import { bindKeyboard } from "./keyboard";
import { name, part, type Fault, type Texts } from "./elements";
import { recall, remember } from "./memory";
import { bindPanel } from "./panel";
import { bindPatience } from "./patience";
import { announce } from "./session";
import { Source } from "./source";
import { Storyboard } from "./storyboard";
import { Waveform } from "./waveform";
import { watchStanding, type Standing } from "../standing";

/** The controls disappear when nothing has moved for so long. */
const IDLE_AFTER = 2500;

export class Player {
  readonly video: HTMLVideoElement;
  readonly texts: Texts;
  readonly source: Source;
  /** The pictures above the seek bar, once they are there. */
  storyboard: Storyboard | undefined;
  /** The waveform in the place of the picture, once it is there. */
  private waveform: Promise<Waveform | undefined> | undefined;
  private started = false;
  private stopWatching: (() => void) | undefined;
  /** Muted by us, as the browser lets nothing else begin by itself: nothing to remember. */
  private quiet = false;
  private idle = 0;
  /** Where playing shall begin, when that was chosen before the first play. */
  private pendingSeek: number | undefined;

  constructor(readonly root: HTMLElement) {
    this.video = root.querySelector("video")!;
    this.texts = JSON.parse(root.dataset.texts ?? "{}") as Texts;
    // Through the style object: a style attribute would need a looser Content-Security-Policy.
    const { style } = document.documentElement;
    style.setProperty("--width", root.dataset.width ?? "16");
    style.setProperty("--height", root.dataset.height ?? "9");
    const panel = bindPanel(this);
    this.source = new Source(this.video, root.dataset.play!, {
      onRungs: panel.showRungs,
      onFault: (fault) => this.showFault(fault),
    });
    this.bindMedia();
    this.bindSurface();
    bindBar(this);
    bindKeyboard(this);
    bindPatience(this);
    announce(this);
    root.addEventListener("pointerenter", () => Source.warm(), { once: true });
    root.addEventListener("focusin", () => Source.warm(), { once: true });
    this.showWaveform(root.dataset.waveform);
    if (root.dataset.autoplay) {
      this.quiet = this.video.muted = true;
      void this.play();
    }
  }

  /** Seconds; from the server's knowledge until the medium has told, and while more is being added to it. */
  get duration(): number {
    const told = Number.isFinite(this.video.duration) ? this.video.duration : 0;
    const known = this.source.playable?.duration || Number(this.root.dataset.duration);
    return told && !this.source.growing ? told : Math.max(told, known);
  }

  /** Seconds from the start at which it plays, or will begin to. */
  get position(): number {
    return this.pendingSeek ?? this.video.currentTime;
  }

  /** Seconds from the start that are there to be played; the whole duration unless more is being added. */
  get available(): number {
    const { seekable } = this.video;
    return this.source.growing && seekable.length ? seekable.end(seekable.length - 1) : this.duration;
  }

  /** Seconds from the position on that are loaded. */
  get loadedAhead(): number {
    const { buffered, currentTime } = this.video;
    for (let i = 0; i < buffered.length; i++) {
      if (buffered.start(i) <= currentTime + 0.5 && currentTime <= buffered.end(i)) return buffered.end(i) - currentTime;
    }
    return 0;
  }

  /** Play without having been asked to: aloud where the browser lets it, else muted; never behind people's backs. */
  async playByItself(): Promise<void> {
    if (document.hidden) {
      document.addEventListener("visibilitychange", () => void this.playByItself(), { once: true });
      return;
    }
    await this.play();
    if (!this.started || !this.video.paused) return;
    this.quiet = this.video.muted = true;
    await this.play();
  }

  toggle(): void {
    if (this.video.paused) void this.play();
    else this.video.pause();
  }

  async play(): Promise<void> {
    this.clearFault();
    if (!this.started) {
      this.started = true;
      this.root.classList.add("is-started", "is-busy");
      await this.source.load(recall().quality, this.pendingSeek ?? 0);
      if (!this.started) return; // it failed, and has said so
      this.pendingSeek = undefined;
      this.follow();
    } else {
      await this.source.renew();
    }
    // Refused where the browser allows no playing without a gesture: the big button stays.
    await this.video.play().catch(() => this.showState());
  }

  seek(to: number): void {
    const position = Math.min(Math.max(0, to), Math.max(0, (this.started ? this.available : this.duration) - 0.1));
    if (this.started) this.video.currentTime = position;
    else this.pendingSeek = position;
    this.root.dispatchEvent(new CustomEvent("player-seek", { detail: position }));
    this.wake();
  }

  seekBy(seconds: number): void {
    this.seek(this.position + seconds);
  }

  setVolume(volume: number): void {
    this.video.volume = Math.min(Math.max(0, volume), 1);
    this.video.muted = this.video.volume === 0;
    this.wake();
  }

  setRate(rate: number): void {
    this.video.defaultPlaybackRate = this.video.playbackRate = rate;
    remember({ rate });
  }

  async toggleFullscreen(): Promise<void> {
    const phone = this.video as HTMLVideoElement & { webkitEnterFullscreen?: () => void };
    if (document.fullscreenElement) await document.exitFullscreen();
    else if (this.root.requestFullscreen) await this.root.requestFullscreen().catch(() => undefined);
    else phone.webkitEnterFullscreen?.(); // iPhone: only the video itself can
  }

  /** Show the controls, and hide them after a while of playing. */
  wake(): void {
    this.root.classList.remove("is-idle");
    clearTimeout(this.idle);
    this.idle = window.setTimeout(() => {
      const busy = this.video.paused || this.root.querySelector(":focus-visible") || !part(this.root, "panel").hidden;
      if (!busy) this.root.classList.add("is-idle");
    }, IDLE_AFTER);
  }

  /** Follow what becomes of the work while it plays: rungs and pictures that are still being made. */
  private follow(): void {
    const { playable } = this.source;
    void this.showStoryboard(playable?.storyboard ?? undefined);
    this.showWaveform(playable?.waveform ?? undefined);
    this.stopWatching?.();
    if (playable?.settled !== false) return;
    const page = this.root.dataset.play!.replace(/\/play$/, "");
    this.stopWatching = watchStanding(page, (standing: Standing) => {
      if (standing.stage !== "published") return; // whoever plays it is told by the next segment
      this.source.offer(standing.mark ?? "");
      if ((standing.storyboard && !this.storyboard) || (standing.waveform && !this.waveform)) void this.askForMore();
    });
  }

  /** Ask for the addresses of what goes with the renditions. */
  private async askForMore(): Promise<void> {
    try {
      const answer = await fetch(this.root.dataset.play!, { cache: "no-store" });
      const { storyboard, waveform } = (await answer.json()) as { storyboard?: string; waveform?: string };
      this.showWaveform(waveform);
      await this.showStoryboard(storyboard);
    } catch {
      // Then without them.
    }
  }

  private async showStoryboard(address: string | undefined): Promise<void> {
    if (address && !this.storyboard) this.storyboard = await Storyboard.load(address);
  }

  private showWaveform(address: string | undefined): void {
    if (address) this.waveform ??= Waveform.load(this, address);
  }

  private bindMedia(): void {
    const { video, root } = this;
    const kept = recall();
    video.volume = kept.volume;
    video.muted = kept.muted;
    video.defaultPlaybackRate = kept.rate;
    for (const event of ["play", "playing", "pause", "ended", "seeking", "seeked"]) {
      video.addEventListener(event, () => this.showState());
    }
    video.addEventListener("playing", () => root.classList.add("has-picture"));
    for (const event of ["waiting", "stalled"]) {
      video.addEventListener(event, () => root.classList.toggle("is-busy", !video.paused && video.readyState < 3));
    }
    for (const event of ["playing", "canplay", "pause"]) {
      video.addEventListener(event, () => root.classList.remove("is-busy"));
    }
    video.addEventListener("volumechange", () => {
      this.quiet &&= video.muted;
      if (!this.quiet) remember({ volume: video.volume, muted: video.muted });
    });
    // A picture that can't be had is no reason for a broken-image sign.
    root.querySelector("[data-poster]")?.addEventListener("error", (event) => (event.target as Element).remove());
    part(root, "retry").addEventListener("click", () => void this.play());
    document.addEventListener("fullscreenchange", () => {
      const full = document.fullscreenElement === root;
      root.classList.toggle("is-full", full);
      name(part(root, "fullscreen"), full ? this.texts.shrink : this.texts.fullscreen);
    });
    this.showState();
  }

  private bindSurface(): void {
    const { root } = this;
    const surface = part(root, "surface");
    part(root, "big").addEventListener("click", () => this.toggle());
    let finger = false;
    surface.addEventListener("pointerdown", (event) => (finger = event.pointerType === "touch"));
    surface.addEventListener("click", () => {
      // A finger's first tap brings the controls back, a mouse's click plays and pauses.
      if (!finger || !this.started) this.toggle();
      else if (root.classList.contains("is-idle")) this.wake();
      else if (!this.video.paused) root.classList.add("is-idle");
    });
    surface.addEventListener("dblclick", () => void this.toggleFullscreen());
    for (const event of ["pointermove", "pointerdown", "focusin", "keydown"]) {
      root.addEventListener(event, (happened) => {
        if (happened.target !== surface || (happened as PointerEvent).pointerType !== "touch") this.wake();
      });
    }
  }

  private showState(): void {
    const { root, video, texts } = this;
    const ended = video.ended;
    root.classList.toggle("is-playing", !video.paused && !ended);
    root.classList.toggle("is-ended", ended);
    const next = ended ? texts.replay : video.paused ? texts.play : texts.pause;
    name(part(root, "toggle"), next);
    part(root, "big").setAttribute("aria-label", next);
    this.wake();
  }

  private showFault(fault: Fault): void {
    this.root.classList.remove("is-busy");
    this.video.pause();
    // The next try begins from the start: with a fresh address, where this one broke off.
    this.started = false;
    this.pendingSeek ??= this.video.currentTime;
    part(this.root, "fault-text").textContent = this.texts[fault];
    part(this.root, "retry").hidden = fault === "unsupported";
    part(this.root, "fault").hidden = false;
  }

  private clearFault(): void {
    part(this.root, "fault").hidden = true;
  }
}

/** Give every player of the page its life; `playing`: the work was waited for here, and plays by itself. */
export function mountPlayers(playing: boolean): void {
  for (const root of document.querySelectorAll<HTMLElement>("[data-player]")) {
    const player = new Player(root);
    const alone = document.body.classList.contains("page-embed"); // there the site around it decides
    if (playing && !alone) void player.playByItself();
  }
}
