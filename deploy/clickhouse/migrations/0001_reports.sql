-- Reports with their assessments. A report that arrives twice (a retry, a replay, a crash between writing and
-- acknowledging) has the same report_id: the engine keeps one, and readers see one (view `reports`, FINAL). That one is
-- what was received last and, of that, classified last (`version`): a stale copy never replaces its correction.
CREATE TABLE IF NOT EXISTS report_rows
(
    report_id UUID,
    receipt String,
    incident_id UUID,
    source LowCardinality(String),
    received_at DateTime64(3, 'UTC'),
    occurred_at Nullable(DateTime64(3, 'UTC')),
    title String,
    text String,
    region_code LowCardinality(String),
    region_name LowCardinality(String),
    region_confidence Float32,
    province_code LowCardinality(String),
    regency_code LowCardinality(String),
    district_code LowCardinality(String),
    district_name LowCardinality(String),
    regime LowCardinality(String),
    stage LowCardinality(String),
    kind LowCardinality(String),
    status LowCardinality(String),
    primary_class LowCardinality(String),
    severity LowCardinality(String),
    neutrality_risk Float32,
    money_politics_risk Float32,
    other_risk Float32,
    codes Array(LowCardinality(String)),
    findings Nested
    (
        code LowCardinality(String),
        risk_class LowCardinality(String),
        risk Float32,
        severity LowCardinality(String),
        rule String,
        evidence Array(String),
        evidence_start Array(UInt32),
        evidence_end Array(UInt32),
        elements_seen Array(String),
        elements_missing Array(String),
        norms Array(String),
        norms_verified Array(Bool)
    ),
    reason String,
    sender String,
    url String,
    attachments Array(String),
    rule_pack_version LowCardinality(String),
    model_version LowCardinality(String),
    classified_at DateTime64(3, 'UTC'),
    archived_at DateTime64(3, 'UTC') DEFAULT now64(3),
    version UInt64,
    INDEX receipt_index receipt TYPE bloom_filter(0.001) GRANULARITY 4
)
ENGINE = ReplacingMergeTree(version)
ORDER BY report_id
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

-- One row per report. `corroborations`: how many other reports tell of the same incident.
CREATE OR REPLACE VIEW reports AS
SELECT *, count() OVER (PARTITION BY incident_id) - 1 AS corroborations
FROM report_rows FINAL;
