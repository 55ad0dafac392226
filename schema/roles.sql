-- Optional: one role per process with no more than it needs. Run once as the owner of the tables, after
-- `parleyctl migrate`: psql -f roles.sql. Then give each a password or a certificate and put the matching
-- postgres.conninfo into that process's configuration.

CREATE ROLE parley_persister LOGIN;
GRANT USAGE ON SCHEMA public TO parley_persister;
GRANT SELECT ON schema_version TO parley_persister;
GRANT SELECT, INSERT, UPDATE, DELETE ON parley_marks, cells, messages, accounts, devices, verifiers TO parley_persister;
GRANT EXECUTE ON FUNCTION parley_open, parley_fence TO parley_persister;

-- Reads cells and numbers when Redis has lost them; nothing else, and no bodies.
CREATE ROLE parley_fanout LOGIN;
GRANT USAGE ON SCHEMA public TO parley_fanout;
GRANT SELECT ON parley_marks, cells TO parley_fanout;
GRANT SELECT (conv_part, conv_offset, seq, time_ms) ON messages TO parley_fanout;
