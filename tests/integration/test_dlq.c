/* Records that nobody can read, in every topic: they are set aside with a reason and the partition moves on; and what an
 * operator does about them. */
#include "tests/support/person.h"
#include "tests/unit/convlog.h"

#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct pl *pl;
static struct topics *topics;
static rd_kafka_t *producer;
static struct person ann, ben;

static int setup(void **state)
{
    char err[300];
    (void)state;
    pl = pl_up(&(struct pl_conf){.n = {1, 1, 1, 1, 1}});
    topics = topics_new("schema/topics.json", "small", pl_prefix(pl), err, sizeof err);
    assert_non_null(topics);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", getenv("PARLEY_KAFKA"), NULL, 0);
    rd_kafka_conf_set(conf, "message.max.bytes", "2097152", NULL, 0);
    producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, err, sizeof err);
    assert_non_null(producer);
    person_new(&ann, pl, 0, "ann", "phone");
    person_new(&ben, pl, 0, "ben", "phone");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    person_free(&ann);
    person_free(&ben);
    if (producer)
        rd_kafka_destroy(producer);
    topics_free(topics);
    return 0;
}

static int64_t high(uint16_t topic, int32_t part)
{
    int64_t lo, hi = -1;
    assert_int_equal(
        rd_kafka_query_watermark_offsets(producer, topics_name(topics, topic), part, &lo, &hi, 20000), 0);
    return hi;
}

static void put(uint16_t topic, int32_t part, struct slice key, struct slice value)
{
    assert_int_equal(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topics_name(topics, topic)),
                                       RD_KAFKA_V_PARTITION(part),
                                       RD_KAFKA_V_KEY((void *)(uintptr_t)key.p, key.n),
                                       RD_KAFKA_V_VALUE((void *)(uintptr_t)value.p, value.n),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
                     0);
    assert_int_equal(rd_kafka_flush(producer, 20000), 0);
}

/* Exit status; the lines of JSON that came in *all (may be NULL). */
static int ctl(json_t **all, const char *const *args)
{
    const char *argv[24] = {"parleyctl", "-q", "--json", "--yes"};
    char *out = NULL;
    for (int i = 4; *args && i < 23; i++)
        argv[i] = *args++;
    int rc = pl_run(pl, argv, NULL, &out);
    json_t *list = json_array();
    char *rest = out;
    for (char *line; (line = strsep(&rest, "\n"));) {
        json_t *j = *line == '{' ? json_loads(line, 0, NULL) : NULL;
        if (*line == '{' && !j)
            fail_msg("not JSON: %s", line);
        if (j)
            json_array_append_new(list, j);
    }
    free(out);
    if (all)
        *all = list;
    else
        json_decref(list);
    return rc;
}
#define CTL(all, ...) ctl(all, (const char *const[]){__VA_ARGS__, NULL})

static const char *field(const json_t *j, const char *name)
{
    const char *s = json_string_value(json_object_get(j, name));
    return s ? s : "";
}

/* The dead letter of this place; NULL: none. */
static const json_t *letter(const json_t *all, uint16_t topic, int32_t part, int64_t offset)
{
    size_t i;
    const json_t *j;
    json_array_foreach(all, i, j)
    {
        if (!strcmp(field(j, "topic"), topics_name(topics, topic)) &&
            json_integer_value(json_object_get(j, "partition")) == part &&
            json_integer_value(json_object_get(j, "offset")) == offset)
            return j;
    }
    return NULL;
}

static void talk(void) /* everybody still does what they are there for */
{
    size_t had = ben.n_said;
    person_placed(&ann, person_say(&ann, ben.login, "still there?"));
    person_wait_said(&ben, had + 1);
}

static const struct {
    uint16_t topic;
    struct slice value;
    const char *error;
} poisons[] = {
    {T_INBOUND, {"\xff\xff\xff", 3}, "undecodable: not a protobuf"},
    {T_INBOUND, {"\x08\x09", 2}, "unknown version: 9"},
    {T_INBOUND, {"\x08\x01\x22\x01z", 5}, "over limits: "}, /* a trace of one byte */
    {T_OFFLINE, {"", 0}, "undecodable: no value"},
    {T_OFFLINE, {"\x08\x09", 2}, "unknown version: 9"},
    {T_OFFLINE, {"\x08\x01", 2}, "over limits: "},
    {T_USER, {"\xff\xff\xff", 3}, "undecodable: not a protobuf"},
    {T_USER, {"\x08\x01\x22\x01\xff", 5}, "undecodable: login is not text"},
    {T_USER, {"\x08\x01", 2}, "over limits: "},
    {T_CONVERSATION, {"\xff\xff\xff", 3}, "undecodable: not a protobuf"},
    {T_CONVERSATION, {"\x08\x01", 2}, "over limits: "},
    {T_CURSOR, {"\xff", 1}, "undecodable: not a protobuf"},
    {T_VAULT, {"\x08\x01", 2}, "over limits: "},
};

