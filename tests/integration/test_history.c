/* persister and fanout on real servers: the same numbers, whatever dies and whatever is lost. */
#include "tests/integration/deployment.h"

#include "common/base/arena.h"
#include "common/im/history.h"
#include "proto/record.pb-c.h"
#include "tests/unit/convlog.h"
#include "tests/unit/convops.h"

#include <hiredis/hiredis.h>
#include <uthash.h>

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct deployment));
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    struct deployment *d = *state;
    if (d->topics)
        deployment_release(d);
    free(d);
    return 0;
}

static void produce_random(struct deployment *d, uint64_t seed, size_t n)
{
    struct arena *arena = arena_new(0);
    struct rng rng = {seed};
    struct record *log = random_log(arena, &rng, n, seed * 100000);
    for (size_t i = 0; i < n; i++)
        deployment_produce(d, T_CONVERSATION, &log[i]);
    deployment_flush(d);
    free(log);
    arena_free(arena);
}

static void produce_ops(struct deployment *d, uint64_t seed, size_t n)
{
    struct arena *arena = arena_new(0);
    struct rng rng = {seed};
    struct record *log = random_ops(arena, &rng, n, seed * 100000);
    for (size_t i = 0; i < n; i++)
        deployment_produce(d, T_CONVERSATION, &log[i]);
    deployment_flush(d);
    free(log);
    arena_free(arena);
}

/* A user says more of themselves: profile, marks, the admin right, when they were here. */
static void produce_news(struct deployment *d, struct id16 user, int64_t source)
{
    static const Im__UserKind kinds[] = {IM__USER_KIND__USER_PROFILE, IM__USER_KIND__USER_PREFS,
                                         IM__USER_KIND__USER_ADMIN, IM__USER_KIND__USER_SEEN,
                                         IM__USER_KIND__USER_PREFS};
    uint8_t bytes[512];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        Im__UserRecord u = IM__USER_RECORD__INIT;
        u.version = 1;
        u.user = (ProtobufCBinaryData){ID_SIZE, user.b};
        u.kind = kinds[i];
        u.source_offset = source + 1 + (int64_t)i;
        u.presence = IM__PRIVACY__FRIENDS;
        u.conversation = u.kind == IM__USER_KIND__USER_PREFS ? u.user : u.conversation;
        u.pinned = i == 4;
        u.muted = i == 1;
        u.remark = i == 4 ? "größer" : "";
        u.admin = true;
        u.time_ms = 77;
        struct record r = {.key = {user.b, ID_SIZE}, .value = {bytes, im__user_record__pack(&u, bytes)}};
        deployment_produce(d, T_USER, &r);
    }
}

static void produce_accounts(struct deployment *d, int from, int n)
{
    uint8_t bytes[512];
    for (int i = from; i < from + n; i++) {
        Im__UserRecord u = IM__USER_RECORD__INIT;
        Im__VaultRecord v = IM__VAULT_RECORD__INIT;
        char login[32];
        snprintf(login, sizeof login, "user%d", i);
        struct id16 user = uid(login);
        u.version = v.version = 1;
        u.user = v.user = (ProtobufCBinaryData){ID_SIZE, user.b};
        u.kind = IM__USER_KIND__USER_REGISTERED;
        u.login = login;
        u.display_name = "Jürgen \"J\" {x}, \\";
        u.source_offset = i;
        struct record r = {.key = {user.b, ID_SIZE}, .value = {bytes, im__user_record__pack(&u, bytes)}};
        deployment_produce(d, T_USER, &r);
        u = (Im__UserRecord)IM__USER_RECORD__INIT;
        u.version = 1;
        u.user = v.user;
        u.kind = i % 3 ? IM__USER_KIND__USER_DEVICE_ADDED : IM__USER_KIND__USER_TOKENS_REVOKED;
        u.device = 1;
        u.device_id = "phone";
        u.device_class = "";
        u.token_generation = 2;
        r.value.n = im__user_record__pack(&u, bytes);
        deployment_produce(d, T_USER, &r);
        v.master_key = 1;
        v.verifier = v.user;
        r.value.n = im__vault_record__pack(&v, bytes);
        deployment_produce(d, T_VAULT, &r);
        if (i % 5 == 0)
            produce_news(d, user, i);
    }
    deployment_flush(d);
}

