#include "auditor/otlp.h"

#include "common/base/clock.h"
#include "common/base/hex.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/version.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define WAIT_MS      1000
#define PAUSE_MIN_MS 1000
#define PAUSE_MAX_MS 30000
#define LAST_MS      1000

METRIC_COUNTER(
    spans, "parley_auditor_spans_total",
    "Spans by what became of them: sent, full (too many waited), failed (the collector did not take them).",
    "result");
METRIC_GAUGE(waiting, "parley_auditor_spans_waiting", "Spans that wait to be sent to the collector.");

struct otlp {
    pthread_t thread;
    pthread_mutex_t lock; /* of the ring and what follows it */
    pthread_cond_t more;
    struct otlp_span *ring;
    size_t head, n;
    _Atomic bool stop;
    struct metric *sent, *full, *failed;
    CURL *curl; /* the thread's from here on */
    struct curl_slist *headers;
    struct otlp_span *batch;
    struct bytes body;
    int64_t timeout_ms, pause_ms;
    uint64_t one_in;
    char *url;
};

/* ---- the body ---- */

static void put_hex(struct bytes *b, const char *key, const uint8_t *p, size_t n)
{
    char hex[ID_HEX]; /* nothing here is longer than an id */
    bytes_printf(b, "\"%s\":\"%s\"", key, hex_encode(hex, p, n));
}

static void put_number(struct bytes *b, const char *key, int64_t v)
{
    bytes_printf(b, ",{\"key\":\"%s\",\"value\":{\"intValue\":\"%" PRId64 "\"}}", key, v);
}

static void put_id(struct bytes *b, const char *sep, const char *key, const struct id16 *id)
{
    bytes_printf(b, "%s{\"key\":\"%s\",\"value\":{", sep, key);
    put_hex(b, "stringValue", id->b, ID_SIZE);
    bytes_str(b, "}}");
}

static void put_span(struct bytes *b, const struct otlp_span *s)
{
    static const uint8_t none[TRACE_SPAN];
    bytes_u8(b, '{');
    put_hex(b, "traceId", s->trace, sizeof s->trace);
    bytes_u8(b, ',');
    put_hex(b, "spanId", s->id, sizeof s->id);
    if (memcmp(s->parent, none, sizeof none) != 0) {
        bytes_u8(b, ',');
        put_hex(b, "parentSpanId", s->parent, sizeof s->parent);
    }
    bytes_printf(b,
                 ",\"name\":\"%s\",\"kind\":%d,\"startTimeUnixNano\":\"%" PRId64
                 "000\",\"endTimeUnixNano\":\"%" PRId64 "000\",\"attributes\":[",
                 s->name, (int)s->kind, s->start_us, s->end_us > s->start_us ? s->end_us : s->start_us);
    put_id(b, "", "parley.conversation", &s->conv);
    put_id(b, ",", "parley.message_id", &s->msg_id);
    put_number(b, "parley.number", (int64_t)s->seq);
    if (s->recipients)
        put_number(b, "parley.recipients", s->recipients);
    if (s->topic) {
        bytes_printf(b,
                     ",{\"key\":\"messaging.system\",\"value\":{\"stringValue\":\"kafka\"}}"
                     ",{\"key\":\"messaging.destination.name\",\"value\":{\"stringValue\":\"%s\"}}"
                     ",{\"key\":\"messaging.destination.partition.id\",\"value\":{\"stringValue\":\"%" PRId32
                     "\"}}",
                     s->topic, s->part);
        put_number(b, "messaging.kafka.offset", s->offset);
    }
    bytes_str(b, "]}");
}

void otlp_json(struct bytes *b, const struct otlp_span *v, size_t n)
{
    static const char *const names[OTLP_WHOS] = {"parley-edge", "parley-fanout", "parley-persister"};
    const char *between = "";
    bytes_str(b, "{\"resourceSpans\":[");
    for (int who = 0; who < OTLP_WHOS; who++) {
        const char *sep = "";
        for (size_t i = 0; i < n; i++) {
            if (v[i].who != (enum otlp_who)who)
                continue;
            if (!sep[0])
                bytes_printf(
                    b,
                    "%s{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":"
                    "\"%s\"}},{\"key\":\"service.version\",\"value\":{\"stringValue\":\"" PARLEY_VERSION
                    "\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"parley-auditor\"},\"spans\":[",
                    between, names[who]);
            bytes_str(b, sep);
            put_span(b, &v[i]);
            sep = between = ",";
        }
        if (sep[0])
            bytes_str(b, "]}]}");
    }
    bytes_str(b, "]}");
}

/* ---- the thread ---- */

static size_t on_answer(char *data, size_t size, size_t n, void *ctx)
{
    (void)data;
    (void)ctx;
    return size * n;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct otlp *o = ctx;
    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&o->stop) && o->pause_ms; /* it did not answer before either */
}

static bool post(struct otlp *o, size_t n)
{
    long status = 0;
    bytes_clear(&o->body);
    otlp_json(&o->body, o->batch, n);
    if (!bytes_ok(&o->body))
        return false;
    curl_easy_setopt(o->curl, CURLOPT_POSTFIELDS, o->body.p);
    curl_easy_setopt(o->curl, CURLOPT_POSTFIELDSIZE, (long)o->body.n);
    curl_easy_setopt(o->curl, CURLOPT_TIMEOUT_MS, (long)(atomic_load(&o->stop) ? LAST_MS : o->timeout_ms));
    CURLcode rc = curl_easy_perform(o->curl);
    curl_easy_getinfo(o->curl, CURLINFO_RESPONSE_CODE, &status);
    if (rc == CURLE_OK && status / 100 == 2)
        return true;
    log_warn("spans are dropped: the collector did not take them", log_str("url", o->url),
             log_uint("spans", n), log_int("status", status),
             log_str("why", rc ? curl_easy_strerror(rc) : NULL));
    return false;
}

