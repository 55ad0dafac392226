/* The auditor beside a real pipeline: traffic over two edges while processes are killed raises nothing; a delivery that
 * was never said, a row that is gone, one that was changed and a message that fanout passed over are each told once.
 *
 * A number that is skipped cannot be in the log: the log holds no numbers, the reducer gives them. That a reducer which
 * skips or repeats one is noticed is shown by tests/unit/test_auditor.c. */
#include "common/base/kadmin.h"
#include "common/im/codec.h"
#include "common/im/ids.h"
#include "common/im/topics.h"
#include "tests/support/person.h"
#include "tests/support/traffic.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>

static struct pl *pl;
static struct person anna, bert;

static int setup(void **state)
{
    (void)state;
    pl = pl_up(&(struct pl_conf){.n = {2, 1, 1, 1, 1, [PL_AUDITOR] = 1},
                                 .settings = "{\"auditor\": {\"grace\": \"300ms\", \"retention\": \"1s\"}}"});
    return 0;
}

/* -1: not there. */
static long labelled(const char *metric, const char *label)
{
    char line[96];
    int status;
    snprintf(line, sizeof line, "%s{%s} ", metric, label);
    const char *all = pl_http(pl, PL_AUDITOR, 0, "/metrics", &status), *at = strstr(all, line);
    return at ? strtol(at + strlen(line), NULL, 10) : -1;
}

static long violations(const char *kind)
{
    char label[40];
    snprintf(label, sizeof label, "kind=\"%s\"", kind);
    return labelled("parley_auditor_violations_total", label);
}

/* Nothing was passed over. */
static void all_was_judged(void)
{
    static const char *const what[] = {"delivery", "history", "nameless", "body", "late", "reopened"};
    for (size_t i = 0; i < ARRAY_LEN(what); i++) {
        char label[40];
        snprintf(label, sizeof label, "what=\"%s\"", what[i]);
        long n = labelled("parley_auditor_unjudged_total", label);
        if (n > 0)
            fail_msg("%ld unjudged: %s", n, what[i]);
    }
}

static int all_violations(void)
{
    return (int)pl_metric(pl, PL_AUDITOR, 0, "parley_auditor_violations_total");
}

/* All that is in the log is judged in both ways. */
static bool judged(void)
{
    return pl_metric(pl, PL_AUDITOR, 0, "parley_auditor_open_messages") == 0 &&
           pl_metric(pl, PL_AUDITOR, 0, "parley_auditor_behind") == 0;
}

static void two_more_rounds(void)
{
    double n = pl_metric(pl, PL_AUDITOR, 0, "parley_auditor_rounds_total");
    UNTIL(pl, pl_metric(pl, PL_AUDITOR, 0, "parley_auditor_rounds_total") >= n + 2);
}

static long accepted(void)
{
    return labelled("parley_auditor_records_total", "verdict=\"accepted\"");
}

static void nothing_is_told_while_processes_are_killed(void **state)
{
    static const enum pl_kind kinds[] = {PL_FANOUT, PL_PERSISTER, PL_EDGE};
    (void)state;
    struct traffic *t = traffic_new(pl, &(struct traffic_conf){.people = 3, .devices = 2});
    traffic_more(t, 40);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        pl_expect_end(pl, kinds[i], 0);
        traffic_stop(t, kinds[i], 0, SIGKILL);
        pl_start(pl, kinds[i], 0, NULL);
        traffic_more(t, 20);
    }
    pl_expect_end(pl, PL_AUDITOR, 0);
    traffic_stop(t, PL_AUDITOR, 0, SIGKILL);
    traffic_more(t, 20);
    pl_start(pl, PL_AUDITOR, 0, NULL);
    traffic_more(t, 20);
    traffic_settle(t);
    UNTIL(pl, judged() && accepted() > 0);
    two_more_rounds();
    assert_int_equal(all_violations(), 0);
    assert_true(pl_metric(pl, PL_AUDITOR, 0, "parley_auditor_sights_total") > 0);
    assert_null(strstr(pl_log(pl, PL_AUDITOR, 0), "a promise is broken"));
    all_was_judged();
}

