-- What im.conversation says, as rows. Ids are 16 bytes; times are Unix milliseconds.

-- One row per accepted record. (conv, seq) is dense from 1; a second message under the same pair is a contradiction
-- and stops the persister.
CREATE TABLE messages (
    conv          bytea    NOT NULL,
    seq           bigint   NOT NULL,
    sender        bytea    NOT NULL,
    device        integer  NOT NULL,
    client_seq    bigint   NOT NULL,  -- the device's own number; 0: not numbered
    msg_id        bytea    NOT NULL,
    kind          smallint NOT NULL,  -- ConvKind of record.proto
    text          text,
    content_type  text,
    data          bytea,
    key_id        bigint   NOT NULL,  -- 0: clear; else data is a Body sealed under that key
    time_ms       bigint   NOT NULL,  -- the conversation's time, never running backwards
    trace         bytea,
    source_part   integer  NOT NULL,  -- where in im.inbound it came from
    source_offset bigint   NOT NULL,
    conv_part     integer  NOT NULL,  -- where in im.conversation it is
    conv_offset   bigint   NOT NULL,
    PRIMARY KEY (conv, seq)
);
-- Rows come in the order of the log, so a few bytes per range of blocks find the tail of a partition.
CREATE INDEX messages_log ON messages USING brin (conv_offset) WITH (pages_per_range = 16, autosummarize = on);

-- The state of every conversation (common/im/conv.h): key = conv:16 || cell key. fanout recovers from it.
CREATE TABLE cells (
    part integer NOT NULL,
    key  bytea   NOT NULL,
    row  bytea   NOT NULL,
    PRIMARY KEY (part, key)
) WITH (fillfactor = 80);
