-- What happened to alerts and notifications, and what officers judged. All are written at least once and read once.
CREATE TABLE IF NOT EXISTS alert_event_rows
(
    event_id UUID,
    alert_id UUID,
    at DateTime64(3, 'UTC'),
    event LowCardinality(String),
    state LowCardinality(String),
    region_code LowCardinality(String),
    region_name LowCardinality(String),
    risk_class LowCardinality(String),
    severity LowCardinality(String),
    opened_at DateTime64(3, 'UTC'),
    reports UInt32,
    incidents UInt32,
    senders UInt32,
    actor String,
    reason String,
    report_ids Array(UUID),
    sequence UInt32,
    archived_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (alert_id, at, event_id)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS delivery_rows
(
    delivery_id UUID,
    attempt UInt16,
    alert_id UUID,
    at DateTime64(3, 'UTC'),
    officer_id String,
    channel String,
    outcome LowCardinality(String),
    error String,
    title String,
    latency_ms UInt32,
    archived_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (alert_id, delivery_id, attempt, outcome)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS verdict_rows
(
    verdict_id UUID,
    report_id UUID,
    code LowCardinality(String),
    verdict LowCardinality(String),
    officer_id String,
    note String,
    at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (report_id, code, officer_id)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE OR REPLACE VIEW alert_events AS SELECT * FROM alert_event_rows FINAL;

CREATE OR REPLACE VIEW deliveries AS SELECT * FROM delivery_rows FINAL;

CREATE OR REPLACE VIEW verdicts AS SELECT * FROM verdict_rows FINAL;

-- The current state of every alert: what its last event left.
CREATE OR REPLACE VIEW alerts AS
SELECT
    alert_id,
    argMax(region_code, position) AS region_code,
    argMax(region_name, position) AS region_name,
    argMax(risk_class, position) AS risk_class,
    argMax(severity, position) AS severity,
    argMax(state, position) AS state,
    min(opened_at) AS opened_at,
    max(at) AS changed_at,
    argMax(reports, position) AS reports,
    argMax(incidents, position) AS incidents,
    argMax(senders, position) AS senders,
    argMax(actor, position) AS actor,
    argMax(reason, position) AS reason
FROM (SELECT *, sequence AS position FROM alert_event_rows FINAL)
GROUP BY alert_id;
