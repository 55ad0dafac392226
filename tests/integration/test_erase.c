/* A person is forgotten: what is left of the texts in the topics, PostgreSQL and Redis, what others see, that a history
 * made again from the log is the same, and that a deployment may leave sealing off. Also: the master key is changed. */
#include "client/lib/parley.h"
#include "common/base/kadmin.h"
#include "common/im/history.h"
#include "common/im/topics.h"
#include "tests/support/person.h"

#include <hiredis/hiredis.h>
#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* cmocka.h wants these first */
#include <setjmp.h>

#include <cmocka.h>

#define CANARY     "canary" /* in everything that anna says, and in her name */
#define TIMEOUT_MS pl_ms(PL_WAIT_MS)

static bool holds(const void *p, size_t n, const char *word)
{
    return p && memmem(p, n, word, strlen(word));
}

/* ---- the topics ---- */
static rd_kafka_t *reader(void)
{
    char err[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", getenv("PARLEY_KAFKA"), err, sizeof err);
    rd_kafka_conf_set(conf, "group.id", "test-erase", err, sizeof err);
    rd_kafka_conf_set(conf, "enable.partition.eof", "true", err, sizeof err);
    rd_kafka_conf_set(conf, "auto.offset.reset", "earliest", err, sizeof err);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, err, sizeof err);
    assert_non_null(rk);
    rd_kafka_poll_set_consumer(rk);
    return rk;
}

/* How many records of the topic hold the word; *records: of how many. */
static size_t topic_holds(struct pl *pl, const char *topic, const char *word, size_t *records)
{
    char name[128];
    size_t found = 0;
    int left = 2;
    rd_kafka_t *rk = reader();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(left);
    snprintf(name, sizeof name, "%s%s", pl_prefix(pl), topic);
    for (int p = 0; p < left; p++)
        rd_kafka_topic_partition_list_add(list, name, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    *records = 0;
    for (int64_t by = clock_mono_ms() + TIMEOUT_MS; left > 0;) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 100);
        assert_true(clock_mono_ms() < by);
        if (m && m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            left--;
        if (m && !m->err) {
            ++*records;
            found += holds(m->payload, m->len, word);
        }
        if (m)
            rd_kafka_message_destroy(m);
    }
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return found;
}

/* ---- Redis ---- */
static size_t reply_holds(const redisReply *r, const char *word)
{
    size_t n = r && r->str ? holds(r->str, r->len, word) : 0;
    for (size_t i = 0; r && i < r->elements; i++)
        n += reply_holds(r->element[i], word);
    return n;
}

static size_t redis_holds(struct pl *pl, const char *word)
{
    char host[64] = "127.0.0.1";
    const char *url = getenv("PARLEY_REDIS"), *colon = strrchr(url, ':');
    redisContext *c = redisConnect(host, (int)strtol(colon + 1, NULL, 10));
    size_t found = 0;
    assert_true(c && !c->err);
    redisReply *keys = redisCommand(c, "KEYS %s*", pl_prefix(pl));
    for (size_t i = 0; i < keys->elements; i++) {
        redisReply *type = redisCommand(c, "TYPE %s", keys->element[i]->str);
        redisReply *all = redisCommand(c, strcmp(type->str, "hash") == 0 ? "HGETALL %b" : "GET %b",
                                       keys->element[i]->str, keys->element[i]->len);
        found += reply_holds(all, word);
        freeReplyObject(all);
        freeReplyObject(type);
    }
    assert_true(keys->elements > 0);
    freeReplyObject(keys);
    redisFree(c);
    return found;
}

/* ---- questions ---- */
static ProtobufCMessage *ask(struct person *p, uint16_t type, const ProtobufCMessage *m, struct raw_frame **f)
{
    person_pump(p);
    assert_int_equal(raw_send(p->raw, type, 900, m), 0);
    *f = raw_wait(p->raw, (uint16_t)(type + 1), TIMEOUT_MS);
    assert_non_null(*f);
    assert_non_null((*f)->msg);
    return (*f)->msg;
}

struct view { /* of a conversation's history */
    size_t items, erased, canaries, answers;
    uint64_t head;
};

