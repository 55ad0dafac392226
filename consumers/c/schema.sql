-- What per_minute keeps. In Parley's own database, or in any other: there store its marks first, by
-- schema/sql/001_store.sql. In a schema of its own: put options='-c search_path=mine' into postgres.conninfo.
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
