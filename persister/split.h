/* split.h: rows cut into columns, one function per table of tables.c; the column types stand beside them. */
#ifndef PARLEY_PERSISTER_SPLIT_H
#define PARLEY_PERSISTER_SPLIT_H

#include "common/base/db.h"
#include "common/base/macros.h"
#include "persister/rows.h"

#define SPLIT(name, n)                \
    extern const Oid name##_types[n]; \
    int split_##name(struct slice key, struct slice packed, struct db_array *columns)
/* clang-format off */
#define MESSAGE_COLUMNS      16
#define EVENT_COLUMNS        23
#define ACCOUNT_COLUMNS      12
#define DEVICE_COLUMNS       6
#define VERIFIER_COLUMNS     3
#define PREFS_COLUMNS        6
#define ERASED_COLUMNS       3
#define CONVERSATION_COLUMNS 10
#define MEMBER_COLUMNS       14
#define MARKS_COLUMNS        4
#define ASK_COLUMNS          5
#define BLOCK_COLUMNS        2
/* clang-format on */
SPLIT(message, MESSAGE_COLUMNS); /* split_message.c */
SPLIT(event, EVENT_COLUMNS);
SPLIT(account, ACCOUNT_COLUMNS); /* split_account.c */
SPLIT(device, DEVICE_COLUMNS);
SPLIT(verifier, VERIFIER_COLUMNS);
SPLIT(prefs, PREFS_COLUMNS);
SPLIT(erased, ERASED_COLUMNS);
SPLIT(conversation, CONVERSATION_COLUMNS); /* split_model.c */
SPLIT(member, MEMBER_COLUMNS);
SPLIT(marks, MARKS_COLUMNS);
SPLIT(ask, ASK_COLUMNS);
SPLIT(block, BLOCK_COLUMNS);
#undef SPLIT

/* A value, or NULL. */
void split_bytes(struct db_array *, struct slice);
void split_number(struct db_array *, int64_t); /* NULL: 0 */
/* The two ids that a key begins with. -EBADMSG: key_n is not its length */
int split_pair(struct slice key, size_t key_n, struct db_array *first, struct db_array *second);

#endif
