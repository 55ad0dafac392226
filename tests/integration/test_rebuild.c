/* router and offline on real servers: nothing is lost when they are killed, and Redis comes again from the log. */
#include "tests/integration/deployment.h"

#include "common/base/bytes.h"
#include "common/im/codec.h"
#include "offline/core.h"
#include "router/core.h"

#include <hiredis/hiredis.h>
#include <sys/prctl.h>

#define USERS 40
#define CHATS 400

struct world {
    struct deployment d;
    pid_t router, offline;
    redisContext *redis;
};

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct world));
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    struct world *w = *state;
    if (w->router)
        deployment_stop(&w->d, w->router, SIGKILL);
    if (w->offline)
        deployment_stop(&w->d, w->offline, SIGKILL);
    if (w->redis)
        redisFree(w->redis);
    if (w->d.topics)
        deployment_release(&w->d);
    free(w);
    return 0;
}

static void begin(struct world *w)
{
    char host[128];
    const char *url = server("PARLEY_REDIS");
    deployment_init(&w->d);
    const char *at = strstr(url, "://") ? strstr(url, "://") + 3 : url;
    snprintf(host, sizeof host, "%.*s", (int)strcspn(at, ":/"), at);
    w->redis = redisConnect(host, (int)strtol(at + strlen(host) + 1, NULL, 10));
    assert_non_null(w->redis);
    assert_int_equal(w->redis->err, 0);
}

static void start(struct world *w)
{
    w->router = deployment_start(&w->d, "router", NULL);
    w->offline = deployment_start(&w->d, "offline", NULL);
}

static const char *name(int user)
{
    static char text[32];
    snprintf(text, sizeof text, "user%d", user);
    return text;
}

static void produce(struct world *w, uint16_t topic, struct slice key, const ProtobufCMessage *m)
{
    uint8_t value[2048];
    int n = codec_pack_into(m, value, sizeof value);
    assert_true(n > 0);
    struct record r = {.key = key, .value = {value, (size_t)n}};
    deployment_produce(&w->d, topic, &r);
}

static void inbound(struct world *w, int user, Im__Inbound *m, uint32_t handle, uint32_t device,
                    uint64_t login)
{
    struct id16 id = id_user(name(user));
    struct session s = {.slot = 1, .epoch = 5, .handle = handle, .device = device, .login_offset = login};
    Im__Session pb;
    if (device)
        s.user = id;
    session_to_pb(&s, &pb);
    m->version = 1;
    m->session = &pb;
    produce(w, T_INBOUND, slice_id(&id), &m->base);
}

static void register_and_login(struct world *w, int user, const char *device)
{
    Im__InRegister r = IM__IN_REGISTER__INIT;
    Im__InLogin l = IM__IN_LOGIN__INIT;
    Im__Inbound m = IM__INBOUND__INIT;
    r.login = (char *)(uintptr_t)name(user);
    r.display_name = "Somebody";
    r.verifier = codec_bytes(slice_of("\1\0\0\0\1sealed", 11));
    m.body_case = IM__INBOUND__BODY_REGISTER_;
    m.register_ = &r;
    inbound(w, user, &m, 1, 0, 0);
    l.device_id = (char *)(uintptr_t)device;
    m.body_case = IM__INBOUND__BODY_LOGIN;
    m.login = &l;
    inbound(w, user, &m, (uint32_t)user + 100, 0, 0);
}

static void end(struct world *w, int user)
{
    Im__InEnd e = IM__IN_END__INIT;
    Im__Inbound m = IM__INBOUND__INIT;
    m.body_case = IM__INBOUND__BODY_END;
    m.end = &e;
    inbound(w, user, &m, (uint32_t)user + 100, 1, 1);
}