static void nor_when_redis_loses_its_cells(void **state)
{
    (void)state;
    pl_wait_ready(pl);
    pl_stop(pl, PL_AUDITOR, 0, SIGTERM);
    for (int p = 0; p < 2; p++) {
        char command[400];
        const char *x = pl_prefix(pl);
        snprintf(command, sizeof command,
                 "DEL %sparley:{%sparley-auditor:%d}:m %sparley:{%sparley-auditor:%d}:t1", x, x, p, x, x, p);
        pl_redis(pl, command);
    }
    pl_start(pl, PL_AUDITOR, 0, NULL);
    pl_wait_ready(pl);
    person_new(&anna, pl, 0, "anna", "a1");
    person_new(&bert, pl, 1, "bert", "b1");
    for (int i = 0; i < 5; i++)
        person_placed(&anna, person_say(&anna, bert.login, "message %d", i));
    person_wait_said(&bert, 5);
    UNTIL(pl, judged() && accepted() >= 5);
    two_more_rounds();
    assert_int_equal(all_violations(), 0);
    assert_non_null(strstr(pl_log(pl, PL_AUDITOR, 0), "cells taken from PostgreSQL"));
    all_was_judged();
}

/* One record more on a slot that nobody holds: a message of anna's to bert, to a session of eve's. */
static void forge(const char *login, uint64_t seq)
{
    char why[256], name[128];
    struct id16 conv, eve = id_user(login), a, b;
    memcpy(a.b, anna.user, ID_SIZE);
    memcpy(b.b, bert.user, ID_SIZE);
    conv = id_direct(a, b);
    uint32_t handle = 4711, device = 1;
    uint64_t at = 1;
    Im__DeliverItem item = IM__DELIVER_ITEM__INIT, *items[] = {&item};
    Im__DeliverRecord r = IM__DELIVER_RECORD__INIT;
    item.kind = IM__ITEM_KIND__ITEM_MESSAGE;
    item.frame_type = IM__FRAME_TYPE__CHAT_PUSH;
    item.handles = &handle;
    item.devices = &device;
    item.logins = &at;
    item.n_handles = item.n_devices = item.n_logins = 1;
    item.users = (ProtobufCBinaryData){ID_SIZE, eve.b};
    item.conversation = (ProtobufCBinaryData){ID_SIZE, conv.b};
    item.seq = seq;
    r.version = CODEC_VERSION;
    r.epoch = 1;
    r.n_items = 1;
    r.items = items;
    uint8_t value[512];
    int n = codec_pack_into(&r.base, value, sizeof value);
    assert_true(n > 0);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", getenv("PARLEY_KAFKA"), why, sizeof why);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    assert_non_null(rk);
    snprintf(name, sizeof name, "%sim.deliver.7", pl_prefix(pl));
    assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(name), RD_KAFKA_V_PARTITION(0),
                                       RD_KAFKA_V_VALUE(value, (size_t)n),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
                     0);
    assert_int_equal(rd_kafka_flush(rk, 10000), 0);
    rd_kafka_destroy(rk);
}

static void a_delivery_to_a_stranger_is_told_once(void **state)
{
    (void)state;
    forge("eve", 2);
    UNTIL(pl, violations("leak") == 1);
    forge("eve", 2);
    forge("eve", 999);
    UNTIL(pl, violations("phantom") == 1);
    two_more_rounds();
    assert_int_equal(all_violations(), 2);
    assert_non_null(strstr(pl_log(pl, PL_AUDITOR, 0), "kind=leak topic="));
}