static void wait_ms(struct otlp *o, int64_t ms) /* locked */
{
    struct timespec until;
    int64_t at = clock_wall_us() + ms * 1000;
    until.tv_sec = at / 1000000;
    until.tv_nsec = at % 1000000 * 1000;
    pthread_cond_timedwait(&o->more, &o->lock, &until);
}

static size_t take(struct otlp *o) /* locked */
{
    size_t n = o->n < OTLP_BATCH ? o->n : OTLP_BATCH;
    for (size_t i = 0; i < n; i++)
        o->batch[i] = o->ring[(o->head + i) % OTLP_QUEUE];
    o->head = (o->head + n) % OTLP_QUEUE;
    o->n -= n;
    metric_set(&waiting, (int64_t)o->n);
    return n;
}

static void pause_after_failure(struct otlp *o) /* locked */
{
    o->pause_ms = o->pause_ms ? o->pause_ms * 2 : PAUSE_MIN_MS;
    o->pause_ms = o->pause_ms < PAUSE_MAX_MS ? o->pause_ms : PAUSE_MAX_MS;
    int64_t until = clock_mono_ms() + o->pause_ms;
    for (int64_t left; !atomic_load(&o->stop) && (left = until - clock_mono_ms()) > 0;)
        wait_ms(o, left);
}

static void *run(void *arg)
{
    struct otlp *o = arg;
    pthread_mutex_lock(&o->lock);
    for (;;) {
        int64_t until = clock_mono_ms() + WAIT_MS;
        for (int64_t left;
             !atomic_load(&o->stop) && o->n < OTLP_BATCH && (left = until - clock_mono_ms()) > 0;)
            wait_ms(o, left);
        bool last = atomic_load(&o->stop);
        size_t n = last && o->pause_ms ? 0 : take(o);
        if (!n && last)
            break;
        if (!n)
            continue;
        pthread_mutex_unlock(&o->lock);
        bool ok = post(o, n);
        metric_add(ok ? o->sent : o->failed, (int64_t)n);
        pthread_mutex_lock(&o->lock);
        if (ok)
            o->pause_ms = 0;
        else
            pause_after_failure(o);
    }
    pthread_mutex_unlock(&o->lock);
    return NULL;
}

/* ---- the loop's side ---- */

static bool make_client(struct otlp *o)
{
    o->curl = curl_easy_init();
    o->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (!o->curl || !o->headers)
        return false;
    curl_easy_setopt(o->curl, CURLOPT_URL, o->url);
    curl_easy_setopt(o->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(o->curl, CURLOPT_POST, 1L);
    curl_easy_setopt(o->curl, CURLOPT_HTTPHEADER, o->headers);
    curl_easy_setopt(o->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(o->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(o->curl, CURLOPT_USERAGENT, "parley-auditor/" PARLEY_VERSION);
    curl_easy_setopt(o->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)o->timeout_ms);
    curl_easy_setopt(o->curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(o->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(o->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(o->curl, CURLOPT_XFERINFODATA, o);
    return true;
}

static void release(struct otlp *o)
{
    if (o->curl)
        curl_easy_cleanup(o->curl);
    curl_slist_free_all(o->headers);
    bytes_release(&o->body);
    free(o->ring);
    free(o->batch);
    free(o->url);
    free(o);
}

struct otlp *otlp_new(const struct otlp_conf *conf)
{
    struct otlp *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->timeout_ms = conf->timeout_ms;
    o->one_in = conf->one_in > 1 ? (uint64_t)conf->one_in : 1;
    o->url = strdup(conf->url);
    o->ring = calloc(OTLP_QUEUE, sizeof *o->ring);
    o->batch = calloc(OTLP_BATCH, sizeof *o->batch);
    o->sent = metric_with(&spans, "sent"); /* there from the start, at 0 */
    o->full = metric_with(&spans, "full");
    o->failed = metric_with(&spans, "failed");
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->more, NULL);
    if (o->url && o->ring && o->batch && make_client(o) && !pthread_create(&o->thread, NULL, run, o))
        return o;
    release(o);
    return NULL;
}

void otlp_free(struct otlp *o)
{
    if (!o)
        return;
    atomic_store(&o->stop, true);
    pthread_mutex_lock(&o->lock);
    pthread_cond_signal(&o->more);
    pthread_mutex_unlock(&o->lock);
    pthread_join(o->thread, NULL);
    metric_add(o->failed, (int64_t)o->n);
    metric_set(&waiting, 0);
    pthread_cond_destroy(&o->more);
    pthread_mutex_destroy(&o->lock);
    release(o);
}

bool otlp_wants(const struct otlp *o, const uint8_t trace[TRACE_SIZE])
{
    return o->one_in == 1 || XXH64(trace, TRACE_ID, 0) % o->one_in == 0;
}

void otlp_add(struct otlp *o, const struct otlp_span *s)
{
    pthread_mutex_lock(&o->lock);
    bool room = o->n < OTLP_QUEUE;
    if (room)
        o->ring[(o->head + o->n++) % OTLP_QUEUE] = *s;
    if (o->n == OTLP_BATCH)
        pthread_cond_signal(&o->more);
    metric_set(&waiting, (int64_t)o->n);
    pthread_mutex_unlock(&o->lock);
    if (!room)
        metric_add(o->full, 1);
}
