import { relative, resolve } from "node:path";

import { cut, Disk, emptyFile, emptyFolder, sync, write, type DiskNode, type FileNode, type Span } from "./disk.ts";
import { descriptorOf, lastNumber, textsOf, type TracedCall } from "./trace.ts";

/** Calls that strace must write down so that the replay is whole. */
export const TRACED =
  "open,openat,creat,write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,ftruncate,truncate,unlink,unlinkat,rename," +
  "renameat,renameat2,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,fallocate,copy_file_range,sendfile,sync_file_range";

interface OpenFile {
  readonly node: DiskNode;
  readonly appends: boolean;
  position: number;
}

/** The program's own words of a call on descriptor 1, at the line where they begin. */
export interface Said {
  readonly line: number;
  readonly text: string;
}

/** Does to a disk what a recorded program did to a folder, call after call. Throws on a call that it does not know. */
export class Replay {
  readonly disk = new Disk();
  readonly said: Said[] = [];
  private readonly root: string;
  private readonly files = new Map<number, OpenFile>();
  /** Syncs that run: they count when they end, not when they begin. */
  private running: { readonly node: DiskNode; readonly span: Span }[] = [];

  constructor(root: string) {
    this.root = root;
  }

  /** Takes the next call; calls come in the order in which they began. */
  take(call: TracedCall): void {
    this.endSyncs(call.begun);
    const { name, words, begun, ended, result } = call;
    const span = { begun, ended };
    switch (name) {
      case "open":
      case "openat":
      case "creat":
        return this.open(call, span);
      case "write":
      case "writev":
      case "pwrite64":
        return this.write(call, span);
      case "fsync":
      case "fdatasync": {
        const file = this.opened(words);
        if (file !== null) this.running.push({ node: file.node, span });
        return;
      }
      case "ftruncate": {
        const file = this.opened(words);
        if (file !== null) cut(fileOf(file.node), lastNumber(words), span);
        return;
      }
      case "mkdir":
      case "mkdirat":
        return this.onPath(words, (path) => this.disk.create(path, emptyFolder(), span));
      case "unlink":
      case "unlinkat":
      case "rmdir":
        return this.onPath(words, (path) => this.disk.remove(path, span));
      case "rename":
      case "renameat":
      case "renameat2":
        return this.onPath(words, (from, to) => this.disk.rename(from, to, span));
      default:
        if (this.inside(descriptorOf(words)?.path ?? "") !== null) throw new Error(`not modelled: ${name} = ${result}`);
        this.onPath(words, (path) => {
          throw new Error(`not modelled: ${name} ${path}`);
        });
    }
  }

  /** Ends the syncs that ended before a line. */
  endSyncs(line: number): void {
    for (const { node, span } of this.running) if (span.ended < line) sync(node, span);
    this.running = this.running.filter(({ span }) => span.ended >= line);
  }

  private open({ words, result }: TracedCall, span: Span): void {
    this.files.delete(result);
    const flags = words.slice(words.lastIndexOf('"'));
    this.onPath(words, (path) => {
      let node = this.disk.at(path);
      if (node === null) {
        // A file from before the recording, such as the configuration: writing to it is not modelled, and would throw.
        if (!flags.includes("O_CREAT")) return;
        node = emptyFile();
        this.disk.create(path, node, span);
      } else if (flags.includes("O_TRUNC") && fileOf(node).length > 0) cut(fileOf(node), 0, span);
      this.files.set(result, { node, appends: flags.includes("O_APPEND"), position: 0 });
    });
  }

  private write({ name, words, result, begun }: TracedCall, span: Span): void {
    const bytes = Buffer.concat(textsOf(words)).subarray(0, result);
    if (descriptorOf(words)?.fd === 1) this.said.push({ line: begun, text: bytes.toString() });
    const file = this.opened(words);
    if (file === null) return;
    const node = fileOf(file.node);
    if (name === "pwrite64") return write(node, lastNumber(words), bytes, span);
    write(node, file.appends ? node.length : file.position, bytes, span);
    if (!file.appends) file.position += bytes.length;
  }

  private opened(words: string): OpenFile | null {
    const descriptor = descriptorOf(words);
    if (descriptor === null || this.inside(descriptor.path) === null) return null;
    const file = this.files.get(descriptor.fd);
    if (file === undefined) throw new Error(`not modelled: descriptor ${descriptor.fd} of ${descriptor.path}`);
    return file;
  }

  private onPath(words: string, act: (path: string, other: string) => void): void {
    const [path = null, other = null] = textsOf(words).map((text) => this.inside(resolve(text.toString())));
    if (path !== null) act(path, other ?? "");
  }

  /** A path relative to the recorded folder; null outside. The index of the log is rebuilt at every start: it is no data. */
  private inside(path: string): string | null {
    const inner = relative(this.root, path);
    return inner.startsWith("..") || inner.startsWith("/") || /-shm( \(deleted\))?$/.test(inner) ? null : inner;
  }
}

function fileOf(node: DiskNode): FileNode {
  if (node.kind !== "file") throw new Error("not modelled: a folder is written to");
  return node;
}
