// Where the bytes come from: asks the server for a fresh address when playing begins, and again when one has expired.

import type Hls from "hls.js";
import type { ErrorData } from "hls.js";
import type { Fault } from "./elements";

/** One rung of the quality ladder. */
export interface Rung {
  /** Short side in pixels: what people call the quality ("720p"), also of upright pictures. */
  size: number;
  bandwidth: number;
}

export interface SourceEvents {
  /** The ladder is known; `playing` is the index of the rung on the screen, or -1 while none is. */
  onRungs(rungs: Rung[], playing: number): void;
  onFault(fault: Fault): void;
}

/** A refreshed address that fails at once again is no expired address. */
const REFRESH_AT_MOST_EVERY = 10_000;

export class Source {
  private hls: Hls | undefined;
  private rungs: Rung[] = [];
  private refreshed = -Infinity;
  private mended = -Infinity;
  private wanted = 0;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly playAddress: string,
    private readonly events: SourceEvents,
  ) {}

  /** Fetch the library ahead of time, so that pressing play doesn't wait for it. */
  static warm(): void {
    void library();
  }

  /** Begin with the rung whose short side is `quality` (0: automatic), at `position` seconds. */
  async load(quality: number, position = 0): Promise<void> {
    this.wanted = quality;
    const [address, Library] = await Promise.all([this.freshAddress(), library().catch(() => undefined)]);
    if (!address) return;
    if (!Library) return this.events.onFault("network");
    if (Library.isSupported()) {
      this.attach(Library, address, position);
    } else if (this.video.canPlayType("application/vnd.apple.mpegurl")) {
      // Only where Media Source Extensions are missing: native players tell nothing about rungs.
      this.video.src = address;
      this.video.addEventListener("error", () => this.events.onFault("network"), { once: true });
      if (position) this.video.currentTime = position;
    } else {
      this.events.onFault("unsupported");
    }
  }

  /** Change to the rung whose short side is `size`; 0: automatic. The picture changes within a segment. */
  choose(size: number): void {
    this.wanted = size;
    if (this.hls) this.hls.nextLevel = this.indexOf(size);
  }

  private async freshAddress(): Promise<string | undefined> {
    this.refreshed = performance.now();
    let answer: Response;
    try {
      answer = await fetch(this.playAddress, { cache: "no-store" });
      const body = (await answer.json()) as { master?: string };
      if (body.master) return body.master;
    } catch {
      this.events.onFault("network");
      return undefined;
    }
    this.events.onFault(answer.status >= 500 ? "network" : "gone");
    return undefined;
  }

  private attach(Library: typeof Hls, address: string, position: number): void {
    this.hls?.destroy();
    // Segments are CMAF already: there is nothing to remux that a worker would make faster.
    const hls = new Library({ enableWorker: false, capLevelToPlayerSize: true, backBufferLength: 60, startPosition: position });
    this.hls = hls;
    hls.on(Library.Events.MANIFEST_PARSED, () => {
      this.rungs = hls.levels.map((level) => ({ size: Math.min(level.width, level.height), bandwidth: level.bitrate }));
      if (this.wanted) hls.startLevel = hls.loadLevel = this.indexOf(this.wanted);
      this.events.onRungs(this.rungs, -1);
    });
    hls.on(Library.Events.LEVEL_SWITCHED, (_, { level }) => this.events.onRungs(this.rungs, level));
    hls.on(Library.Events.ERROR, (_, error) => {
      // One expired address means that all are: hls.js would try the other rungs first.
      if (error.fatal || error.response?.code === 403) void this.recover(Library, error);
    });
    hls.loadSource(address);
    hls.attachMedia(this.video);
  }

  /** Index of the largest rung that isn't larger than `size`; -1 (automatic) for 0. */
  private indexOf(size: number): number {
    if (!size) return -1;
    const fitting = this.rungs.filter((rung) => rung.size <= size && rung.size > 0);
    const best = fitting.length ? Math.max(...fitting.map((rung) => rung.size)) : Math.min(...this.rungs.map((r) => r.size));
    return this.rungs.findIndex((rung) => rung.size === best);
  }

  private async recover(Library: typeof Hls, error: ErrorData): Promise<void> {
    const now = performance.now();
    const status = error.response?.code ?? 0;
    const refused = status >= 400 && status < 500;
    if (refused && now - this.refreshed > REFRESH_AT_MOST_EVERY) {
      // The page was left open for longer than its addresses live.
      const playing = !this.video.paused;
      await this.load(this.wanted, this.video.currentTime);
      if (playing) await this.video.play().catch(() => undefined);
    } else if (!error.fatal) {
      return;
    } else if (this.rungs.length && error.type === Library.ErrorTypes.MEDIA_ERROR && now - this.mended > REFRESH_AT_MOST_EVERY) {
      // A decoder that stumbled; when there are no rungs, it knows none of the codecs.
      this.mended = now;
      this.hls?.recoverMediaError();
    } else if (error.type === Library.ErrorTypes.NETWORK_ERROR) {
      this.stop(refused ? "gone" : "network");
    } else {
      this.stop("media");
    }
  }

  private stop(fault: Fault): void {
    this.hls?.stopLoad();
    this.events.onFault(fault);
  }
}

let loading: Promise<typeof Hls> | undefined;

function library(): Promise<typeof Hls> {
  loading ??= import("hls.js/dist/hls.min.mjs").then((module) => module.default);
  // A failed download is tried again the next time.
  loading.catch(() => (loading = undefined));
  return loading;
}
