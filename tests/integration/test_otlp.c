/* Spans of messages, as an OpenTelemetry collector gets them from the auditor: who is whose child, under which trace; and a
 * collector that is away costs nothing but spans. The collector is a small HTTP server in this program. */
#include "common/im/ids.h"
#include "tests/support/person.h"

#include <jansson.h>
#include <microhttpd.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT_TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define CLIENT_SPAN  "00f067aa0ba902b7"

static struct pl *pl;
static struct person anna, bert;

/* ---- the collector ---- */

static struct MHD_Daemon *collector;
static unsigned collector_port;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static json_t *spans; /* all that came; "service" is added to each */

struct body {
    char *p;
    size_t n;
};

static void keep(const char *text, size_t n)
{
    json_t *all = json_loadb(text, n, 0, NULL), *resource, *scope, *span;
    size_t i, k, s;
    assert_non_null(all);
    pthread_mutex_lock(&lock);
    json_array_foreach(json_object_get(all, "resourceSpans"), i, resource)
    {
        json_t *service = json_object_get(
            json_object_get(
                json_array_get(json_object_get(json_object_get(resource, "resource"), "attributes"), 0),
                "value"),
            "stringValue");
        json_array_foreach(json_object_get(resource, "scopeSpans"), k, scope)
        {
            json_array_foreach(json_object_get(scope, "spans"), s, span)
            {
                json_object_set(span, "service", service);
                json_array_append(spans, span);
            }
        }
    }
    pthread_mutex_unlock(&lock);
    json_decref(all);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *path, const char *method,
                                  const char *version, const char *data, size_t *n, void **mine)
{
    struct body *b = *mine;
    (void)ctx;
    (void)version;
    if (!b) {
        *mine = calloc(1, sizeof *b);
        return *mine ? MHD_YES : MHD_NO;
    }
    if (*n) {
        b->p = realloc(b->p, b->n + *n);
        memcpy(b->p + b->n, data, *n);
        b->n += *n;
        *n = 0;
        return MHD_YES;
    }
    const char *type = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Type");
    bool fine =
        !strcmp(method, "POST") && !strcmp(path, "/v1/traces") && type && !strcmp(type, "application/json");
    if (fine)
        keep(b->p, b->n);
    struct MHD_Response *r =
        MHD_create_response_from_buffer(2, (void *)(uintptr_t) "{}", MHD_RESPMEM_PERSISTENT);
    enum MHD_Result rc = MHD_queue_response(c, fine ? 200 : 400, r);
    MHD_destroy_response(r);
    return rc;
}

static void on_done(void *ctx, struct MHD_Connection *c, void **mine, enum MHD_RequestTerminationCode why)
{
    struct body *b = *mine;
    (void)ctx, (void)c, (void)why;
    if (b)
        free(b->p);
    free(b);
}

static void collect(void)
{
    /* Its port may be in use a moment longer. */
    for (int64_t by = clock_mono_ms() + pl_ms(PL_WAIT_MS); !collector && clock_mono_ms() < by;)
        collector =
            MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, (uint16_t)collector_port, NULL, NULL,
                             on_request, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_done, NULL, MHD_OPTION_END);
    assert_non_null(collector);
    collector_port = MHD_get_daemon_info(collector, MHD_DAEMON_INFO_BIND_PORT)->port;
}

static void go_away(void)
{
    MHD_stop_daemon(collector);
    collector = NULL;
}

/* A copy of the one span of that name in the trace; NULL: not yet. */
static json_t *find(const char *trace, const char *name)
{
    json_t *s, *found = NULL;
    size_t i;
    pthread_mutex_lock(&lock);
    json_array_foreach(spans, i, s)
    {
        if (!strcmp(json_string_value(json_object_get(s, "traceId")), trace) &&
            !strcmp(json_string_value(json_object_get(s, "name")), name)) {
            assert_null(found); /* one of each, in one life of the auditor */
            found = json_deep_copy(s);
        }
    }
    pthread_mutex_unlock(&lock);
    return found;
}

static const char *text(const json_t *span, const char *key)
{
    const char *v = json_string_value(json_object_get(span, key));
    return v ? v : "";
}

static bool there(const char *trace, const char *name)
{
    json_t *s = find(trace, name);
    json_decref(s);
    return s != NULL;
}

/* ---- the tests ---- */

static int setup(void **state)
{
    static char settings[200];
    (void)state;
    spans = json_array();
    collect();
    snprintf(settings, sizeof settings,
             "{\"auditor\": {\"grace\": \"300ms\", \"otlp\": \"http://127.0.0.1:%u/v1/traces\"}}",
             collector_port);
    pl = pl_up(&(struct pl_conf){.n = {2, 1, 1, 1, 1, [PL_AUDITOR] = 1}, .settings = settings});
    person_new(&anna, pl, 0, "anna", "a1");
    person_new(&bert, pl, 1, "bert", "b1");
    return 0;
}

