-- Who was erased. Their accounts keep the name, which is never given again; what they said keeps its place.
CREATE TABLE erasures (
    user_id       bytea   PRIMARY KEY,
    part          integer NOT NULL, -- of im.user
    source_offset bigint  NOT NULL, -- in im.inbound: the first time
    erased_ms     bigint  NOT NULL
);

-- messages.key_id: 0 was said in the clear, n > 0 was sealed under the sender's key n; rows hold it opened. -1: the
-- sender was erased, nothing of it is left.

-- Everything of these users that is their own text, in what is here by now; what comes later is empty already. The
-- kinds are those of body_is_own() in common/im/bodykeys.h. Words of search are taken away with it, and come again
-- without it.
CREATE FUNCTION parley_redact(p_users bytea[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    s record;
    n bigint;
    total bigint := 0;
BEGIN
    FOR s IN SELECT m.user_id, m.conv, m.peer FROM memberships m WHERE m.user_id = ANY (p_users) LOOP
        WITH gone AS (
            UPDATE messages m SET text = NULL, content_type = NULL, data = NULL, key_id = -1
             WHERE m.conv = s.conv AND m.sender = s.user_id AND m.kind IN (1, 2, 4, 21, 40) AND m.key_id <> -1
            RETURNING m.seq),
        words AS (
            UPDATE search_blocks b SET words = NULL, done = false
             WHERE b.conv = s.conv AND b.block IN (SELECT DISTINCT (seq - 1) / 64 FROM gone))
        SELECT count(*) INTO n FROM gone;
        total := total + n;
        -- Of an open request: the text is the last asker's.
        IF s.peer IS NOT NULL THEN
            UPDATE memberships f SET friend_text = '' WHERE f.conv = s.conv AND f.friend_text <> ''
               AND s.user_id = (SELECT m.sender FROM messages m WHERE m.conv = s.conv AND m.kind = 40
                                 ORDER BY m.seq DESC LIMIT 1);
        END IF;
    END LOOP;
    UPDATE asks SET text = '' WHERE user_id = ANY (p_users) AND text <> '';
    RETURN total;
END $$;

-- One transaction with what the log says of it. An erasure that is said again does again what was left to do.
CREATE FUNCTION parley_erase(p_part integer, p_users bytea[], p_offsets bigint[], p_ms bigint[]) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO erasures (part, user_id, source_offset, erased_ms)
    SELECT DISTINCT ON (x.u) p_part, x.u, x.o, x.m FROM unnest(p_users, p_offsets, p_ms) x(u, o, m) ORDER BY x.u, x.o
    ON CONFLICT (user_id) DO NOTHING;
    UPDATE devices d SET device_id = '', device_class = '', dropped_ms = coalesce(d.dropped_ms, e.erased_ms)
      FROM erasures e WHERE e.user_id = ANY (p_users) AND d.user_id = e.user_id;
    UPDATE prefs SET remark = '' WHERE user_id = ANY (p_users) AND remark <> '';
    RETURN parley_redact(p_users);
END $$;
CREATE INDEX asks_user ON asks (user_id);
