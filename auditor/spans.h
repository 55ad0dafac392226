/* spans.h: what the books see of a message's way, as spans (otlp.h).
 *
 *     send     edge       the frame being read → its record in im.conversation; child of the client's span, if it gave one
 *     deliver  fanout     … → each record of im.deliver.* that has it; a child of send, as are the next two
 *     queue    fanout     … → each record of im.offline that has it
 *     store    persister  … → its row seen in PostgreSQL (looked for every 200 ms, so that much later)
 *
 * Times are the edge's clock, the log's (ms) and, for the row, the auditor's. Ids are computed, so a hop that is read again
 * after a restart is the same span again. What is older than SPANS_OLD_MS when it is read is left out: a first audit
 * reads all of history. Loop thread. */
#ifndef PARLEY_AUDITOR_SPANS_H
#define PARLEY_AUDITOR_SPANS_H

#include "auditor/books.h"
#include "auditor/otlp.h"

#define SPANS_OLD_MS 600000

struct spans {
    struct otlp *otlp;      /* borrowed */
    const char *topic;      /* im.conversation; borrowed */
    struct books_hops hops; /* for books_conf */
};
void spans_init(struct spans *, struct otlp *, const char *topic);

#endif
