import type { Settings } from "../config/settings.ts";
import type { Status } from "../engine/books/status.ts";
import type { CorrectionOrder, CorrectionSummary } from "../engine/corrections/correct.ts";
import type { ResolvedRow, RowResolution } from "../engine/corrections/row-orders.ts";
import type { Assignment, AssignmentSummary } from "../engine/ingest/assign.ts";
import type {
  EventListQuery,
  EventPage,
  EventResult,
  IngestCall,
  IngestReply,
  UsageReport,
} from "../engine/intake/accepted.ts";
import type {
  SessionBoundary,
  SessionPage,
  SessionQuery,
  SessionResult,
  SessionView,
} from "../engine/intake/session.ts";
import type { MeterDraft, MeterEffect, MeterPatch, MeterView } from "../engine/meters/meter-view.ts";
import type { HeldRow, OutboxRow, StoreCounts, StoredEvent } from "../engine/ports.ts";
import type { ApiKey, ApiKeyDraft, CreatedKey, KeyRing } from "../engine/registry/api-keys.ts";
import type { Customer, CustomerDraft, Subject } from "../engine/registry/customer.ts";
import type { Explanation } from "../engine/usage/explain.ts";

import type { AnswerForm } from "./contract/answer-text.ts";
import type { PeriodBackend } from "./period-backend.ts";
import type { CreatedPortalToken, PortalToken, PortalTokenOrder } from "../engine/registry/portal-tokens.ts";
import type { MeterAnswer, MeterQuestion, QueryProgress } from "../engine/usage/meter-question.ts";

/** What a service's store and threads stand at, for those who watch over it. */
export interface ServiceFigures {
  readonly counts: StoreCounts;
  /** Bytes of journals that are not in the store yet. */
  readonly backlogBytes: number;
  /** Since the journals were last taken into the store, milliseconds; null before the first time. */
  readonly drainLagMs: number | null;
  /** Open holds by meter. */
  readonly holds: readonly { readonly meter: string; readonly holds: number }[];
}

/** A page of a list that is counted; `page` counts from 1. */
export interface PageQuery {
  readonly page: number;
  readonly pageSize: number;
}

/** One page, and how many there are in all. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly total: number;
}

/** Whether calls can be taken; the reasons say what is missing. */
interface Readiness {
  readonly isReady: boolean;
  readonly reasons: readonly string[];
}

/** Usage that is kept and not counted, newest first, and reports that wait for a person. */
export interface HeldUsage {
  readonly events: readonly HeldRow[];
  readonly reports: readonly OutboxRow[];
}

/**
 * What the HTTP service asks of the engine. Every call takes one plain value and answers a plain one, so that it can
 * cross threads; a failure is a MeterbookError whose code says which HTTP status it is. `author` is kept in histories.
 */
export interface Backend extends PeriodBackend {
  readonly settings: Settings;

  // --- events ---
  /** Answers after the commit. */
  ingest(call: IngestCall): Promise<IngestReply>;
  listEvents(query: EventListQuery): Promise<EventPage>;

  // --- meters ---
  listMeters(query: { readonly includeDeleted: boolean }): Promise<readonly MeterView[]>;
  /** METER_NOT_FOUND. */
  getMeter(query: { readonly idOrKey: string }): Promise<MeterView>;
  /** What creating it would do, without doing it. METER_REQUEST_INVALID, METER_CONFLICT for a key that is taken. */
  previewMeter(draft: MeterDraft): Promise<MeterEffect>;
  /** Counts the past events of its type. */
  createMeter(order: {
    readonly draft: MeterDraft;
    readonly author: string;
    readonly mayCorrect?: boolean;
  }): Promise<MeterView>;
  updateMeter(order: {
    readonly idOrKey: string;
    readonly patch: MeterPatch;
    readonly author: string;
  }): Promise<MeterView>;
  deleteMeter(order: { readonly idOrKey: string; readonly author: string }): Promise<void>;
  queryMeter(question: MeterQuestion): Promise<MeterAnswer>;
  /** The same answer as the UTF-8 text that callers get, written by the thread that knows it. */
  writeAnswer(order: { readonly question: MeterQuestion; readonly form: AnswerForm }): Promise<Uint8Array>;
  queryProgress(query: { readonly id: string }): Promise<QueryProgress | null>;
  /** Different texts of one label, in code unit order. */
  labelValues(query: {
    readonly meter: string;
    readonly label: string;
    readonly from: number;
    readonly to: number;
    readonly limit: number;
  }): Promise<readonly string[]>;

