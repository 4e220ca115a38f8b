import type { Settings } from "../config/settings.ts";
import type { EventListQuery, EventPage, IngestCall, IngestReply } from "../engine/intake/accepted.ts";
import type { MeterDraft, MeterEffect, MeterPatch, MeterView } from "../engine/meters/meter-view.ts";
import type { Customer, CustomerDraft, Subject } from "../engine/registry/customer.ts";
import type { CreatedPortalToken, PortalToken, PortalTokenOrder } from "../engine/registry/portal-tokens.ts";
import type { MeterAnswer, MeterQuestion, QueryProgress } from "../engine/usage/meter-question.ts";

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

/**
 * What the HTTP service asks of the engine. Every call takes one plain value and answers a plain one, so that it can
 * cross threads; a failure is a MeterbookError whose code says which HTTP status it is. `author` is kept in histories.
 */
export interface Backend {
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
  createMeter(order: { readonly draft: MeterDraft; readonly author: string }): Promise<MeterView>;
  updateMeter(order: {
    readonly idOrKey: string;
    readonly patch: MeterPatch;
    readonly author: string;
  }): Promise<MeterView>;
  deleteMeter(order: { readonly idOrKey: string; readonly author: string }): Promise<void>;
  queryMeter(question: MeterQuestion): Promise<MeterAnswer>;
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
