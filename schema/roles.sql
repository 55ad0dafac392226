-- Optional: one role per process with no more than it needs. Run once as the owner of the tables, after
-- `parleyctl migrate`: psql -f roles.sql. Then give each a password or a certificate and put the matching
-- postgres.conninfo into that process's configuration.

CREATE ROLE parley_persister LOGIN;
GRANT USAGE ON SCHEMA public TO parley_persister;
GRANT SELECT ON schema_version TO parley_persister;
GRANT SELECT, INSERT, UPDATE, DELETE ON parley_marks, cells, messages, conversations, memberships, asks, prefs, accounts, devices,
    verifiers, search_blocks, erasures TO parley_persister;
GRANT EXECUTE ON FUNCTION parley_open, parley_fence, parley_index_blocks, parley_erase, parley_redact TO parley_persister;

-- Reads cells and what was decided when Redis has lost them; nothing else, and no bodies.
CREATE ROLE parley_fanout LOGIN;
GRANT USAGE ON SCHEMA public TO parley_fanout;
GRANT SELECT ON parley_marks, cells TO parley_fanout;
GRANT SELECT (conv_part, conv_offset, seq, time_ms, until_ms, users) ON messages TO parley_fanout;

-- Answers questions; writes nothing, and could not.
CREATE ROLE parley_query LOGIN;
ALTER ROLE parley_query SET default_transaction_read_only = on;
GRANT USAGE ON SCHEMA public TO parley_query;
GRANT SELECT ON schema_version, parley_marks, messages, conversations, memberships, asks, prefs, devices, search_blocks, erasures TO parley_query;
GRANT SELECT (part, user_id, login, display_name, registered_ms, presence, admin, seen_ms) ON accounts TO parley_query;

-- Compares what is in the log with what is here, and who was sent what with who may see it; takes the cells when Redis has
-- lost its own. Writes nothing, and could not.
CREATE ROLE parley_auditor LOGIN;
ALTER ROLE parley_auditor SET default_transaction_read_only = on;
GRANT USAGE ON SCHEMA public TO parley_auditor;
GRANT SELECT ON schema_version, parley_marks, cells TO parley_auditor;
GRANT SELECT (conv, seq, sender, device, client_seq, msg_id, kind, text, content_type, data, time_ms, conv_part, conv_offset)
    ON messages TO parley_auditor;
GRANT SELECT (user_id, conv, visible) ON memberships TO parley_auditor;

-- Reads cells when an endpoint has none: to begin at once instead of going through the log. It does without, too.
CREATE ROLE parley_webhooks LOGIN;
GRANT USAGE ON SCHEMA public TO parley_webhooks;
GRANT SELECT ON parley_marks, cells TO parley_webhooks;
