-- Views over the read models that parley-persister keeps in PostgreSQL. They read committed history: what was accepted, with its
-- number. psql -f consumers/sql/postgresql.sql; needs SELECT on messages, conversations, memberships.

-- Messages per conversation and minute. (kind 1 is a message; docs/protocol.md has the others.)
CREATE OR REPLACE VIEW messages_per_minute AS
SELECT conv, time_ms / 60000 AS minute, count(*) AS messages, count(DISTINCT sender) AS senders
  FROM messages
 WHERE kind = 1
 GROUP BY conv, time_ms / 60000;

-- Conversations and how busy they are.
CREATE OR REPLACE VIEW conversation_activity AS
SELECT c.conv, c.type, c.name, m.messages, to_timestamp(m.last_ms / 1000.0) AS last_at
  FROM conversations c
  JOIN (SELECT conv, count(*) AS messages, max(time_ms) AS last_ms FROM messages WHERE kind = 1 GROUP BY conv) m USING (conv);

-- How long after being read by its edge a message was in the log is not in history: see parleyctl trace.
