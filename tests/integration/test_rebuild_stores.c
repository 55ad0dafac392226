/* parleyctl rebuild queues, accounts, checkpoints: what Redis holds against what the log says, under traffic; planted
 * differences are found; a swap puts it right and nobody notices. */
#include "tests/support/person.h"
#include "tests/support/pipeline_int.h"
#include "tests/support/traffic.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static struct pl *pl;
static const char *const words[] = {"queues", "accounts", "checkpoints"};

static int setup(void **state)
{
    (void)state;
    pl = pl_up(&(struct pl_conf){.n = {[PL_EDGE] = 2,
                                       [PL_ROUTER] = 1,
                                       [PL_FANOUT] = 1,
                                       [PL_PERSISTER] = 1,
                                       [PL_OFFLINE] = 1,
                                       [PL_QUERY] = 1},
                                 .settings = "{\"edge\": {\"login\": \"60s\", \"tries\": 10000}}"});
    return 0;
}

/* ---- parleyctl, while traffic goes on ---- */

static char said[64 << 10];

/* Its exit status; what it wrote is in `said`. t may be NULL. */
static int ctl(struct traffic *t, const char *const *args)
{
    char path[PATH_MAX + 32], bin[PATH_MAX + 32];
    const char *argv[16] = {bin, "rebuild"};
    int status = 0;
    for (int i = 0; args[i] && i < 12; i++)
        argv[i + 2] = args[i];
    snprintf(path, sizeof path, "%s/said", pl_folder(pl));
    snprintf(bin, sizeof bin, "%s/parleyctl", pl_bins(pl));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
        pl_environment(pl);
        dup2(fd, 1);
        execv(bin, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (t) {
            traffic_turn(t);
            traffic_in_time(t, by, "parleyctl to end");
        } else {
            pl_turn(pl, by, "parleyctl to end", __FILE__, __LINE__);
        }
    }
    char *text = pl_read_file(path);
    snprintf(said, sizeof said, "%s", text);
    free(text);
    if (!WIFEXITED(status))
        fail_msg("parleyctl died: %d", status);
    return WEXITSTATUS(status);
}
#define CTL(t, ...) ctl(t, (const char *const[]){__VA_ARGS__, NULL})

/* Each line is an object; calls fn. */
static size_t lines(void (*fn)(void *, json_t *), void *ctx)
{
    size_t n = 0;
    char *rest = said;
    for (char *line = strsep(&rest, "\n"); line && *line; line = strsep(&rest, "\n"), n++) {
        json_t *j = json_loads(line, 0, NULL);
        if (!j)
            fail_msg("no JSON: %s", line);
        fn(ctx, j);
        json_decref(j);
    }
    return n;
}

static const char *text_of(json_t *j, const char *name)
{
    const char *s = json_string_value(json_object_get(j, name));
    return s ? s : "";
}

struct report {
    json_int_t rows, records;
    size_t equal, different, swapped;
    char first[400];
};

static void take_line(void *ctx, json_t *j)
{
    struct report *t = ctx;
    if (json_object_get(j, "swapped")) {
        t->swapped++;
        return;
    }
    assert_string_not_equal(text_of(j, "rebuilt"), "");
    t->records += json_integer_value(json_object_get(j, "records"));
    t->rows += json_integer_value(json_object_get(j, "rows"));
    if (!json_object_get(j, "live"))
        return; /* not compared */
    if (json_is_true(json_object_get(j, "equal"))) {
        t->equal++;
        assert_string_equal(text_of(j, "live"), text_of(j, "shadow"));
    } else if (!t->different++) {
        assert_string_not_equal(text_of(j, "live"), text_of(j, "shadow"));
        snprintf(t->first, sizeof t->first, "%s", text_of(j, "first"));
    }
}

static struct report report(void)
{
    struct report t = {0};
    lines(take_line, &t);
    return t;
}

static void agree(struct traffic *t, const char *word)
{
    int rc = CTL(t, word, "--verify", "--json", "-q");
    struct report r = report();
    if (rc || r.equal != 2 || r.rows == 0)
        fail_msg("%s: exit %d, %zu partitions equal, %d rows; first difference: %s", word, rc, r.equal,
                 (int)r.rows, r.first);
}

/* ---- Redis ---- */