static struct view history(struct person *p, const char *with)
{
    struct raw_frame *f;
    Im__HistoryReq q = IM__HISTORY_REQ__INIT;
    struct view v = {0};
    q.with = (char *)(uintptr_t)with;
    q.events = true;
    const Im__HistoryRsp *r = (Im__HistoryRsp *)ask(p, IM__FRAME_TYPE__HISTORY_REQ, &q.base, &f);
    assert_int_equal(r->code, IM__CODE__OK);
    v.head = r->head;
    for (size_t i = 0; i < r->n_items; i++) {
        const Im__ChatPush *e = r->items[i]->event;
        v.items++;
        v.erased += e->erased;
        v.canaries += strstr(e->text, CANARY) != NULL;
        v.answers += strstr(e->text, "answer") != NULL;
        assert_true(!e->erased || (!*e->text && !e->data.len));
        assert_int_equal(e->seq, i + 1);
    }
    raw_frame_free(f);
    return v;
}

static size_t hits(struct person *p, const char *word)
{
    struct raw_frame *f;
    Im__SearchReq q = IM__SEARCH_REQ__INIT;
    q.text = (char *)(uintptr_t)word;
    const Im__SearchRsp *r = (Im__SearchRsp *)ask(p, IM__FRAME_TYPE__SEARCH_REQ, &q.base, &f);
    assert_int_equal(r->code, IM__CODE__OK);
    size_t n = r->n_items;
    raw_frame_free(f);
    return n;
}

static void name_shown(struct person *p, const char *name)
{
    struct raw_frame *f;
    Im__ProfileReq q = IM__PROFILE_REQ__INIT;
    q.name = (char *)(uintptr_t)name;
    const Im__ProfileRsp *r = (Im__ProfileRsp *)ask(p, IM__FRAME_TYPE__PROFILE_REQ, &q.base, &f);
    assert_int_equal(r->code, IM__CODE__OK);
    raw_frame_free(f);
}

static void edit(struct person *p, const char *to, uint64_t target, const char *text)
{
    Im__ConvOp m = IM__CONV_OP__INIT;
    m.client_seq = p->next++;
    m.kind = IM__CONV_KIND__CONV_EDIT;
    m.to = (char *)(uintptr_t)to;
    m.target = target;
    m.text = (char *)(uintptr_t)text;
    assert_int_equal(raw_send(p->raw, IM__FRAME_TYPE__CONV_OP, 901, &m.base), 0);
    person_placed(p, m.client_seq);
}

/* ---- PostgreSQL ---- */
static int64_t texts_with(struct pl *pl, const char *word)
{
    return pl_number(
        pl,
        "SELECT (SELECT count(*) FROM messages WHERE text LIKE '%%%s%%') + (SELECT count(*) FROM "
        "accounts WHERE display_name LIKE '%%%s%%') + (SELECT count(*) FROM search_blocks WHERE "
        "words::text LIKE '%%%s%%') + (SELECT count(*) FROM prefs WHERE remark LIKE '%%%s%%')",
        word, word, word, word);
}

static void read_history(struct pl *pl, struct history *out)
{
    char err[512];
    if (history_read(pl_conninfo(pl), out, NULL, NULL, err, sizeof err))
        fail_msg("%s", err);
}

static void say_row(void *ctx, char **columns)
{
    print_message("%s: %s\n", (const char *)ctx, columns[0]);
}

/* From an empty database, by the persister, from the log. */
static void made_again_it_is_the_same(struct pl *pl)
{
    struct history live, again;
    int64_t rows = pl_number(pl, "SELECT count(*) FROM messages");
    pl_rows(pl, say_row, (void *)(uintptr_t) "live",
            "SELECT x::text FROM accounts x UNION ALL SELECT x::text FROM devices x");
    read_history(pl, &live);
    pl_stop(pl, PL_PERSISTER, 0, SIGTERM);
    assert_true(
        pl_rows(pl, NULL, NULL,
                "TRUNCATE parley_marks, cells, messages, conversations, memberships, asks, prefs, accounts, "
                "devices, verifiers, search_blocks, erasures"));
    pl_start(pl, PL_PERSISTER, 0, NULL);
    pl_wait_ready(pl);
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM messages") == rows);
    enum history_table differs;
    int64_t by = clock_mono_ms() + TIMEOUT_MS;
    while (read_history(pl, &again), (differs = history_compare(&live, &again)) != HISTORY_TABLES) {
        if (clock_mono_ms() + 1000 > by)
            pl_rows(pl, say_row, (void *)(uintptr_t) "made again", "SELECT x::text FROM %s x",
                    history_table_name(differs));
        pl_turn(pl, by, history_table_name(differs), __FILE__, __LINE__);
    }
}

