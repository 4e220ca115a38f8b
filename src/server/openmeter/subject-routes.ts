import { z } from "zod";

import { limits } from "../../engine/limits.ts";
import { route, type Route } from "../route.ts";
import { jsonReply, NO_CONTENT } from "./reply.ts";
import { shownSubject, subjectDraft, subjectSent, subjectShown } from "./subject-wire.ts";

const tag = "OpenMeter: subjects";
const params = z.object({ subjectIdOrKey: z.string() });
const all = { description: "The subjects, as a plain list.", schema: z.array(subjectShown) };

/** Subjects over v1: names for people beside what events are about. */
export const subjectRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/api/v1/subjects",
    access: "read",
    tag,
    summary: "List subjects",
    answers: { 200: all },
    async reply({ backend }) {
      return jsonReply(200, (await backend.listSubjects({})).map(shownSubject));
    },
  }),
  route({
    method: "post",
    path: "/api/v1/subjects",
    access: "admin",
    tag,
    summary: "Make subjects, or change them",
    description: "What is left out of a subject stays as it is.",
    body: z.array(subjectSent).max(limits.openmeterPageMax),
    answers: { 200: all },
    async reply({ backend, body, caller: { author } }) {
      const subjects = await backend.putSubjects({ subjects: body.map(subjectDraft), author });
      return jsonReply(200, subjects.map(shownSubject));
    },
  }),
  route({
    method: "get",
    path: "/api/v1/subjects/{subjectIdOrKey}",
    access: "read",
    tag,
    summary: "Get a subject",
    params,
    answers: { 200: { description: "The subject.", schema: subjectShown } },
    async reply({ backend, params: { subjectIdOrKey } }) {
      return jsonReply(200, shownSubject(await backend.getSubject({ idOrKey: subjectIdOrKey })));
    },
  }),
  route({
    method: "delete",
    path: "/api/v1/subjects/{subjectIdOrKey}",
    access: "admin",
    tag,
    summary: "Delete a subject's name; its events stay",
    params,
    answers: { 204: { description: "It is deleted." } },
    async reply({ backend, params: { subjectIdOrKey }, caller: { author } }) {
      await backend.deleteSubject({ idOrKey: subjectIdOrKey, author });
      return NO_CONTENT;
    },
  }),
];