static void poison_is_set_aside_and_the_partition_moves_on(void **state)
{
    int64_t at[ARRAY_LEN(poisons)][2];
    json_t *all = NULL;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(poisons); i++)
        for (int32_t p = 0; p < 2; p++) {
            at[i][p] = high(poisons[i].topic, p);
            put(poisons[i].topic, p, (struct slice){"a key", 5}, poisons[i].value);
        }
    uint8_t *big = calloc(1, 2080000); /* longer than a dead letter may be */
    int64_t big_at = high(T_INBOUND, 0);
    put(T_INBOUND, 0, (struct slice){"a key", 5}, (struct slice){big, 2080000});
    free(big);
    talk();
    int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
    size_t found = 0;
    while (found < 2 * ARRAY_LEN(poisons) + 1) {
        pl_turn(pl, by, "all dead letters", __FILE__, __LINE__);
        json_decref(all);
        assert_int_equal(CTL(&all, "dlq", "list"), 0);
        found = letter(all, T_INBOUND, 0, big_at) != NULL;
        for (size_t i = 0; i < ARRAY_LEN(poisons); i++)
            for (int32_t p = 0; p < 2; p++)
                found += letter(all, poisons[i].topic, p, at[i][p]) != NULL;
    }
    assert_int_equal(json_array_size(all), found);
    for (size_t i = 0; i < ARRAY_LEN(poisons); i++) {
        const char *error = field(letter(all, poisons[i].topic, 1, at[i][1]), "error");
        if (strncmp(error, poisons[i].error, strlen(poisons[i].error)) != 0)
            fail_msg("%zu: %s", i, error);
    }
    json_decref(all);
    UNTIL(pl, pl_metric(pl, PL_ROUTER, 0, "parley_dead_letters_total") >= 7);
    UNTIL(pl, pl_metric(pl, PL_PERSISTER, 0, "parley_dead_letters_total") >= 8);
    UNTIL(pl, pl_metric(pl, PL_FANOUT, 0, "parley_dead_letters_total") >= 4);
    talk();
    assert_int_equal(pl_number(pl, "SELECT count(*) FROM messages WHERE text IS NULL AND kind = 1") >= 0, 1);
}

static void filters_and_show(void **state)
{
    json_t *all;
    (void)state;
    assert_int_equal(CTL(&all, "dlq", "list", "--topic", "offline", "--error", "version"), 0);
    assert_int_equal(json_array_size(all), 2);
    assert_string_equal(field(json_array_get(all, 0), "processes"), "offline");
    json_decref(all);
    assert_int_equal(CTL(&all, "dlq", "list", "--until", "1h"), 0);
    assert_int_equal(json_array_size(all), 0);
    json_decref(all);
    /* what two groups read is one dead letter */
    assert_int_equal(CTL(&all, "dlq", "show", "--topic", "conversation", "--since", "1h"), 0);
    assert_int_equal(json_array_size(all), 4);
    const json_t *j = json_array_get(all, 0);
    assert_non_null(strstr(field(j, "processes"), "fanout"));
    assert_non_null(strstr(field(j, "processes"), "persister"));
    assert_string_equal(field(j, "value"), "ffffff");
    assert_string_equal(field(j, "key"), "61206b6579");
    assert_true(strlen(field(j, "instance")) > 0);
    json_decref(all);
    assert_int_equal(CTL(&all, "doctor"), 0); /* a warning */
    size_t i;
    bool warned = false;
    json_array_foreach(all, i, j) warned |=
        !strcmp(field(j, "check"), "dead letters") && !strcmp(field(j, "state"), "WARN");
    assert_true(warned);
    json_decref(all);
    assert_int_equal(CTL(NULL, "dlq", "show", "inbound/0@999999"), 1);
    assert_int_equal(CTL(NULL, "dlq", "show"), 2);
    assert_int_equal(CTL(NULL, "dlq", "retry"), 2);
    assert_int_equal(CTL(NULL, "dlq", "list", "--since", "yesterday"), 2);
}

