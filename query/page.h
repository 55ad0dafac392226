/* page.h: the usual page of history: the messages as they were sent and what was done to them, by two plain scans of an
 * index, judged and folded here. What that cannot answer (a reader with gaps on the page, bodies too large, very many
 * edits or reactions) is for probing, message by message, in history.c. Pure, any thread. */
#ifndef PARLEY_QUERY_PAGE_H
#define PARLEY_QUERY_PAGE_H

#include "query/history.h"

struct side {                /* of an answer: before or after what was asked around */
    Im__HistoryItem **items; /* ascending */
    size_t n;
    bool more;
};

struct page { /* what is known of the conversation */
    const struct row_conv *conv;
    struct seen seen;
    uint64_t head;
};

/* Two statements: n messages and one more, from `seq` on (later) or below it; INT64_MAX: the newest. */
void page_ask(struct question *, struct ask *, bool later, int64_t seq, uint32_t n);
/* Their results. False: to be probed. */
bool page_take(const struct question *, const PGresult *const *res, const struct page *, bool later,
               int64_t seq, uint32_t n, struct side *);

/* Logins of senders and of who reacted. False: some are not known; q->names is who. A statement asks for them. */
bool page_name(struct question *, const struct row_conv *, const struct side *before,
               const struct side *after);
void page_ask_names(struct question *, struct ask *);
void page_learn(const struct question *, const PGresult *);

#endif
