/* otlp.h: spans to an OpenTelemetry collector, by OTLP/HTTP with JSON.
 *
 * A thread of its own posts them, up to OTLP_BATCH at a time or after a second. Nothing is tried twice: a batch that the
 * collector does not take is dropped and counted, and so is what comes while OTLP_QUEUE spans wait
 * (parley_auditor_spans_total{result}). After a failure there is a pause, from 1 s to 30 s. So a collector that is away or
 * slow costs spans, and at most OTLP_QUEUE × sizeof(struct otlp_span) of memory.
 *
 * otlp_wants() and otlp_add() from one thread, never blocking on the network. */
#ifndef PARLEY_AUDITOR_OTLP_H
#define PARLEY_AUDITOR_OTLP_H

#include "common/base/bytes.h"
#include "common/im/traceid.h"

#define OTLP_QUEUE 8192
#define OTLP_BATCH 512

enum otlp_who { OTLP_EDGE, OTLP_FANOUT, OTLP_PERSISTER, OTLP_WHOS }; /* whose work it was: service.name */
enum otlp_kind { OTLP_SERVER = 2, OTLP_PRODUCER = 4, OTLP_CONSUMER = 5 };

struct otlp_span {
    enum otlp_who who;
    enum otlp_kind kind;
    const char *name; /* borrowed for ever, as is `topic`; plain ASCII */
    uint8_t trace[TRACE_ID], id[TRACE_SPAN], parent[TRACE_SPAN]; /* parent zero: none */
    int64_t start_us, end_us;                                    /* Unix time */
    struct id16 conv, msg_id;
    uint64_t seq;
    const char *topic; /* NULL: not about a record; then part and offset mean nothing */
    int32_t part;
    int64_t offset;
    uint32_t recipients; /* 0: not told */
};

struct otlp_conf {
    const char *url;    /* "http://127.0.0.1:4318/v1/traces"; copied */
    int64_t one_in;     /* traces; 1: all */
    int64_t timeout_ms; /* of one POST */
};

struct otlp;
struct otlp *otlp_new(const struct otlp_conf *); /* NULL: no memory or thread */
void otlp_free(struct otlp *);                   /* what waits is tried once more, at most a second long */

/* Is this trace among those that are exported? The same answer in every process that asks with the same ratio. */
bool otlp_wants(const struct otlp *, const uint8_t trace[TRACE_SIZE]);
void otlp_add(struct otlp *, const struct otlp_span *); /* copied, or dropped and counted */

/* The request's body; for the test as well. */
void otlp_json(struct bytes *, const struct otlp_span *, size_t n);

#endif
