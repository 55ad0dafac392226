/* conv_private.h: the reducer's state in memory. Only conv*.c look inside.
 *
 * A cell is `loaded` when its content is known (it may be known not to exist).
 * While the header or a member cell is not loaded, members and rings may be
 * here that turn out not to belong: loading the former drops them. Blocks are
 * here or not loaded. A conversation that did not exist when its header was
 * loaded is `fresh`: all its cells are in memory.
 *
 * What conv_needs() found loaded stays so, whatever the events applied
 * meanwhile do: shells plan a whole batch, and the next one, before they apply.
 *
 * Changing stored bytes: write a new format byte, keep reading the old one,
 * extend the golden log of tests/golden/, and mind that all readers must have
 * the new code before any writer uses it. */
#ifndef PARLEY_IM_CONV_PRIVATE_H
#define PARLEY_IM_CONV_PRIVATE_H

#include "common/im/conv.h"
#include "common/im/wire.h"

#define CELL_FORMAT      1
#define CELL_FORMAT2     2  /* of headers and members that have something that rules 1 did not know */
#define CONV_FLOORS      24 /* devices of a member whose ring went: only how far it got is kept */
#define CONV_BLOCK       16 /* numbers per block */
#define CONV_BLOCKS      (CONV_RECALL_K / CONV_BLOCK) /* kept beside the current one */
#define CONV_PINS        100
#define CONV_GROUP_FLAGS 15 /* those there are */
#define CONV_NOTE        1  /* a reason that is no Code: noted. In rings too */

enum cell_kind {
    CELL_HEADER = 0,
    CELL_MEMBER = 1, /* user:16 */
    CELL_RING = 2,   /* user:16 device:4 */
    CELL_BLOCK = 3,  /* number mod 64:1 */
    CELL_ROSTER = 4, /* bucket:1 */
    CELL_ADMINS = 5,
    CELL_PINS = 7
};

struct conv_entry {
    uint64_t client_seq, seq;
    int64_t time_ms;
    uint16_t reason;
};

struct conv_ring {
    uint32_t device;
    bool loaded, exists, dirty;
    uint8_t n, cap;
    uint64_t evicted;           /* the highest number that fell out */
    struct conv_entry *entries; /* ascending client_seq */
};

struct conv_floor {
    uint32_t device;
    uint64_t highest; /* numbers up to here are not new */
};

struct conv_member {
    struct id16 user;
    bool loaded, exists, dirty, touched;
    uint8_t n_ringed, n_floors, n_visible;
    uint8_t role; /* Im__Role; 0 in direct conversations, and for who is no member (any more) */
    bool asked;   /* to join */
    uint32_t ringed[CONV_RINGS]; /* devices that have a ring, latest use first */
    int64_t muted_until_ms;      /* as in conv_member_view */
    uint64_t read, delivered;
    struct conv_interval one, *many; /* `many` has room for CONV_VISIBLE; NULL until there are two */
    struct conv_floor *floors;       /* latest first; room for CONV_FLOORS, NULL until needed */
    struct conv_ring *rings;         /* in no order */
    size_t n_rings, cap_rings;
    size_t weight; /* bytes, when last weighed */
};

/* Sixteen numbers: what edits, recalls and the like may aim at. */
struct conv_block {
    uint64_t number; /* of the block; it starts with seq number * CONV_BLOCK + 1 */
    uint8_t n_authors, cap_authors;
    uint8_t what[CONV_BLOCK]; /* 0: nothing to aim at; else BLOCK_MESSAGE, BLOCK_RECALLED and the author */
    int64_t time_ms[CONV_BLOCK];
    struct id16 *authors; /* NULL in direct conversations: an index into the pair */
};
#define BLOCK_MESSAGE  1
#define BLOCK_RECALLED 2
#define BLOCK_AUTHOR   2 /* bits to shift */

struct conv_bucket {         /* of the roster */
    struct conv_seat *seats; /* ascending user */
    uint32_t n, cap;
    bool loaded;
};

struct conv_group { /* what only groups have */
    uint32_t flags, count, asks;
    bool dissolved, admins_loaded, admins_dirty;
    struct id16 owner;
    uint64_t map;   /* of the buckets that are not empty */
    uint64_t dirty; /* buckets */
    size_t n_admins;
    struct id16 *admins; /* ascending, the owner among them; room for CONV_ADMINS, NULL until needed */
    struct conv_bucket buckets[CONV_BUCKETS];
};

