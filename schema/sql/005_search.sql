-- Search in any language without dictionaries: docs/decisions/ says why and what it costs.

DO $$ BEGIN
    IF getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'the database must have the encoding UTF8, not %', getdatabaseencoding();
    END IF;
END $$;

-- Text as search sees it: punctuation is space, accents are gone, full-width and other compatibility forms are
-- the plain ones, and in scripts that do not put spaces between words every character stands alone, so that a phrase
-- of such characters is found wherever it is. Depends on no locale but for the case of letters beyond ASCII.
CREATE FUNCTION parley_fold(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length(t) = length(t)
    THEN translate(t, E'!"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~', '                                ')
    ELSE regexp_replace(regexp_replace(normalize(regexp_replace(normalize(t, NFKD),
             '[\u0300-\u036f\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff]+', '', 'g'), NFKC),
             E'[\\u0001-\\u002f\\u003a-\\u0040\\u005b-\\u0060\\u007b-\\u00a9\\u00ab-\\u00b4\\u00b6-\\u00b9\\u00bb-\\u00bf\\u00d7\\u00f7\\u2000-\\u2bff\\u2e00-\\u2e7f\\u3000-\\u3004\\u3008-\\u3020\\u3030\\u303d-\\u303f\\u30fb\\ufe10-\\ufe6f]+', ' ', 'g'),
             '([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3021-\u302f\u3031-\u303c\u3040-\u30fa\u30fc-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U0001f000-\U0003ffff])', ' \1 ', 'g')
    END;

-- The words of a message, with their places. Words beyond the first 16,384 characters are not found.
CREATE FUNCTION parley_lexemes(t text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN to_tsvector('pg_catalog.simple', left(parley_fold(t), 16384));

-- All words of what a person typed, those of one run of characters as a phrase; NULL: there is nothing to look for.
CREATE FUNCTION parley_words(typed text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT string_agg('(' || q::text || ')', ' & ')::tsquery
          FROM regexp_split_to_table(typed, '\s+') w, phraseto_tsquery('pg_catalog.simple', parley_fold(w)) q
         WHERE numnode(q) > 0);
-- The same without the order of words: for sets of words, which know no places.
CREATE FUNCTION parley_loose(q tsquery) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(q::text, '<(-|\d+)>', '&', 'g')::tsquery;
-- The longest of the words, for parley_maybe().
CREATE FUNCTION parley_longest(q tsquery) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT lexeme FROM unnest(to_tsvector('pg_catalog.simple', regexp_replace(q::text, '[^[:alnum:]\u0080-\U0003ffff]+', ' ', 'g')))
         ORDER BY length(lexeme) DESC, lexeme LIMIT 1);
-- False: the text does not have the word. Cheap, so that few texts have to be taken apart.
CREATE FUNCTION parley_maybe(t text, word text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN octet_length(t) <> length(t) OR position(word IN lower(t)) > 0;

-- Of one conversation: among the words of each of its blocks, so that a search in one conversation costs by that
-- conversation and not by how common the words are everywhere.
CREATE FUNCTION parley_conv_lexeme(conv bytea) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 'c' || encode(substring(conv, 1, 8), 'hex');

-- The words of 64 consecutive numbers of a conversation each: block b is the numbers 64 b + 1 to 64 b + 64. The row
-- is written when the block is full; `words` follows when there is time (parley_index_blocks).
CREATE TABLE search_blocks (
    conv  bytea   NOT NULL,
    block bigint  NOT NULL,
    part  integer NOT NULL,               -- of im.conversation
    done  boolean NOT NULL DEFAULT false, -- done, and words NULL: too many different ones
    words tsvector,
    PRIMARY KEY (conv, block)
);
CREATE INDEX search_blocks_todo ON search_blocks (conv, block) WHERE NOT done;
CREATE INDEX search_blocks_none ON search_blocks (conv, block) WHERE words IS NULL;
CREATE INDEX search_blocks_words ON search_blocks USING gin (words);

-- Where in a conversation hits may be: blocks that have the words, those whose words are not known, and what is above
-- the last block. So a search is complete at every moment, and only faster when the blocks have their words.
CREATE FUNCTION parley_candidates(p_conv bytea, q tsquery) RETURNS TABLE (low bigint, high bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT 64 * block + 1, 64 * block + 64 FROM search_blocks
     WHERE conv = p_conv AND words @@ (parley_conv_lexeme(p_conv)::tsquery && parley_loose(q))
    UNION ALL SELECT 64 * block + 1, 64 * block + 64 FROM search_blocks WHERE conv = p_conv AND words IS NULL
    UNION ALL SELECT 64 * (coalesce(max(block), -1) + 1) + 1, 9223372036854775807 FROM search_blocks WHERE conv = p_conv
$$;

-- The hits among some numbers of one conversation: the row whose text it is (`seq`, of `ms`), and the message that it is
-- the text of. A row that a later edit replaced is none, nor what was recalled.
CREATE FUNCTION parley_hits(p_conv bytea, p_visible int8multirange, p_low bigint, p_high bigint, p_from_ms bigint, q tsquery,
                            p_word text)
    RETURNS TABLE (seq bigint, message bigint, ms bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT m.seq, CASE WHEN m.kind = 2 THEN m.target ELSE m.seq END, m.time_ms FROM messages m
     WHERE m.conv = p_conv AND m.seq BETWEEN p_low AND p_high AND m.time_ms >= p_from_ms AND m.kind IN (1, 2, 7)
       AND p_visible @> m.seq AND (m.kind <> 2 OR p_visible @> m.target)
       AND parley_maybe(m.text, p_word) AND parley_lexemes(m.text) @@ q
       AND NOT EXISTS (SELECT 1 FROM messages y WHERE y.conv = p_conv
                          AND y.target = CASE WHEN m.kind = 2 THEN m.target ELSE m.seq END
                          AND (y.kind = 3 OR (y.kind = 2 AND y.seq > m.seq AND p_visible @> y.seq)))
$$;

-- Search in all that a user may see, or in one conversation (p_only), the newest first by (time, conversation, number),
-- below (p_ms, p_conv, p_seq) unless that is NULL. It ends when it has p_limit hits or has worked for p_budget_ms; then
-- the last row has no `message` and says below what to go on. So a question costs about the same whatever the word:
--
--   1. The newest messages of all conversations are looked at, in bands of time that every conversation reaches the end
--      of. What is common is found here.
--   2. After that the words of blocks say where to look (parley_candidates), the newest place first; what is rare is
--      found here. When there are so many conversations that asking each takes too long, the bands go on instead.
CREATE FUNCTION parley_search(p_user bytea, p_only bytea, p_system bytea, q tsquery, p_limit integer, p_budget_ms integer,
                              p_ms bigint, p_conv bytea, p_seq bigint)
    RETURNS TABLE (conv bytea, seq bigint, message bigint, ms bigint)
LANGUAGE plpgsql STABLE ROWS 50 SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_bitmapscan = on SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    began timestamptz := clock_timestamp();
    c bytea[]; v int8multirange[]; low bigint[]; pos bigint[]; top bigint[]; -- conversations; numbers below pos are left
    step bigint;        -- numbers of one conversation in a band, at most
    looked bigint := 0; -- messages in the bands so far
    band bigint;
    word text := parley_longest(q);
    got integer := 0;
    n integer;
    h record;
    blocks boolean := true; -- step 2 is still to be tried
    bc bytea[] := '{}'; bv int8multirange[] := '{}'; bl bigint[] := '{}'; bh bigint[] := '{}'; bt bigint[] := '{}';
    fc bytea[] := '{}'; fs bigint[] := '{}'; fm bigint[] := '{}'; ft bigint[] := '{}'; -- got, not told yet
    i integer;
BEGIN
    SELECT array_agg(s.conv), array_agg(s.visible), array_agg(s.low), array_agg(t.seq + 1), array_agg(t.time_ms)
      INTO c, v, low, pos, top FROM
        (SELECT s.conv, s.visible, lower(s.visible) AS low, coalesce(upper(s.visible), 9223372036854775807) AS upto FROM memberships s
          WHERE s.user_id = p_user AND NOT isempty(s.visible) AND (p_only IS NULL OR s.conv = p_only)
         UNION ALL SELECT s.conv, '{[1,)}', 1, 9223372036854775807 FROM conversations s
          WHERE s.conv = p_system AND (p_only IS NULL OR s.conv = p_only)) s,
        LATERAL (SELECT x.seq, x.time_ms FROM messages x WHERE x.conv = s.conv AND x.seq < s.upto ORDER BY x.seq DESC LIMIT 1) h,
        LATERAL (SELECT CASE WHEN p_ms IS NULL OR h.time_ms < p_ms THEN h.seq WHEN s.conv = p_conv THEN least(p_seq - 1, h.seq)
            ELSE least(parley_seq_at(s.conv, p_ms + (s.conv < p_conv)::integer) - 1, h.seq) END AS seq) b,
        LATERAL (SELECT x.seq, x.time_ms FROM messages x WHERE x.conv = s.conv AND x.seq = b.seq) t
      WHERE b.seq >= s.low;
    IF c IS NULL OR q IS NULL THEN
        RETURN;
    END IF;
    step := greatest(16, least(1024, 8192 / cardinality(c)));
    LOOP
        IF blocks AND looked > 8192 THEN
            -- Where blocks have the words.
            i := 1;
            WHILE i <= cardinality(c) LOOP
                SELECT bc || array_agg(x.conv), bv || array_agg(x.visible), bl || array_agg(x.low), bh || array_agg(x.high), bt || array_agg(x.ms)
                  INTO bc, bv, bl, bh, bt FROM (
                    SELECT u.conv, u.visible, r.low, least(r.high, u.pos - 1) AS high, t.time_ms AS ms
                      FROM unnest(c[i:i + 127], v[i:i + 127], low[i:i + 127], pos[i:i + 127]) u(conv, visible, low, pos),
                        LATERAL parley_candidates(u.conv, q) r, messages t
                     WHERE r.low < u.pos AND r.high >= u.low AND t.conv = u.conv AND t.seq = least(r.high, u.pos - 1)) x;
                i := i + 128;
                blocks := cardinality(bc) < 100000 AND clock_timestamp() < began + p_budget_ms / 2 * interval '1 ms';
                EXIT WHEN NOT blocks;
            END LOOP;
            EXIT WHEN blocks;
        END IF;
        -- The band: down to where the first conversation has no more than `step` in it.
        SELECT u.conv, x.seq, x.time_ms INTO h FROM unnest(c, low, pos) u(conv, low, pos), messages x
         WHERE u.pos - step > u.low AND x.conv = u.conv AND x.seq = u.pos - step ORDER BY x.time_ms DESC, x.conv DESC LIMIT 1;
        IF NOT FOUND THEN
            SELECT ''::bytea AS conv, 0::bigint AS seq, -9223372036854775808 AS time_ms INTO h;
        END IF;
        RETURN QUERY SELECT u.conv, x.seq, x.message, x.ms FROM unnest(c, v, low, pos, top) u(conv, visible, low, pos, top),
                LATERAL parley_hits(u.conv, u.visible, greatest(u.pos - step, u.low), u.pos - 1, h.time_ms, q, word) x
             WHERE u.top >= h.time_ms AND (x.ms, u.conv, x.seq) >= (h.time_ms, h.conv, h.seq)
             ORDER BY x.ms DESC, u.conv DESC, x.seq DESC LIMIT p_limit - got;
        GET DIAGNOSTICS n = ROW_COUNT;
        got := got + n;
        IF got >= p_limit OR h.seq = 0 THEN
            RETURN;
        END IF;
        SELECT array_agg(u.conv), array_agg(u.visible), array_agg(u.low), array_agg(t.seq + 1), array_agg(t.time_ms), sum(u.pos - 1 - t.seq)
          INTO c, v, low, pos, top, band FROM unnest(c, v, low, pos, top) u(conv, visible, low, pos, top),
            LATERAL (SELECT u.pos - 1 AS seq, u.top AS time_ms WHERE u.top < h.time_ms
                     UNION ALL (SELECT x.seq, x.time_ms FROM messages x WHERE u.top >= h.time_ms AND x.conv = u.conv AND x.seq < u.pos
                        AND (x.time_ms, x.conv, x.seq) < (h.time_ms, h.conv, h.seq) ORDER BY x.seq DESC LIMIT 1)) t
          WHERE t.seq >= u.low;
        IF c IS NULL THEN
            RETURN;
        END IF;
        looked := looked + coalesce(band, 0);
        step := CASE WHEN band < 1024 THEN least(step * 2, 4096) WHEN band > 4096 THEN greatest(step / 2, 16) ELSE step END;
        IF clock_timestamp() > began + p_budget_ms * interval '1 ms' THEN
            RETURN QUERY SELECT h.conv, h.seq, NULL::bigint, h.time_ms;
            RETURN;
        END IF;
    END LOOP;
    -- The newest place first. Each may reach back any time: a hit is told when no place that is left could have a newer one.
    SELECT array_agg(x.conv ORDER BY x.ms DESC, x.conv DESC, x.high DESC), array_agg(x.visible ORDER BY x.ms DESC, x.conv DESC, x.high DESC),
        array_agg(x.low ORDER BY x.ms DESC, x.conv DESC, x.high DESC), array_agg(x.high ORDER BY x.ms DESC, x.conv DESC, x.high DESC),
        array_agg(x.ms ORDER BY x.ms DESC, x.conv DESC, x.high DESC)
      INTO bc, bv, bl, bh, bt FROM unnest(bc, bv, bl, bh, bt) x(conv, visible, low, high, ms);
    i := 1;
    WHILE i <= cardinality(bc) LOOP
        SELECT fc || array_agg(u.conv), fs || array_agg(x.seq), fm || array_agg(x.message), ft || array_agg(x.ms)
          INTO fc, fs, fm, ft FROM unnest(bc[i:i + 15], bv[i:i + 15], bl[i:i + 15], bh[i:i + 15]) u(conv, visible, low, high),
            LATERAL parley_hits(u.conv, u.visible, u.low, u.high, 0, q, word) x;
        i := i + 16;
        EXIT WHEN clock_timestamp() > began + p_budget_ms * interval '1 ms' OR i > cardinality(bc);
        SELECT count(*) INTO n FROM unnest(fc, fs, ft) x(conv, seq, ms) WHERE (x.ms, x.conv, x.seq) > (bt[i], bc[i], bh[i]);
        EXIT WHEN n >= p_limit - got;
    END LOOP;
    RETURN QUERY SELECT x.conv, x.seq, x.message, x.ms FROM unnest(fc, fs, fm, ft) x(conv, seq, message, ms)
     WHERE i > coalesce(cardinality(bc), 0) OR (x.ms, x.conv, x.seq) > (bt[i], bc[i], bh[i])
     ORDER BY x.ms DESC, x.conv DESC, x.seq DESC LIMIT p_limit - got;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF got + n < p_limit AND i <= cardinality(bc) THEN
        RETURN QUERY SELECT bc[i], bh[i] + 1, NULL::bigint, bt[i];
    END IF;
END $$;

-- Gives words to some blocks that have none; returns how many. Any number of callers at once.
CREATE FUNCTION parley_index_blocks(p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    b record;
    w tsvector;
    n integer := 0;
BEGIN
    FOR b IN SELECT conv, block FROM search_blocks WHERE NOT done LIMIT p_limit FOR UPDATE SKIP LOCKED LOOP
        BEGIN
            SELECT strip(to_tsvector('pg_catalog.simple', coalesce(parley_conv_lexeme(b.conv) || ' ' || string_agg(left(parley_fold(text), 16384), ' '), ''))) INTO w
              FROM messages WHERE conv = b.conv AND seq BETWEEN 64 * b.block + 1 AND 64 * b.block + 64
               AND kind IN (1, 2, 7);
        EXCEPTION WHEN program_limit_exceeded THEN
            w := NULL;
        END;
        UPDATE search_blocks SET done = true, words = w
         WHERE conv = b.conv AND block = b.block;
        n := n + 1;
    END LOOP;
    RETURN n;
END $$;
