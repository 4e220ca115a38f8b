import { describe, expect, it } from "vitest";

import { storeSuite } from "../../src/testing/store-suite.ts";
import { tempStore } from "./temp-store.ts";

storeSuite("SQLite store", tempStore, { describe, it, expect });