static void chat(struct world *w, int user, uint64_t seq)
{
    Im__InChat c = IM__IN_CHAT__INIT;
    Im__Body body = IM__BODY__INIT;
    Im__Inbound m = IM__INBOUND__INIT;
    struct id16 me = id_user(name(user)), peer = id_user("somebody else"), conv = id_direct(me, peer);
    struct id16 msg = id_message(me, 1, seq);
    c.conversation = codec_bytes(slice_id(&conv));
    c.peer = codec_bytes(slice_id(&peer));
    c.msg_id = codec_bytes(slice_id(&msg));
    c.client_seq = seq;
    body.text = "hello";
    c.body = &body;
    m.body_case = IM__INBOUND__BODY_CHAT;
    m.chat = &c;
    inbound(w, user, &m, (uint32_t)user + 100, 1, 1);
}

static void item(struct world *w, int user, uint64_t seq)
{
    struct id16 id = id_user(name(user)), conv = id_user("a conversation");
    Im__OfflineRecord m = IM__OFFLINE_RECORD__INIT;
    Im__OffItem b = IM__OFF_ITEM__INIT;
    Im__QueueItem q = IM__QUEUE_ITEM__INIT;
    q.conversation = codec_bytes(slice_id(&conv));
    q.seq = seq;
    q.payload = codec_bytes(slice_of("\x10\x07", 2));
    b.item = &q;
    m.version = 1;
    m.user = codec_bytes(slice_id(&id));
    m.body_case = IM__OFFLINE_RECORD__BODY_ITEM;
    m.item = &b;
    produce(w, T_OFFLINE, slice_id(&id), &m.base);
}

static void cursor(struct world *w, int user, uint64_t upto)
{
    struct id16 id = id_user(name(user)), conv = id_user("a conversation");
    Im__CursorRecord m = IM__CURSOR_RECORD__INIT;
    uint8_t key[KEY_CURSOR], value[128];
    key_cursor(id, 1, conv, key);
    m.version = 1;
    m.user = codec_bytes(slice_id(&id));
    m.device = 1;
    m.conversation = codec_bytes(slice_id(&conv));
    m.from = 1;
    m.upto = upto;
    int n = codec_pack_into(&m.base, value, sizeof value);
    /* placed by the user, keyed by more */
    assert_int_equal(
        rd_kafka_producev(w->d.producer, RD_KAFKA_V_TOPIC(topics_name(w->d.topics, T_CURSOR)),
                          RD_KAFKA_V_PARTITION(topics_partition(w->d.topics, T_CURSOR, slice_id(&id))),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, sizeof key),
                          RD_KAFKA_V_VALUE(value, (size_t)n), RD_KAFKA_V_END),
        0);
}

