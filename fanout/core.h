/* core.h: fanout's decisions: numbers for the records of im.conversation, and who is to be told.
 *
 * Per record: run the reducer, tell the sender's connection the outcome, and give what was accepted to every live
 * session of those who see it (one record per slot and batch) and, for devices not reached that way, to im.offline: of
 * a direct conversation a record per user with the message in it, of a group one per partition that only points. What
 * was noted goes to those it concerns and is never queued; an announcement to all sessions of every held slot.
 * Reads the presence and lease views, which must be caught up before the first step. Sends are safe to repeat: clients
 * drop by (conversation, seq), queues by the same pair.
 *
 * Rows: F_CELL is the reducer's cells. When a recovery found the persister further than fanout had sent (see
 * recover.h), F_AHEAD says up to which offset the cells already go, and F_DECIDED holds one row per accepted record
 * below it: such records are told and pushed with the number they have, and change nothing. */
#ifndef PARLEY_FANOUT_CORE_H
#define PARLEY_FANOUT_CORE_H

#include "common/base/core.h"
#include "common/im/conv.h"
#include "common/im/lease.h"
#include "common/im/presence.h"

enum fanout_table { F_CELL = 1, F_DECIDED = 2, F_AHEAD = 3 };

struct fanout_settings {
    int64_t cache_bytes; /* conversations kept between batches, per partition */
};

struct bodykeys;

struct fanout_views { /* the core's `shared` */
    const struct presence *presence;
    const struct lease *lease;
    int32_t offline_parts;   /* partitions of im.offline */
    struct bodykeys *bodies; /* opens what is said; NULL: it is told as it is */
};

/* One input: T_CONVERSATION. Records of T_SIGNAL may be offered besides (shell_offer): they change nothing, are told
 * when the conversation can be read, and are never an error. */
extern const struct core_ops fanout_core;

/* The rows that F_AHEAD and F_DECIDED consist of; keys are big-endian. */
#define F_AHEAD_ROW   8
#define F_DECIDED_KEY 8
#define F_DECIDED_ROW (24 + CONV_USERS * ID_SIZE) /* at most */
extern const struct slice fanout_ahead_key;
void fanout_ahead_row(int64_t ahead, uint8_t row[F_AHEAD_ROW]);
void fanout_decided_key(int64_t offset, uint8_t key[F_DECIDED_KEY]);
/* `users`: whom it changed, 16 bytes each. Returns the row's length. */
size_t fanout_decided_row(uint64_t seq, int64_t time_ms, int64_t until_ms, struct slice users,
                          uint8_t row[F_DECIDED_ROW]);

#endif