/* Says three things while the auditor sleeps, and lets it look once `sql` has changed what is kept of them. */
static void planted(const char *sql, const char *kind)
{
    static int said;
    int before = all_violations();
    pl_signal(pl, PL_AUDITOR, 0, SIGSTOP);
    for (int i = 0; i < 3; i++)
        person_placed(&anna, person_say(&anna, bert.login, "planted %d", ++said));
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM messages WHERE kind = 1 AND client_seq = %llu",
                        (unsigned long long)(anna.next - 1)) == 1);
    assert_true(pl_rows(pl, NULL, NULL, sql, (unsigned long long)(anna.next - 2)));
    pl_signal(pl, PL_AUDITOR, 0, SIGCONT);
    UNTIL(pl, violations(kind) == 1);
    UNTIL(pl, judged());
    assert_int_equal(all_violations(), before + 1);
}

static void a_row_that_is_gone_is_told_once(void **state)
{
    (void)state;
    planted("DELETE FROM messages WHERE client_seq = %llu", "history_missing");
}

static void a_row_that_was_changed_is_told_once(void **state)
{
    (void)state;
    planted("UPDATE messages SET text = 'never said' WHERE client_seq = %llu", "history_differs");
}

static void it_goes_on_where_it_was(void **state)
{
    (void)state;
    long before = accepted();
    assert_true(before > 0);
    assert_int_equal(pl_stop(pl, PL_AUDITOR, 0, SIGTERM), 0);
    pl_start(pl, PL_AUDITOR, 0, NULL);
    pl_wait_ready(pl);
    person_placed(&anna, person_say(&anna, bert.login, "one more"));
    UNTIL(pl, accepted() >= 1 && judged());
    two_more_rounds();
    assert_true(accepted() < 5); /* nothing of before was read again */
    /* What went out in the last minute is looked at again: nothing but what was planted. */
    UNTIL(pl, pl_metric(pl, PL_AUDITOR, 0, "parley_auditor_waiting") == 0);
    assert_int_equal(all_violations(), (violations("leak") > 0) + violations("phantom"));
}

/* fanout's place is moved past a message that it never told. */
static void a_message_nobody_was_told_of_is_told_once(void **state)
{
    const struct kconf kafka = {.bootstrap = getenv("PARLEY_KAFKA"), .client_id = "test"};
    struct kadmin *admin = kadmin_new(&kafka, 10000);
    char topic[128], group[128];
    int64_t low, ends[2];
    (void)state;
    assert_non_null(admin);
    assert_int_equal(pl_stop(pl, PL_FANOUT, 0, SIGTERM), 0);
    person_accepted(&anna, person_say(&anna, bert.login, "into the void"));
    UNTIL(pl, pl_number(pl, "SELECT count(*) FROM messages WHERE client_seq = %llu",
                        (unsigned long long)(anna.next - 1)) == 1);
    snprintf(topic, sizeof topic, "%sim.conversation", pl_prefix(pl));
    snprintf(group, sizeof group, "%sparley-fanout", pl_prefix(pl));
    for (int32_t p = 0; p < 2; p++)
        assert_int_equal(kadmin_watermarks(admin, topic, p, &low, &ends[p]), 0);
    two_more_rounds();
    assert_int_equal(violations("undelivered"), 0); /* it is only late */
    int before = all_violations();
    assert_int_equal(kadmin_commit_offsets(admin, group, topic, ends, 2), 0);
    UNTIL(pl, violations("undelivered") == 1);
    two_more_rounds();
    assert_int_equal(all_violations(), before + 1);
    kadmin_free(admin);
}

static int stop(void **state)
{
    (void)state;
    person_free(&anna);
    person_free(&bert);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_told_while_processes_are_killed),
        cmocka_unit_test(nor_when_redis_loses_its_cells),
        cmocka_unit_test(a_delivery_to_a_stranger_is_told_once),
        cmocka_unit_test(a_row_that_is_gone_is_told_once),
        cmocka_unit_test(a_row_that_was_changed_is_told_once),
        cmocka_unit_test(it_goes_on_where_it_was),
        cmocka_unit_test(a_message_nobody_was_told_of_is_told_once),
    };
    return pl_finish(cmocka_run_group_tests(tests, setup, stop));
}