static int64_t log_end(struct deployment *d, uint16_t topic)
{
    return deployment_end(d, topic, 0) + deployment_end(d, topic, 1);
}

/* PostgreSQL has everything that is in the log. */
static bool persisted(struct deployment *d)
{
    return number(d->pg, "SELECT sum(next[1]) FROM parley_marks WHERE store = 'conversation'") ==
               log_end(d, T_CONVERSATION) &&
           number(d->pg, "SELECT sum(next[1]) FROM parley_marks WHERE store = 'users'") ==
               log_end(d, T_USER) &&
           number(d->pg, "SELECT sum(next[2]) FROM parley_marks WHERE store = 'users'") ==
               log_end(d, T_VAULT);
}

/* What the tables say of each other. */
static void check_models(struct deployment *d)
{
    static const char *const wrong[] = {
        "SELECT count(*) FROM accounts WHERE admin <> (presence = 2) OR admin <> (seen_ms = 77)",
        "SELECT count(*) FROM prefs WHERE NOT pinned OR muted OR remark <> 'größer'",
        "SELECT count(*) FROM messages m WHERE NOT EXISTS (SELECT FROM conversations c WHERE c.conv = m.conv "
        "AND "
        "c.part = m.conv_part)",
        "SELECT count(*) FROM messages m JOIN conversations c USING (conv) WHERE m.time_ms < c.created_ms",
        "SELECT count(*) FROM conversations c WHERE c.members <> (SELECT count(*) FROM memberships m WHERE "
        "m.conv = "
        "c.conv AND m.role > 0)",
        "SELECT count(*) FROM conversations c WHERE type = 2 AND dissolved_ms IS NULL AND (SELECT count(*) "
        "FROM "
        "memberships m WHERE m.conv = c.conv AND m.role = 3 AND m.user_id = c.owner) <> 1",
        "SELECT count(*) FROM memberships WHERE login = '' OR joined = 0 OR (peer IS NULL) <> (peer_login IS "
        "NULL)",
        "SELECT count(*) FROM memberships m WHERE (role > 0) <> upper_inf(visible)",
        "SELECT count(*) FROM memberships a JOIN memberships b ON a.conv = b.conv AND a.peer = b.user_id "
        "WHERE "
        "a.login <> b.peer_login OR (a.friend, b.friend) NOT IN ((0, 0), (1, 2), (2, 1), (3, 3)) AND "
        "a.user_id <> "
        "b.user_id",
        "SELECT count(*) FROM memberships m WHERE delivered < read OR delivered > (SELECT coalesce(max(seq), "
        "0) FROM "
        "messages WHERE conv = m.conv)",
        "SELECT count(*) FROM asks a JOIN memberships m USING (user_id, conv) WHERE m.role > 0",
        "SELECT count(*) FROM asks a JOIN conversations c USING (conv) WHERE c.dissolved_ms IS NOT NULL",
        "SELECT count(*) FROM messages WHERE users IS NOT NULL AND cardinality(logins) <> "
        "octet_length(users) / 16",
        "SELECT count(*) FROM conversations c WHERE (SELECT count(*) FROM search_blocks b WHERE b.conv = "
        "c.conv) <> "
        "(SELECT count(*) FROM messages m WHERE m.conv = c.conv) / 64",
        "SELECT count(*) FROM conversations WHERE name IS NULL OR notice IS NULL OR created_ms = 0",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (number(d->pg, wrong[i]) != 0)
            fail_msg("%s: %d", wrong[i], (int)number(d->pg, wrong[i]));
    assert_true(number(d->pg, "SELECT count(*) FROM memberships WHERE role = 0 AND peer IS NULL") > 0);
    assert_true(number(d->pg, "SELECT count(*) FROM memberships WHERE read > 0") > 5);
    assert_true(number(d->pg, "SELECT count(*) FROM memberships WHERE friend > 0") > 0);
    assert_true(number(d->pg, "SELECT count(*) FROM memberships WHERE blocked") > 0);
}

static void a_rebuild_equals_the_live_history(void **state)
{
    struct deployment *d = *state;
    struct history live, rebuilt;
    char err[256] = "";
    deployment_init(d);
    pid_t p = deployment_start(d, "persister", NULL);
    for (uint64_t round = 1; round <= 4; round++) {
        int64_t before = number(d->pg, "SELECT count(*) FROM messages");
        produce_random(d, round, 1500);
        produce_ops(d, round, 1500);
        produce_accounts(d, (int)round * 100, 100);
        UNTIL(number(d->pg, "SELECT count(*) FROM messages") > before);
        deployment_stop(d, p, SIGKILL);
        p = deployment_start(d, "persister", NULL);
    }
    UNTIL(persisted(d));
    if (history_read(d->conninfo, &live, NULL, NULL, err, sizeof err))
        fail_msg("%s", err);
    assert_int_equal(live.gaps, 0);
    assert_true(live.rows[HISTORY_MESSAGES] > 3000);
    assert_int_equal(live.rows[HISTORY_ACCOUNTS], 400);
    assert_int_equal(live.rows[HISTORY_VERIFIERS], 400);
    assert_true(live.rows[HISTORY_DEVICES] > 200);
    assert_int_equal(live.rows[HISTORY_PREFS], 80);
    assert_true(live.rows[HISTORY_CONVERSATIONS] > 20);
    assert_true(live.rows[HISTORY_MEMBERSHIPS] > 40);
    assert_true(live.rows[HISTORY_SEARCH_BLOCKS] > 10);
    check_models(d);
    assert_int_equal(
        number(d->pg, "SELECT count(*) FROM accounts WHERE display_name <> E'Jürgen \"J\" {x}, \\\\'"), 0);
    assert_int_equal(deployment_stop(d, p, SIGTERM), 0);

    deployment_new_schema(d);
    p = deployment_start(d, "persister", NULL);
    UNTIL(persisted(d));
    if (history_read(d->conninfo, &rebuilt, NULL, NULL, err, sizeof err))
        fail_msg("%s", err);
    assert_string_equal(history_table_name(history_compare(&live, &rebuilt)), "none");
    assert_int_equal(deployment_stop(d, p, SIGTERM), 0);
}

static bool finds(struct deployment *d, const char *text, const char *typed)
{
    const char *values[] = {text, typed};
    PGresult *res = PQexecParams(d->pg,
                                 "SELECT parley_maybe($1, parley_longest(parley_words($2))) AND "
                                 "parley_lexemes($1) @@ parley_words($2)",
                                 2, NULL, values, NULL, NULL, 0);
    if (PQresultStatus(res) != PGRES_TUPLES_OK)
        fail_msg("%s", PQerrorMessage(d->pg));
    bool yes = *PQgetvalue(res, 0, 0) == 't';
    PQclear(res);
    return yes;
}

static void search_knows_words_of_any_language(void **state)
{
    struct deployment *d = *state;
    deployment_init(d);
    assert_true(finds(d, "Well-known: the QUICK (brown) fox.", "quick fox known"));
    assert_false(finds(d, "the quick brown fox", "qui"));
    assert_true(finds(d, "Ein größeres Café in Köln", "CAFE koln"));
    assert_true(finds(d, "a cafe", "café"));
    assert_true(finds(d, "今天天气很好，我们去公园吧", "天气"));
    assert_false(finds(d, "今天天气很好", "气天"));
    assert_true(finds(d, "日本語のテキストを検索する", "テキスト"));
    assert_true(finds(d, "안녕하세요 여러분", "하세"));
    assert_true(finds(d, "ｆｕｌｌ ｗｉｄｔｈ", "full"));
    assert_true(finds(d, "meet at 10:30 你好 ok", "你好 10"));
    assert_false(finds(d, "anything", "..."));
}

/* A search is complete whether blocks have their words or not. */
static void search_blocks_leave_nothing_out(void **state)
{
    static const char insert[] = "INSERT INTO messages (conv, seq, sender, device, client_seq, msg_id, kind, "
                                 "text, key_id, time_ms, source_part, "
                                 "source_offset, conv_part, conv_offset) SELECT c, n, '', 1, n, '', 1, CASE "
                                 "WHEN n % 50 = 7 THEN 'a needle' ELSE "
                                 "'hay ' || n END, 0, 0, 0, 0, 0, 0 FROM (VALUES ('\\x01'::bytea), "
                                 "('\\x02')) v(c), generate_series(1, 300) n";
    static const char count[] =
        "SELECT count(*) FROM parley_words('needle') q, parley_candidates('\\x01', q) r, messages m "
        "WHERE m.conv = '\\x01' AND m.seq BETWEEN r.low AND r.high AND parley_lexemes(m.text) @@ q";
    struct deployment *d = *state;
    deployment_init(d);
    sql(d->pg, insert);
    assert_int_equal(number(d->pg, count), 6);
    sql(d->pg, "INSERT INTO search_blocks (conv, block, part) SELECT c, n, 0 FROM (VALUES ('\\x01'::bytea), "
               "('\\x02')) v(c), "
               "generate_series(0, 3) n");
    assert_int_equal(number(d->pg, count), 6);
    assert_int_equal(number(d->pg, "SELECT parley_index_blocks(3)"), 3);
    assert_int_equal(number(d->pg, count), 6);
    assert_int_equal(number(d->pg, "SELECT parley_index_blocks(100)"), 5);
    assert_int_equal(number(d->pg, count), 6);
    assert_int_equal(number(d->pg, "SELECT count(*) FROM search_blocks WHERE words IS NULL"), 0);
    sql(d->pg, "UPDATE messages SET time_ms = seq * 10 WHERE conv = '\\x01'");
    assert_int_equal(number(d->pg, "SELECT parley_seq_at('\\x01', 995)"), 100);
    assert_int_equal(number(d->pg, "SELECT parley_seq_at('\\x01', 999999)"), 301);
}

/* A row that contradicts the log stops its partition, and nothing is skipped. */
static void a_contradiction_halts(void **state)
{
    struct deployment *d = *state;
    struct arena *arena = arena_new(0);
    deployment_init(d);
    struct record r = chat_record(
        arena, 0, &(struct chat){.from = "anna", .to = "bert", .device = 1, .client_seq = 1, .text = "true"});
    char text[512], conv[ID_HEX];
    snprintf(
        text, sizeof text,
        "INSERT INTO messages (conv, seq, sender, device, client_seq, msg_id, kind, text, key_id, time_ms, "
        "source_part, source_offset, conv_part, conv_offset) VALUES ('\\x%s', 1, '', 0, 0, '', 1, 'false', "
        "0, "
        "0, 0, 0, 99, 0)",
        id_hex(id_direct(uid("anna"), uid("bert")), conv));
    sql(d->pg, text);
    deployment_produce(d, T_CONVERSATION, &r);
    deployment_flush(d);
    pid_t p = deployment_start(d, "persister", NULL);
    int32_t bad = topics_partition(d->topics, T_CONVERSATION, r.key);
    for (uint64_t seq = 1; seq <= 20; seq++) { /* the other partition goes on */
        char peer[16];
        snprintf(peer, sizeof peer, "peer%d", (int)seq);
        struct record other = chat_record(
            arena, 0, &(struct chat){.from = "anna", .to = peer, .device = 1, .client_seq = seq + 1});
        deployment_produce(d, T_CONVERSATION, &other);
    }
    deployment_flush(d);
    snprintf(text, sizeof text, "SELECT next[1] FROM parley_marks WHERE store = 'conversation' AND part = %d",
             1 - bad);
    UNTIL(number(d->pg, text) == deployment_end(d, T_CONVERSATION, 1 - bad));
    assert_int_equal(number(d->pg, "SELECT count(*) FROM messages WHERE text = 'true'"), 0);
    sql(d->pg, "DELETE FROM messages WHERE text = 'false'");
    deployment_stop(d, p, SIGKILL);
    p = deployment_start(d, "persister", NULL);
    UNTIL(persisted(d));
    assert_int_equal(number(d->pg, "SELECT count(*) FROM messages WHERE text = 'true' AND seq = 1"), 1);
    assert_int_equal(deployment_stop(d, p, SIGTERM), 0);
    arena_free(arena);
}

/* ---- the schema ---- */

static void the_persister_waits_for_its_tables_and_refuses_newer_ones(void **state)
{
    struct deployment *d = *state;
    struct migrate_result r;
    int status;
    deployment_init(d);
    produce_random(d, 1, 50);
    sql(d->pg,
        "SET client_min_messages = warning; DROP TABLE schema_version, parley_marks, cells, messages, "
        "accounts, "
        "devices, verifiers, conversations, memberships, asks, prefs, search_blocks, erasures CASCADE; "
        "DROP FUNCTION parley_erase, parley_redact, parley_bound_prefs, parley_end_asks, parley_ask_is_open, "
        "parley_seq_at, parley_index_blocks, parley_candidates, "
        "parley_conv_lexeme, "
        "parley_maybe, "
        "parley_longest, parley_loose, parley_words, parley_lexemes, parley_fold, parley_hits, "
        "parley_search");
    pid_t p = deployment_start(d, "persister", NULL);
    snprintf(r.error, sizeof r.error,
             "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%schema_version%%' AND "
             "pid <> pg_backend_pid()");
    UNTIL(number(d->pg, r.error) > 0); /* it asks */
    assert_int_equal(waitpid(p, &status, WNOHANG), 0);
    if (schema_migrate(d->conninfo, "", NULL, NULL, &r))
        fail_msg("migrate: %s", r.error);
    assert_int_equal(r.after, SCHEMA_NEWEST);
    UNTIL(persisted(d));
    assert_int_equal(deployment_stop(d, p, SIGTERM), 0);

    assert_int_equal(schema_migrate(d->conninfo, "", NULL, NULL, &r), 0); /* again: nothing to do */
    assert_int_equal(r.before, SCHEMA_NEWEST);
    sql(d->pg, "INSERT INTO schema_version (version, name, checksum) VALUES (999, 'later', '')");
    assert_int_equal(schema_migrate(d->conninfo, "", NULL, NULL, &r), -EPROTO);
    p = deployment_start(d, "persister", NULL);
    status = deployment_stop(d, p, 0); /* ends by itself */
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);

    sql(d->pg, "DELETE FROM schema_version WHERE version = 999; UPDATE schema_version SET checksum = '' "
               "WHERE version = 2");
    assert_int_equal(schema_migrate(d->conninfo, "", NULL, NULL, &r), -EBADMSG);
}

