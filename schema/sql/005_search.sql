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
-- the last block. So a search is complete at every moment, and only faster when the blocks have their words:
--
--   SELECT … FROM memberships s, parley_candidates(s.conv, q) r, messages m
--    WHERE s.user_id = … AND m.conv = s.conv AND m.seq BETWEEN r.low AND r.high AND s.visible @> m.seq
--      AND m.kind IN (1, 2, 7) AND parley_maybe(m.text, parley_longest(q)) AND parley_lexemes(m.text) @@ q
CREATE FUNCTION parley_candidates(p_conv bytea, q tsquery) RETURNS TABLE (low bigint, high bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT 64 * block + 1, 64 * block + 64 FROM search_blocks
     WHERE conv = p_conv AND words @@ (parley_conv_lexeme(p_conv)::tsquery && parley_loose(q))
    UNION ALL SELECT 64 * block + 1, 64 * block + 64 FROM search_blocks WHERE conv = p_conv AND words IS NULL
    UNION ALL SELECT 64 * (coalesce(max(block), -1) + 1) + 1, 9223372036854775807 FROM search_blocks WHERE conv = p_conv
$$;

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
