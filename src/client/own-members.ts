/** An object's own members in one that inherits nothing: an absent member is absent, whatever Object.prototype was given. */
export function ownMembers<Value extends object>(value: Value): Value {
  return Object.assign(Object.setPrototypeOf({}, null), value);
}
