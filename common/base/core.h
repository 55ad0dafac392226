/* core.h: what a process decides, apart from what it touches.
 *
 * A core is one instance per partition number, run by one thread. It sees records, store rows, confirmations
 * and time; it answers with effects. No I/O, no clock, no randomness: the same calls give the same effects, so
 * the seeded simulator (tests/sim) is a second shell beside the real one (shell.h).
 *
 * A core may read several topics that are partitioned alike (im.offline and im.cursor); its partition number is
 * the same in all of them, and the mark holds one next offset per topic.
 *
 * The shell carries out a batch's effects in this order: all sends acked, all puts with the mark in one store
 * transaction, commit. Batches overlap: a later batch is stepped while an earlier one's sends are in flight, but
 * puts and commits keep the order of the batches. If an effect fails for good, the shell closes the core and
 * opens a new one at the mark; what was sent before is then sent again, so sends must be safe to repeat.
 */
#ifndef PARLEY_BASE_CORE_H
#define PARLEY_BASE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice { /* borrowed until the call that received it returns */
    const void *p;
    size_t n;
};

struct record {
    uint16_t topic; /* index into the deployment's topic table */
    int32_t part;
    int64_t offset;
    int64_t time_ms; /* the record's LogAppendTime, never the machine's clock */
    struct slice key, value;
};

/* ---- effects of one batch; everything is copied into the batch's arena ---- */
struct fx;

#define FX_BY_KEY (-1) /* partition chosen by murmur2 of the key */

void fx_send(struct fx *, uint16_t topic, struct slice key, struct slice value, uint64_t tag);
void fx_send_at(struct fx *, uint16_t topic, int32_t part, struct slice key, struct slice value,
                uint64_t tag);
/* Room for `n` bytes in the batch's arena, for encoding in place; valid until the batch is committed.
 * A value that lies in the arena is not copied again by fx_send. */
void *fx_alloc(struct fx *, size_t n);
void fx_put(struct fx *, uint8_t table, struct slice key, struct slice row); /* row.n == 0: delete */
/* Append-only rows that are never read back by the core (history). Same transaction as the puts. */
void fx_append(struct fx *, uint8_t table, struct slice row);
void fx_wake(struct fx *, int64_t at_ms); /* monotonic: tick() no later than this */

/* ---- rows a batch will touch; the shell loads each once, in one round trip ---- */
struct want;
void want_add(struct want *, uint8_t table, struct slice key);

enum core_rc {
    CORE_OK,
    CORE_MORE, /* from plan only: ask again once what is wanted so far is loaded (bounded: 4 rounds) */
    CORE_LATER, /* from plan only: one of its views is behind; nothing of the batch is stepped, ask again in a while */
    CORE_POISON, /* undecodable: to im.dlq, and on */
    CORE_STOP,   /* halt the partition, loudly: going on would lose or falsify something */
};
enum sent { SENT_OK, SENT_FAILED, SENT_UNKNOWN };

struct core_open {
    int32_t part;
    const int64_t
        *next; /* first offset of each of the core's topics, in the order the process declared them */
    const int64_t
        *quiet; /* per topic: records below this offset were already sent for; change state, send nothing.
                           * The shell drops fx_send of a record below it; a core need not look. */
    const void *settings; /* the process's own settings struct */
    void *shared;         /* the process's views (presence, lease): read-only for the core */
};

struct core_ops {
    void *(*open)(const struct core_open *);
    /* Names the rows that stepping this record needs and that the core has not in memory. May be NULL. */
    enum core_rc (*plan)(void *, const struct record *, struct want *);
    void (*load)(void *, uint8_t table, struct slice key, struct slice row); /* n == 0: proven absent */
    enum core_rc (*step)(void *, const struct record *, int64_t now_ms, struct fx *);
    /* After the last record of a batch: emit what was gathered over the batch (one record per edge). May be NULL. */
    void (*end)(void *, int64_t now_ms, struct fx *);
    void (*tick)(void *, int64_t now_ms, struct fx *);          /* may be NULL */
    void (*sent)(void *, uint64_t tag, enum sent, struct fx *); /* may be NULL; tag 0 is not reported */
    void (*close)(void *);
};

/* Rows may leave a core's memory only between batches: plan() of the next batch must then want them again.
 * The shell answers such a want with the newest put, even one whose transaction is still in flight. */

#endif