static bool all_done(struct world *w)
{
    return deployment_caught_up(&w->d, GROUP_ROUTER, T_INBOUND) &&
           deployment_caught_up(&w->d, GROUP_OFFLINE, T_OFFLINE) &&
           deployment_caught_up(&w->d, GROUP_OFFLINE, T_CURSOR);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every row of a table, sorted, as text. */
static char *dump(struct world *w, const char *group, int table)
{
    char *lines[4096];
    size_t n = 0;
    struct bytes all = {0};
    for (int part = 0; part < 2; part++) {
        redisReply *r = redisCommand(w->redis, "HGETALL %sparley:{%s%s:%d}:t%d", w->d.prefix, w->d.prefix,
                                     group, part, table);
        assert_non_null(r);
        assert_int_equal(r->type, REDIS_REPLY_ARRAY);
        for (size_t i = 0; i + 1 < r->elements && n < 4096; i += 2) {
            struct bytes b = {0};
            for (size_t k = i; k < i + 2; k++)
                for (size_t c = 0; c < r->element[k]->len; c++)
                    bytes_printf(&b, "%02x", (uint8_t)r->element[k]->str[c]);
            lines[n++] = (char *)b.p;
        }
        freeReplyObject(r);
    }
    qsort(lines, n, sizeof *lines, by_text);
    bytes_printf(&all, "%zu rows\n", n);
    for (size_t i = 0; i < n; i++) {
        bytes_printf(&all, "%s\n", lines[i]);
        free(lines[i]);
    }
    return (char *)all.p;
}

/* What FLUSHALL would do, without harming other tests. */
static void lose_everything(struct world *w)
{
    redisReply *keys = redisCommand(w->redis, "KEYS %s*", w->d.prefix);
    assert_non_null(keys);
    assert_true(keys->elements > 4);
    for (size_t i = 0; i < keys->elements; i++)
        freeReplyObject(redisCommand(w->redis, "DEL %b", keys->element[i]->str, keys->element[i]->len));
    freeReplyObject(keys);
}

static bool has(struct world *w, const char *group, int table, const char *expected)
{
    char *now = dump(w, group, table);
    bool same = strcmp(now, expected) == 0;
    free(now);
    return same;
}

static void redis_comes_again_from_the_log(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *group;
        int table;
    } tables[] = {{"parley-router", ROUTER_ACCOUNT},
                  {"parley-offline", OFFLINE_USER},
                  {"parley-offline", OFFLINE_ITEM},
                  {"parley-offline", OFFLINE_CURSORS}};
    char *before[ARRAY_LEN(tables)];
    begin(w);
    start(w);
    for (int u = 0; u < USERS; u++)
        register_and_login(w, u, "phone");
    deployment_flush(&w->d);
    UNTIL(all_done(w));
    for (int u = 0; u < USERS; u++) {
        if (u % 3 == 0)
            end(w, u);
        for (uint64_t seq = 1; seq <= 20; seq++)
            item(w, u, seq);
        cursor(w, u, (uint64_t)u % 10);
    }
    deployment_flush(&w->d);
    UNTIL(all_done(w));
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        before[i] = dump(w, tables[i].group, tables[i].table);
    assert_memory_equal(before[0], "40 rows", 7);
    assert_memory_equal(before[2], "620 rows", 8);

    for (int running = 0; running < 2; running++) { /* killed meanwhile, and under way */
        if (!running) {
            deployment_stop(&w->d, w->router, SIGKILL);
            deployment_stop(&w->d, w->offline, SIGKILL);
        }
        lose_everything(w);
        if (!running)
            start(w);
        for (int u = 0; u < 4 && running; u++) { /* it shows when they next touch it; nothing changes */
            chat(w, u, 1);
            cursor(w, u, (uint64_t)u % 10);
        }
        deployment_flush(&w->d);
        for (size_t i = 0; i < ARRAY_LEN(tables); i++)
            UNTIL(has(w, tables[i].group, tables[i].table, before[i]));
        UNTIL(all_done(w));
    }
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        free(before[i]);
}

struct seen {
    uint64_t highest;
    size_t n, repeats;
};

static void see(void *ctx, int32_t part, struct slice value)
{
    struct seen *s = ctx;
    (void)part;
    Im__ConvRecord *c = im__conv_record__unpack(NULL, value.n, value.p);
    assert_non_null(c);
    if (c->client_seq > s->highest) {
        assert_int_equal(c->client_seq, s->highest + 1); /* first occurrences are in order, without holes */
        s->highest = c->client_seq;
        s->n++;
    } else {
        s->repeats++;
    }
    im__conv_record__free_unpacked(c, NULL);
}

static void a_killed_router_loses_and_reorders_nothing(void **state)
{
    struct world *w = *state;
    begin(w);
    start(w);
    register_and_login(w, 1, "phone");
    for (uint64_t seq = 1; seq <= CHATS; seq++) {
        chat(w, 1, seq);
        if (seq % (CHATS / 2) == 0) {
            deployment_flush(&w->d);
            UNTIL(deployment_end(&w->d, T_CONVERSATION, 0) + deployment_end(&w->d, T_CONVERSATION, 1) >
                  (int64_t)seq - CHATS / 8);
            deployment_stop(&w->d, w->router, SIGKILL);
            w->router = deployment_start(&w->d, "router", NULL);
        }
    }
    deployment_flush(&w->d);
    UNTIL(deployment_caught_up(&w->d, GROUP_ROUTER, T_INBOUND));
    struct seen s = {0};
    deployment_read(&w->d, T_CONVERSATION, see, &s);
    assert_int_equal(s.n, CHATS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(redis_comes_again_from_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(a_killed_router_loses_and_reorders_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
