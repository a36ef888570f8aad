// Where the bytes come from: asks the server for a fresh address when playing begins, and again when one has expired;
// takes up rungs that appear while it plays.

import type Hls from "hls.js";
import type { ErrorData, HlsConfig, Level } from "hls.js";
import type { Fault } from "./elements";
import { handOver } from "./handover";

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

/** What `/w/<slug>/play` says of a work that can be played. */
export interface Playable {
  master: string;
  mark?: string;
  settled?: boolean;
  duration?: number;
  storyboard?: string | null;
  waveform?: string | null;
}

/** A refreshed address that fails at once again is no expired address. */
const REFRESH_AT_MOST_EVERY = 10_000;
/** Addresses live for 15 minutes unless the operator has it otherwise; a native player tells nothing of one that died. */
const ADDRESS_LIVES = 5 * 60_000;
const CONFIG: Partial<HlsConfig> = {
  enableWorker: false, // segments are CMAF already: there is nothing to remux that a worker would make faster
  capLevelToPlayerSize: true,
  backBufferLength: 60,
};

export class Source {
  /** What the server said last. */
  playable: Playable | undefined;
  private hls: Hls | undefined;
  private rungs: Rung[] = [];
  private address = "";
  private mark = "";
  private refreshed = -Infinity;
  private mended = -Infinity;
  private wanted = 0;
  private taking: Promise<void> | undefined;
  private stale = false;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly playAddress: string,
    private readonly events: SourceEvents,
  ) {}

  /** Fetch the library ahead of time, so that pressing play doesn't wait for it. */
  static warm(): void {
    void library();
  }

  /** Whether more is being added to what plays. */
  get growing(): boolean {
    const details = this.hls?.latestLevelDetails;
    return details ? details.live : this.video.duration === Infinity;
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
      this.playNatively(address, position);
    } else {
      this.events.onFault("unsupported");
    }
  }

  /** Change to the rung whose short side is `size`; 0: automatic. The picture changes within a segment. */
  choose(size: number): void {
    this.wanted = size;
    if (this.hls) this.hls.nextLevel = this.indexOf(size);
  }

  /** Take up what is offered now, if it isn't what was offered when playing began (`mark` tells). */
  offer(mark: string): void {
    if (!mark || mark === this.mark) return;
    this.mark = mark;
    this.stale = true;
    this.taking ??= this.takeUp().finally(() => (this.taking = undefined));
  }

  /** Begin anew with what is offered now, where a native player, which can't take up anything, has been paused. */
  async renew(): Promise<void> {
    if (!this.stale || this.hls || !this.video.src) return;
    // The same address while it lives: another one would count as another playback.
    const lives = performance.now() - this.refreshed < ADDRESS_LIVES;
    const address = lives ? this.address : await this.freshAddress();
    if (address) this.playNatively(address, this.video.currentTime);
  }

  private playNatively(address: string, position: number): void {
    this.stale = false;
    this.address = address;
    this.video.src = address;
    this.video.addEventListener("error", () => this.events.onFault("network"), { once: true });
    // A native player begins a growing playlist where it says: at its start.
    if (position) this.video.currentTime = position;
  }

  private async freshAddress(): Promise<string | undefined> {
    this.refreshed = performance.now();
    let answer: Response;
    try {
      answer = await fetch(this.playAddress, { cache: "no-store" });
      const body = (await answer.json()) as Partial<Playable>;
      if (body.master) {
        this.playable = body as Playable;
        this.mark = body.mark ?? "";
        return body.master;
      }
    } catch {
      this.events.onFault("network");
      return undefined;
    }
    this.events.onFault(answer.status >= 500 ? "network" : "gone");
    return undefined;
  }

  private attach(Library: typeof Hls, address: string, position: number): void {
    this.hls?.destroy();
    this.stale = false;
    // From where it is asked for, also where more is being added: never from a "live edge".
    const hls = new Library({ ...CONFIG, startPosition: position });
    this.adopt(Library, hls);
    this.address = address;
    hls.on(Library.Events.MANIFEST_PARSED, () => {
      this.readRungs(hls);
      if (this.wanted) hls.startLevel = hls.loadLevel = this.indexOf(this.wanted);
      this.events.onRungs(this.rungs, -1);
    });
    hls.loadSource(address);
    hls.attachMedia(this.video);
  }

  private adopt(Library: typeof Hls, hls: Hls): void {
    this.hls = hls;
    hls.on(Library.Events.LEVEL_SWITCHED, (_, { level }) => this.events.onRungs(this.rungs, level));
    hls.on(Library.Events.ERROR, (_, error) => {
      // One expired address means that all are: hls.js would try the other rungs first.
      if (error.fatal || error.response?.code === 403) void this.recover(Library, error);
    });
  }

  private readRungs(hls: Hls): void {
    this.rungs = hls.levels.map((level) => ({ size: sizeOf(level), bandwidth: level.bitrate }));
  }

  private async takeUp(): Promise<void> {
    const Library = await library().catch(() => undefined);
    while (Library && this.hls && this.stale) {
      this.stale = false;
      // The same address while it lives: another one would count as another playback.
      const next = (await this.read(Library, this.address)) ?? (await this.readFresh(Library));
      const old = this.hls;
      if (!next || !old || sameRungs(old.levels, next.levels)) {
        next?.destroy();
        continue;
      }
      const before = old.levels[old.currentLevel];
      const estimate = old.bandwidthEstimate;
      if (Number.isFinite(estimate)) next.bandwidthEstimate = estimate;
      this.readRungs(next);
      if (this.wanted) next.loadLevel = this.indexOf(this.wanted);
      const planned = next.levels[this.wanted ? next.loadLevel : next.firstAutoLevel];
      this.adopt(Library, next);
      await handOver(old, next, this.video, !before || !planned || sizeOf(planned) !== sizeOf(before));
      this.events.onRungs(this.rungs, -1);
    }
  }

  /** Read a playlist with an instance of its own; undefined if it can't be had. */
  private read(Library: typeof Hls, address: string): Promise<Hls | undefined> {
    const hls = new Library({ ...CONFIG, autoStartLoad: false, testBandwidth: false });
    return new Promise((resolve) => {
      hls.once(Library.Events.MANIFEST_PARSED, () => resolve(hls));
      hls.on(Library.Events.ERROR, (_, { fatal }) => {
        if (!fatal || this.hls === hls) return;
        hls.destroy();
        resolve(undefined);
      });
      hls.loadSource(address);
    });
  }

  private async readFresh(Library: typeof Hls): Promise<Hls | undefined> {
    try {
      const answer = await fetch(this.playAddress, { cache: "no-store" });
      const { master } = (await answer.json()) as Partial<Playable>;
      if (!master) return undefined;
      this.address = master;
      return await this.read(Library, master);
    } catch {
      return undefined; // it plays on with what it has
    }
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

function sizeOf(level: Level): number {
  return Math.min(level.width, level.height);
}

function sameRungs(some: Level[], others: Level[]): boolean {
  const key = (levels: Level[]) => levels.map((level) => `${level.width}x${level.height}@${level.bitrate}`).join();
  return key(some) === key(others);
}

let loading: Promise<typeof Hls> | undefined;

function library(): Promise<typeof Hls> {
  loading ??= import("hls.js/dist/hls.min.mjs").then((module) => module.default);
  // A failed download is tried again the next time.
  loading.catch(() => (loading = undefined));
  return loading;
}