/* A dead letter of a record that can be read now, as an older router would have written it: ann's own chat. */
static void bury(int64_t offset, uint64_t client_seq, const char *text, struct slice *value)
{
    static uint8_t letters[4096], inner[2048];
    uint8_t msg[ID_SIZE], conv[ID_SIZE], mine[ID_SIZE], peer[ID_SIZE];
    struct id16 a = id_user(ann.login), b = id_user(ben.login), c = id_direct(a, b),
                m = id_message(a, ann.device, client_seq);
    memcpy(mine, a.b, ID_SIZE);
    memcpy(peer, b.b, ID_SIZE);
    memcpy(conv, c.b, ID_SIZE);
    memcpy(msg, m.b, ID_SIZE);
    Im__Inbound in = IM__INBOUND__INIT;
    Im__Session s = IM__SESSION__INIT;
    Im__InChat chat = IM__IN_CHAT__INIT;
    Im__Body body = IM__BODY__INIT;
    Im__DlqRecord d = IM__DLQ_RECORD__INIT;
    s.user = (ProtobufCBinaryData){ID_SIZE, mine};
    s.device = ann.device;
    s.login_offset = ann.base >> 20; /* not the session's: the router judges by what is in the log */
    chat.conversation = (ProtobufCBinaryData){ID_SIZE, conv};
    chat.msg_id = (ProtobufCBinaryData){ID_SIZE, msg};
    chat.peer = (ProtobufCBinaryData){ID_SIZE, peer};
    chat.peer_login = ben.login;
    chat.client_seq = client_seq;
    body.text = (char *)(uintptr_t)text;
    chat.body = &body;
    in.version = 1;
    in.session = &s;
    in.body_case = IM__INBOUND__BODY_CHAT;
    in.chat = &chat;
    size_t n = im__inbound__pack(&in, inner);
    d.version = 1;
    d.topic = (char *)(uintptr_t)topics_name(topics, T_INBOUND);
    d.part = topics_partition(topics, T_INBOUND, (struct slice){mine, ID_SIZE});
    d.offset = offset;
    d.key = (ProtobufCBinaryData){ID_SIZE, mine};
    d.value = (ProtobufCBinaryData){n, inner};
    d.error = "unknown version: 1";
    d.process = "router";
    put(T_DLQ, 0, (struct slice){mine, ID_SIZE}, (struct slice){letters, im__dlq_record__pack(&d, letters)});
    *value = (struct slice){inner, n};
}

static void mark_begun(int32_t part, int64_t offset, int64_t from)
{
    uint8_t v[512], run[8] = "another";
    Im__DlqRecord d = IM__DLQ_RECORD__INIT;
    d.version = 1;
    d.topic = (char *)(uintptr_t)topics_name(topics, T_INBOUND);
    d.part = part;
    d.offset = offset;
    d.process = "parleyctl";
    d.mark = IM__DLQ_MARK__DLQ_RETRYING;
    d.run = (ProtobufCBinaryData){sizeof run, run};
    d.retried = from;
    put(T_DLQ, 0, (struct slice){NULL, 0}, (struct slice){v, im__dlq_record__pack(&d, v)});
}

static int32_t anns_part(void)
{
    struct id16 a = id_user(ann.login);
    return topics_partition(topics, T_INBOUND, (struct slice){a.b, ID_SIZE});
}

static void name_of(char out[200], int64_t offset)
{
    snprintf(out, 200, "%s/%d@%lld", topics_name(topics, T_INBOUND), (int)anns_part(), (long long)offset);
}

static void retried_once(void **state)
{
    char name[200];
    struct slice value;
    json_t *all;
    int32_t part = anns_part();
    (void)state;
    person_logout(&ann); /* nobody else writes there */
    UNTIL(pl, pl_metric(pl, PL_ROUTER, 0, "parley_core_lag_records") == 0);
    bury(1000001, 77001, "from the dead", &value);
    name_of(name, 1000001);
    int64_t before = high(T_INBOUND, part);
    assert_int_equal(CTL(NULL, "dlq", "retry", name, "--dry-run"), 0);
    assert_int_equal(high(T_INBOUND, part), before);
    assert_int_equal(CTL(&all, "dlq", "retry", name), 0);
    assert_string_equal(field(json_array_get(all, 0), "result"), "retried");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(all, 0), "offset")), before);
    json_decref(all);
    assert_int_equal(high(T_INBOUND, part), before + 1);
    /* again: nothing, by filter and by name */
    assert_int_equal(CTL(&all, "dlq", "retry", "--error", "version: 1"), 0);
    assert_int_equal(json_array_size(all), 0);
    json_decref(all);
    assert_int_equal(CTL(NULL, "dlq", "retry", name), 1);
    assert_int_equal(high(T_INBOUND, part), before + 1);
    assert_int_equal(CTL(&all, "dlq", "list", "--all", "--error", "version: 1"), 0);
    assert_string_equal(field(json_array_get(all, 0), "state"), "retried");
    json_decref(all);
}

