#include "common/im/topics.h"

#include "common/base/kconf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_NAME "schema/topics.json"

static struct topics *open_table(const char *profile, const char *prefix)
{
    char err[256] = "";
    struct topics *t = topics_new(FILE_NAME, profile, prefix, err, sizeof err);
    if (!t)
        print_error("%s\n", err);
    assert_non_null(t);
    return t;
}

static void small_profile(void **state)
{
    (void)state;
    struct topics *t = open_table("small", "");
    assert_int_equal(topics_slots(t), 8);
    assert_int_equal(topics_count(t), T_DELIVER0 + 8);
    assert_string_equal(topics_name(t, T_INBOUND), "im.inbound");
    assert_string_equal(topics_name(t, T_DLQ), "im.dlq");
    assert_string_equal(topics_name(t, T_WEBHOOK), "im.webhook");
    assert_string_equal(topics_name(t, topic_of_slot(7)), "im.deliver.7");
    assert_string_equal(topics_name(t, topic_of_slot(8)), "?");
    assert_null(topics_get(t, topic_of_slot(8)));
    assert_int_equal(topics_find(t, "im.conversation"), T_CONVERSATION);
    assert_int_equal(topics_find(t, "im.nothing"), -ENOENT);
    assert_int_equal(topics_get(t, T_LEASE)->parts, 1);
    assert_true(topics_get(t, T_LEASE)->compact);
    assert_int_equal(topics_get(t, T_CONVERSATION)->retention_ms, -1);
    assert_false(topics_get(t, T_CONVERSATION)->compact);
    assert_int_equal(topics_get(t, T_INBOUND)->retention_ms, 7 * 86400000);
    assert_string_equal(topics_group(t, GROUP_ROUTER), "parley-router");
    assert_string_equal(topics_group(t, GROUP_SLOT0 + 3), "parley-slot-3");
    assert_null(topics_group(t, GROUP_SLOT0 + 8));
    assert_true(topics_reads(t, GROUP_PERSISTER, T_VAULT));
    assert_false(topics_reads(t, GROUP_FANOUT, T_VAULT));
    assert_true(topics_reads(t, GROUP_SLOT0 + 3, topic_of_slot(3)));
    assert_false(topics_reads(t, GROUP_SLOT0 + 3, topic_of_slot(4)));
    for (size_t i = 0; i < topics_count(t); i++) {
        assert_string_equal(topics_ktopics(t)[i].name, topics_name(t, (uint16_t)i));
        assert_int_equal(topics_ktopics(t)[i].partitions, topics_get(t, (uint16_t)i)->parts);
    }
    topics_free(t);
    topics_free(NULL);
}

static void together_means_equal_partitions(void **state)
{
    (void)state;
    static const uint16_t by_user[] = {T_USER, T_VAULT, T_OFFLINE, T_CURSOR, T_QUERY};
    for (int i = 0; i < 2; i++) {
        struct topics *t = open_table(i ? "cluster" : "small", "t1.");
        for (size_t k = 0; k < sizeof by_user / sizeof *by_user; k++)
            assert_int_equal(topics_get(t, by_user[k])->parts, topics_get(t, T_INBOUND)->parts);
        assert_int_equal(topics_get(t, T_SIGNAL)->parts, topics_get(t, T_CONVERSATION)->parts);
        assert_int_equal(topics_get(t, T_INBOUND)->parts, i ? 32 : 2);
        assert_int_equal(topics_slots(t), i ? 64 : 8);
        assert_string_equal(topics_name(t, T_INBOUND), "t1.im.inbound");
        assert_string_equal(topics_group(t, GROUP_SLOT0), "t1.parley-slot-0");
        topics_free(t);
    }
}

static void partitions_as_java(void **state)
{
    (void)state;
    /* org.apache.kafka.common.utils.Utils.murmur2, from Kafka's own UtilsTest */
    assert_int_equal((int32_t)topics_murmur2((struct slice){"21", 2}), -973932308);
    assert_int_equal((int32_t)topics_murmur2((struct slice){"foobar", 6}), -790332482);
    assert_int_equal((int32_t)topics_murmur2((struct slice){"a-little-bit-long-string", 24}), -985981536);
    assert_int_equal((int32_t)topics_murmur2((struct slice){"a-little-bit-longer-string", 26}), -1486304829);
    assert_int_equal(
        (int32_t)topics_murmur2((struct slice){"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 48}),
        -58897971);
    assert_int_equal((int32_t)topics_murmur2((struct slice){"abc", 3}), 479470107);
    struct topics *t = open_table("cluster", "");
    for (uint32_t i = 0; i < 1000; i++) {
        struct slice key = {&i, sizeof i};
        assert_int_equal(topics_partition(t, T_INBOUND, key),
                         rd_kafka_msg_partitioner_murmur2(NULL, &i, 4, 32, NULL, NULL));
        assert_int_equal(topics_partition(t, T_LEASE, key), 0);
    }
    assert_int_equal(topics_partition(t, 9999, (struct slice){"a", 1}), -1);
    topics_free(t);
}

static void refuses(const char *from, const char *to)
{
    static char text[65536];
    char err[256] = "", path[] = "/tmp/topicsXXXXXX";
    FILE *in = fopen(FILE_NAME, "r");
    assert_non_null(in);
    size_t n = fread(text, 1, sizeof text - 1, in);
    fclose(in);
    text[n] = '\0';
    int fd = mkstemp(path);
    FILE *out = fdopen(fd, "w");
    char *at = strstr(text, from);
    assert_non_null(at);
    fprintf(out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    fclose(out);
    struct topics *t = topics_new(path, "small", "", err, sizeof err);
    unlink(path);
    assert_null(t);
    assert_string_not_equal(err, "");
}

static void bad_files(void **state)
{
    (void)state;
    char err[256] = "";
    assert_null(topics_new("/nonexistent/topics.json", "small", "", err, sizeof err));
    assert_non_null(strstr(err, "/nonexistent/topics.json"));
    assert_null(topics_new(FILE_NAME, "huge", "", err, sizeof err));
    assert_non_null(strstr(err, "huge"));
    assert_null(topics_new(FILE_NAME, "small", "a b", err, sizeof err));
    refuses("{", "[");
    refuses("\"small\": 2, \"cluster\": 32}, \"together\": \"user\"",
            "\"small\": 3, \"cluster\": 32}, \"together\": \"user\"");
    refuses("\"id\": \"inbound\"", "\"id\": \"outbound\"");
    refuses("\"id\": \"user\"", "\"id\": \"inbound\"");
    refuses("\"cleanup\": \"delete\"", "\"cleanup\": \"keep\"");
    refuses("\"readers\": [\"router\"]", "\"readers\": [\"nobody\"]");
    refuses("\"small\": 8", "\"small\": 0");
    refuses("\"im.user\"", "\"im.vault\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_profile),
        cmocka_unit_test(together_means_equal_partitions),
        cmocka_unit_test(partitions_as_java),
        cmocka_unit_test(bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