static void a_schema_that_was_dropped_comes_again(void **state)
{
    struct deployment *d = *state;
    struct migrate_result r;
    char text[128];
    deployment_init(d);
    produce_random(d, 1, 200);
    pid_t p = deployment_start(d, "persister", NULL);
    UNTIL(persisted(d));
    int64_t rows = number(d->pg, "SELECT count(*) FROM messages");
    assert_true(rows > 0);
    snprintf(text, sizeof text, "SET client_min_messages = warning; DROP SCHEMA \"%s%d\" CASCADE", d->prefix,
             d->schemas);
    sql(d->pg, text);
    produce_random(d, 2, 50); /* it comes upon it */
    deployment_stop(d, p, SIGKILL);
    if (schema_migrate(d->conninfo, "", NULL, NULL, &r))
        fail_msg("migrate: %s", r.error);
    assert_int_equal(r.before, 0);
    assert_int_equal(r.after, SCHEMA_NEWEST);
    p = deployment_start(d, "persister", NULL);
    UNTIL(persisted(d));
    assert_true(number(d->pg, "SELECT count(*) FROM messages") > rows);
    assert_int_equal(deployment_stop(d, p, SIGTERM), 0);
}

/* ---- fanout ---- */

struct told { /* one place in a conversation, and what was said to be there */
    UT_hash_handle hh;
    uint8_t key[ID_SIZE + 8]; /* conversation, seq */
    uint8_t msg_id[ID_SIZE];
    bool in_history;
};
struct tally {
    struct told *all;
    size_t contradictions;
};