struct conv {
    struct id16 id;
    bool loaded, exists, dirty; /* the header */
    bool fresh;
    uint8_t type;
    uint8_t friend, blocked; /* direct: see conv_direct.c */
    uint64_t head;
    int64_t time_ms;
    struct id16 pair[2];          /* direct: ascending; the same twice: notes to oneself */
    struct conv_member **members; /* ascending user; those in memory */
    size_t n_members, cap_members;
    struct conv_member **touched; /* those that may be dirty */
    size_t n_touched, cap_touched;
    uint64_t tracked;           /* blocks begin at this number; 0: there are none */
    struct conv_block tail;     /* that of head, kept in the header's cell */
    struct conv_block **blocks; /* CONV_BLOCKS, by their number; NULL until needed; those in memory */
    uint64_t blocks_dirty;
    struct conv_group *group; /* groups only; or cells came before the header */
    uint64_t *pins;           /* ascending; room for CONV_PINS, NULL until needed */
    uint8_t n_pins;
    bool pins_loaded, pins_dirty;
    size_t weight;    /* of members and buckets, bytes */
    uint8_t *scratch; /* what conv_dirty handed out */
    size_t cap_scratch;
};

/* A conversation cannot go on without memory and cannot skip a record either: these end the process. */
void *conv_realloc(void *p, size_t n);
_Noreturn void conv_broken(const char *why);

/* conv_people.c */
struct conv_member *conv_member_find(const struct conv *, struct id16 user);
struct conv_member *conv_member_get(struct conv *, struct id16 user); /* made when missing, not loaded */
/* The loaded member; of a fresh conversation made when missing. Its cell must be loaded. */
struct conv_member *conv_member_here(struct conv *, struct id16 user);
void conv_member_drop(struct conv *, size_t index);
/* It, or a ring of it, changed. */
void conv_member_touch(struct conv *, struct conv_member *);
void conv_member_weigh(struct conv *, struct conv_member *);
bool conv_in_pair(const struct conv *, struct id16 user);
/* Intervals. */
static inline struct conv_interval *conv_intervals(struct conv_member *m)
{
    return m->many ? m->many : &m->one;
}
static inline const struct conv_interval *conv_intervals_of(const struct conv_member *m)
{
    return m->many ? m->many : &m->one;
}
void conv_member_open(struct conv_member *, uint64_t from); /* a new interval */
bool conv_member_sees(const struct conv_member *, uint64_t seq);

/* conv_ring.c */
struct conv_ring *conv_ring_find(const struct conv_member *, uint32_t device);
struct conv_ring *conv_ring_get(struct conv_member *, uint32_t device);
void conv_ring_drop(struct conv_member *, size_t index);
bool conv_ringed(const struct conv_member *, uint32_t device);
uint64_t conv_floor_of(const struct conv_member *, uint32_t device);
/* True: the number is known; *out is its outcome. */
bool conv_ring_lookup(const struct conv_member *, uint32_t device, uint64_t client_seq,
                      struct conv_outcome *out);
/* Remembers a new number's outcome and that the device was used. */
void conv_ring_record(struct conv_member *, uint32_t device, const struct conv_entry *);

/* conv_block.c */
static inline uint64_t conv_block_of(uint64_t seq)
{
    return (seq - 1) / CONV_BLOCK;
}
/* The number was given: what it is goes into the tail; old blocks go. */
void conv_block_append(struct conv *, uint64_t seq, const struct conv_event *, int64_t time_ms);
/* May what this number is be known at all? */
bool conv_block_kept(const struct conv *, uint64_t seq);
struct conv_block *conv_block_find(const struct conv *, uint64_t number); /* the tail too; NULL: not loaded */
struct id16 conv_block_author(const struct conv *, const struct conv_block *, size_t index);
void conv_block_free(struct conv *, unsigned slot);
void conv_block_changed(struct conv *, uint64_t number);
/* Is it one of the 64 before the tail? */
bool conv_block_fits(const struct conv *, uint64_t number);
size_t conv_block_cell(const struct conv_block *, uint8_t *out);
int conv_block_load(struct conv *, unsigned slot, struct slice);
/* Up to index n. */
uint8_t *conv_block_put(const struct conv_block *, size_t n, uint8_t *out);
bool conv_block_get(struct wire *, size_t n, struct conv_block *out); /* false: *out owns nothing */

