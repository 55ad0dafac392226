/* traceid.h: the `trace` of records: 24 bytes, a W3C trace id (16) and the id of the span that caused it (8; zero: none).
 *
 * The edge gives every numbered send one: the client's traceparent when it has a valid one, else the message id as trace
 * id, so that `parleyctl trace ID`, log lines and spans have one name, and a repeated send is in the same trace. Span ids
 * are not kept anywhere: whoever tells of a hop computes its id from the trace and the hop's place. Any thread. */
#ifndef PARLEY_IM_TRACEID_H
#define PARLEY_IM_TRACEID_H

#include "common/base/core.h"
#include "common/base/log.h"
#include "common/im/ids.h"

#include <stdbool.h>
#include <stdint.h>

#define TRACE_SIZE 24
#define TRACE_ID   16
#define TRACE_SPAN 8

/* "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", of any version from 00 to fe. False: it is not one, `out` is
 * untouched. */
bool traceid_parse(const char *traceparent, uint8_t out[TRACE_SIZE]);
/* The client's, or the message's own. */
void traceid_begin(const char *traceparent, struct id16 msg_id, uint8_t out[TRACE_SIZE]);

/* The id of the span `name` at a place; never zero. `place`: what tells it from others of that name, such as topic,
 * partition and offset. */
void traceid_span(const uint8_t trace[TRACE_SIZE], const char *name, const void *place, size_t n,
                  uint8_t out[TRACE_SPAN]);

/* For a log line about one record: trace_id=…, 32 hexadecimal digits; nothing when there is none. Borrows. */
struct log_field traceid_log(struct slice trace);

#endif