  // --- who pays ---
  listCustomers(
    query: PageQuery & {
      readonly key?: string;
      readonly namePart?: string;
      readonly subject?: string;
      readonly includeDeleted: boolean;
    },
  ): Promise<Page<Customer>>;
  getCustomer(query: { readonly idOrKey: string }): Promise<Customer>;
  createCustomer(order: { readonly draft: CustomerDraft; readonly author: string }): Promise<Customer>;
  updateCustomer(order: {
    readonly idOrKey: string;
    readonly draft: CustomerDraft;
    readonly author: string;
  }): Promise<Customer>;
  deleteCustomer(order: { readonly idOrKey: string; readonly author: string }): Promise<void>;
  listSubjects(query: Record<string, never>): Promise<readonly Subject[]>;
  getSubject(query: { readonly idOrKey: string }): Promise<Subject>;
  putSubjects(order: {
    readonly subjects: readonly {
      readonly key: string;
      readonly displayName?: string | null;
      readonly metadata?: Subject["metadata"];
    }[];
    readonly author: string;
  }): Promise<readonly Subject[]>;
  deleteSubject(order: { readonly idOrKey: string; readonly author: string }): Promise<void>;

  // --- operating it ---
  /** What the store and the threads stand at. */
  figures(query: Record<string, never>): Promise<ServiceFigures>;
  /** Stored events in the order in which they arrived, for an export; `next` is null behind the last one. */
  exportEvents(query: {
    readonly from?: number;
    readonly to?: number;
    readonly company?: string;
    readonly afterSeq: number;
    readonly limit: number;
  }): Promise<{ readonly events: readonly StoredEvent[]; readonly next: number | null }>;

  // --- simple usage, sessions of time meters, customer look-up ---
  /** A result for each report, in order, after the commit. */
  reportUsage(order: { readonly reports: readonly UsageReport[] }): Promise<readonly EventResult[]>;
  /** Answers after the commit. METER_CONFLICT when too many unnamed sessions wait. */
  recordSession(order: { readonly boundary: SessionBoundary; readonly author: string }): Promise<SessionResult>;
  /** Sessions that wait for an end, or for a decision. */
  listSessions(query: SessionQuery): Promise<SessionPage>;
  /** METER_NOT_FOUND when no session of this id waits. */
  dismissSession(order: { readonly id: string; readonly author: string }): Promise<SessionView>;
  /** Who pays for a tenant's usage now: the customer that owns the subject, or has it as key or id. */
  findCustomer(query: { readonly tenantId: string }): Promise<Customer | null>;

  // --- keys ---
  listKeys(query: {
    readonly includeRevoked: boolean;
    readonly after?: string;
    readonly limit: number;
  }): Promise<readonly ApiKey[]>;
  /** METER_NOT_FOUND. */
  getKey(query: { readonly id: string }): Promise<ApiKey>;
  createKey(order: { readonly draft: ApiKeyDraft; readonly author: string }): Promise<CreatedKey>;
  /** METER_NOT_FOUND. A second time changes nothing. */
  revokeKey(order: { readonly id: string; readonly author: string }): Promise<ApiKey>;
  /** All living keys with their digests; null when nothing changed since `known`. */
  keyRing(query: { readonly known: number | null }): Promise<KeyRing | null>;
  noteKeysUsed(order: { readonly used: readonly { readonly id: string; readonly at: number }[] }): Promise<void>;

  // --- the books ---
  status(query: Record<string, never>): Promise<Status>;
  readiness(query: Record<string, never>): Promise<Readiness>;
  /** METER_EVENT_NOT_FOUND. */
  explainEvent(query: { readonly id: string; readonly source?: string }): Promise<Explanation>;
  heldUsage(query: { readonly limit: number }): Promise<HeldUsage>;
  /** Says who a held event was for. METER_EVENT_NOT_FOUND, METER_COMMAND_INVALID. */
  assignEvent(order: Omit<Assignment, "store" | "catalog" | "now">): Promise<AssignmentSummary>;
  /** Voids or replaces an event. METER_EVENT_NOT_FOUND, METER_COMMAND_INVALID, METER_CORRECTION_REFUSED. */
  correctEvent(order: Omit<CorrectionOrder, "store" | "catalog" | "now">): Promise<CorrectionSummary>;
  /** An operator's word about one report. METER_UNKNOWN_REPORT, METER_CORRECTION_REFUSED. */
  resolveReport(order: Omit<RowResolution, "store" | "now">): Promise<ResolvedRow>;

  // --- portal tokens ---
  /** The answer alone bears the token's text. METER_REQUEST_INVALID, METER_CONFLICT where there are too many. */
  createPortalToken(order: PortalTokenOrder): Promise<CreatedPortalToken>;
  /** Living ones, newest first. */
  listPortalTokens(query: { readonly limit: number }): Promise<readonly PortalToken[]>;
  /** Ends a token at once by its id, or all of a subject. Ending what is not there is no mistake. */
  endPortalTokens(order: { readonly id?: string; readonly subject?: string; readonly author: string }): Promise<void>;
  /** The living token with this text; null where there is none, or it has ended. */
  findPortalToken(query: { readonly text: string }): Promise<PortalToken | null>;
}
