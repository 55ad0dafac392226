-- What im.user and im.vault say, as rows. `part` is the partition they came from: a rebuild goes by partition.

CREATE TABLE accounts (
    part             integer NOT NULL,
    user_id          bytea   PRIMARY KEY,
    login            text    NOT NULL UNIQUE,
    display_name     text    NOT NULL,
    token_generation bigint  NOT NULL,  -- tokens of a lower one are void
    source_part      integer NOT NULL,  -- of the REGISTER in im.inbound
    source_offset    bigint  NOT NULL,
    registered_ms    bigint  NOT NULL
);

-- A device that was dropped keeps its row: its number is never given again.
CREATE TABLE devices (
    part         integer NOT NULL,
    user_id      bytea   NOT NULL,
    device       integer NOT NULL,
    device_id    text    NOT NULL,
    device_class text    NOT NULL,
    added_ms     bigint  NOT NULL,
    dropped_ms   bigint,
    PRIMARY KEY (user_id, device)
);

-- Password verifiers, sealed under a master key that is not here.
CREATE TABLE verifiers (
    part       integer NOT NULL,
    user_id    bytea   PRIMARY KEY,
    master_key integer NOT NULL,
    verifier   bytea   NOT NULL
);
