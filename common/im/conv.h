/* conv.h: the conversation, a fold over im.conversation that is the same in every process that reads it.
 *
 * Pure: no I/O, no clock, no configuration, no look at bodies. The state is a set of cells, each stored by
 * itself; a record touches few of them. Before conv_apply() every cell that conv_needs() names must have been
 * given to conv_load(), or be known not to exist. One conversation is one `struct conv`; not thread-safe.
 *
 * Rules are versioned: a record says under which version it was written, and every version a log may hold
 * stays in the code. See docs/decisions/ before changing anything here: two readers that disagree lose
 * messages. */
#ifndef PARLEY_IM_CONV_H
#define PARLEY_IM_CONV_H

#include "common/base/core.h"
#include "common/im/ids.h"

#define CONV_RULES     2    /* what routers stamp */
#define CONV_RING      64   /* outcomes kept per sending device */
#define CONV_RINGS     8    /* devices per member that have a ring */
#define CONV_CELL_KEY  24   /* longest cell key, bytes */
#define CONV_USERS     100  /* named by one event */
#define CONV_RECALL_K  1024 /* author and time are kept for so many of the last numbers, at least */
#define CONV_BUCKETS   64   /* the members of a group are spread over so many roster cells */
#define CONV_ADMINS    100  /* of a group, the owner among them */
#define CONV_ASKS      1000 /* open requests to join */
#define CONV_NEEDS_MAX 400

enum conv_verdict {
    CONV_ACCEPTED, /* has the number seq */
    CONV_DUPLICATE, /* seq and reason are those of the first time; reason != 0: refused then; both 0: noted then */
    CONV_REFUSED,
    CONV_NOTED /* changed something, or is to be told, without a number */
};

enum conv_type { CONV_NOTHING = 0, CONV_DIRECT = 1, CONV_GROUP = 2, CONV_SYSTEM = 3 };

struct conv_outcome {
    enum conv_verdict verdict;
    uint16_t reason; /* a Code of client.proto; 0 when it has a place */
    uint64_t seq;
    int64_t time_ms; /* the conversation's time: the record's, made monotone. For a duplicate: of the first */
    uint64_t changed[2];      /* bit i of the two words: event.users[i] was changed; e.g. is new (INVITE) */
    uint64_t read, delivered; /* RECEIPT: what was raised, and to what; 0: was not */
    int64_t until_ms;         /* MUTE; 0: for ever */
};

struct conv_cell {
    uint8_t key[CONV_CELL_KEY];
    size_t key_n;
    struct slice bytes; /* n == 0: removed, or absent */
};

/* What can change an outcome, as the router had it when it wrote the record. */
struct conv_settings {
    bool strangers_refused, admin;
    uint32_t recall_limit_s, group_cap, receipt_cap;
};

/* What the reducer looks at of a record; borrowed pointers, see convrec.h for getting it from bytes. */
struct conv_event {
    uint32_t rules;
    uint32_t kind; /* Im__ConvKind */
    struct id16 conv, user, peer;
    uint32_t device;
    uint64_t client_seq; /* 0: not numbered: never repeated, never a duplicate */
    int64_t time_ms;
    uint64_t target, reply_to;
    struct slice users; /* 16 bytes each, ascending, no repeats, at most CONV_USERS */
    uint32_t role, flags, flags_mask;
    uint64_t duration_s, read, delivered;
    struct conv_settings settings;
};

bool conv_rules_known(uint32_t rules);

struct conv *conv_new(struct id16 id);
void conv_free(struct conv *);
struct id16 conv_id(const struct conv *);
size_t conv_bytes(const struct conv *); /* memory it holds, for caches */

/* The keys of the cells that applying this event touches and that were not loaded yet; `bytes` is left empty.
 * May name more after those have been loaded (CORE_MORE); 0: ready. */
size_t conv_needs(const struct conv *, const struct conv_event *, struct conv_cell out[CONV_NEEDS_MAX]);
/* -EBADMSG: not a cell; -ENOTSUP: written by a newer format. Nothing is changed then. */
int conv_load(struct conv *, const struct conv_cell *);

/* The cells of conv_needs() must be loaded and the rules known. */
struct conv_outcome conv_apply(struct conv *, const struct conv_event *);

/* For an event that was applied before: its outcome, as for a repeat of it, as far as the cells still tell: from the
 * ring, or a refusal that is the same for ever. False: they do not. Changes nothing. The cells of conv_needs() must
 * be loaded. */
bool conv_recall(const struct conv *, const struct conv_event *, struct conv_outcome *);

/* Hands out changed cells in ascending key order and forgets that they were changed; returns how many, at
 * most `max`: call until 0. `bytes` is valid until the next call on this conv. */
size_t conv_dirty(struct conv *, struct conv_cell *out, size_t max);

/* ---- looking at it; what is asked about must be loaded ---- */
enum conv_type conv_type(const struct conv *); /* CONV_NOTHING: there is none */
uint64_t conv_head(const struct conv *);       /* the last number given; 0: none */
uint32_t conv_flags(const struct conv *);      /* Im__GroupFlag bits */
bool conv_dissolved(const struct conv *);
uint32_t conv_count(const struct conv *); /* members */
struct id16 conv_owner(const struct conv *);
/* Direct: the two, ascending; one in notes to oneself. Groups and the system: 0. */
size_t conv_pair(const struct conv *, struct id16 out[2]);
/* Direct: how the friendship stands as `user` sees it (Im__FriendState), and whether `user` blocked the other. */
uint32_t conv_friend(const struct conv *, struct id16 user);
bool conv_blocked_by(const struct conv *, struct id16 user);

struct conv_member_view {
    uint32_t role;     /* Im__Role; 0: no member (any more) */
    uint64_t from, to; /* the last interval; to 0: open */
    uint64_t read, delivered;
    int64_t muted_until_ms; /* 0: not muted; -1: for ever */
};
/* The member's cell must be loaded. False: never was a member. */
bool conv_member(const struct conv *, struct id16 user, struct conv_member_view *);
struct conv_interval { /* numbers a member may see */
    uint64_t from, to; /* to 0: open */
};
#define CONV_VISIBLE 16 /* of the last so many times of being a member */
size_t conv_visible(const struct conv *, struct id16 user, struct conv_interval out[CONV_VISIBLE]);
bool conv_may_read(const struct conv *, struct id16 user, uint64_t seq);
/* What is pinned, ascending; borrowed until the next change. */
size_t conv_pins(const struct conv *, const uint64_t **out);

/* Groups: who is a member now. The roster is not needed for applying most events and so not loaded with them;
 * conv_needs_roster() names its missing cells (0: all here), as conv_needs() does: first the header. */
struct conv_seat {
    struct id16 user;
    uint64_t from; /* sees numbers from here on */
};
size_t conv_needs_roster(const struct conv *, struct conv_cell out[CONV_NEEDS_MAX]);
size_t conv_roster(const struct conv *, unsigned bucket,
                   const struct conv_seat **out); /* bucket < CONV_BUCKETS */
/* Owner and admins, ascending. Its cell is named by conv_needs_admins(). */
size_t conv_needs_admins(const struct conv *, struct conv_cell out[CONV_NEEDS_MAX]);
size_t conv_admins(const struct conv *, struct id16 out[CONV_ADMINS]);
/* For conv_member() and its like about somebody who is not the actor. */
size_t conv_needs_member(const struct conv *, struct id16 user, struct conv_cell out[CONV_NEEDS_MAX]);

/* Over all loaded cells in ascending key order; two readers at the same offset agree on it. */
void conv_digest(const struct conv *, uint8_t out[32]);

#endif
