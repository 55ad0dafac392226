/* convfold.h: one conversation, folded from the log with the reducer, up to any place or time. For `fold`, `export` and
 * `import`. Blocking; memory goes with the conversation's state, not with the log.
 *
 * Everything a conversation is comes from its records on its partition of im.conversation; whether a body can be read
 * is up to the keys of im.vault as they are now: what was erased since stays empty. */
#ifndef PARLEY_CTL_CONVFOLD_H
#define PARLEY_CTL_CONVFOLD_H

#include "client/parleyctl/scan.h"
#include "common/im/bodykeys.h"

#include <xxhash.h>

struct convfold_person;

struct convfold {
    struct ctl *c;
    struct scan *scan;
    struct id16 id;
    int32_t part;
    int64_t until_offset,
        until_ms; /* the last record that is taken; set between init and run; INT64_MAX: all */
    bool bodies;  /* open them; at first */
    /* after run */
    struct conv *conv;
    int64_t records, last_offset, last_ms; /* of the conversation; -1: none */
    char *name, *notice;                   /* of a group; NULL: none */
    /* private */
    struct bodykeys *keys;
    struct secrets *secrets;
    struct convfold_person *people;
    uint8_t *room;
    XXH3_state_t *content;
    void *fn, *ctx;
    int rc;
};

/* One record of it, after it was applied. */
struct convfold_step {
    const struct record *rec;
    const struct convrec *r;
    const struct conv_outcome *out;
    const struct convrec_body *body; /* opened when it can be */
    enum bodykeys_rc opened;         /* BODY_LOCKED: it stays sealed */
};
typedef int convfold_fn(void *ctx,
                        const struct convfold_step *); /* 0: go on; else what convfold_run returns */

/* `what`: an id in hex, "system", or the two of a direct conversation, "anna,bert". After ctl_kafka(). 0, or an exit
 * code after having said why; release it in any case. */
int convfold_init(struct convfold *, struct ctl *, const char *what);
void convfold_id(struct convfold *, struct ctl *,
                 struct id16); /* the same for an id that is known; scan is made */
int convfold_run(struct convfold *, convfold_fn *, void *ctx); /* fn may be NULL */
void convfold_release(struct convfold *);

/* As it stands: kind, numbers, settings, members, pins, and a digest of all that was said. `portable`: without what
 * depends on when and where it was said, so that a copy elsewhere has the same. A new reference. */
json_t *convfold_state(const struct convfold *, bool portable);
const char *convfold_login(const struct convfold *, struct id16, char hex[ID_HEX]); /* else the id in hex */
/* Everybody it names, ascending; NULL ends it. */
const struct id16 *convfold_next(const struct convfold *, const struct id16 *after);

#endif
