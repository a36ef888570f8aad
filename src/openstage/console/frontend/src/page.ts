// What gives a page its life. Each part does nothing where the page lacks what it works on.

import { bindComparing } from "./comparing";
import { bindCopyButtons } from "./copy";
import { showHealth } from "./health";
import { bindPasskeys } from "./passkeys";
import { mountPlayers } from "./player/player";
import { waitForWork } from "./waiting";

/** Whether the work was waited for on this page, and begins to play by itself. */
export type Arrival = "showing" | "playing";

export function arrive(arrival: Arrival = "showing"): void {
  mountPlayers(arrival === "playing");
  bindCopyButtons();
  bindComparing();
  bindPasskeys();
  waitForWork();
  void showHealth();
}
