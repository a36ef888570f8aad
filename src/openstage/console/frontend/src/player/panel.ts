// The settings panel: quality and speed, as plain radio buttons (arrow keys and screen readers know them).

import { part } from "./elements";
import { recall, remember } from "./memory";
import type { Player } from "./player";
import type { Rung } from "./source";

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];

export interface Panel {
  showRungs(rungs: Rung[], playing: number): void;
}

export function bindPanel(player: Player): Panel {
  const { root } = player;
  const panel = part(root, "panel");
  const button = part(root, "settings");
  const qualities = part(root, "qualities");

  const open = (yes: boolean) => {
    panel.hidden = !yes;
    button.setAttribute("aria-expanded", String(yes));
    if (yes) panel.querySelector<HTMLInputElement>("fieldset:not([hidden]) input:checked")?.focus();
  };
  button.addEventListener("click", () => open(Boolean(panel.hidden)));
  document.addEventListener("pointerdown", (event) => {
    const target = event.target as Node;
    if (!panel.hidden && !panel.contains(target) && !button.contains(target)) open(false);
  });
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    open(false);
    button.focus();
  });

  const speeds = SPEEDS.map((rate) => ({ value: rate, label: rate === 1 ? "1×" : `${rate}×` }));
  choices(part(root, "speeds"), "speed", speeds, recall().rate, (rate) => player.setRate(rate));

  let shown = "";
  return {
    showRungs(rungs, playing) {
      const sizes = [...new Set(rungs.map((rung) => rung.size))].filter((size) => size > 0).sort((a, b) => b - a);
      const auto = player.texts.auto;
      const now = rungs[playing]?.size;
      if (sizes.length && shown !== sizes.join()) {
        shown = sizes.join();
        const options = [{ value: 0, label: auto }, ...sizes.map((size) => ({ value: size, label: `${size}p` }))];
        const kept = recall().quality;
        const checked = sizes.includes(kept) ? kept : kept ? (sizes.find((size) => size <= kept) ?? sizes.at(-1)!) : 0;
        choices(qualities, "quality", options, checked, (size) => {
          remember({ quality: size });
          player.source.choose(size);
        });
        qualities.hidden = false;
      }
      const label = qualities.querySelector("input[value='0'] + span");
      if (label) label.textContent = now ? `${auto} (${now}p)` : auto;
      part(root, "now").textContent = now ? `${now}p` : "";
    },
  };
}

interface Choice {
  value: number;
  label: string;
}

function choices(into: HTMLElement, group: string, options: Choice[], checked: number, pick: (value: number) => void): void {
  into.querySelectorAll("label").forEach((label) => label.remove());
  for (const { value, label } of options) {
    const input = Object.assign(document.createElement("input"), { type: "radio", name: group, value: String(value) });
    input.checked = value === checked;
    input.addEventListener("change", () => pick(value));
    const text = Object.assign(document.createElement("span"), { textContent: label });
    const line = document.createElement("label");
    line.append(input, text);
    into.append(line);
  }
}
