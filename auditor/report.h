/* report.h: what is wrong, told once: a metric by kind and a log line with the place and the message's trace.
 *
 * The last REPORT_REMEMBERED findings are remembered, so that what is seen again (a log that is read twice, a window that
 * is looked at again) is not told again. Loop thread. */
#ifndef PARLEY_AUDITOR_REPORT_H
#define PARLEY_AUDITOR_REPORT_H

#include "common/im/session.h"

#define REPORT_REMEMBERED 4096

enum finding_kind {
    FOUND_GAP,               /* a number that does not follow the one before */
    FOUND_DUPLICATE,         /* one (sender, device, client_seq) has two numbers */
    FOUND_VERDICT_CHANGED,   /* a repeat got another answer than the first time */
    FOUND_UNDELIVERED,       /* fanout is past it, and a member is in no delivery or offline record */
    FOUND_LEAK,              /* somebody who may not see the number was sent it */
    FOUND_PHANTOM,           /* delivered, and not in the log */
    FOUND_DELIVERED_DIFFERS, /* delivered with another sender or message id, or another text */
    FOUND_HISTORY_MISSING,   /* the persister's mark is past it, and there is no row */
    FOUND_HISTORY_DIFFERS,   /* the row says something else than the log */
    FOUND_HISTORY_EXTRA,     /* a row for a record that has no number */
    FOUND_RETENTION,         /* the log begins after what a consumer has read */
    FOUND_KINDS
};
const char *finding_name(enum finding_kind);

struct finding { /* borrowed during the call */
    enum finding_kind kind;
    const char *topic;
    int32_t part;
    int64_t offset;
    struct slice trace;     /* 24 bytes or none */
    struct id16 conv, user; /* zero: not about one */
    uint64_t seq;
    const char *what; /* more words; may be NULL */
};

struct report;
/* fn may be NULL: metric and log line. For tests it is called instead. */
struct report *report_new(void (*fn)(void *ctx, const struct finding *), void *ctx);
void report_free(struct report *);
void report_add(struct report *, const struct finding *);

/* What could not be judged, and why: "delivery", "history", … */
void report_unjudged(const char *what, int64_t n);

#endif
