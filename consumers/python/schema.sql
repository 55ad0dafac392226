-- What per_minute.py keeps; the same as consumers/c/schema.sql but for the offsets.
CREATE TABLE IF NOT EXISTS per_minute (
    part     integer NOT NULL,  -- of im.conversation
    conv     bytea   NOT NULL,
    minute   bigint  NOT NULL,  -- since 1970, by the record's time
    messages bigint  NOT NULL,
    PRIMARY KEY (conv, minute)
);
-- Which sends were counted. Repeats come within the retention of im.inbound (7 days); drop older rows if you like.
CREATE TABLE IF NOT EXISTS per_minute_seen (
    part   integer NOT NULL,
    msg_id bytea   PRIMARY KEY,
    at     timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS per_minute_offsets (
    part integer PRIMARY KEY,
    next bigint  NOT NULL
);
