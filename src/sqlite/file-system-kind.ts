import { readFileSync, realpathSync, statfsSync } from "node:fs";
import { dirname, isAbsolute, relative } from "node:path";

import { MeterbookError } from "../core/errors.ts";

/**
 * Where a database lies. `remote`: other machines may have the file open, and SQLite's write-ahead log needs memory that
 * all its users share (https://sqlite.org/wal.html#overview). `doubtful`: it may be local or not. `local`: all else.
 */
export type FileSystemKind =
  | { readonly kind: "local" }
  | { readonly kind: "remote" | "doubtful"; readonly name: string };

/** How the operating system is asked; a test answers in its place. */
export interface FileSystemLook {
  /** statfs(2): only the magic number is read. Throws for a path that does not exist. */
  readonly statfs: (path: string) => { readonly type: number };
  /** The text of /proc/self/mountinfo, "" where there is none. */
  readonly mounts: () => string;
}

const LOCAL: FileSystemKind = { kind: "local" };
const FUSE = 0x65735546;

/** Magic numbers of file systems that other machines share, as statfs(2) and the kernel's sources name them. */
const REMOTE: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xfe534d42, "SMB"],
  [0xff534d42, "CIFS"],
  [0x5346414f, "AFS"],
  [0x6b414653, "AFS"],
  [0x73757245, "Coda"],
  [0x564c, "NCP"],
  [0x00c36400, "Ceph"],
  [0x0bd00bd0, "Lustre"],
  [0x47504653, "GPFS"],
  [0x19830326, "BeeGFS"],
  [0x01161970, "GFS2"],
  [0x7461636f, "OCFS2"],
]);

/** What hypervisors and sandboxes use for a disk that is often local after all. */
const DOUBTFUL: ReadonlyMap<number, string> = new Map([
  [FUSE, "FUSE"],
  [0x01021997, "9P"],
  [0x786f4256, "vboxsf"],
]);

/** FUSE programs whose files lie on another machine, by the type that they mount with. */
const REMOTE_FUSE =
  /^fuse\.(?:sshfs|s3fs|s3ql|mount-s3|mountpoint-s3|goofys|gcsfuse|blobfuse2?|rclone|glusterfs|ceph|ceph-fuse|juicefs|seaweedfs|moosefs|lizardfs|davfs|curlftpfs|afpfs|smbnetfs)$/;

/** The kind of the file system that holds a path, or will hold it. Where nobody can tell, it is taken for local. */
export function fileSystemKind(path: string, look: FileSystemLook = systemLook): FileSystemKind {
  const place = standing(path, look);
  if (place === null) return LOCAL;
  const number = place.type >>> 0;
  const remote = REMOTE.get(number);
  if (remote !== undefined) return { kind: "remote", name: remote };
  const doubtful = DOUBTFUL.get(number);
  if (doubtful === undefined) return LOCAL;
  const mounted = number === FUSE ? mountType(place.path, look) : null;
  return mounted !== null && REMOTE_FUSE.test(mounted)
    ? { kind: "remote", name: mounted }
    : { kind: "doubtful", name: doubtful };
}

/** METER_DB_ON_NETWORK_DISK for a database that other machines may share, before anything is made there. */
export function assertNotRemote(path: string, look: FileSystemLook = systemLook): void {
  const found = fileSystemKind(path, look);
  if (found.kind !== "remote") return;
  throw new MeterbookError(
    "METER_DB_ON_NETWORK_DISK",
    `The database ${path} is on a network disk (${found.name}): locks and the write-ahead log do not hold there, so stored usage could be lost or the file be damaged.`,
    { remedy: "Point `storage.path` at a local disk; the journals beside it move there too." },
  );
}

/** The path, or its nearest folder that exists, with its file system's number. */
function standing(path: string, { statfs }: FileSystemLook): { readonly path: string; readonly type: number } | null {
  for (let at = path; ; at = dirname(at)) {
    try {
      return { path: at, type: statfs(at).type };
    } catch {
      if (dirname(at) === at) return null;
    }
  }
}

/** The type that the innermost mount over a path was made with, such as `fuse.sshfs`. */
function mountType(path: string, { mounts }: FileSystemLook): string | null {
  const real = realPath(path);
  let found: { readonly point: string; readonly type: string } | null = null;
  for (const line of mounts().split("\n")) {
    const [place = "", kind = ""] = line.split(" - ");
    const point = unescaped(place.split(" ")[4] ?? "");
    // Of two mounts on one point the later one is seen.
    if (isWithin(real, point) && point.length >= (found?.point.length ?? 0))
      found = { point, type: kind.split(" ")[0] ?? "" };
  }
  return found?.type ?? null;
}

function isWithin(path: string, folder: string): boolean {
  if (folder === "") return false;
  const way = relative(folder, path);
  return way === "" || (!way.startsWith("..") && !isAbsolute(way));
}

/** The kernel writes blanks and backslashes in mountinfo as octal numbers (proc(5)). */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** The machine's own answers. */
export const systemLook: FileSystemLook = {
  statfs: (path) => statfsSync(path),
  mounts: () => {
    try {
      return readFileSync("/proc/self/mountinfo", "utf8");
    } catch {
      return "";
    }
  },
};