static void an_erased_person_is_forgotten(void **state)
{
    (void)state;
    struct pl *pl = pl_up(&(struct pl_conf){0});
    struct person anna = {0}, bert = {0}, carl = {0}, other = {0};
    char anna_login[65];
    size_t records;
    person_new(&anna, pl, 0, "anna", "a1");
    person_new(&bert, pl, 1, "bert", "b1");
    person_new(&carl, pl, 1, "carl", "c1");
    snprintf(anna_login, sizeof anna_login, "%s", anna.login);
    person_hang_up(&carl);
    name_shown(&anna, "Anna " CANARY);
    uint64_t first = person_placed(&anna, person_say(&anna, bert.login, "the " CANARY " sings"));
    person_placed(&bert, person_say(&bert, anna.login, "answer one"));
    person_placed(&anna, person_say(&anna, bert.login, "again the " CANARY));
    edit(&anna, bert.login, first, "the " CANARY " sang");
    person_placed(&anna, person_say(&anna, carl.login, CANARY " for later"));
    person_wait_said(&bert, 2);
    assert_non_null(strstr(bert.said[0].text, CANARY));
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM messages") == 5);
    UNTIL(pl, texts_with(pl, CANARY) == 5); /* four texts and the name */
    assert_int_equal(pl_number(pl, "SELECT count(*) FROM messages WHERE key_id = 1"), 5);
    struct view v = history(&bert, anna_login);
    assert_true(v.items == 4 && v.canaries == 3 && v.answers == 1 && v.erased == 0);
    assert_int_equal(hits(&bert, CANARY), 2);
    /* Before: nothing to be read in what is kept for ever. */
    assert_int_equal(topic_holds(pl, "im.conversation", CANARY, &records), 0);
    assert_int_equal(records, 5);
    assert_int_equal(topic_holds(pl, "im.user", CANARY, &records), 0);
    assert_true(topic_holds(pl, "im.inbound", CANARY, &records) > 0); /* seven days */
    made_again_it_is_the_same(pl);

    const char *said = PL_CTL(pl, "erase", "user", anna_login, "--dry-run", "--json");
    json_t *j = json_loads(said, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(j, "messages")), 4);
    assert_int_equal(json_integer_value(json_object_get(j, "clear")), 0);
    json_decref(j);
    assert_int_equal(texts_with(pl, CANARY), 5);
    PL_CTL(pl, "erase", "user", anna_login, "--yes", "--json");

    /* Anna's session is over, and her name is nobody's. */
    person_wait_closed(&anna);
    assert_int_equal(anna.kicked, IM__CODE__SESSION_REVOKED);
    person_connect(&other, pl, 1);
    assert_int_equal(person_login(&other, anna_login, "correct horse", "a1"), IM__CODE__BAD_CREDENTIALS);
    assert_int_equal(person_register(&other, anna_login, "correct horse"), IM__CODE__ACCOUNT_EXISTS);
    /* What is left, and what others see. */
    assert_int_equal(texts_with(pl, CANARY), 0);
    assert_int_equal(pl_number(pl, "SELECT count(*) FROM messages WHERE key_id = -1 AND text IS NULL"), 4);
    assert_int_equal(pl_number(pl, "SELECT count(*) FROM verifiers"), 2);
    v = history(&bert, anna_login);
    assert_true(v.items == 4 && v.canaries == 0 && v.answers == 1 && v.erased == 3 && v.head == 4);
    assert_int_equal(hits(&bert, CANARY), 0);
    assert_int_equal(hits(&bert, "answer"), 1);
    assert_int_equal(person_placed(&bert, person_say(&bert, anna_login, "answer two")), 5);
    struct person fresh = {0};
    person_join(&fresh, pl, 0, &bert, "b2");
    UNTIL(pl, history(&fresh, anna_login).items == 5);
    assert_int_equal(history(&fresh, anna_login).erased, 3);
    /* Carl was away: the place is there, the text is not. */
    person_connect(&carl, pl, 0);
    assert_int_equal(person_login(&carl, carl.login, "correct horse", "c1"), 0);
    UNTIL(pl, history(&carl, anna_login).erased == 1);
    person_pump(&carl);
    for (size_t i = 0; i < carl.n_said; i++)
        assert_null(strstr(carl.said[i].text, CANARY));
    assert_int_equal(redis_holds(pl, CANARY), 0);
    assert_int_equal(topic_holds(pl, "im.conversation", CANARY, &records), 0);
    made_again_it_is_the_same(pl);
    assert_int_equal(texts_with(pl, CANARY), 0);
    PL_CTL(pl, "rebuild", "history", "--verify", "--quiet");
    PL_CTL(pl, "erase", "user", anna_login, "--yes"); /* again does no harm */
    person_free(&anna);
    person_free(&bert);
    person_free(&carl);
    person_free(&other);
    person_free(&fresh);
}

