-- What the normaliser noticed and an officer should know, in Indonesian; and the SHA-256 of each attachment as its sender
-- gave it (empty where none was given), in the order of `attachments`.
ALTER TABLE report_rows ADD COLUMN IF NOT EXISTS attachment_hashes Array(String) AFTER attachments;

ALTER TABLE report_rows ADD COLUMN IF NOT EXISTS notes Array(String) AFTER attachment_hashes;

CREATE OR REPLACE VIEW reports AS
SELECT *, count() OVER (PARTITION BY incident_id) - 1 AS corroborations
FROM report_rows FINAL;
