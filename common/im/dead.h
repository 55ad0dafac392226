/* dead.h: what a dead letter says of a record that its reader could not take.
 *
 * The record's own form is judged again here, without trust and without its reader's budget, so that the reason is the
 * same whoever buried it:
 *     undecodable: …       no version can read the bytes
 *     unknown version: N   a newer program wrote it; `parleyctl dlq retry` brings it back after the upgrade
 *     over limits: …       too long, or a field is missing, too long or out of range
 *     out of place: …      well formed, but not what this topic or key can hold
 * Pure but for the counter parley_dead_letters_total{topic}; any thread. */
#ifndef PARLEY_IM_DEAD_H
#define PARLEY_IM_DEAD_H

#include "common/im/codec.h"

#define DEAD_STACK 3
#define DEAD_VALUE_MAX \
    (1900 << 10) /* of a value; a longer one is cut, so that the dead letter can be written */

struct dead {
    Im__DlqRecord r; /* to be packed; borrows what dead_fill() was given, and this struct */
    char error[160];
    char texts[DEAD_STACK][80];
    char *stack[DEAD_STACK];
};

/* `topic`: the name that belongs to rec->topic. `process`: "router"; `instance`: "" when not known. `why`: of a record
 * that is well formed; NULL: nothing more is known. Counts it. */
void dead_fill(struct dead *, const struct record *rec, const char *topic, const char *process,
               const char *instance, const char *why);

/* What is wrong with a record of this topic, as above; false: its form is right. */
bool dead_reason(uint16_t topic, struct slice value, char *out, size_t n);
/* The W3C trace id and parent that a record of this topic carries, read without trust; n == 0: none. */
struct slice dead_trace(uint16_t topic, struct slice value);

#endif