static void sealing_may_be_off(void **state)
{
    (void)state;
    struct pl *pl =
        pl_up(&(struct pl_conf){.n = {1, 1, 1, 1, 1, 1}, .settings = "{\"router\": {\"seal\": false}}"});
    struct person anna = {0}, bert = {0};
    size_t records;
    person_new(&anna, pl, 0, "anna", "a1");
    person_new(&bert, pl, 0, "bert", "b1");
    person_placed(&anna, person_say(&anna, bert.login, "a clear " CANARY));
    person_wait_said(&bert, 1);
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM messages WHERE key_id = 0 AND text LIKE '%%" CANARY
                            "%%'") == 1);
    assert_int_equal(topic_holds(pl, "im.conversation", CANARY, &records), 1);
    /* The read models forget all the same; the log cannot. */
    PL_CTL(pl, "erase", "user", anna.login, "--yes");
    assert_int_equal(texts_with(pl, CANARY), 0);
    assert_int_equal(history(&bert, anna.login).erased, 1);
    made_again_it_is_the_same(pl);
    person_free(&anna);
    person_free(&bert);
}

/* One more key in the ring; everything is sealed under it; then the old one goes. */
static void the_master_key_is_changed(void **state)
{
    (void)state;
    struct pl *pl = pl_up(&(struct pl_conf){.n = {1, 1, 1, 1, 1, 1}});
    struct person anna = {0}, bert = {0};
    char path[512], old[80] = "";
    static const char new[] = "77 9f5fcd1ee2a3a4b7c9d0e1f20314253647586970a1b2c3d4e5f60718293a4b5c\n";
    person_new(&anna, pl, 0, "anna", "a1");
    person_new(&bert, pl, 0, "bert", "b1");
    person_placed(&anna, person_say(&anna, bert.login, "under the old key"));
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM messages") == 1);
    snprintf(path, sizeof path, "%s", pl_config(pl));
    snprintf(strrchr(path, '/'), 16, "/master.key");
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_non_null(fgets(old, sizeof old, f));
    fprintf(f, "%s", new);
    assert_int_equal(fclose(f), 0);
    for (int k = 0; k < PL_QUERY; k++) {
        pl_stop(pl, (enum pl_kind)k, 0, SIGTERM);
        pl_start(pl, (enum pl_kind)k, 0, NULL);
    }
    pl_wait_ready(pl);
    json_t *j = json_loads(PL_CTL(pl, "vault", "rotate", "--dry-run", "--json"), 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(j, "under other keys")), 2);
    json_decref(j);
    j = json_loads(PL_CTL(pl, "vault", "rotate", "--json"), 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(j, "under other keys")), 0);
    assert_int_equal(json_integer_value(json_object_get(j, "master key")), 77);
    json_decref(j);
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM verifiers WHERE master_key = 77") == 2);
    assert_int_equal(unlink(path), 0);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    fprintf(f, "%s", new);
    assert_int_equal(fclose(f), 0);
    for (int k = 0; k < PL_QUERY; k++) {
        pl_stop(pl, (enum pl_kind)k, 0, SIGTERM);
        pl_start(pl, (enum pl_kind)k, 0, NULL);
    }
    pl_wait_ready(pl);
    person_connect(&anna, pl, 0);
    assert_int_equal(person_login(&anna, anna.login, "correct horse", "a1"), 0);
    person_placed(&anna, person_say(&anna, bert.login, "under the new key"));
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM messages WHERE text LIKE 'under the %%'") == 2);
    made_again_it_is_the_same(pl);
    person_free(&anna);
    person_free(&bert);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_erased_person_is_forgotten),
        cmocka_unit_test(sealing_may_be_off),
        cmocka_unit_test(the_master_key_is_changed),
    };
    return pl_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
