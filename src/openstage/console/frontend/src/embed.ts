import { mountPlayers } from "./player/player";
import { waitForWork } from "./waiting";

mountPlayers();
waitForWork();
