// The waveform of a work without pictures: drawn where the picture would be, shows the position, and seeks.
//
// The seek bar below it does the same by keyboard and for screen readers, to which this is hidden.

import { clock } from "./elements";
import type { Player } from "./player";

/** audiowaveform's data format, version 2: one channel, 8 bits. */
interface Peaks {
  version: number;
  channels: number;
  bits: number;
  length: number;
  data: number[];
}

const BAR = 3;
const GAP = 2;
/** What is softer than this share of full scale isn't drawn higher than that would be. */
const SOFTEST = 0.1;
/** The picture that the server draws for sound without a cover: it shows the same as this does. */
const DRAWN = 16 / 9;
const COLOURS = { loaded: "rgb(255 255 255 / 55%)", missing: "rgb(255 255 255 / 20%)", line: "rgb(255 255 255 / 85%)" };

export class Waveform {
  private bars: number[] = [];
  private hover: number | undefined;
  private drawing = 0;

  private constructor(
    private readonly player: Player,
    private readonly canvas: HTMLCanvasElement,
    private readonly peaks: Peaks,
  ) {
    const { root, video } = player;
    canvas.hidden = false;
    root.classList.add("has-wave");
    new ResizeObserver(() => this.resize()).observe(canvas);
    for (const event of ["timeupdate", "seeked", "durationchange", "progress", "play", "ended"]) {
      video.addEventListener(event, () => this.redraw());
    }
    root.addEventListener("player-seek", () => this.redraw());
    this.bindPointer();
  }

  /** Show the waveform at `address`; undefined if it can't be had, or the player has no place for it. */
  static async load(player: Player, address: string): Promise<Waveform | undefined> {
    const canvas = player.root.querySelector<HTMLCanvasElement>("[data-wave]");
    if (!canvas) return undefined;
    try {
      const answer = await fetch(address);
      const peaks = (await answer.json()) as Peaks;
      const readable = answer.ok && peaks.version === 2 && peaks.channels === 1 && peaks.bits === 8 && peaks.length > 0;
      if (!readable) return undefined;
      await hideDrawnPoster(player.root);
      return new Waveform(player, canvas, peaks);
    } catch {
      return undefined; // it plays without
    }
  }

  private resize(): void {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    this.bars = heights(this.peaks, Math.floor((canvas.clientWidth + GAP) / (BAR + GAP)));
    this.redraw();
  }

  /** Draw at the next frame; while it plays, at each one. */
  private redraw(): void {
    cancelAnimationFrame(this.drawing);
    this.drawing = requestAnimationFrame(() => {
      this.draw();
      const { paused, ended } = this.player.video;
      if (!paused && !ended) this.redraw();
    });
  }

  private draw(): void {
    const { canvas, player } = this;
    const context = canvas.getContext("2d");
    if (!context || !canvas.clientWidth) return;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const { duration } = player;
    const played = duration > 0 ? player.position / duration : 0;
    const there = duration > 0 ? player.available / duration : 1;
    canvas.dataset.played = played.toFixed(3);
    const brand = getComputedStyle(player.root).getPropertyValue("--brand");
    context.setTransform(canvas.width / width, 0, 0, canvas.height / height, 0, 0);
    context.clearRect(0, 0, width, height);
    this.bars.forEach((bar, index) => {
      const share = (index + 0.5) / this.bars.length;
      const tall = Math.max(2, bar * height);
      context.fillStyle = share <= played ? brand : share <= there ? COLOURS.loaded : COLOURS.missing;
      context.beginPath();
      context.roundRect(index * (BAR + GAP), (height - tall) / 2, BAR, tall, BAR / 2);
      context.fill();
    });
    if (this.hover !== undefined) this.drawHover(context, width, height, this.hover);
  }

  private drawHover(context: CanvasRenderingContext2D, width: number, height: number, share: number): void {
    const text = clock(share * this.player.duration);
    const x = share * width;
    context.fillStyle = COLOURS.line;
    context.fillRect(Math.min(width - 1, x), 0, 1, height);
    context.font = `13px ${getComputedStyle(this.canvas).fontFamily}`;
    const wide = context.measureText(text).width + 12;
    const left = Math.min(Math.max(0, x - wide / 2), width - wide);
    context.fillStyle = "rgb(0 0 0 / 80%)";
    context.beginPath();
    context.roundRect(left, 0, wide, 22, 5);
    context.fill();
    context.fillStyle = "#fff";
    context.textBaseline = "middle";
    context.fillText(text, left + 6, 11.5);
  }

  private bindPointer(): void {
    const { canvas, player } = this;
    const shareOf = (event: PointerEvent) => {
      const box = canvas.getBoundingClientRect();
      return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      player.seek(shareOf(event) * player.duration);
    });
    canvas.addEventListener("pointermove", (event) => {
      this.hover = shareOf(event);
      if (canvas.hasPointerCapture(event.pointerId)) player.seek(this.hover * player.duration);
      this.redraw();
    });
    canvas.addEventListener("pointerup", () => {
      if (!player.root.classList.contains("is-started")) void player.play();
    });
    for (const event of ["pointerleave", "pointercancel"]) {
      canvas.addEventListener(event, () => {
        this.hover = undefined;
        this.redraw();
      });
    }
  }
}

/** Heights of so many bars, 0 to 1: the loudest one of the stretch that each stands for. */
export function heights(peaks: Peaks, bars: number): number[] {
  const loudest = (from: number, to: number) => {
    let most = 0;
    for (let at = 2 * from; at < 2 * to; at++) most = Math.max(most, Math.abs(peaks.data[at] ?? 0));
    return most;
  };
  const full = Math.max(loudest(0, peaks.length), SOFTEST * 128);
  return Array.from({ length: Math.max(1, bars) }, (_, bar) => {
    const from = Math.floor((bar * peaks.length) / bars);
    const to = Math.max(from + 1, Math.floor(((bar + 1) * peaks.length) / bars));
    return loudest(from, to) / full;
  });
}

/** Take a poster away that is no cover but the server's own drawing of the same waveform. */
async function hideDrawnPoster(root: HTMLElement): Promise<void> {
  const poster = root.querySelector<HTMLImageElement>("[data-poster]");
  if (!poster) return;
  await poster.decode().catch(() => undefined);
  if (Math.abs(poster.naturalWidth / poster.naturalHeight - DRAWN) < 0.01) poster.remove();
  else root.classList.add("has-cover");
}