static void id_of(struct person *p, uint64_t seq, char out[33])
{
    const struct acked *a = person_ack(p, seq, IM__STAGE__ACCEPTED);
    assert_non_null(a);
    for (int i = 0; i < ID_SIZE; i++)
        snprintf(out + 2 * i, 3, "%02x", a->msg_id[i]);
}

static void check_way(const char *trace, const char *parent)
{
    static const char *const names[] = {"deliver", "store"};
    static const char *const services[] = {"parley-fanout", "parley-persister"};
    UNTIL(pl, there(trace, "send") && there(trace, "deliver") && there(trace, "store"));
    json_t *send = find(trace, "send");
    assert_string_equal(text(send, "parentSpanId"), parent);
    assert_string_equal(text(send, "service"), "parley-edge");
    assert_int_equal(json_integer_value(json_object_get(send, "kind")), 2);
    assert_int_equal(strlen(text(send, "spanId")), 16);
    assert_true(strtoll(text(send, "startTimeUnixNano"), NULL, 10) <=
                strtoll(text(send, "endTimeUnixNano"), NULL, 10));
    for (size_t i = 0; i < 2; i++) {
        json_t *s = find(trace, names[i]);
        assert_string_equal(text(s, "parentSpanId"), text(send, "spanId"));
        assert_string_equal(text(s, "service"), services[i]);
        assert_string_not_equal(text(s, "spanId"), text(send, "spanId"));
        assert_true(strtoll(text(s, "startTimeUnixNano"), NULL, 10) >=
                    strtoll(text(send, "startTimeUnixNano"), NULL, 10));
        json_decref(s);
    }
    json_decref(send);
}

static void a_message_is_a_trace(void **state)
{
    char trace[33];
    (void)state;
    uint64_t seq = person_say(&anna, bert.login, "hello");
    person_placed(&anna, seq);
    person_wait_said(&bert, 1);
    id_of(&anna, seq, trace);
    check_way(trace, ""); /* nobody's child; its own id */
}

static void a_clients_trace_goes_on(void **state)
{
    (void)state;
    Im__SingleChat m = IM__SINGLE_CHAT__INIT;
    uint64_t seq = anna.next++;
    m.client_seq = seq;
    m.to = bert.login;
    m.text = (char *)(uintptr_t) "traced";
    m.traceparent = (char *)(uintptr_t) "00-" CLIENT_TRACE "-" CLIENT_SPAN "-01";
    assert_int_equal(raw_send(anna.raw, IM__FRAME_TYPE__SINGLE_CHAT, 77, &m.base), 0);
    person_placed(&anna, seq);
    person_wait_said(&bert, 2);
    check_way(CLIENT_TRACE, CLIENT_SPAN);
}

static void who_is_away_has_a_queue_span(void **state)
{
    char trace[33];
    (void)state;
    person_hang_up(&bert);
    struct person carl;
    memset(&carl, 0, sizeof carl);
    person_new(&carl, pl, 1, "carl", "c1");
    person_logout(&carl);
    uint64_t seq = person_say(&anna, carl.login, "later");
    person_placed(&anna, seq);
    id_of(&anna, seq, trace);
    UNTIL(pl, there(trace, "send") && there(trace, "queue"));
    json_t *send = find(trace, "send"), *queue = find(trace, "queue");
    assert_string_equal(text(queue, "parentSpanId"), text(send, "spanId"));
    json_decref(send);
    json_decref(queue);
    person_free(&carl);
}

static double spans_that(const char *result)
{
    char line[80];
    int status;
    snprintf(line, sizeof line, "parley_auditor_spans_total{result=\"%s\"} ", result);
    const char *all = pl_http(pl, PL_AUDITOR, 0, "/metrics", &status), *at = strstr(all, line);
    return at ? strtod(at + strlen(line), NULL) : -1;
}

static void a_dead_collector_costs_spans_only(void **state)
{
    char trace[33];
    (void)state;
    assert_true(spans_that("sent") >= 6);
    assert_true(spans_that("failed") == 0);
    go_away();
    uint64_t seq = person_say(&anna, bert.login, "nobody listens");
    person_placed(&anna, seq);
    UNTIL(pl, spans_that("failed") > 0);
    UNTIL(pl, pl_metric(pl, PL_AUDITOR, 0, "parley_auditor_open_messages") == 0); /* judging goes on */
    assert_true(pl_ready(pl, PL_AUDITOR, 0));
    assert_true(pl_metric(pl, PL_AUDITOR, 0, "parley_auditor_violations_total") == 0);
    collect(); /* on the same port */
    seq = person_say(&anna, bert.login, "somebody listens again");
    person_placed(&anna, seq);
    id_of(&anna, seq, trace);
    UNTIL(pl, there(trace, "store"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_a_trace),
        cmocka_unit_test(a_clients_trace_goes_on),
        cmocka_unit_test(who_is_away_has_a_queue_span),
        cmocka_unit_test(a_dead_collector_costs_spans_only),
    };
    int failed = cmocka_run_group_tests(tests, setup, NULL);
    person_free(&anna);
    person_free(&bert);
    failed = pl_finish(failed);
    if (collector)
        MHD_stop_daemon(collector);
    json_decref(spans);
    return failed;
}
