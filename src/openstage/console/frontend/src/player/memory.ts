// What the player remembers from one work to the next, in this browser only.

interface Remembered {
  volume: number;
  muted: boolean;
  rate: number;
  /** Short side of the chosen rung in pixels; 0: automatic. */
  quality: number;
}

const KEY = "openstage.player";
const DEFAULTS: Remembered = { volume: 1, muted: false, rate: 1, quality: 0 };

export function recall(): Remembered {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Remembered>) };
  } catch {
    return DEFAULTS; // storage is off, or holds what isn't ours
  }
}

export function remember(change: Partial<Remembered>): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...recall(), ...change }));
  } catch {
    // Storage is off (private window, blocked in a frame): nothing is remembered.
  }
}
