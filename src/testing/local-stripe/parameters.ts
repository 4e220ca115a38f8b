import { listMembers, type FormTree, type FormValue } from "./form-body.ts";
import { refuse } from "./stripe-refusal.ts";

export interface TextRule {
  /** Name in the refusal, when it is nested: `cancel[identifier]`. */
  readonly label?: string;
  readonly lengthMax?: number;
}

/** Refuses parameters beside the known ones; `notKept` are Stripe's own that this server would have to forget. */
export function onlyParameters(form: FormTree, known: readonly string[], notKept: readonly string[] = []): void {
  for (const name of Object.keys(form)) {
    if (known.includes(name) || name === "expand") {
      continue;
    }
    if (notKept.includes(name)) {
      refuse("http.parameter_not_kept", {
        message: `The local Stripe does not keep the parameter: ${name}`,
        param: name,
      });
    }
    refuse("http.parameter_unknown", {
      message: `Received unknown parameter: ${name}`,
      code: "parameter_unknown",
      param: name,
    });
  }
}

/** A text, or null when absent. An empty text is refused. */
export function optionalText(form: FormTree, name: string, rule: TextRule = {}): string | null {
  const value = form[name];
  if (value === undefined) {
    return null;
  }
  const label = rule.label ?? name;
  const text = asText(value, label);
  if (text === "") {
    refuse("http.parameter_empty", {
      message: `You passed an empty string for '${label}'. We assume empty values are an attempt to unset a parameter; however '${label}' cannot be unset. You should remove '${label}' from your request or supply a non-empty value.`,
      code: "parameter_invalid_empty",
      param: label,
    });
  }
  atMost(text, label, rule.lengthMax);
  return text;
}

export function requiredText(form: FormTree, name: string, rule: TextRule = {}): string {
  return optionalText(form, name, rule) ?? missing(rule.label ?? name);
}

/** A text that an empty value unsets: undefined = not sent, null = unset. */
export function unsettableText(form: FormTree, name: string, lengthMax: number): string | null | undefined {
  const value = form[name];
  if (value === undefined) {
    return undefined;
  }
  const text = asText(value, name);
  atMost(text, name, lengthMax);
  return text === "" ? null : text;
}

export function optionalInteger(form: FormTree, name: string, label = name): number | null {
  const text = optionalText(form, name, { label });
  if (text === null) {
    return null;
  }
  if (!/^-?\d{1,15}$/.test(text)) {
    refuse("http.parameter_not_integer", {
      message: `Invalid integer: ${text}`,
      code: "parameter_invalid_integer",
      param: label,
    });
  }
  return Number(text);
}

export function optionalBoolean(form: FormTree, name: string): boolean | null {
  const text = optionalText(form, name);
  return text === null || text === "true" || text === "false"
    ? text === null
      ? null
      : text === "true"
    : refuse("http.parameter_not_boolean", { message: `Invalid boolean: ${text}`, param: name });
}

export function requiredInteger(form: FormTree, name: string): number {
  return optionalInteger(form, name) ?? missing(name);
}

export function optionalChoice<T extends string>(
  form: FormTree,
  name: string,
  choices: readonly T[],
  label = name,
): T | null {
  const text = optionalText(form, name, { label });
  if (text === null) {
    return null;
  }
  const chosen = choices.find((choice) => choice === text);
  return chosen ?? badChoice(label, choices);
}

/** A map of parameters, or null when absent. */
export function optionalMap(form: FormTree, name: string): FormTree | null {
  const value = form[name];
  if (value === undefined) {
    return null;
  }
  return typeof value === "string"
    ? refuse("http.parameter_not_map", { message: "Invalid object", param: name })
    : value;
}

export function requiredMap(form: FormTree, name: string): FormTree {
  return optionalMap(form, name) ?? missing(name);
}

/** A map whose values are all texts. */
export function textMap(tree: FormTree, name: string): Readonly<Record<string, string>> {
  const texts: Record<string, string> = {};
  for (const [key, value] of Object.entries(tree)) {
    Object.defineProperty(texts, key, {
      value: asText(value, `${name}[${key}]`),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return texts;
}

/** The texts of a list, empty when absent. */
export function textList(form: FormTree, name: string): readonly string[] {
  const tree = optionalMap(form, name);
  return tree === null ? [] : listMembers(tree).map((value) => asText(value, name));
}

/** Whether `expand` names a field, at whatever depth. */
export function isExpanded(form: FormTree, field: string): boolean {
  return textList(form, "expand").some((path) => path.split(".").at(-1) === field);
}

export function missing(label: string): never {
  return refuse("http.parameter_missing", {
    message: `Missing required param: ${label}.`,
    code: "parameter_missing",
    param: label,
  });
}

function badChoice(label: string, choices: readonly string[]): never {
  return refuse("http.parameter_choice", {
    message: `Invalid ${label}: must be one of ${choices.join(", ")}`,
    param: label,
  });
}

function asText(value: FormValue, label: string): string {
  return typeof value === "string"
    ? value
    : refuse("http.parameter_not_text", { message: `Invalid string: ${JSON.stringify(value)}`, param: label });
}

function atMost(text: string, label: string, lengthMax: number | undefined): void {
  if (lengthMax !== undefined && text.length > lengthMax) {
    refuse("http.parameter_too_long", {
      message: `Invalid string: ${text.slice(0, 10)}...${text.slice(-4)}; must be at most ${String(lengthMax)} characters`,
      param: label,
    });
  }
}
