-- What arrived, sealed, apart from what analysts read: their account does not see this database.
CREATE DATABASE IF NOT EXISTS {vault};

-- One row per receipt and content: an edited report keeps what it said before. `sealed` is base64 of nonce, ciphertext
-- and tag under the data key; `fields` is the rest of the stream entry, so that it can be replayed as it was.
CREATE TABLE IF NOT EXISTS {vault}.submissions
(
    receipt String,
    content_hash String,
    source LowCardinality(String),
    received_at DateTime64(3, 'UTC'),
    fields Map(LowCardinality(String), String),
    data_key_id String,
    sealed String CODEC(ZSTD(1)),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(received_at)
ORDER BY (receipt, content_hash)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 60;

-- Data keys, each wrapped by a master key. `version` is 0 as it came and rises when a rotation wraps it anew.
CREATE TABLE IF NOT EXISTS {vault}.data_keys
(
    data_key_id String,
    master_key_id LowCardinality(String),
    wrapped String,
    used_at DateTime64(3, 'UTC'),
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY data_key_id
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 60;

-- Who looked at, replayed or removed what, and why; written before it is done. Nothing here changes a row.
CREATE TABLE IF NOT EXISTS {vault}.audit
(
    at DateTime64(3, 'UTC'),
    audit_id UUID,
    who String,
    action LowCardinality(String),
    receipt String,
    reason String,
    details String
)
ENGINE = MergeTree
ORDER BY (at, audit_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