static void place(uint8_t key[ID_SIZE + 8], const void *conv, uint64_t seq)
{
    memcpy(key, conv, ID_SIZE);
    memcpy(key + ID_SIZE, &seq, sizeof seq);
}

static void on_offline(void *ctx, int32_t part, struct slice value)
{
    struct tally *t = ctx;
    struct told *old;
    (void)part;
    Im__OfflineRecord *r = im__offline_record__unpack(NULL, value.n, value.p);
    assert_non_null(r);
    assert_int_equal(r->body_case, IM__OFFLINE_RECORD__BODY_ITEM);
    const Im__QueueItem *item = r->item->item;
    Im__ChatPush *push = im__chat_push__unpack(NULL, item->payload.len, item->payload.data);
    assert_non_null(push);
    assert_int_equal(push->seq, item->seq);
    struct told *told = calloc(1, sizeof *told);
    place(told->key, item->conversation.data, item->seq);
    memcpy(told->msg_id, push->msg_id.data, ID_SIZE);
    HASH_FIND(hh, t->all, told->key, sizeof told->key, old);
    if (!old) {
        HASH_ADD(hh, t->all, key, sizeof told->key, told);
    } else {
        t->contradictions += memcmp(old->msg_id, told->msg_id, ID_SIZE) != 0;
        free(told);
    }
    im__chat_push__free_unpacked(push, NULL);
    im__offline_record__free_unpacked(r, NULL);
}

