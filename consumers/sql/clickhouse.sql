-- im.conversation in ClickHouse: a Kafka engine table, the table that keeps, and a view that carries from one to the other.
-- The server needs proto/client.proto and proto/record.proto in its format_schema_path (default /var/lib/clickhouse/format_schemas).
-- At least once: repeats have the same (topic, partition, offset), which ReplacingMergeTree drops; a send that the log holds twice
-- has the same msg_id, which uniqExact counts once.
CREATE TABLE parley_conversation_queue
(
    version UInt32,
    rules UInt32,
    kind Int32,
    conversation String,
    user String,
    device UInt32,
    client_seq UInt64,
    msg_id String,
    user_login String,
    peer_login String,
    target UInt64,
    reply_to UInt64
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = '127.0.0.1:9092',
    kafka_topic_list = 'im.conversation',
    kafka_group_name = 'clickhouse',
    kafka_format = 'ProtobufSingle',
    kafka_schema = 'record:ConvRecord',
    kafka_num_consumers = 1,
    kafka_handle_error_mode = 'stream';

CREATE TABLE parley_conversation
(
    at DateTime64(3),
    kind Int32,
    conversation FixedString(16),
    user FixedString(16),
    device UInt32,
    client_seq UInt64,
    msg_id FixedString(16),
    user_login LowCardinality(String),
    peer_login LowCardinality(String),
    target UInt64,
    reply_to UInt64,
    log_partition UInt64,
    log_offset UInt64
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (log_partition, log_offset);

CREATE MATERIALIZED VIEW parley_conversation_mv TO parley_conversation AS
SELECT
    _timestamp_ms AS at,
    kind,
    conversation,
    user,
    device,
    client_seq,
    msg_id,
    user_login,
    peer_login,
    target,
    reply_to,
    _partition AS log_partition,
    _offset AS log_offset
FROM parley_conversation_queue
WHERE length(_error) = 0 AND version = 1;

-- The same question as consumers/c and consumers/python.
CREATE VIEW parley_messages_per_minute AS
SELECT conversation, toStartOfMinute(first_at) AS minute, count() AS messages
FROM
(
    SELECT conversation, msg_id, min(at) AS first_at
    FROM parley_conversation
    WHERE kind = 1
    GROUP BY conversation, msg_id
)
GROUP BY conversation, minute;
