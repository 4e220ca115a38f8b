// @ts-check
// npm run sbom [-- FILE]: what a user of the package gets, with versions, licences and checksums, in CycloneDX's JSON.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";

const ROOT = resolve(import.meta.dirname, "../..");
const FILE = resolve(process.argv[2] ?? resolve(ROOT, "sbom.cdx.json"));

const npm = process.env["npm_execpath"];
const [command, first] = npm === undefined ? ["npm", []] : [process.execPath, [npm]];
// From the lock file alone: no network, and the same answer whatever is installed. Without `--omit dev`, which leaves out
// whatever the tools of development use too.
const { status, stdout, stderr } = spawnSync(
  command,
  [...first, "sbom", "--sbom-format", "cyclonedx", "--sbom-type", "library", "--package-lock-only", "--offline"],
  { cwd: ROOT, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
);
if (status !== 0) {
  process.stderr.write(stderr);
  process.exit(1);
}
/** @type {{ metadata: { component: { "bom-ref": string, name: string } }, components: { "bom-ref": string, name: string, version: string }[], dependencies: { ref: string, dependsOn: string[] }[] }} */
const bill = JSON.parse(stdout);
/** @type {{ packages: Record<string, { name?: string, version: string, dev?: boolean }> }} */
const { packages } = JSON.parse(readFileSync(resolve(ROOT, "package-lock.json"), "utf8"));
const reaching = new Set(
  Object.entries(packages)
    .filter(([place, { dev }]) => place !== "" && dev !== true)
    .map(([place, { name, version }]) => `${name ?? place.split("node_modules/").at(-1)}@${version}`),
);
const components = bill.components.filter(({ name, version }) => reaching.has(`${name}@${version}`));
const root = bill.metadata.component;
const refs = new Set([root["bom-ref"], ...components.map((component) => component["bom-ref"])]);
const dependencies = bill.dependencies
  .filter(({ ref }) => refs.has(ref))
  .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((each) => refs.has(each)) }));
// npm names a project after its folder.
const metadata = { ...bill.metadata, component: { ...root, name: packages[""]?.name ?? root.name } };
writeFileSync(FILE, `${JSON.stringify({ ...bill, metadata, components, dependencies }, null, 2)}\n`);
console.log(`${FILE}: ${components.length} components`);