/* What fanout told is what history holds: every number, and the same message under it. */
static void check_told(struct deployment *d)
{
    struct tally t = {0};
    struct told *told, *next;
    uint8_t key[ID_SIZE + 8];
    deployment_read(d, T_OFFLINE, on_offline, &t);
    assert_int_equal(t.contradictions, 0);
    PGresult *res =
        PQexecParams(d->pg, "SELECT conv, seq, msg_id FROM messages", 0, NULL, NULL, NULL, NULL, 1);
    assert_int_equal(PQresultStatus(res), PGRES_TUPLES_OK);
    for (int i = 0; i < PQntuples(res); i++) {
        uint64_t seq = 0;
        for (int b = 0; b < 8; b++)
            seq = seq << 8 | (uint8_t)PQgetvalue(res, i, 1)[b];
        place(key, PQgetvalue(res, i, 0), seq);
        HASH_FIND(hh, t.all, key, sizeof key, told);
        if (!told)
            fail_msg("a message in history was told to nobody (seq %" PRIu64 ")", seq);
        assert_memory_equal(told->msg_id, PQgetvalue(res, i, 2), ID_SIZE);
        told->in_history = true;
    }
    assert_int_equal(HASH_COUNT(t.all), PQntuples(res));
    PQclear(res);
    HASH_ITER (hh, t.all, told, next) {
        HASH_DEL(t.all, told);
        free(told);
    }
}