static redisReply *redis(const char *fmt, ...)
{
    char host[64];
    va_list ap;
    const char *url = getenv("PARLEY_REDIS"), *at = strstr(url, "://") ? strstr(url, "://") + 3 : url;
    snprintf(host, sizeof host, "%.*s", (int)strcspn(at, ":/"), at);
    redisContext *c = redisConnect(host, (int)strtol(at + strlen(host) + 1, NULL, 10));
    va_start(ap, fmt);
    redisReply *r = redisvCommand(c, fmt, ap);
    va_end(ap);
    if (!r || r->type == REDIS_REPLY_ERROR)
        fail_msg("Redis: %s", r ? r->str : c->errstr);
    redisFree(c);
    return r;
}

/* The key of a table that has rows: of either partition. */
static void table(const char *group, int number, char key[200])
{
    for (int part = 0; part < 2; part++) {
        snprintf(key, 200, "%sparley:{%s%s:%d}:t%d", pl_prefix(pl), pl_prefix(pl), group, part, number);
        redisReply *r = redis("HLEN %s", key);
        bool any = r->integer > 0;
        freeReplyObject(r);
        if (any)
            return;
    }
    fail_msg("table %d of %s has no row", number, group);
}

/* Takes the first row away; or with `how` appends to it. */
static void spoil(const char *group, int number, const char *how)
{
    char key[200];
    table(group, number, key);
    redisReply *all = redis("HGETALL %s", key), *r;
    const redisReply *k = all->element[0], *v = all->element[1];
    if (how)
        r = redis("HSET %s %b %b", key, k->str, k->len, how, strlen(how));
    else
        r = redis("HDEL %s %b", key, k->str, k->len);
    (void)v;
    freeReplyObject(r);
    freeReplyObject(all);
}

static size_t keys_of(const char *side)
{
    redisReply *r = redis("KEYS %sparley.%s:*", pl_prefix(pl), side);
    size_t n = r->elements;
    freeReplyObject(r);
    return n;
}

/* ---- tests ---- */

static void usage(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        assert_int_equal(CTL(NULL, words[i], "--help"), 0);
        assert_memory_equal(said, "Examples\n", 9);
        assert_int_equal(CTL(NULL, words[i], "everything"), 2);
        assert_int_equal(CTL(NULL, words[i], "--wrong"), 2);
    }
}

/* Somebody has two devices, one of them away with messages waiting. */
static void leave_messages(struct person *away, struct person *writer)
{
    person_new(away, pl, 0, "away", "phone");
    person_new(writer, pl, 1, "writer", "phone");
    person_placed(writer, person_say(writer, away->login, "before"));
    person_wait_said(away, 1);
    person_confirm(away);
    person_hang_up(away);
    for (int i = 0; i < 20; i++)
        person_placed(writer, person_say(writer, away->login, "waiting %d", i));
}

static void live_and_log_agree_under_traffic(void **state)
{
    (void)state;
    struct person away = {0}, writer = {0};
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){0});
    leave_messages(&away, &writer);
    traffic_more(t, 50);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        agree(t, words[i]);
    assert_int_equal(keys_of("shadow") + keys_of("copy"), 0);
    traffic_settle(t);
    person_free(&away);
    person_free(&writer);
}

static void a_swap_is_not_noticed(void **state)
{
    (void)state;
    struct person away = {0}, writer = {0};
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){0});
    leave_messages(&away, &writer);
    traffic_more(t, 50);
    assert_int_equal(CTL(t, "queues", "--swap", "--dry-run", "--json", "-q"), 0);
    assert_int_equal(report().swapped, 0);
    assert_int_equal(CTL(t, "queues", "--swap", "--json", "-q"), 1); /* nobody to ask */
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
            assert_int_equal(CTL(t, words[i], "--swap", "--yes", "--json", "-q"), 0);
            assert_int_equal(report().swapped, 2);
            traffic_more(t, 20);
        }
    assert_int_equal(traffic_reconnects(t), 0);
    assert_int_equal(traffic_refused(t), 0);
    traffic_settle(t);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        agree(NULL, words[i]);
    person_connect(&away, pl, 1);
    person_forget(&away);
    assert_int_equal(person_login(&away, away.login, "correct horse", "phone"), 0);
    person_wait_said(&away, 20);
    person_confirm(&away);
    assert_int_equal(away.n_said, 20);
    person_free(&away);
    person_free(&writer);
}

