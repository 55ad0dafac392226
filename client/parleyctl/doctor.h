/* doctor.h: the parts of `parleyctl doctor`. Each check is told once: ok, WARN (works, but not as promised) or FAIL. */
#ifndef PARLEY_CTL_DOCTOR_H
#define PARLEY_CTL_DOCTOR_H

#include "client/parleyctl/ctl.h"

enum doctor_state { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor {
    struct ctl *c;
    size_t failed, warned;
    bool write; /* may append a mark to im.dlq, to read the broker's clock */
};

/* `fix`: what helps; not told when all is well. */
void doctor_say(struct doctor *, const char *what, enum doctor_state, const char *fix, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
/* Clocks that should agree: ours and another's, both ms. */
void doctor_clock(struct doctor *, const char *what, int64_t ours, int64_t theirs);
/* How full the file system is that holds `path`, when it is on this machine. */
void doctor_disk(struct doctor *, const char *what, const char *path);

void doctor_kafka(struct doctor *);
void doctor_postgres(struct doctor *);
void doctor_redis(struct doctor *);

#endif