/* All that this deployment has in Redis is gone. */
static void forget_redis(struct deployment *d)
{
    char host[128], pattern[64];
    const char *url = server("PARLEY_REDIS"), *colon = strrchr(url, ':');
    snprintf(host, sizeof host, "%.*s", (int)(colon - url), url);
    redisContext *c = redisConnect(host, (int)strtol(colon + 1, NULL, 10));
    assert_non_null(c);
    assert_int_equal(c->err, 0);
    snprintf(pattern, sizeof pattern, "*%s*", d->prefix);
    redisReply *keys = redisCommand(c, "KEYS %s", pattern);
    assert_non_null(keys);
    assert_true(keys->elements > 0);
    for (size_t i = 0; i < keys->elements; i++)
        freeReplyObject(redisCommand(c, "DEL %b", keys->element[i]->str, (size_t)keys->element[i]->len));
    freeReplyObject(keys);
    redisFree(c);
}

static void fanout_keeps_the_numbers_whatever_is_lost(void **state)
{
    struct deployment *d = *state;
    deployment_init(d);
    pid_t persister = deployment_start(d, "persister", NULL), fanout = deployment_start(d, "fanout", NULL);
    produce_random(d, 1, 1000);
    UNTIL(deployment_end(d, T_OFFLINE, 0) > 0);
    deployment_stop(d, fanout, SIGKILL); /* in the middle, or just after */
    fanout = deployment_start(d, "fanout", NULL);
    UNTIL(deployment_caught_up(d, GROUP_FANOUT, T_CONVERSATION) && persisted(d));

    /* Redis forgets; the persister is where fanout was. */
    deployment_stop(d, fanout, SIGKILL);
    forget_redis(d);
    fanout = deployment_start(d, "fanout", NULL);
    produce_random(d, 2, 500);
    UNTIL(deployment_caught_up(d, GROUP_FANOUT, T_CONVERSATION) && persisted(d));

    /* Redis forgets, and the persister has numbered what fanout never saw. */
    deployment_stop(d, fanout, SIGKILL);
    produce_random(d, 3, 500);
    UNTIL(persisted(d));
    forget_redis(d);
    fanout = deployment_start(d, "fanout", NULL);
    UNTIL(deployment_caught_up(d, GROUP_FANOUT, T_CONVERSATION));
    produce_random(d, 4, 500);
    UNTIL(deployment_caught_up(d, GROUP_FANOUT, T_CONVERSATION) && persisted(d));

    /* The persister is behind, and Redis forgets under the running process. */
    deployment_stop(d, persister, SIGKILL);
    produce_random(d, 5, 500);
    UNTIL(deployment_caught_up(d, GROUP_FANOUT, T_CONVERSATION));
    forget_redis(d);
    produce_random(d, 6, 500);
    UNTIL(deployment_caught_up(d, GROUP_FANOUT, T_CONVERSATION));

    /* Both are gone. */
    deployment_stop(d, fanout, SIGKILL);
    forget_redis(d);
    deployment_new_schema(d);
    produce_random(d, 7, 500);
    fanout = deployment_start(d, "fanout", NULL);
    UNTIL(deployment_caught_up(d, GROUP_FANOUT, T_CONVERSATION));
    persister = deployment_start(d, "persister", NULL);
    UNTIL(persisted(d));
    check_told(d);
    assert_int_equal(deployment_stop(d, fanout, SIGTERM), 0);
    assert_int_equal(deployment_stop(d, persister, SIGTERM), 0);
}

