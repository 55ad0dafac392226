/* What librdkafka's statistics become: read from a text of its form, and from a client. */
#include "common/base/kstats.h"
#include "common/base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char sample[] =
    "{ \"name\": \"p#producer-1\", \"client_id\": \"p\", \"type\": \"producer\", \"ts\":12, \"age\":5, "
    "\"replyq\":2, "
    "\"msg_cnt\":7, \"msg_size\":700, \"brokers\":{ "
    "\"127.0.0.1:1/bootstrap\": { \"name\":\"x\", \"nodeid\":-1, \"source\":\"configured\", "
    "\"state\":\"UP\", \"tx\":99 } ,"
    "\"a:9/3\": { \"name\":\"a\\\":9/3\", \"nodeid\":3, \"nodename\":\"a:9\", \"source\":\"learned\", "
    "\"state\":\"UP\", "
    "\"outbuf_cnt\":4, \"outbuf_msg_cnt\":1, \"waitresp_cnt\":5, \"tx\":1000, \"txbytes\":2000, "
    "\"txerrs\":6, "
    "\"txretries\":8, \"req_timeouts\":9, \"rx\":990, \"rxbytes\":3000, \"rxerrs\":10, \"disconnects\":11, "
    "\"int_latency\": { \"min\":1, \"avg\":77, \"p99\":78 }, \"rtt\": { \"min\":120, \"max\":900, "
    "\"avg\":250, \"p99\":800, "
    "\"cnt\":33}, \"req\": { \"Produce\": 12, \"tx\": 5 }, \"toppars\":{ \"t-0\": { \"topic\":\"t\", "
    "\"partition\":0} } } ,"
    "\"GroupCoordinator\": { \"nodeid\":-1, \"source\":\"logical\", \"state\":\"DOWN\", \"disconnects\":2 } "
    "}, "
    "\"topics\":{ \"im.conversation\": { \"topic\":\"im.conversation\", \"batchsize\": {\"avg\":1}, "
    "\"partitions\":{ "
    "\"0\": { \"partition\":0, \"fetchq_cnt\":3, \"consumer_lag\":40 } , "
    "\"1\": { \"partition\":1, \"fetchq_cnt\":1, \"consumer_lag\":2 } , "
    "\"-1\": { \"partition\":-1, \"fetchq_cnt\":0, \"consumer_lag\":-1 } } } } , "
    "\"cgrp\": { \"state\": \"up\", \"join_state\": \"steady\", \"rebalance_cnt\": 6, \"list\": "
    "[1,{\"a\":2},3] }, "
    "\"tx\":1, \"rx\":2 }";

static char *text;

static bool shows(const char *line)
{
    struct bytes b = {0};
    char needle[200];
    metrics_write(&b);
    text = (char *)b.p;
    snprintf(needle, sizeof needle, "\n%s\n", line);
    bool there = strstr(text, needle) != NULL;
    bytes_release(&b);
    return there;
}

static void a_text_is_read(void **state)
{
    static const char *const lines[] = {
        "parley_kafka_queue_messages{client=\"g\"} 7",
        "parley_kafka_queue_bytes{client=\"g\"} 700",
        "parley_kafka_waiting_events{client=\"g\"} 2",
        "parley_kafka_rebalances_total{client=\"g\"} 6",
        "parley_kafka_group_up{client=\"g\"} 1",
        "parley_kafka_broker_up{client=\"g\",broker=\"3\"} 1",
        "parley_kafka_broker_up{client=\"g\",broker=\"coordinator\"} 0",
        "parley_kafka_broker_rtt_seconds{client=\"g\",broker=\"3\"} 0.00025",
        "parley_kafka_broker_rtt_p99_seconds{client=\"g\",broker=\"3\"} 0.0008",
        "parley_kafka_broker_unsent_requests{client=\"g\",broker=\"3\"} 4",
        "parley_kafka_broker_open_requests{client=\"g\",broker=\"3\"} 5",
        "parley_kafka_broker_requests_total{client=\"g\",broker=\"3\"} 1000",
        "parley_kafka_broker_send_errors_total{client=\"g\",broker=\"3\"} 6",
        "parley_kafka_broker_receive_errors_total{client=\"g\",broker=\"3\"} 10",
        "parley_kafka_broker_retries_total{client=\"g\",broker=\"3\"} 8",
        "parley_kafka_broker_timeouts_total{client=\"g\",broker=\"3\"} 9",
        "parley_kafka_broker_disconnects_total{client=\"g\",broker=\"coordinator\"} 2",
        "parley_kafka_consumer_lag_records{client=\"g\",topic=\"im.conversation\"} 42",
        "parley_kafka_fetched_records{client=\"g\",topic=\"im.conversation\"} 4",
    };
    (void)state;
    assert_true(kstats_read("g", sample, strlen(sample)));
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!shows(lines[i]))
            fail_msg("missing: %s", lines[i]);
    assert_false(
        shows("parley_kafka_broker_up{client=\"g\",broker=\"-1\"} 1")); /* where it was looked for first */
}

static void anything_else_is_not(void **state)
{
    (void)state;
    for (size_t n = 0; n < strlen(sample); n++) { /* cut anywhere */
        char copy[sizeof sample];
        memcpy(copy, sample, n);
        copy[n] = 0;
        assert_false(kstats_read("cut", copy, n));
    }
    assert_false(kstats_read("x", "[]", 2));
    assert_false(kstats_read("x", "{\"a\" 1", 6));
}

static rd_kafka_t *client(uint32_t ms)
{
    char why[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    kstats_ask(conf, &(struct kconf){.stats_ms = ms});
    rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", why, sizeof why);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    assert_non_null(rk);
    return rk;
}

static void clients_have_names_until_forgotten(void **state)
{
    (void)state;
    rd_kafka_t *a = client(20), *b = client(20), *c;
    kstats_follow(a, "producer");
    kstats_follow(b, "producer");
    static const char first[] = "parley_kafka_broker_up{client=\"producer\",broker=\"1\"} 1",
                      second[] = "parley_kafka_broker_up{client=\"producer-2\",broker=\"1\"} 1";
    for (int i = 0; i < 500 && !(shows(first) && shows(second)); i++) {
        rd_kafka_poll(a, 10);
        rd_kafka_poll(b, 10);
    }
    assert_true(shows(first));
    assert_true(shows(second));
    kstats_forget(a);
    rd_kafka_destroy(a);
    assert_true(shows("parley_kafka_broker_up{client=\"producer\",broker=\"1\"} 0"));
    assert_true(shows("parley_kafka_broker_up{client=\"producer-2\",broker=\"1\"} 1"));
    c = client(0);
    kstats_follow(c, "producer"); /* the name is free again */
    kstats_forget(b);
    kstats_forget(NULL);
    kstats_forget(b);
    assert_true(shows("parley_kafka_broker_up{client=\"producer-2\",broker=\"1\"} 0"));
    kstats_forget(c);
    rd_kafka_destroy(b);
    rd_kafka_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_read),
        cmocka_unit_test(anything_else_is_not),
        cmocka_unit_test(clients_have_names_until_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
