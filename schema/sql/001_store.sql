-- Marks: how far the rows of each partition go, and the fence that keeps a second writer out.
-- From here on the same text as store_pg_schema in common/base/store_pg_schema.c; a test compares them.

CREATE TABLE IF NOT EXISTS parley_marks (
    store      text     NOT NULL,
    part       integer  NOT NULL,
    generation bigint   NOT NULL,
    serial     bigint   NOT NULL,
    present    boolean  NOT NULL,
    next       bigint[] NOT NULL,
    quiet      bigint[] NOT NULL,
    PRIMARY KEY (store, part)
) WITH (fillfactor = 50);

CREATE OR REPLACE FUNCTION parley_open(p_store text, p_part integer, p_next bigint[])
RETURNS SETOF parley_marks LANGUAGE sql AS $$
    INSERT INTO parley_marks AS m VALUES (p_store, p_part, 1, 0, false, p_next, p_next)
    ON CONFLICT (store, part) DO UPDATE SET generation = m.generation + 1
    RETURNING *
$$;

CREATE OR REPLACE FUNCTION parley_fence(p_store text, p_part integer, p_generation bigint, p_serial bigint,
                                        p_present boolean, p_next bigint[], p_quiet bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE m parley_marks;
BEGIN
    UPDATE parley_marks SET serial = p_serial, present = p_present, next = p_next, quiet = p_quiet
     WHERE store = p_store AND part = p_part AND generation = p_generation AND serial = p_serial - 1;
    IF FOUND THEN RETURN; END IF;
    SELECT * INTO m FROM parley_marks WHERE store = p_store AND part = p_part;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no mark of % %', p_store, p_part USING ERRCODE = 'PY003';
    ELSIF m.generation = p_generation AND m.serial = p_serial THEN
        RAISE EXCEPTION 'put % of % % was done before', p_serial, p_store, p_part USING ERRCODE = 'PY002';
    END IF;
    RAISE EXCEPTION 'the mark of % % is generation % serial %, not generation % serial %', p_store, p_part,
        m.generation, m.serial, p_generation, p_serial - 1 USING ERRCODE = 'PY001';
END $$;
