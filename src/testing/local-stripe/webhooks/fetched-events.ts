import { localStripeBounds } from "../bounds.ts";
import { pageLimit } from "../pages.ts";
import { onlyParameters, optionalText, textList } from "../parameters.ts";
import type { Call, Route } from "../route.ts";
import { nowMs, type LocalState } from "../state.ts";
import { refuse } from "../stripe-refusal.ts";
import type { ThinEvent } from "./records.ts";
import { thinEventObject } from "./thin-events.ts";

const PATH = "/v2/core/events";

/** The v2 events, fetched: the only place where their data is. */
export const fetchedEventRoutes: readonly Route[] = [
  {
    operation: "thin_event.list",
    method: "GET",
    path: PATH,
    right: "rak_event_read",
    behaviours: ["thin_event.list"],
    answer: listEvents,
  },
  {
    operation: "thin_event.retrieve",
    method: "GET",
    path: `${PATH}/:id`,
    right: "rak_event_read",
    behaviours: ["thin_event.retrieve", "thin_event.twin", "validation.report_data"],
    answer: ({ state, form, path }) => {
      onlyParameters(form, []);
      const id = path["id"] ?? "";
      const event = reachable(state).find((each) => each.id === id);
      return event === undefined
        ? refuse("thin_event.not_found", { status: 404, message: `Event not found: ${id}`, code: "not_found" })
        : thinEventObject(state, event);
    },
  },
];

function listEvents({ state, form }: Call): object {
  onlyParameters(form, ["limit", "page", "object_id", "types"], ["created"]);
  const types = textList(form, "types");
  const objectId = optionalText(form, "object_id");
  const wanted = reachable(state).filter(
    ({ type, related }) =>
      (types.length === 0 || types.includes(type)) && (objectId === null || related?.id === objectId),
  );
  const page = optionalText(form, "page");
  const start =
    page === null
      ? 0
      : Math.max(
          0,
          wanted.findIndex(({ id }) => id === page),
        );
  const limit = pageLimit(form);
  const next = wanted[start + limit];
  const query = new URLSearchParams({ limit: String(limit), page: next?.id ?? "" });
  types.forEach((type, index) => query.set(`types[${String(index)}]`, type));
  if (objectId !== null) {
    query.set("object_id", objectId);
  }
  return {
    data: wanted.slice(start, start + limit).map((event) => thinEventObject(state, event)),
    next_page_url: next === undefined ? null : `${PATH}?${query.toString()}`,
    previous_page_url: null,
  };
}

function reachable(state: LocalState): readonly ThinEvent[] {
  const oldest = nowMs(state) - localStripeBounds.accountEventAgeMaxMs;
  return state.thinEvents.filter((event) => event.createdMs >= oldest).toReversed();
}
