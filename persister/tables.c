#include "persister/tables.h"

#include "common/im/schema.h"
#include "persister/split.h"

#define MESSAGE_NAMES                                                                                  \
    "conv, seq, sender, device, client_seq, msg_id, kind, text, content_type, data, key_id, time_ms, " \
    "trace, source_part, source_offset, conv_offset"
#define MESSAGE_ARRAYS                                                                                     \
    "$3::bytea[], $4::int8[], $5::bytea[], $6::int4[], $7::int8[], $8::bytea[], $9::int2[], $10::text[], " \
    "$11::text[], $12::bytea[], $13::int8[], $14::int8[], $15::bytea[], $16::int4[], $17::int8[], "        \
    "$18::int8[]"

#define EVENT_NAMES "target, reply_to, users, logins, role, flags, until_ms"

const char persister_copy_messages[] =
    "COPY messages (conv_part, " MESSAGE_NAMES ", " EVENT_NAMES ") FROM STDIN (FORMAT binary)";
const char persister_copy_cells[] = "COPY cells (part, key, row) FROM STDIN (FORMAT binary)";
const char persister_copy_blocks[] = "COPY search_blocks (part, conv, block) FROM STDIN (FORMAT binary)";

/* A store clears its own partition only: the two cores have one set of tables and partitions of the same number. */
#define OF_CONV  " = $2 AND $1 = '" SCHEMA_STORE_CONV "'"
#define OF_USERS " = $2 AND $1 = '" SCHEMA_STORE_USERS "'"

/* Of several rows with one key: that of the last record, or of the last one that has it. */
#define LAST(column)           "(array_agg(" #column " ORDER BY at DESC))[1]"
#define LAST_IF(column, there) "(array_agg(" #column " ORDER BY at DESC) FILTER (WHERE " there "))[1]"

/* clang-format off */
static const char conversation_upsert[] =
    "INSERT INTO conversations AS old (part, conv, type, name, notice, flags, owner, members, created_ms, "
    "dissolved_ms) SELECT $2, c, " LAST(t) ", " LAST_IF(n, "n IS NOT NULL") ", " LAST_IF(o, "o IS NOT NULL") ", "
    LAST(f) ", " LAST(w) ", " LAST(m) ", coalesce(min(cr) FILTER (WHERE cr > 0), 0), min(di) FROM "
    "unnest($3::bytea[], $4::int2[], $5::text[], $6::text[], $7::int4[], $8::bytea[], $9::int4[], $10::int8[], "
    "$11::int8[], $12::int8[]) x(c, t, n, o, f, w, m, cr, di, at) GROUP BY c ON CONFLICT (conv) DO UPDATE SET "
    "name = coalesce(excluded.name, old.name), notice = coalesce(excluded.notice, old.notice), "
    "flags = excluded.flags, owner = excluded.owner, members = excluded.members, "
    "dissolved_ms = coalesce(old.dissolved_ms, excluded.dissolved_ms)";

static const char member_upsert[] =
    "INSERT INTO memberships AS old (part, user_id, conv, peer, peer_login, login, role, visible, joined, "
    "muted_until_ms, friend, friend_text, friend_ms, blocked) SELECT $2, u, c, " LAST(p) ", coalesce("
    LAST_IF(pl, "pl <> ''") ", max(pl)), coalesce(" LAST_IF(l, "l <> ''") ", ''), " LAST(r) ", (" LAST(v)
    ")::int8multirange, coalesce(" LAST_IF(j, "j > 0") ", 0), " LAST(m) ", coalesce("
    LAST_IF(f, "fm > 0") ", 0), " LAST_IF(ft, "fm > 0") ", " LAST_IF(fm, "fm > 0") ", " LAST(b) " <> 0 FROM "
    "unnest($3::bytea[], $4::bytea[], $5::bytea[], $6::text[], $7::text[], $8::int2[], $9::text[], "
    "$10::int8[], $11::int8[], $12::int2[], $13::text[], $14::int8[], $15::int2[], $16::int8[]) "
    "x(u, c, p, pl, l, r, v, j, m, f, ft, fm, b, at) GROUP BY u, c ON CONFLICT (user_id, conv) DO UPDATE SET "
    "login = coalesce(nullif(excluded.login, ''), old.login), "
    "peer_login = coalesce(nullif(excluded.peer_login, ''), old.peer_login), "
    "role = excluded.role, visible = excluded.visible, "
    "joined = coalesce(nullif(excluded.joined, 0), old.joined), muted_until_ms = excluded.muted_until_ms, "
    "friend = CASE WHEN excluded.friend_ms IS NULL THEN old.friend ELSE excluded.friend END, "
    "friend_text = CASE WHEN excluded.friend_ms IS NULL THEN old.friend_text ELSE excluded.friend_text END, "
    "friend_ms = coalesce(excluded.friend_ms, old.friend_ms), blocked = excluded.blocked";
/* clang-format on */

