import type { Json } from "../../core/event.ts";

/** Who pays: found by its key, and by every subject that it owns. The shape of a register entry of kind `customer`. */
export interface Customer {
  readonly id: string;
  /** The company id that usage is billed to; null = the id itself. */
  readonly key: string | null;
  readonly name: string;
  readonly description: string | null;
  readonly currency: string | null;
  readonly primaryEmail: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  /** Subjects whose usage is this customer's, each with the span of event time in which it is. */
  readonly subjects: readonly SubjectSpan[];
  /** What a caller stated and meterbook does not judge (addresses, a tax id). */
  readonly extra: Readonly<Record<string, Json>>;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly deletedAt: number | null;
}

/**
 * One subject's time with a customer, half-open, milliseconds UTC. Null bounds are open. The first owner of a subject
 * has it from the beginning of time, so that a customer who is made later owns what was sent before; who gets it from
 * another customer has it from then on, so that no history moves.
 */
export interface SubjectSpan {
  readonly subject: string;
  readonly from: number | null;
  readonly to: number | null;
}

/** What a caller says of a customer. On a change, what is left out becomes empty; but who pays is never changed by silence. */
export interface CustomerDraft {
  /** Left out on a change, it stays. */
  readonly key?: string | null;
  readonly name: string;
  readonly description?: string | null;
  readonly currency?: string | null;
  readonly primaryEmail?: string | null;
  readonly metadata?: Readonly<Record<string, string>>;
  /** The subjects that it owns from now on, each once; one that is not among them ends now. Left out on a change, all stay. */
  readonly subjects?: readonly string[];
  readonly extra?: Readonly<Record<string, Json>>;
}

/** A subject with a name for people (OpenMeter's deprecated entity). The shape of a register entry of kind `subject`. */
export interface Subject {
  readonly id: string;
  readonly key: string;
  readonly displayName: string | null;
  readonly metadata: Readonly<Record<string, Json>>;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/**
 * Who pays for a subject at an instant, and whose usage a customer's is. Made from all customers; asked for every event.
 * A customer's key and its id are subjects of its own.
 */
export interface Attribution {
  /** Revision of the customers it was made from. */
  readonly revision: number;
  /** The company that an event of this subject counts for: its customer's key (or id), the subject itself where nobody owns it. */
  companyOf(subject: string, time: number): string;
  /** The customer whose usage this is, by the company and the subject of a row; null = nobody's. */
  customerOf(company: string, subject: string, time: number): Customer | null;
  /**
   * Companies under which a customer's usage may be stored: its key, its id, and every subject that it has or had. What of
   * these companies' usage is this customer's, customerOf says.
   */
  companiesOf(customer: Customer): readonly string[];
  /** When a company's usage began or ended to be a customer's, in order: between two of them it is one customer's, or nobody's. */
  turnsOf(company: string): readonly number[];
  /** A living customer by id or key, or a deleted one by id. */
  find(idOrKey: string): Customer | null;
  /** When the last customer who had a subject gave it up, milliseconds UTC; null = nobody ever did. */
  endOf(subject: string): number | null;
  /** All customers in the order of ids, deleted ones included. */
  customers(): readonly Customer[];
}
