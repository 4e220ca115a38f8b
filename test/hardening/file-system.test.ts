import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

import { describe, expect, it, onTestFinished } from "vitest";

import { assertNotRemote, fileSystemKind, type FileSystemLook } from "../../src/sqlite/file-system-kind.ts";
import { cli, records, workspace } from "../cli/cli.ts";

const run = promisify(execFile);
const DIST = resolve(import.meta.dirname, "../../dist/index.js");

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "meterbook-disk-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** An operating system on which every path has this number, with these mounts. */
const system = (type: number, mounts = ""): FileSystemLook => ({ statfs: () => ({ type }), mounts: () => mounts });
const FUSE = 0x65735546;
const MOUNTS = [
  "22 1 0:21 / / rw - ext4 /dev/vda rw",
  "30 22 0:30 / /srv/remote\\040disk rw,nosuid shared:7 - fuse.sshfs me@far:/x rw",
  "31 30 0:31 / /srv/remote\\040disk/inner rw - fuse.mergerfs a:b rw",
  "32 22 0:32 / /srv/twice rw - fuse.mergerfs a:b rw",
  "33 22 0:33 / /srv/twice rw - fuse.s3fs bucket rw",
].join("\n");

describe("the kind of a file system", () => {
  it.each([
    [0x6969, "NFS"],
    [0x517b, "SMB"],
    [0xfe534d42 - 2 ** 32, "SMB"],
    [0xff534d42, "CIFS"],
    [0x5346414f, "AFS"],
    [0x6b414653, "AFS"],
    [0x00c36400, "Ceph"],
    [0x0bd00bd0, "Lustre"],
    [0x47504653, "GPFS"],
    [0x19830326, "BeeGFS"],
    [0x01161970, "GFS2"],
    [0x7461636f, "OCFS2"],
  ])("is remote for %i: %s", (type, name) => {
    expect(fileSystemKind("/data/meter.db", system(type))).toEqual({ kind: "remote", name });
    expect(() => assertNotRemote("/data/meter.db", system(type))).toThrow(
      expect.objectContaining({ code: "METER_DB_ON_NETWORK_DISK", message: expect.stringContaining(`(${name})`) }),
    );
  });

  it.each([
    ["ext4", 0xef53],
    ["tmpfs", 0x01021994],
    ["overlayfs", 0x794c7630],
    ["btrfs", 0x9123683e - 2 ** 32],
    ["xfs", 0x58465342],
    ["zfs", 0x2fc12fc1],
  ])("is local for %s", (_, type) => {
    expect(fileSystemKind("/data/meter.db", system(type))).toEqual({ kind: "local" });
    expect(assertNotRemote("/data/meter.db", system(type))).toBeUndefined();
  });

  it("is doubtful where a sandbox or hypervisor may stand between, which is told and not refused", () => {
    expect(fileSystemKind("/data/meter.db", system(0x01021997))).toEqual({ kind: "doubtful", name: "9P" });
    expect(fileSystemKind("/data/meter.db", system(0x786f4256))).toEqual({ kind: "doubtful", name: "vboxsf" });
    expect(fileSystemKind("/data/meter.db", system(FUSE))).toEqual({ kind: "doubtful", name: "FUSE" });
    expect(assertNotRemote("/data/meter.db", system(FUSE))).toBeUndefined();
  });

  it.each([
    ["/srv/remote disk/a/meter.db", "remote", "fuse.sshfs"],
    ["/srv/remote disk/inner/meter.db", "doubtful", "FUSE"],
    ["/srv/remote disks/meter.db", "doubtful", "FUSE"],
    ["/srv/twice/meter.db", "remote", "fuse.s3fs"],
    ["/srv/meter.db", "doubtful", "FUSE"],
  ])("of FUSE is told by the innermost mount: %s", (path, kind, name) => {
    expect(fileSystemKind(path, system(FUSE, MOUNTS))).toEqual({ kind, name });
  });

  it("is that of the nearest folder that exists, and local where nobody can tell", () => {
    const asked: string[] = [];
    const look: FileSystemLook = {
      mounts: () => "",
      statfs: (path) => {
        asked.push(path);
        if (path !== "/data") throw new Error("ENOENT");
        return { type: 0x6969 };
      },
    };
    expect(fileSystemKind("/data/a/b/meter.db", look)).toEqual({ kind: "remote", name: "NFS" });
    expect(asked).toEqual(["/data/a/b/meter.db", "/data/a/b", "/data/a", "/data"]);
    expect(fileSystemKind("/other/meter.db", look)).toEqual({ kind: "local" });
  });

  it("is asked of this machine's own kernel: also through a link, and for what does not exist yet", () => {
    const real = folder();
    const link = join(folder(), "link");
    symlinkSync(real, link);
    for (const path of [real, join(link, "a", "b", "meter.db")]) expect(fileSystemKind(path).kind).not.toBe("remote");
    expect(assertNotRemote(join(link, "meter.db"))).toBeUndefined();
  });
});

// The operating system of the whole process, its worker thread included, says NFS.
const NFS = `data:text/javascript,${encodeURIComponent(
  'import fs from "node:fs"; import { syncBuiltinESMExports } from "node:module"; const real = fs.statfsSync; fs.statfsSync = (path, options) => Object.assign(real(path, options), { type: 0x6969 }); syncBuiltinESMExports();',
)}`;
const YAML = "version: 1\nstorage: { path: ./meter.db }\nmeters:\n  jobs: { aggregate: count }\n";
const APP = `import { meter } from ${JSON.stringify(DIST)};
const say = (facts, sentence) => console.log(facts.code + ": " + sentence);
const quiet = () => undefined;
setInterval(quiet, 1_000);
const heard = new Promise((resolve) => globalThis.process.once("heard", resolve));
const warn = (facts, sentence) => (say(facts, sentence), process.emit("heard"));
const metering = meter({ report: false, logger: { debug: quiet, info: quiet, warn, error: warn } });
metering.track("job", { companyId: "acme", id: "1" });
await metering.flush({ timeoutMs: 20_000 }).catch(async (error) => {
  console.log("flush: " + error.message);
  await heard;
});
process.exit(0);`;

describe("an app whose database would be on a network disk", () => {
  it("makes none there, says why, keeps what it counted, and loses nothing when the disk is another one", async () => {
    const directory = workspace(YAML);
    writeFileSync(join(directory, "app.mjs"), APP);
    const told = await run(process.execPath, ["--import", NFS, "app.mjs"], { cwd: directory, timeout: 60_000 });
    expect(told.stdout).toMatch(/^flush: .*network disk \(NFS\)/m);
    expect(told.stdout).toMatch(/^METER_DB_ON_NETWORK_DISK: .*network disk \(NFS\)/m);
    expect(existsSync(join(directory, "meter.db"))).toBe(false);
    expect(readdirSync(join(directory, "meter.db-journals"))).not.toEqual([]);
    // The same folder on a local disk: what was answered meanwhile is there.
    expect(records(await cli(directory, ["usage", "--json"]))[0]).toMatchObject({ customer: "acme", value: "1" });
  });

  it("is told so by every command, which exits 1", async () => {
    const directory = workspace(YAML);
    writeFileSync(join(directory, "app.mjs"), APP);
    await run(process.execPath, ["app.mjs"], { cwd: directory, timeout: 60_000 });
    for (const command of ["status", "usage", "doctor"]) {
      const answer = await cli(directory, [command], { NODE_OPTIONS: `--import ${NFS}` });
      expect(answer.stdout + answer.stderr).toMatch(/network disk \(NFS\)/);
      expect(answer.code).toBe(1);
    }
  });
});
