/* conv_private.h: the reducer's state in memory. Only conv*.c look inside.
 *
 * A cell is `loaded` when its content is known (it may be known not to exist). While the header or a member
 * cell is not loaded, members and rings may be here that turn out not to belong: loading the former drops
 * them.
 *
 * Changing stored bytes: write a new format byte, keep reading the old one, extend the golden log of
 * tests/golden/, and mind that all readers must have the new code before any writer uses it. */
#ifndef PARLEY_IM_CONV_PRIVATE_H
#define PARLEY_IM_CONV_PRIVATE_H

#include "common/im/conv.h"

#define CELL_FORMAT   1
#define CONV_FLOORS   24 /* devices of a member whose ring went: only how far it got is kept */
#define HEADER_DIRECT 1

enum cell_kind { CELL_HEADER = 0, CELL_MEMBER = 1, CELL_RING = 2 };

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
    bool loaded, exists, dirty;
    uint8_t n_ringed, n_floors, n_visible;
    uint32_t ringed[CONV_RINGS]; /* devices that have a ring, latest use first */
    struct conv_floor *floors;   /* latest first; room for CONV_FLOORS, NULL until needed */
    struct conv_interval visible[CONV_VISIBLE];
    struct conv_ring *rings; /* in no order */
    size_t n_rings, cap_rings;
};

struct conv {
    struct id16 id;
    bool loaded, exists, dirty; /* the header */
    uint8_t type;
    uint64_t head;
    int64_t time_ms;
    struct id16 pair[2];         /* direct: ascending; the same twice: notes to oneself */
    struct conv_member *members; /* ascending user; those in memory */
    size_t n_members, cap_members;
    uint8_t *scratch; /* what conv_dirty handed out */
    size_t cap_scratch;
};

/* A conversation cannot go on without memory and cannot skip a record either: these end the process. */
void *conv_realloc(void *p, size_t n);
_Noreturn void conv_broken(const char *why);

struct conv_member *conv_member_find(const struct conv *, struct id16 user);
struct conv_member *conv_member_get(struct conv *, struct id16 user); /* made when missing, not loaded */
void conv_member_drop(struct conv *, size_t index);
bool conv_in_pair(const struct conv *, struct id16 user);

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

/* Cells as bytes. The encoders return the length; `out` has CELL_MAX bytes. */
#define CELL_MAX 2560
size_t cell_key(uint8_t *out, enum cell_kind, const struct id16 *user, uint32_t device);
size_t cell_put_header(const struct conv *, uint8_t *out);
size_t cell_put_member(const struct conv_member *, uint8_t *out);
size_t cell_put_ring(const struct conv_ring *, uint8_t *out);
/* 0, -EBADMSG, -ENOTSUP; nothing is changed on failure. */
int cell_get_header(struct conv *, struct slice);
int cell_get_member(struct conv_member *, struct slice);
int cell_get_ring(struct conv_ring *, struct slice);

/* One version of the rules. The conversation exists, the actor's member cell and ring are loaded, the number
 * is new. Returns 0: it takes the next number; else the reason to refuse it. Changes no ring and no header.
 */
struct conv_rules {
    /* Called while there is no conversation. 0: made; else the reason, and nothing is kept. */
    uint16_t (*create)(struct conv *, const struct conv_event *);
    /* May this actor act at all? A refusal is not remembered: it must be the same for ever. */
    uint16_t (*admit)(const struct conv *, const struct conv_event *);
    uint16_t (*judge)(struct conv *, const struct conv_event *);
};
extern const struct conv_rules conv_rules1;

#endif
