/** The members of a union that have a name; where no type says who has it, the type with it. */
type Owning<Value extends object, Name extends string> = [Extract<Value, Readonly<Record<Name, unknown>>>] extends [
  never,
]
  ? Value & Readonly<Record<Name, unknown>>
  : Extract<Value, Readonly<Record<Name, unknown>>>;

/**
 * Whether an object has a member of its own. Unlike the operator `in` it does not see what somebody put into
 * Object.prototype: that would choose the branch of every object in the process.
 */
export function owns<Value extends object, Name extends string>(
  value: Value,
  name: Name,
): value is Owning<Value, Name> {
  return Object.hasOwn(value, name);
}

/**
 * An object's own members, in an object that inherits nothing: for what is asked with members that may be absent, since
 * the name of an absent one is looked up in Object.prototype.
 */
export function ownMembers<Value extends object>(value: Value): Value {
  return Object.assign(Object.setPrototypeOf({}, null), value);
}

/** A member of an object's own; undefined where it has none, whatever it inherits. For hot paths, which make no copy. */
export function ownMember<Value extends object, Name extends keyof Value>(
  value: Value,
  name: Name,
): Value[Name] | undefined {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}
