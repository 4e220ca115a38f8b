import { readFileSync, statfsSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";

const FILE_SYSTEMS = {
  0xef53: "ext4",
  0x01021994: "tmpfs",
  0x794c7630: "overlayfs",
  0x58465342: "xfs",
  0x9123683e: "btrfs",
};

/** A Markdown table. Numbers must come as text. */
export function table(head, rows) {
  return [line(head), line(head.map((_, at) => (at === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

/** A target with what was measured against it. */
export function target(what, wanted, measured, isMet) {
  return { what, wanted, measured, isMet };
}

export function targetTable(targets) {
  return table(
    ["target", "wanted", "measured", "verdict"],
    targets.map(({ what, wanted, measured, isMet }) => [what, wanted, measured, isMet ? "met" : "**missed**"]),
  );
}

/** A number with so many digits behind the point, and its sign where it is a difference. */
export function figure(value, digits = 1) {
  return Number.isFinite(value) ? value.toFixed(digits) : "–";
}

export function difference(value, digits = 1) {
  return `${value >= 0 ? "+" : ""}${figure(value, digits)}`;
}

export function thousands(value) {
  return Math.round(value).toLocaleString("en-US");
}

/** What the figures were measured on. */
export function machineLine(folder) {
  const kind = FILE_SYSTEMS[statfsSync(folder).type] ?? "unknown file system";
  const gib = figure(totalmem() / 2 ** 30, 0);
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return `${cpus()[0]?.model.trim() ?? "unknown CPU"}, ${availableParallelism()} cores, ${gib} GiB, Linux ${release()}, ${kind}, Node ${process.version}, meterbook ${version}; load ${loadText()}`;
}

export function loadText() {
  return loadavg()
    .map((value) => figure(value))
    .join(" ");
}

function line(cells) {
  return `| ${cells.join(" | ")} |`;
}
