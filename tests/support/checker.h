/* checker.h: did every promise hold? Told what clients saw and what history holds, it names each breach.
 *
 * A message is known by a number of the test's own (it is in the text), a conversation by a small number, a device by
 * a small number. Pure; no I/O. tests/unit/test_checker.c plants each kind of breach. */
#ifndef PARLEY_SUPPORT_CHECKER_H
#define PARLEY_SUPPORT_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum breach {
    BREACH_LOST,         /* acked, but not in history */
    BREACH_UNSEEN,       /* in history, but a member's device never got it */
    BREACH_DUPLICATE,    /* twice in history, or shown twice on a device */
    BREACH_DIVERGENT,    /* another place than in history, or in another conversation */
    BREACH_BACKWARDS,    /* a device was shown an earlier one after a later one */
    BREACH_GAP,          /* history is not 1, 2, 3 … */
    BREACH_REFUSED_SEEN, /* refused for certain, yet in history or on a device */
    BREACH_LEAK,         /* seen by a device that is not of the conversation */
    BREACH_STUCK,        /* no outcome */
    BREACH_KINDS
};
extern const char *const breach_names[BREACH_KINDS];

struct checker;
struct checker *checker_new(void);
void checker_free(struct checker *);

void checker_member(struct checker *, uint32_t conv, uint32_t device);
/* Numbers of messages count up from 0. */
void checker_sent(struct checker *, uint32_t msg, uint32_t conv, uint32_t device);
void checker_acked(struct checker *, uint32_t msg);
void checker_placed(struct checker *, uint32_t msg, uint64_t seq); /* told to the sender; counts as acked */
void checker_refused(struct checker *, uint32_t msg);              /* for certain */
/* late: shown later on purpose, out of order. */
void checker_seen(struct checker *, uint32_t device, uint32_t conv, uint64_t seq, uint32_t msg, bool late);
void checker_history(struct checker *, uint32_t conv, uint64_t seq, uint32_t msg); /* any order */

size_t checker_count(const struct checker *, bool acked); /* sent, or acked */
/* How many have been seen that this device should have seen, of what is acked. */
void checker_missing(const struct checker *, uint32_t device,
                     void (*each)(void *ctx, uint32_t msg, uint32_t conv, uint64_t placed), void *ctx);
bool checker_seen_all(const struct checker *, uint32_t device);

/* Judges; each breach goes to `tell` (may be NULL). Returns how many. Call once, at the end. */
size_t checker_judge(struct checker *, void (*tell)(void *ctx, enum breach, const char *what), void *ctx);

#endif