static void a_run_that_died_is_finished(void **state)
{
    char name[200];
    struct slice value;
    struct id16 a = id_user(ann.login);
    int32_t part = anns_part();
    json_t *all;
    (void)state;
    /* it had appended already */
    bury(1000002, 77002, "appended by the dead", &value);
    int64_t before = high(T_INBOUND, part);
    mark_begun(part, 1000002, before);
    put(T_INBOUND, part, (struct slice){a.b, ID_SIZE}, value);
    name_of(name, 1000002);
    assert_int_equal(CTL(&all, "dlq", "retry", name), 1); /* it may be still at it */
    assert_non_null(strstr(field(json_array_get(all, 0), "why"), "another run"));
    json_decref(all);
    assert_int_equal(high(T_INBOUND, part), before + 1);
    int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS);
    while (CTL(&all, "dlq", "retry", name, "--stale", "1") != 0) {
        json_decref(all);
        pl_turn(pl, by, "the dead run to be stale", __FILE__, __LINE__);
    }
    assert_int_equal(json_integer_value(json_object_get(json_array_get(all, 0), "offset")), before);
    json_decref(all);
    assert_int_equal(high(T_INBOUND, part), before + 1); /* not twice */
    /* it had not */
    bury(1000003, 77003, "not appended", &value);
    before = high(T_INBOUND, part);
    mark_begun(part, 1000003, before);
    name_of(name, 1000003);
    while (CTL(NULL, "dlq", "retry", name, "--stale", "1") != 0)
        pl_turn(pl, by, "the dead run to be stale", __FILE__, __LINE__);
    assert_int_equal(high(T_INBOUND, part), before + 1);
}

static void what_is_not_retried(void **state)
{
    json_t *all;
    size_t i;
    const json_t *j;
    (void)state;
    int64_t before = high(T_VAULT, 0) + high(T_CURSOR, 0) + high(T_INBOUND, 0) + high(T_CONVERSATION, 0);
    assert_int_equal(CTL(&all, "dlq", "retry", "--all"), 1);
    assert_true(json_array_size(all) > 20);
    json_array_foreach(all, i, j)
    {
        assert_string_equal(field(j, "result"), "skipped");
        if (strstr(field(j, "id"), "im.vault"))
            assert_non_null(strstr(field(j, "why"), "compacted"));
        else if (strstr(field(j, "id"), "im.inbound"))
            assert_non_null(strstr(field(j, "why"), "cannot read it either"));
    }
    json_decref(all);
    assert_int_equal(high(T_VAULT, 0) + high(T_CURSOR, 0) + high(T_INBOUND, 0) + high(T_CONVERSATION, 0),
                     before);
    /* forced, it has a new place, where it dies again, and that is said of it */
    int64_t at = high(T_CONVERSATION, 1);
    assert_int_equal(CTL(&all, "dlq", "retry", "--topic", "conversation", "--error", "limits", "--force"), 0);
    assert_int_equal(json_array_size(all), 2);
    json_decref(all);
    UNTIL(pl,
          (CTL(&all, "dlq", "list", "--topic", "conversation") == 0 && letter(all, T_CONVERSATION, 1, at)));
    assert_non_null(strstr(field(letter(all, T_CONVERSATION, 1, at), "retry_of"), "im.conversation/1@"));
    json_decref(all);
}

static void dropped_ones_are_out_of_the_way(void **state)
{
    json_t *all;
    (void)state;
    assert_int_equal(CTL(&all, "dlq", "drop", "--all", "--dry-run"), 0);
    size_t n = json_array_size(all);
    json_decref(all);
    assert_true(n > 20);
    assert_int_equal(CTL(NULL, "dlq", "drop", "--all"), 0);
    assert_int_equal(CTL(&all, "dlq", "list"), 0);
    assert_int_equal(json_array_size(all), 0);
    json_decref(all);
    assert_int_equal(CTL(&all, "dlq", "list", "--all"), 0);
    assert_true(json_array_size(all) >= n);
    json_decref(all);
}

/* Going on would be a guess: it halts, says so, and the other partition goes on. Last: nothing ends it. */
static void unknown_rules_halt(void **state)
{
    struct arena *arena = arena_new(0);
    int status = 0;
    (void)state;
    struct chat chat = {.from = "ann", .to = "ben", .device = 1, .client_seq = 1, .rules = 4711};
    struct record r = chat_record(arena, 1, &chat);
    put(T_CONVERSATION, 0, r.key, r.value);
    arena_free(arena);
    UNTIL(pl, pl_metric(pl, PL_FANOUT, 0, "parley_core_halted_partitions") == 1);
    UNTIL(pl, pl_metric(pl, PL_PERSISTER, 0, "parley_core_halted_partitions") == 1);
    pl_http(pl, PL_FANOUT, 0, "/readyz", &status);
    assert_int_equal(status, 503);
    assert_non_null(strstr(pl_log(pl, PL_FANOUT, 0), "rules version is not known"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(poison_is_set_aside_and_the_partition_moves_on),
        cmocka_unit_test(filters_and_show),
        cmocka_unit_test(retried_once),
        cmocka_unit_test(a_run_that_died_is_finished),
        cmocka_unit_test(what_is_not_retried),
        cmocka_unit_test(dropped_ones_are_out_of_the_way),
        cmocka_unit_test(unknown_rules_halt),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, teardown));
}
