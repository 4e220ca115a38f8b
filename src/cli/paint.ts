import pc from "picocolors";

/** Colours for a terminal alone: picocolors would also colour the logs of a CI, and no pipe wants escape codes. */
export const paint = pc.createColors(process.stdout.isTTY === true && process.env["NO_COLOR"] === undefined);
