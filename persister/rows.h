/* rows.h: the rows that the persister's cores write, packed into one value each.
 *
 * tables.c cuts them into columns. Message rows live only from step to put. Account and device rows are also what
 * the load statements build, so their layout is shared with SQL: big-endian numbers, the length of the first text,
 * both texts. Packing goes into the batch's arena; parsing borrows. */
#ifndef PARLEY_PERSISTER_ROWS_H
#define PARLEY_PERSISTER_ROWS_H

#include "common/im/convrec.h"

/* One numbering for both cores, so that one store serves both. */
enum persister_table {
    P_CELL = 1,     /* conv:16 ‖ cell key → cell */
    P_MESSAGE = 2,  /* append only: struct message_row */
    P_ACCOUNT = 3,  /* user:16 → struct account_row */
    P_DEVICE = 4,   /* user:16 ‖ device:4 → struct device_row */
    P_VERIFIER = 5, /* user:16 → master key and verifier; written, never read */
};

#define KEY_DEVICE (ID_SIZE + 4)

struct message_row {
    struct id16 conv, sender, msg_id;
    uint32_t device;
    uint16_t kind, zero; /* no padding: rows are compared as bytes */
    uint64_t seq, client_seq, key_id;
    int64_t time_ms;
    int32_t source_part, conv_part;
    int64_t source_offset, conv_offset;
    uint32_t text_n, type_n, data_n, trace_n;
};
struct message_texts {
    struct slice text, type, data, trace;
};
struct account_row {
    int64_t token_generation;
    int64_t source_offset;
    int64_t registered_ms;
    int32_t source_part;
    struct slice login, display_name;
};
struct device_row {
    int64_t added_ms, dropped_ms; /* dropped_ms 0: in use */
    struct slice device_id, device_class;
};

struct slice message_row_pack(struct fx *, const struct convrec *, const struct conv_outcome *,
                              const struct record *);
struct slice account_row_pack(struct fx *, const struct account_row *);
struct slice device_row_pack(struct fx *, const struct device_row *);
struct slice verifier_row_pack(struct fx *, uint32_t master_key, struct slice verifier);
void device_key(struct id16 user, uint32_t device, uint8_t out[KEY_DEVICE]);

/* -EBADMSG; slices point into the row. */
int message_row_parse(struct slice, struct message_row *, struct message_texts *);
int account_row_parse(struct slice, struct account_row *);
int device_row_parse(struct slice, struct device_row *);
int verifier_row_parse(struct slice, uint32_t *master_key, struct slice *verifier);
int device_key_parse(struct slice, struct id16 *user, uint32_t *device);

#endif
