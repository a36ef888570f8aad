// The one script of all pages: each part does nothing where the page lacks what it works on.

import { bindCopyButtons } from "./copy";
import { showHealth } from "./health";
import { mountPlayers } from "./player/player";
import { waitForWork } from "./waiting";

mountPlayers();
bindCopyButtons();
waitForWork();
void showHealth();
