export { diskJournal, type DiskJournalOptions } from "./disk-journal.ts";
