import { afterEach, describe, expect, it } from "vitest";

import { ownMembers, owns } from "../../src/core/own-member.ts";

type Shape = { readonly width: number } | { readonly radius: number };

function area(shape: Shape): number {
  return owns(shape, "radius") ? 3 * shape.radius ** 2 : shape.width ** 2;
}

function pollute(): void {
  const everyObject: object = Object.prototype;
  Object.defineProperty(everyObject, "radius", { value: 9, writable: true, enumerable: true, configurable: true });
}

describe("where Object.prototype was polluted", () => {
  afterEach(() => {
    Reflect.deleteProperty(Object.prototype, "radius");
  });
  it("an object has only what is its own", () => {
    expect([area({ width: 2 }), area({ radius: 2 })]).toEqual([4, 12]);
    pollute();
    expect([area({ width: 2 }), area({ radius: 2 })]).toEqual([4, 12]);
  });

  it("a copy of its members answers nothing for those that it has not", () => {
    const question: { readonly width?: number; readonly radius?: number } = { width: 2 };
    pollute();
    expect([question.radius, ownMembers(question).radius, ownMembers(question).width]).toEqual([9, undefined, 2]);
  });
});