#ifdef PARLEY_CRASH_POINTS
/* Both processes die at each of the shell's crash points, one after the other. */
static void crash_points_lose_nothing(void **state)
{
    static const char *const points[] = {"step:2", "sent:1", "sent:3", "acked:2", "put:2", "commit:1"};
    struct deployment *d = *state;
    deployment_init(d);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        static const char *const names[] = {"fanout", "persister"};
        pid_t pids[2];
        char at[64];
        for (int n = 0; n < 2; n++) {
            snprintf(at, sizeof at, "%s:%s", names[n], points[i]);
            pids[n] = deployment_start(d, names[n], at);
        }
        bool dead[2] = {false, false};
        int64_t give_up = clock_mono_ms() + WAIT_MS;
        for (uint64_t round = 0; !dead[0] || !dead[1]; round++) {
            int status;
            produce_random(d, 1 + i * 1000 + round, 50);
            for (int n = 0; n < 2; n++)
                if (!dead[n] && waitpid(pids[n], &status, WNOHANG) == pids[n]) {
                    assert_true(WIFSIGNALED(status));
                    dead[n] = true;
                }
            assert_true(clock_mono_ms() < give_up);
            usleep(50000);
        }
        d->n_children = 0;
    }
    pid_t fanout = deployment_start(d, "fanout", NULL), persister = deployment_start(d, "persister", NULL);
    UNTIL(deployment_caught_up(d, GROUP_FANOUT, T_CONVERSATION) && persisted(d));
    check_told(d);
    assert_int_equal(deployment_stop(d, fanout, SIGTERM), 0);
    assert_int_equal(deployment_stop(d, persister, SIGTERM), 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_rebuild_equals_the_live_history, setup, teardown),
        cmocka_unit_test_setup_teardown(search_knows_words_of_any_language, setup, teardown),
        cmocka_unit_test_setup_teardown(search_blocks_leave_nothing_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_contradiction_halts, setup, teardown),
        cmocka_unit_test_setup_teardown(the_persister_waits_for_its_tables_and_refuses_newer_ones, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_schema_that_was_dropped_comes_again, setup, teardown),
        cmocka_unit_test_setup_teardown(fanout_keeps_the_numbers_whatever_is_lost, setup, teardown),
#ifdef PARLEY_CRASH_POINTS
        cmocka_unit_test_setup_teardown(crash_points_lose_nothing, setup, teardown),
#endif
    };
    if (getenv("TEST_CASE"))
        cmocka_set_test_filter(getenv("TEST_CASE"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
