/* The body that a collector gets, and what a collector that is not there costs. */
#include "auditor/otlp.h"
#include "common/base/metrics.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct otlp_span span(enum otlp_who who, uint8_t id, uint8_t parent)
{
    struct otlp_span s = {.who = who,
                          .kind = OTLP_PRODUCER,
                          .name = "deliver",
                          .start_us = 1700000000000001,
                          .end_us = 1700000000000500,
                          .seq = 17,
                          .topic = "im.deliver.3",
                          .part = 0,
                          .offset = 42,
                          .recipients = 2};
    memset(s.trace, 0xab, sizeof s.trace);
    memset(s.id, id, sizeof s.id);
    memset(s.parent, parent, sizeof s.parent);
    return s;
}

static const json_t *first_span(const json_t *all, size_t resource)
{
    const json_t *r = json_array_get(json_object_get(all, "resourceSpans"), resource);
    return json_array_get(json_object_get(json_array_get(json_object_get(r, "scopeSpans"), 0), "spans"), 0);
}

static const char *text(const json_t *o, const char *key)
{
    const char *v = json_string_value(json_object_get(o, key));
    return v ? v : "";
}

static void spans_are_json_by_service(void **state)
{
    struct otlp_span v[3] = {span(OTLP_PERSISTER, 2, 1), span(OTLP_EDGE, 1, 0), span(OTLP_EDGE, 3, 1)};
    struct bytes b = {0};
    json_error_t e;
    (void)state;
    v[2].end_us = v[2].start_us - 5; /* clocks that differ */
    otlp_json(&b, v, 3);
    json_t *all = json_loadb((const char *)b.p, b.n, 0, &e);
    if (!all)
        fail_msg("%s at %d: %.*s", e.text, e.position, (int)b.n, (const char *)b.p);
    assert_int_equal(json_array_size(json_object_get(all, "resourceSpans")), 2);
    const json_t *edge = first_span(all, 0), *persister = first_span(all, 1);
    assert_string_equal(text(edge, "spanId"), "0101010101010101");
    assert_string_equal(text(edge, "parentSpanId"), "");
    assert_string_equal(text(persister, "parentSpanId"), "0101010101010101");
    assert_string_equal(text(persister, "traceId"), "abababababababababababababababab");
    assert_string_equal(text(edge, "startTimeUnixNano"), "1700000000000001000");
    assert_string_equal(text(edge, "endTimeUnixNano"), "1700000000000500000");
    json_decref(all);
    bytes_clear(&b);
    otlp_json(&b, v + 2, 1);
    all = json_loadb((const char *)b.p, b.n, 0, &e);
    assert_non_null(all);
    edge = first_span(all, 0);
    assert_string_equal(text(edge, "endTimeUnixNano"), text(edge, "startTimeUnixNano"));
    json_decref(all);
    bytes_release(&b);
}

static long counted(const char *what)
{
    struct bytes b = {0};
    metrics_write(&b);
    const char *at = strstr((const char *)b.p, what);
    long n = at ? strtol(at + strlen(what), NULL, 10) : -1;
    bytes_release(&b);
    return n;
}

static void nobody_there_costs_spans_only(void **state)
{
    (void)state;
    struct otlp *o = otlp_new(&(struct otlp_conf){"http://127.0.0.1:1/v1/traces", 1, 1000});
    assert_non_null(o);
    const struct otlp_span s = span(OTLP_EDGE, 1, 0);
    enum { MANY = 2 * OTLP_QUEUE };
    for (int i = 0; i < MANY; i++)
        otlp_add(o, &s);
    long full = counted("parley_auditor_spans_total{result=\"full\"} ");
    assert_in_range(full, 1, MANY - OTLP_QUEUE);
    otlp_free(o); /* at once: it is in its pause, or was refused */
    assert_int_equal(counted("parley_auditor_spans_total{result=\"failed\"} ") + full, MANY);
    assert_int_equal(counted("parley_auditor_spans_total{result=\"sent\"} "), 0);
    assert_int_equal(counted("parley_auditor_spans_waiting "), 0);
}

static void one_in_so_many(void **state)
{
    (void)state;
    struct otlp *all = otlp_new(&(struct otlp_conf){"http://127.0.0.1:1/", 1, 1000}),
                *few = otlp_new(&(struct otlp_conf){"http://127.0.0.1:1/", 10, 1000});
    int n = 0;
    for (int i = 0; i < 10000; i++) {
        uint8_t trace[TRACE_SIZE] = {(uint8_t)i, (uint8_t)(i >> 8)}, other[TRACE_SIZE];
        memcpy(other, trace, sizeof other);
        other[TRACE_SIZE - 1] = 7; /* the same trace, another parent */
        assert_true(otlp_wants(all, trace));
        assert_int_equal(otlp_wants(few, trace), otlp_wants(few, other));
        n += otlp_wants(few, trace);
    }
    assert_in_range(n, 800, 1200);
    otlp_free(all);
    otlp_free(few);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_json_by_service),
        cmocka_unit_test(nobody_there_costs_spans_only),
        cmocka_unit_test(one_in_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
