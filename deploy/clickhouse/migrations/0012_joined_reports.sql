-- The messages of a report that is a conversation: the receipts of all of them, in order. Empty for what is no
-- conversation.
ALTER TABLE report_rows ADD COLUMN IF NOT EXISTS parts Array(String) AFTER receipt;

ALTER TABLE report_rows ADD INDEX IF NOT EXISTS parts_index parts TYPE bloom_filter(0.001) GRANULARITY 4;

CREATE OR REPLACE VIEW reports AS
SELECT *, count() OVER (PARTITION BY incident_id) - 1 AS corroborations
FROM report_rows FINAL;