/* Message rows have no ON CONFLICT: under the fence a second row with a key is a contradiction, and must be seen. */
const struct store_pg_table persister_tables[PERSISTER_TABLES] = {
    {
        .table = P_CELL,
        .name = "cells",
        .n_columns = 2,
        .upsert = "INSERT INTO cells (part, key, row) SELECT $2, * FROM unnest($3::bytea[], "
                  "$4::bytea[]) "
                  "ON CONFLICT (part, key) DO UPDATE SET row = excluded.row",
        .remove = "DELETE FROM cells WHERE part = $2 AND key = ANY($3::bytea[])",
        .load = "SELECT key, row FROM cells WHERE part = $2 AND key = ANY($3::bytea[])",
        .clear = "DELETE FROM cells WHERE part" OF_CONV,
    },
    {
        .table = P_MESSAGE,
        .name = "messages",
        .n_columns = MESSAGE_COLUMNS,
        .types = message_types,
        .split = split_message,
        .append = "INSERT INTO messages (conv_part, " MESSAGE_NAMES
                  ") SELECT $2, * FROM unnest(" MESSAGE_ARRAYS ")",
        .clear = "DELETE FROM messages WHERE conv_part" OF_CONV,
    },
    {
        .table = P_ACCOUNT,
        .name = "accounts",
        .n_columns = ACCOUNT_COLUMNS,
        .types = account_types,
        .split = split_account,
        .upsert = "INSERT INTO accounts (part, user_id, login, display_name, token_generation, "
                  "source_part, "
                  "source_offset, registered_ms, presence, admin, seen_ms, profile_offset, "
                  "admin_offset) "
                  "SELECT $2, u, l, d, t, p, o, r, v, a <> 0, s, po, ao FROM unnest($3::bytea[], "
                  "$4::text[], "
                  "$5::text[], "
                  "$6::int8[], $7::int4[], $8::int8[], $9::int8[], $10::int2[], $11::int2[], "
                  "$12::int8[], "
                  "$13::int8[], "
                  "$14::int8[]) x(u, l, d, t, p, o, r, v, a, s, po, ao) ON CONFLICT (user_id) DO "
                  "UPDATE SET "
                  "display_name = excluded.display_name, token_generation = "
                  "excluded.token_generation, presence = "
                  "excluded.presence, admin = excluded.admin, seen_ms = excluded.seen_ms, "
                  "profile_offset = "
                  "excluded.profile_offset, admin_offset = excluded.admin_offset",
        .load = "SELECT user_id, int8send(token_generation) || int8send(source_offset) || "
                "int8send(registered_ms) "
                "|| int8send(seen_ms) || int8send(profile_offset) || int8send(admin_offset) || "
                "int4send(source_part) "
                "|| int2send(presence) || int2send(admin::int::int2) || "
                "int4send(octet_length(login)) || "
                "convert_to(login, 'UTF8') || convert_to(display_name, 'UTF8') FROM accounts "
                "WHERE part = $2 AND "
                "user_id = ANY($3::bytea[])",
        .clear = "DELETE FROM accounts WHERE part" OF_USERS,
    },
    {
        .table = P_DEVICE,
        .name = "devices",
        .n_columns = DEVICE_COLUMNS,
        .types = device_types,
        .split = split_device,
        .upsert = "INSERT INTO devices (part, user_id, device, device_id, device_class, "
                  "added_ms, dropped_ms) "
                  "SELECT $2, * FROM unnest($3::bytea[], $4::int4[], $5::text[], $6::text[], "
                  "$7::int8[], "
                  "$8::int8[]) "
                  "ON CONFLICT (user_id, device) DO UPDATE SET device_id = excluded.device_id, "
                  "device_class = "
                  "excluded.device_class, added_ms = excluded.added_ms, dropped_ms = "
                  "excluded.dropped_ms",
        .load = "SELECT user_id || int4send(device), int8send(added_ms) || "
                "int8send(coalesce(dropped_ms, 0)) || "
                "int4send(octet_length(device_id)) || convert_to(device_id, 'UTF8') || "
                "convert_to(device_class, 'UTF8') FROM devices WHERE part = $2 AND (user_id, "
                "device) IN (SELECT "
                "substr(k, 1, 16), ('x' || encode(substr(k, 17, 4), 'hex'))::bit(32)::int4 FROM "
                "unnest($3::bytea[]) k)",
        .clear = "DELETE FROM devices WHERE part" OF_USERS,
    },
    {
        .table = P_VERIFIER,
        .name = "verifiers",
        .n_columns = VERIFIER_COLUMNS,
        .types = verifier_types,
        .split = split_verifier,
        .upsert = "INSERT INTO verifiers (part, user_id, master_key, verifier) SELECT $2, * FROM "
                  "unnest($3::bytea[], $4::int4[], $5::bytea[]) ON CONFLICT (user_id) DO UPDATE SET "
                  "master_key = excluded.master_key, verifier = excluded.verifier",
        .remove = "DELETE FROM verifiers WHERE part = $2 AND user_id = ANY($3::bytea[])",
        .clear = "DELETE FROM verifiers WHERE part" OF_USERS,
    },
    {
        .table = P_EVENT,
        .name = "events",
        .n_columns = EVENT_COLUMNS,
        .types = event_types,
        .split = split_event,
        .append = "INSERT INTO messages (conv_part, " MESSAGE_NAMES ", " EVENT_NAMES
                  ") SELECT $2, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, "
                  "c14, c15, "
                  "c16, c17, c18, "
                  "c19, c20::text[], c21, c22, c23 FROM unnest(" MESSAGE_ARRAYS
                  ", $19::int8[], $20::int8[], $21::bytea[], "
                  "$22::text[], $23::int2[], $24::int4[], $25::int8[]) x(c1, c2, c3, c4, c5, c6, "
                  "c7, c8, c9, "
                  "c10, c11, "
                  "c12, c13, c14, c15, c16, c17, c18, c19, c20, c21, c22, c23)",
    },
    {
        .table = P_CONVERSATION,
        .name = "conversations",
        .n_columns = CONVERSATION_COLUMNS,
        .types = conversation_types,
        .split = split_conversation,
        .upsert = conversation_upsert,
        .clear = "DELETE FROM conversations WHERE part" OF_CONV,
    },
    {
        .table = P_MEMBER,
        .name = "memberships",
        .n_columns = MEMBER_COLUMNS,
        .types = member_types,
        .split = split_member,
        .upsert = member_upsert,
        .clear = "DELETE FROM memberships WHERE part" OF_CONV,
    },
    {
        .table = P_MARKS,
        .name = "marks",
        .n_columns = MARKS_COLUMNS,
        .types = marks_types,
        .split = split_marks,
        .upsert = "UPDATE memberships m SET read = x.r, delivered = x.d FROM unnest($3::bytea[], "
                  "$4::bytea[], "
                  "$5::int8[], $6::int8[]) x(u, c, r, d) WHERE m.user_id = x.u AND m.conv = x.c "
                  "AND m.part = $2",
    },
    {
        .table = P_ASK,
        .name = "asks",
        .n_columns = ASK_COLUMNS,
        .types = ask_types,
        .split = split_ask,
        .upsert = "INSERT INTO asks (part, conv, user_id, login, text, time_ms) SELECT $2, * FROM "
                  "unnest($3::bytea[], "
                  "$4::bytea[], $5::text[], $6::text[], $7::int8[]) ON CONFLICT (conv, user_id) DO "
                  "UPDATE SET "
                  "login = excluded.login, text = excluded.text, time_ms = excluded.time_ms",
        .remove = "DELETE FROM asks WHERE part = $2 AND (conv, user_id) IN (SELECT substr(k, 1, 16), "
                  "substr(k, 17, 16) FROM unnest($3::bytea[]) k)",
        .clear = "DELETE FROM asks WHERE part" OF_CONV,
    },
    {
        .table = P_BLOCK,
        .name = "search_blocks",
        .n_columns = BLOCK_COLUMNS,
        .types = block_types,
        .split = split_block,
        .upsert = "INSERT INTO search_blocks (part, conv, block) SELECT $2, * FROM "
                  "unnest($3::bytea[], $4::int8[])",
        .clear = "DELETE FROM search_blocks WHERE part" OF_CONV,
    },
    {
        .table = P_PREFS,
        .name = "prefs",
        .n_columns = PREFS_COLUMNS,
        .types = prefs_types,
        .split = split_prefs,
        .upsert = "INSERT INTO prefs (part, user_id, conv, pinned, muted, remark, source_offset) "
                  "SELECT $2, u, c, "
                  "p <> 0, "
                  "m <> 0, r, o FROM unnest($3::bytea[], $4::bytea[], $5::int2[], $6::int2[], "
                  "$7::text[], "
                  "$8::int8[]) "
                  "x(u, c, p, m, r, o) ON CONFLICT (user_id, conv) DO UPDATE SET pinned = "
                  "excluded.pinned, muted = "
                  "excluded.muted, remark = excluded.remark, source_offset = excluded.source_offset",
        .load = "SELECT user_id || conv, int8send(source_offset) || "
                "set_byte(set_byte('\\x0000'::bytea, 0, "
                "pinned::int), "
                "1, muted::int) || convert_to(remark, 'UTF8') FROM prefs WHERE part = $2 AND "
                "(user_id, conv) IN "
                "(SELECT substr(k, 1, 16), substr(k, 17, 16) FROM unnest($3::bytea[]) k)",
        .clear = "DELETE FROM prefs WHERE part" OF_USERS,
    },
    {
        .table = P_ERASED,
        .name = "erasures",
        .n_columns = ERASED_COLUMNS,
        .types = erased_types,
        .split = split_erased,
        .upsert = "SELECT parley_erase($2, $3::bytea[], $4::int8[], $5::int8[])",
        .clear = "DELETE FROM erasures WHERE part" OF_USERS,
    },
};
