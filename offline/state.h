/* state.h: inside the offline worker's core: its state, its rows in memory, and what its verbs share. */
#ifndef PARLEY_OFFLINE_STATE_H
#define PARLEY_OFFLINE_STATE_H

#include "common/base/arena.h"
#include "common/im/codec.h"
#include "common/im/deliver.h"
#include "common/im/lease.h"
#include "common/im/topics.h"
#include "offline/core.h"
#include "offline/cursors.h"
#include "offline/head.h"
#include "offline/queue.h"
#include "offline/users.h"

#define PAGE_MAX 1000 /* items; a larger limit is cut */
#define PAGES_PER_BATCH \
    (8 << 20) /* bytes of items that one batch may load for pages, and send in them; then pages get short */

struct item { /* one payload in memory, as it is in its row (parcel.h) */
    struct row row;
    size_t n;
    uint8_t payload[];
};

struct offline {
    const struct offline_settings *settings;
    const struct lease *lease;
    struct rowcache rows;  /* struct user, queue, cursors, head */
    struct rowcache items; /* struct item */
    struct row **dirty;    /* of `rows`, to be put at the end of the batch */
    size_t n_dirty, cap_dirty;
    size_t page_bytes; /* wanted for pages in this batch */
    size_t page_sent;  /* sent in this batch's pages */
    struct arena *arena;
    struct deliver *out;
    struct bytes scratch;
    const struct item *page[PAGE_MAX];
    struct session *told; /* sessions that are told of an event at once: scratch */
    size_t cap_told;
    bool broken;
};

struct offrec { /* one record of im.offline, decoded */
    const struct record *rec;
    const Im__OfflineRecord *m;
    struct id16 user; /* zero: of many users */
    struct slice trace;
};

/* Where im.offline says it; 0 is nowhere. */
static inline uint64_t offrec_at(const struct offrec *r)
{
    return (uint64_t)r->rec->offset + 1;
}

typedef enum core_rc offline_verb(struct offline *, const struct offrec *, struct fx *);
offline_verb off_login, off_end, off_item, off_bounce, off_pull, off_group;
enum core_rc off_cursor(struct offline *, const struct record *, struct fx *);

/* 0, -EBADMSG, -ENOTSUP; lives until the next decode */
int decode_offline(struct offline *, const struct record *, struct offrec *);
int decode_cursor(struct offline *, const struct record *, Im__CursorRecord **);
enum core_rc plan_record(struct offline *, const struct record *, struct want *); /* plan.c */

/* rows.c: what is in memory; NULL: not. For step() that means plan() was not asked: CORE_STOP. */
struct user *rows_user(struct offline *, struct id16); /* its marks may be missing */
struct head *rows_head(struct offline *, struct id16 conv);
struct queue *rows_queue(struct offline *, struct id16, uint32_t device); /* with all of its index */
struct cursors *rows_cursors(struct offline *, struct id16, uint32_t device, uint8_t bucket);
struct item *rows_item(struct offline *, const struct queue *, uint64_t pos);
void rows_load(struct offline *, uint8_t table, struct slice key, struct slice row);
void rows_touch_user(struct offline *, struct user *);
void rows_touch_marks(struct offline *, struct user *);
void rows_touch_head(struct offline *, struct head *);
void rows_touch_queue(struct offline *, struct queue *);
void rows_touch_cursors(struct offline *, struct cursors *);
void rows_add_item(struct offline *, const struct queue *, uint64_t pos, struct slice payload, struct fx *);
void rows_forget_item(struct offline *, const struct queue *, uint64_t pos);
void rows_flush(struct offline *, struct fx *);

/* enqueue.c */
struct arrival {
    struct id16 conv;
    uint64_t seq, pos;
    struct slice payload, trace;
};
/* Queues it unless it is there or a cursor covers it; at once to the device's session when that is live. */
void enqueue(struct offline *, struct queue *, const struct arrival *, struct fx *);
bool queue_live(const struct offline *, const struct queue *);
void queue_over(struct offline *, struct queue *, uint64_t login); /* sessions up to this login are over */

/* sessions.c: who has a session, as the user rows say it. */
void live_as_queue(struct offline *, struct user *,
                   const struct queue *);          /* after each change of the queue's */
void live_settle(struct offline *, struct user *); /* from the queues, when the row does not say */

/* group.c: events that are in history. */
struct missed {
    struct id16 conv;
    uint64_t seq, at; /* at: offrec_at() */
    bool left;        /* whoever it is about sees nothing after it */
    struct slice trace;
};
/* Of one device whose session is over; told at once to a later session. */
enum core_rc mark_bounced(struct offline *, struct user *, struct queue *, const struct missed *,
                          struct fx *);
/* Of every device of one user but `served`. */
enum core_rc mark_missed(struct offline *, struct user *, const struct missed *, const uint32_t *served,
                         size_t n_served, struct fx *);
void marks_cover(struct offline *, struct user *, struct id16 conv); /* a cursor moved */
void marks_prune(struct offline *, struct user *);                   /* the devices changed */
/* What of a mark is not covered by a device's cursor. False: nothing, or its row is not in memory (`unknown`). */
bool mark_concerns(struct offline *, const struct user *, const struct udevice *, const struct mark *,
                   uint64_t *upto, bool *unknown);

/* nameless.c: an event for connections, not users: written again for their users. */
enum core_rc off_nameless(struct offline *, const struct offrec *, struct fx *);

/* page.c */
struct page_ask {
    uint64_t after;
    uint32_t limit;   /* 0: the settings' */
    struct id16 conv; /* zero: all */
};
struct page_frame { /* what goes with the page */
    const struct session *to;
    uint32_t seq_id;
    const struct range *cursors;
    size_t n_cursors;
};
size_t page_pick(struct offline *, const struct queue *, const struct page_ask *, struct want *); /* plan() */
void page_send(struct offline *, const struct user *, const struct queue *, const struct page_ask *,
               const struct page_frame *, struct fx *);
/* Is there anything to tell a device that did not ask? */
bool page_worth(struct offline *, const struct user *, const struct queue *);
/* Cursors only, of all the device's conversations, as many frames as it takes; the last ones are left for the page. */
size_t page_cursors(struct offline *, const struct queue *, const struct session *to, struct range *rest,
                    size_t max_rest, struct fx *);

/* news.c: the part of a page that names conversations. It comes before the items: until there is no more of it,
 * positions are below NEWS_AFTER (those of items are above) and name the prefix (marks.h) to go on from. */
#define NEWS_AFTER 65535
#define NEWS_PAGE  512 /* marks looked at for one page, and so many more as share the last one's prefix */
#define NEWS_BYTES 34  /* of one in the page, at most */

struct news { /* part of a user's marks */
    size_t from, to;
    bool more;
    uint64_t next; /* go on from here */
};
struct news news_part(const struct user *, const struct page_ask *);
/* How many of them the device did not get; shortens the part where a row is not in memory. */
size_t news_count(struct offline *, const struct user *, uint32_t device, struct news *);
uint8_t *news_put(struct offline *, const struct user *, uint32_t device, const struct news *, uint8_t *out);
/* NEWS_PUSH to the sessions. */
void news_push(struct offline *, const struct missed *, const struct session *to, size_t n, struct fx *);

#endif
