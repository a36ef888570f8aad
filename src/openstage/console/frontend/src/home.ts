import { bindCopyButtons } from "./copy";
import { showHealth } from "./health";

bindCopyButtons();
void showHealth();
