-- Groups, friends, receipts: more columns of messages, and what the reducer's state says as rows to ask questions of.
-- All of it is written in the transaction of the messages it follows from, and only when it changes: a plain message
-- writes one row, that of messages.

-- NULL: none, 0, not of this kind. What an event does to an earlier message is a row of its own with a target.
ALTER TABLE messages
    ADD COLUMN target   bigint,    -- the message it is about
    ADD COLUMN reply_to bigint,
    ADD COLUMN users    bytea,     -- 16 bytes each, ascending: whom it changed (INVITE: who is new), or mentions
    ADD COLUMN logins   text[],    -- beside users; '' where the name is not known
    ADD COLUMN role     smallint,  -- ROLE
    ADD COLUMN flags    integer,   -- the group's, after it
    ADD COLUMN until_ms bigint;    -- MUTE: Unix time; NULL: for ever

-- By kind before seq: the last edit, any recall, the last reactions are one probe each.
CREATE INDEX messages_target ON messages (conv, target, kind, seq) WHERE target IS NOT NULL;
CREATE INDEX messages_pins   ON messages (conv, target, seq) WHERE kind IN (5, 6);
-- What a group was called and what its notice was when somebody left it.
CREATE INDEX messages_names  ON messages (conv, seq) WHERE kind IN (20, 29, 30);

CREATE TABLE conversations (
    conv         bytea    PRIMARY KEY,
    part         integer  NOT NULL,            -- of im.conversation
    type         smallint NOT NULL,            -- 1 direct, 2 group, 3 the system's
    name         text,                         -- groups; '' for others, never left NULL
    notice       text,                         -- likewise
    flags        integer  NOT NULL DEFAULT 0,  -- GroupFlag of client.proto
    owner        bytea,
    members      integer  NOT NULL DEFAULT 0,
    created_ms   bigint   NOT NULL,
    dissolved_ms bigint
) WITH (fillfactor = 80);

-- One row per user and conversation, for ever: who left has role 0 and still sees what was visible then.
-- Names are compared by bytes everywhere: the order of a page must not depend on a locale.
CREATE TABLE memberships (
    user_id        bytea    NOT NULL,
    conv           bytea    NOT NULL,
    part           integer  NOT NULL,           -- of im.conversation
    peer           bytea,                       -- direct: the other one (oneself in notes to oneself); NULL: a group
    peer_login     text     COLLATE "C",
    login          text     COLLATE "C" NOT NULL,
    role           smallint NOT NULL,           -- Role of client.proto; 0: no member any more; direct: 1
    visible        int8multirange NOT NULL,     -- numbers that may be seen
    joined         bigint   NOT NULL,           -- number of the event that made the user a member, the last time
    muted_until_ms bigint   NOT NULL DEFAULT 0, -- 0: not muted; -1: for ever
    read           bigint   NOT NULL DEFAULT 0,
    delivered      bigint   NOT NULL DEFAULT 0,
    friend         smallint NOT NULL DEFAULT 0, -- direct: FriendState of client.proto, as this user sees it
    friend_text    text,                        -- of the last request
    friend_ms      bigint,                      -- when `friend` became what it is; NULL: always was 0
    blocked        boolean  NOT NULL DEFAULT false, -- this user blocked the other
    PRIMARY KEY (user_id, conv)
) WITH (fillfactor = 70);                       -- receipts are updates in place: no index has their columns
CREATE INDEX memberships_conv ON memberships (conv, role DESC, login);
CREATE INDEX memberships_peer ON memberships (user_id, peer) WHERE peer IS NOT NULL;

-- Open requests to join.
CREATE TABLE asks (
    conv    bytea   NOT NULL,
    user_id bytea   NOT NULL,
    part    integer NOT NULL,
    login   text    COLLATE "C" NOT NULL,
    text    text    NOT NULL,
    time_ms bigint  NOT NULL,
    PRIMARY KEY (conv, user_id)
);

-- One's own marks on a conversation, from im.user.
CREATE TABLE prefs (
    user_id       bytea   NOT NULL,
    conv          bytea   NOT NULL,
    part          integer NOT NULL,
    pinned        boolean NOT NULL,
    muted         boolean NOT NULL,
    remark        text    NOT NULL,
    source_offset bigint  NOT NULL, -- of what set them; an older record that comes again changes nothing
    PRIMARY KEY (user_id, conv)
);

-- Whether a conversation is one of the user's the log of users cannot know: anything may be marked, and only what is
-- the user's is ever shown. So the number of marks has a bound: of each user the 10,000 that were set last stay. Which
-- those are depends on the log alone, not on batches.
CREATE FUNCTION parley_bound_prefs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM prefs p USING (SELECT DISTINCT user_id FROM added) u,
        LATERAL (SELECT x.conv FROM prefs x WHERE x.user_id = u.user_id ORDER BY x.source_offset DESC OFFSET 10000) o
     WHERE p.user_id = u.user_id AND p.conv = o.conv;
    RETURN NULL;
END $$;
CREATE TRIGGER prefs_bound AFTER INSERT ON prefs REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION parley_bound_prefs();

ALTER TABLE accounts
    ALTER COLUMN login TYPE text COLLATE "C",             -- so that the unique index finds prefixes too
    ADD COLUMN presence smallint NOT NULL DEFAULT 1,      -- Privacy of client.proto: 1 everyone, 2 friends, 3 nobody
    ADD COLUMN admin    boolean  NOT NULL DEFAULT false,
    ADD COLUMN seen_ms  bigint NOT NULL DEFAULT 0,        -- when the last session ended; 0: never yet
    ADD COLUMN profile_offset bigint NOT NULL DEFAULT 0,  -- of what set display_name and presence, and admin: an older
    ADD COLUMN admin_offset   bigint NOT NULL DEFAULT 0;  -- record that comes again changes nothing
ALTER TABLE accounts SET (fillfactor = 80);

-- The number of the first event at or after a time; head + 1 when there is none. Numbers are dense and times ascend
-- with them, so some twenty probes of the primary key do, and no index has to be kept for it.
CREATE FUNCTION parley_seq_at(p_conv bytea, p_time_ms bigint) RETURNS bigint
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
DECLARE
    low bigint := 1;
    high bigint;
    mid bigint;
    at bigint;
BEGIN
    SELECT coalesce(max(seq), 0) + 1 INTO high FROM messages WHERE conv = p_conv;
    WHILE low < high LOOP
        mid := (low + high) / 2;
        SELECT time_ms INTO at FROM messages WHERE conv = p_conv AND seq = mid;
        IF at >= p_time_ms THEN high := mid; ELSE low := mid + 1; END IF;
    END LOOP;
    RETURN low;
END $$;
