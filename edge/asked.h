/* asked.h: what a connection asked for that was not answered, by the seqId of the request. An answer may come again, and
 * one may come that nobody asked for: each request is answered once.
 *
 * A set is a pointer, NULL when empty, so that idle connections have none. One thread. */
#ifndef PARLEY_EDGE_ASKED_H
#define PARLEY_EDGE_ASKED_H

#include <stdbool.h>
#include <stdint.h>

enum asked_kind { ASKED_QUERY, ASKED_PULL };
struct asked;

/* Out of memory: abort. Times are monotonic. */
void asked_add(struct asked **, enum asked_kind, uint32_t seq_id, uint32_t now_ms);
bool asked_over(struct asked **, enum asked_kind, uint32_t seq_id); /* false: it was not asked, or is over */
/* How many wait. When the last one was asked lost_ms ago no answer is waited for any more. */
uint32_t asked_count(struct asked **, enum asked_kind, uint32_t now_ms, uint32_t lost_ms);
void asked_free(struct asked **);

#endif
