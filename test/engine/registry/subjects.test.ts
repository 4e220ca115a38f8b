import { expect, it } from "vitest";

import { deleteSubject, getSubject, listSubjects, putSubjects } from "../../../src/engine/registry/subjects.ts";
import { onBothStores } from "../both-stores.ts";
import { AUTHOR, deskOf } from "../registry-desk.ts";
import { DAY, START } from "../world.ts";

onBothStores("subjects", (makeStore) => {
  it("are described, described anew by key, and found by key and id", async () => {
    const desk = deskOf(await makeStore());
    const put = (...subjects: Parameters<typeof putSubjects>[1]["subjects"]) =>
      putSubjects(desk, { subjects, author: AUTHOR });
    const [first, second] = await put({ key: "s1", displayName: "One", metadata: { a: 1 } }, { key: "s2" });
    expect(first).toMatchObject({ key: "s1", displayName: "One", metadata: { a: 1 }, createdAt: START });
    expect(second).toMatchObject({ key: "s2", displayName: null, metadata: {} });
    desk.clock.advance(DAY);
    const [again] = await put({ key: "s1", displayName: null }, { key: "s1", metadata: {} });
    expect(again).toEqual({ ...first, metadata: {}, updatedAt: START + DAY });
    expect((await put({ key: "s1", displayName: "Uno" }))[0]).toMatchObject({ displayName: "Uno", metadata: {} });
    expect(await getSubject(desk, { idOrKey: "s1" })).toEqual(await getSubject(desk, { idOrKey: first?.id ?? "" }));
    expect((await listSubjects(desk)).map(({ key }) => key)).toEqual(["s1", "s2"]);
    expect((await desk.store.entryHistory("subject", first?.id ?? "")).map(({ author }) => author)).toEqual(
      Array.from({ length: 3 }, () => AUTHOR),
    );
  });

  it("are all put or none, and the mistakes are named by place", async () => {
    const desk = deskOf(await makeStore());
    const subjects = [{ key: "ok" }, { key: "" }, { key: "k", displayName: "x".repeat(257) }];
    await expect(putSubjects(desk, { subjects, author: AUTHOR })).rejects.toMatchObject({
      code: "METER_REQUEST_INVALID",
      mistakes: [{ pointer: "/1/key" }, { pointer: "/2/displayName" }],
    });
    expect(await listSubjects(desk)).toEqual([]);
    const many = Array.from({ length: 1_001 }, (_, at) => ({ key: `s${at}` }));
    await expect(putSubjects(desk, { subjects: many, author: AUTHOR })).rejects.toMatchObject({
      code: "METER_REQUEST_INVALID",
    });
    await putSubjects(desk, { subjects: many.slice(1), author: AUTHOR });
    await putSubjects(desk, { subjects: many.slice(0, 2), author: AUTHOR });
    const listed = await listSubjects(desk);
    expect([listed.length, new Set(listed.map(({ key }) => key)).size]).toEqual([1_001, 1_001]);
  });

  it("are forgotten and may be described anew", async () => {
    const desk = deskOf(await makeStore());
    const [first] = await putSubjects(desk, { subjects: [{ key: "s1", displayName: "One" }], author: AUTHOR });
    await deleteSubject(desk, { idOrKey: "s1", author: AUTHOR });
    for (const idOrKey of ["s1", first?.id ?? ""]) {
      await expect(getSubject(desk, { idOrKey })).rejects.toMatchObject({ code: "METER_NOT_FOUND" });
      await expect(deleteSubject(desk, { idOrKey, author: AUTHOR })).rejects.toMatchObject({ code: "METER_NOT_FOUND" });
    }
    const [second] = await putSubjects(desk, { subjects: [{ key: "s1" }], author: AUTHOR });
    expect(second).toMatchObject({ key: "s1", displayName: null });
    expect(second?.id).not.toBe(first?.id);
  });
});
