/* scan.h: reads stretches of the log once, all of them side by side, in bounded memory (about 2 MiB a partition).
 *
 * One client per struct; blocking; the calling thread. What goes wrong has been said on stderr when a call returns it. */
#ifndef PARLEY_CTL_SCAN_H
#define PARLEY_CTL_SCAN_H

#include "client/parleyctl/ctl.h"

struct scan;

/* Offsets from … to - 1 of a partition, which is in a call once; what the log no longer has is left out. */
struct scan_range {
    uint16_t topic;
    int32_t part;
    int64_t from, to;
};

enum scan_go { SCAN_ON, SCAN_NEXT /* enough of this partition */, SCAN_STOP /* enough of all */ };
/* Records of one partition come in order; record->topic is the index. Borrowed until return. */
typedef enum scan_go scan_fn(void *ctx, const struct record *);

struct scan *scan_new(struct ctl *); /* after ctl_kafka(); NULL: said why */
void scan_free(struct scan *);

/* `what` is for the progress line; NULL: none. 0, or -EIO. */
int MUST_CHECK scan_read(struct scan *, const struct scan_range *, size_t n, const char *what, scan_fn *,
                         void *ctx);
/* First and next offset of a partition. 0, or -EIO. */
int MUST_CHECK scan_ends(struct scan *, uint16_t topic, int32_t part, int64_t *low, int64_t *high);
/* The first offset of each of `n` partitions from `first` on whose record is of `time_ms` or later; the next offset when
 * none is. 0, or -EIO. */
int MUST_CHECK scan_times(struct scan *, uint16_t topic, int32_t first, int32_t n, int64_t time_ms,
                          int64_t *out);

#endif
