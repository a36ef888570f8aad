// The pictures above the seek bar: a WebVTT file says which part of which sheet shows which moment.

/** A picture on a sheet, and the seconds that it stands for. */
export interface Tile {
  start: number;
  end: number;
  sheet: string;
  left: number;
  top: number;
  width: number;
  height: number;
}

const CUE = /^(\d+):(\d\d):(\d\d\.\d{3}) --> (\d+):(\d\d):(\d\d\.\d{3})\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)$/gm;

export class Storyboard {
  private readonly fetched = new Set<string>();

  private constructor(private readonly tiles: Tile[]) {}

  /** Read the file at `address`; undefined if it can't be had. */
  static async load(address: string): Promise<Storyboard | undefined> {
    try {
      const answer = await fetch(address);
      if (!answer.ok) return undefined;
      const tiles = parse(await answer.text(), address);
      return tiles.length ? new Storyboard(tiles) : undefined;
    } catch {
      return undefined; // the bar works without pictures
    }
  }

  /** The picture of a moment, in seconds. */
  at(time: number): Tile {
    let [low, high] = [0, this.tiles.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.tiles[middle]!.start <= time) low = middle;
      else high = middle - 1;
    }
    const tile = this.tiles[low]!;
    this.fetchAround(low);
    return tile;
  }

  /** Fetch the sheet that is looked at, and the next, before they are needed. */
  private fetchAround(index: number): void {
    const here = this.tiles[index]!.sheet;
    const next = this.tiles.slice(index).find((tile) => tile.sheet !== here)?.sheet;
    for (const sheet of [here, next]) {
      if (!sheet || this.fetched.has(sheet)) continue;
      this.fetched.add(sheet);
      new Image().src = sheet;
    }
  }
}

export function parse(text: string, base: string): Tile[] {
  return [...text.replaceAll("\r\n", "\n").matchAll(CUE)].map((cue) => {
    const number = cue.map(Number);
    const seconds = (from: number) => number[from]! * 3600 + number[from + 1]! * 60 + number[from + 2]!;
    return {
      start: seconds(1),
      end: seconds(4),
      sheet: new URL(cue[7]!, new URL(base, location.href)).href,
      left: number[8]!,
      top: number[9]!,
      width: number[10]!,
      height: number[11]!,
    };
  });
}
