import { bindCopyButtons } from "./copy";
import { mountPlayers } from "./player/player";
import { waitForWork } from "./waiting";

mountPlayers();
bindCopyButtons();
waitForWork();