/* conv_roster.c */
struct conv_group *conv_group_get(struct conv *);
void conv_group_free(struct conv *);
static inline unsigned conv_bucket_of(struct id16 user)
{
    return user.b[0] & (CONV_BUCKETS - 1);
}
void conv_roster_put(struct conv *, struct id16 user, uint64_t from);
void conv_roster_remove(struct conv *, struct id16 user);
void conv_admins_put(struct conv *, struct id16 user);
void conv_admins_remove(struct conv *, struct id16 user);
size_t conv_bucket_put(const struct conv_bucket *, uint8_t *out);
int conv_bucket_get(struct conv *, unsigned bucket, struct slice);
size_t conv_admins_cell(const struct conv_group *, uint8_t *out);
int conv_admins_get(struct conv *, struct slice);

/* Cells as bytes. The encoders return the length; `out` has CELL_MAX bytes, for a roster cell 5 + 24 a seat.
 * */
#define CELL_MAX 2560
size_t cell_key(uint8_t *out, enum cell_kind, const struct id16 *user, uint32_t device);
size_t cell_key_number(uint8_t *out, enum cell_kind, uint64_t number, unsigned bytes);
size_t cell_put_header(const struct conv *, uint8_t *out);
size_t cell_put_member(const struct conv_member *, uint8_t *out);
size_t cell_put_ring(const struct conv_ring *, uint8_t *out);
size_t cell_put_pins(const struct conv *, uint8_t *out);
/* 0, -EBADMSG, -ENOTSUP; nothing is changed on failure. */
int cell_get_header(struct conv *, struct slice);
int cell_get_member(struct conv_member *, struct slice);
int cell_get_ring(struct conv_ring *, struct slice);
int cell_get_pins(struct conv *, struct slice);
/* The first byte. `newest`: the highest format that can be read. */
int cell_format(struct wire *, uint64_t newest, uint64_t *format);

/* One version of the rules. */
struct conv_rules {
    /* Called while there is no conversation. 0: made; else the reason, and nothing is kept. */
    uint16_t (*create)(struct conv *, const struct conv_event *);
    /* May this actor act at all? A refusal is not remembered: it must be the same for ever. */
    uint16_t (*admit)(const struct conv *, const struct conv_event *);
    /* The conversation exists, the actor's member cell and ring are loaded, the
   * number is new. 0: it takes the next number; CONV_NOTE: it is noted; else
   * the reason to refuse it, and nothing was changed. Changes no ring and no
   * head. out->time_ms is the time of the event. */
    uint16_t (*judge)(struct conv *, const struct conv_event *, struct conv_member *actor,
                      struct conv_outcome *out);
};
extern const struct conv_rules conv_rules1, conv_rules2;

/* Parts of rules 2. */
uint16_t conv_direct_create(struct conv *, const struct conv_event *);
uint16_t conv_direct_admit(const struct conv *, const struct conv_event *);
uint16_t conv_direct_judge(struct conv *, const struct conv_event *, struct conv_member *,
                           struct conv_outcome *);
uint16_t conv_group_create(struct conv *, const struct conv_event *);
uint16_t conv_group_judge(struct conv *, const struct conv_event *, struct conv_member *,
                          struct conv_outcome *);
/* conv_group_roles.c: roles, mutes, settings, the end; by a member of a group that is not dissolved. */
uint16_t conv_group_rule(struct conv *, const struct conv_event *, struct conv_member *,
                         struct conv_outcome *);
/* EDIT, RECALL, REACT, PIN, UNPIN. `silenced`: why the actor may not speak; 0: may. */
uint16_t conv_target_judge(struct conv *, const struct conv_event *, const struct conv_member *,
                           uint16_t silenced, int64_t time_ms);
uint16_t conv_reply_check(const struct conv *, const struct conv_event *, const struct conv_member *);
uint16_t conv_receipt(struct conv *, const struct conv_event *, struct conv_member *, struct conv_outcome *);
/* May the actor do this to all of event.users: members of a lower role? */
uint16_t conv_below(struct conv *, const struct conv_event *, const struct conv_member *actor);
bool conv_muted(const struct conv_member *, int64_t time_ms);
/* What an event names besides its actor; conv_needs() and the rules agree on it by these. */
bool conv_names_members(uint32_t kind);  /* the member cells of event.users are looked at */
bool conv_changes_roster(uint32_t kind); /* of those users, or of the actor when it names none */
bool conv_changes_admins(uint32_t kind);

static inline struct id16 conv_user(const struct conv_event *e, size_t i)
{
    struct id16 u;
    memcpy(u.b, (const uint8_t *)e->users.p + i * ID_SIZE, ID_SIZE);
    return u;
}
static inline size_t conv_n_users(const struct conv_event *e)
{
    return e->users.n / ID_SIZE;
}

#endif
