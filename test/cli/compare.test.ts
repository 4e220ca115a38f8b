import { writeFileSync } from "node:fs";
import { join } from "node:path";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { readCsv } from "../../src/cli/csv.ts";
import { csvLine, plainText, safeText } from "../../src/core/csv-text.ts";
import { billedApp, job, THEN, type BilledApp } from "./billed-app.ts";

const FROM = new Date(THEN).toISOString();
const TO = new Date(THEN + 86_400_000).toISOString();

async function compare({ directory, run }: BilledApp, text: string, ...args: readonly string[]) {
  writeFileSync(join(directory, "theirs.csv"), text);
  return run("compare", "theirs.csv", ...args);
}

describe("meterbook compare", () => {
  it("says line by line what is equal and what differs, and ends with 1 when something does", async () => {
    const app = await billedApp();
    await app.work(job("a", "120"), job("b", "7", { companyId: "globex" }), job("c", "4", { companyId: "stranger" }));
    await app.json("report");
    const equal = `\ufeffCompany,meter,from,to,value\r\nacme,job_tokens,${FROM},${TO},120.0\r\n"globex",job_tokens,${FROM},${TO},7\r\n`;
    const result = await compare(app, equal);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(result.stdout).toContain("✓ every line is equal");

    const wrong = await compare(app, equal.replace(",7\r", ",8\r"), "--json");
    expect(wrong.code).toBe(1);
    expect(
      wrong.stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toMatchObject([
      { kind: "line", line: 2, company: "acme", equal: true, ours: "120", theirs: "120", difference: "0" },
      { kind: "line", line: 3, company: "globex", equal: false, ours: "7", theirs: "8", difference: "-1" },
      { kind: "totals", ok: false, lines: 2, differing: 1, ours: "127", theirs: "128", difference: "-1" },
    ]);
    const less = await compare(app, equal.replace(/"globex.*\r\n/, ""));
    expect(less.code).toBe(1);
    expect(less.stdout).toMatch(/only ours: job_tokens {2}globex {2}cus_globex {2}7/);
    const held = await compare(app, `customer,meter,from,to,value\nstranger,job_tokens,${FROM},${TO},4`);
    expect(held.stdout).toMatch(/differs, 4 not sent yet/);
  });

  it("prints the ledger as a file that it finds equal, and that no spreadsheet calculates", async () => {
    const app = await billedApp();
    const company = '=HYPERLINK("http://x","a")';
    app.stripe.createCustomer({ id: "cus_evil", metadata: { company_id: company } });
    await app.work(job("a", "120"), job("b", "7", { companyId: "globex" }), job("c", "5", { companyId: company }));
    await app.json("report");
    await app.json("correct", "void", "b", "--by", "ann", "--cause", "x");
    await app.work(job("d", "-3"));
    const exported = await app.run("compare", "--export");
    expect(exported).toMatchObject({ code: 0, stderr: "" });
    const [header, ...lines] = exported.stdout.trim().split("\n");
    expect(header).toBe("company,customer,meter,from,to,value");
    expect(lines).toHaveLength(6);
    expect(exported.stdout).toContain(`"'=HYPERLINK(""http://x"",""a"")",cus_evil,job_tokens,`);
    expect((await compare(app, exported.stdout)).code).toBe(0);
    await app.json("report");
    const again = await app.run("compare", "--export", "--from", FROM);
    expect((await compare(app, again.stdout)).code).toBe(0);
    expect((await compare(app, exported.stdout)).code).toBe(1);
    expect((await app.json("compare", "--export")).length).toBe(again.stdout.trim().split("\n").length - 1);
  });

  it("names the line of the first mistake", async () => {
    const app = await billedApp();
    await app.work(job("a", "1"));
    const header = "company,meter,from,to,value\n";
    const line = (text: string): string => `${header}acme,job_tokens,${FROM},${TO},1\n${text}\n`;
    const mistakes: readonly [string, RegExp][] = [
      ["", /Line 1: the file is empty/],
      ["meter,from,to,value\n", /Line 1: there is no column company or customer/],
      ["company,meter,from,value\n", /Line 1: there is no column to/],
      [line(`acme,job_tokens,${FROM},${TO}`), /Line 3: it has 4 cells, and the header has 5/],
      [line(`acme,job_tokens,${FROM},${TO},12abc`), /Line 3: value is "12abc"/],
      [line(`acme,job_tokens,${FROM},${TO},"1,000"`), /Line 3: value is "1,000"/],
      [line(`acme,job_tokens,${FROM},24h,1`), /Line 3: to is "24h"/],
      [line(`acme,job_tokens,${TO},${FROM},1`), /Line 3: to is not after from/],
      [line(`,job_tokens,${FROM},${TO},1`), /Line 3: it names neither company nor customer/],
      [
        line(`acme,job_token,${FROM},${TO},0`),
        /Line 3: there is no meter "job_token"[\s\S]*Did you mean "job_tokens"\?/,
      ],
      ["company,meter,from,to,valeu\n", /no use for the column "valeu"[\s\S]*Did you mean "value"\?/],
      ["company,meter,from,to,value,value\n", /the column value is there twice/],
      [header, /no line follows the header/],
      [line(`"acme,job_tokens,${FROM},${TO},1`), /Line 3: a quote stands where none can/],
    ];
    for (const [text, message] of mistakes) {
      const result = await compare(app, text);
      expect(result.stderr).toMatch(message);
      expect(result.code).toBe(1);
    }
    expect((await app.run("compare", "none.csv")).stderr).toMatch(/none\.csv cannot be read/);
    expect((await app.run("compare")).stderr).toMatch(/No file was named/);
    expect((await app.run("compare", "theirs.csv", "--export")).stderr).toMatch(/--export reads no file/);
    expect((await app.run("compare", "theirs.csv", "--from", "24h")).stderr).toMatch(/belong to --export/);
  }, 60_000);
});

function cells(text: string): readonly (readonly string[])[] {
  return readCsv(text).map((record) => record.cells);
}

describe("CSV", () => {
  it("is read as RFC 4180 writes it", () => {
    expect(cells('a,b\r\n1,"x, ""y""\r\nz"\r\n')).toEqual([
      ["a", "b"],
      ["1", 'x, "y"\r\nz'],
    ]);
    expect(cells("\ufeffa\n\n,\n")).toEqual([["a"], ["", ""]]);
    expect(readCsv('"a\nb"\nc').map(({ line }) => line)).toEqual([1, 3]);
    for (const text of ['a"b', '"a', '"a"b', "a\rb", '"a""']) expect(() => readCsv(text)).toThrow(/Line 1/);
  });

  it("is read back as it was written, whatever the cells hold", () => {
    const cell = fc.string({
      unit: fc.constantFrom("a", ",", '"', "\n", "\r\n", " ", "=", "'", "\t", "é"),
      maxLength: 8,
    });
    fc.assert(
      fc.property(fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { maxLength: 5 }), (rows) => {
        const text = rows.map((row) => csvLine(row.map(safeText))).join("\r\n");
        expect(readCsv(text).map((record) => record.cells.map(plainText))).toEqual(rows);
      }),
    );
  });

  it("shows texts that begin like a formula as texts, and leaves numbers as they are (X01)", () => {
    for (const text of ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'quoted"]) {
      expect(safeText(text)).toBe(`'${text}`);
      expect(plainText(safeText(text))).toBe(text);
    }
    expect(safeText("acme")).toBe("acme");
    expect(csvLine([safeText("-1"), "-1"])).toBe("'-1,-1");
  });
});