/* Messages in the queues of a person's devices. */
static size_t waiting(const struct person *p)
{
    size_t n = 0;
    for (int part = 0; part < 2; part++) {
        redisReply *r = redis("HKEYS %sparley:{%sparley-offline:%d}:t4", pl_prefix(pl), pl_prefix(pl), part);
        for (size_t i = 0; i < r->elements; i++)
            n += r->element[i]->len >= 16 && !memcmp(r->element[i]->str, p->user, 16);
        freeReplyObject(r);
    }
    return n;
}

static void await_waiting(const struct person *p, size_t n)
{
    int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
    while (waiting(p) != n)
        pl_turn(pl, by, "the queue to hold what it should", __FILE__, __LINE__);
}

/* The device says that it has from … upto of the conversation of the first message that comes, and is gone. */
static void claim(struct person *p, uint64_t from, uint64_t upto)
{
    Im__DeliveryAck m = IM__DELIVERY_ACK__INIT;
    Im__Cursor cursor = IM__CURSOR__INIT, *list = &cursor;
    person_connect(p, pl, 1);
    assert_int_equal(person_login(p, p->login, "correct horse", "phone"), 0);
    person_wait_said(p, 1);
    cursor.conversation = (ProtobufCBinaryData){16, p->said[0].conv};
    cursor.from = from;
    cursor.upto = upto;
    m.cursors = &list;
    m.n_cursors = 1;
    assert_int_equal(raw_send(p->raw, IM__FRAME_TYPE__DELIVERY_ACK, 0, &m.base), 0);
    person_pull(p, 0, 1); /* its answer says that the claim was read */
    person_hang_up(p);
}

/* Of two claims apart the log keeps the higher: what the lower one took out of the queue is nobody's loss. */
static void a_claim_with_a_hole_is_no_difference(void **state)
{
    struct person away = {0}, writer = {0};
    (void)state;
    leave_messages(&away, &writer);
    await_waiting(&away, 20);
    agree(NULL, "queues");
    claim(&away, 1, 10);
    await_waiting(&away, 11);
    agree(NULL, "queues");
    claim(&away, 15, 21);
    await_waiting(&away, 4);
    agree(NULL, "queues");
    assert_int_equal(CTL(NULL, "queues", "--verify", "--swap", "--yes", "-q"), 0);
    agree(NULL, "queues");
    claim(&away, 1, 21); /* nothing stays that is not compared: the next test spoils any item */
    await_waiting(&away, 0);
    person_free(&away);
    person_free(&writer);
}

/* What was spoiled is found, named, and put right. */
static void a_planted_difference_is_found(void **state)
{
    static const struct {
        const char *word, *group, *how, *named;
        int table;
    } planted[] = {
        {"queues", "parley-offline", NULL, "missing", 4}, /* an item */
        {"queues", "parley-offline", "something else", "another row", 4},
        {"accounts", "parley-router", NULL, "missing", 1},
        {"checkpoints", "parley-fanout", NULL, "missing", 1},
        {"checkpoints", "parley-fanout", "\1\2\3", "another row", 1},
    };
    struct person away = {0}, writer = {0};
    (void)state;
    leave_messages(&away, &writer);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        agree(NULL, words[i]);
    for (size_t i = 0; i < ARRAY_LEN(planted); i++) {
        spoil(planted[i].group, planted[i].table, planted[i].how);
        assert_int_equal(CTL(NULL, planted[i].word, "--verify", "--json", "-q"), 1);
        struct report r = report();
        assert_int_equal(r.different, 1);
        assert_int_equal(r.equal, 1);
        if (!strstr(r.first, planted[i].named))
            fail_msg("%s: %s", planted[i].word, r.first);
        assert_int_equal(CTL(NULL, planted[i].word, "--verify", "--swap", "--yes", "-q"), 0);
        agree(NULL, planted[i].word);
    }
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){0});
    traffic_more(t, 30);
    traffic_settle(t);
    person_free(&away);
    person_free(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usage),
        cmocka_unit_test(live_and_log_agree_under_traffic),
        cmocka_unit_test(a_swap_is_not_noticed),
        cmocka_unit_test(a_claim_with_a_hole_is_no_difference),
        cmocka_unit_test(a_planted_difference_is_found),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, NULL));
}
