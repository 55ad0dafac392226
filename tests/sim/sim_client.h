/* sim_client.h: a device of a user, as plain as a client can be, and the model's own record of what it did and saw.
 *
 * It registers, logs in by password or token, numbers its sends, sends again what has no outcome, in order, before
 * anything new; confirms, keeps per conversation what it has in a row, tells cursors, asks for what is missing. What it
 * sent and what it was shown is kept here for the checker, which looks at nothing else of the product's. */
#ifndef PARLEY_SIM_SIM_CLIENT_H
#define PARLEY_SIM_SIM_CLIENT_H

#include "common/im/ids.h"
#include "tests/sim/sim_link.h"

struct sim_user {
    char login[24], password[24];
    struct id16 id;
    bool tried, registered;
};

#define SIM_GHOST SIM_USERS /* nobody's name */

struct sim_msg { /* one send */
    struct sim_msg *next;
    uint64_t client_seq;
    uint32_t peer; /* user, or SIM_GHOST */
    struct id16 conv;
    uint32_t device;
    char text[80];
    uint32_t attempts;
    bool acked, resolved, refused, stale;
    bool forgotten; /* by the client; the model remembers it */
    uint64_t seq;
    int64_t last_us;
};

struct sim_seen { /* what a device was shown at a place */
    bool have;
    struct id16 sender;
    uint32_t device;
    uint64_t client_seq;
    uint32_t text; /* hash */
};
struct sim_talk { /* a conversation, as this device has it */
    struct id16 id;
    bool known, dirty;
    uint64_t base, upto, top; /* base … upto without a hole; top: the highest seen */
    struct sim_seen *seen;
    uint64_t cap;
    uint32_t asked; /* for a hole, in vain */
    int64_t asked_us;
};

enum sim_client_state { CLIENT_OFF, CLIENT_HELLO, CLIENT_LOGIN, CLIENT_ON };

struct sim_client {
    struct sim *sim;
    char name[48], device_id[24];
    uint32_t user, index;
    uint32_t device; /* number; 0: never logged in */
    char token[256];
    bool lives;
    bool late;                              /* it comes after the beginning */
    int64_t since;                          /* when it was sure to be known to everybody; 0: not yet */
    bool rest_in_history;                   /* it was told so */
    bool forgot;                            /* it lost its memory at least once */
    bool fresh;                             /* … and has not been told since what it has */
    struct sim_seen *before[SIM_USERS + 1]; /* what it was shown then */
    uint64_t cap_before[SIM_USERS + 1];
    enum sim_client_state state;
    struct sim_link *link, *old;
    bool by_token, silent, logged_in_again, final;
    uint32_t next_seq_id, login_seq_id, old_delivery;
    uint64_t next_seq;
    uint32_t n_sent, to_send, delivery, confirmed;
    struct sim_msg *msgs, **msgs_tail;
    struct sim_talk talks[SIM_USERS + 1];
    bool confirm_scheduled, pulling;
    uint32_t pull_talk; /* whose hole; SIM_USERS + 1: the whole queue */
    uint32_t pull_seq_id;
    uint64_t pull_after;
    int64_t pull_us, heard_us, heartbeat_us, connect_us, send_us, trouble_us;
};

void sim_clients_init(struct sim *);
void sim_client_go(struct sim_client *); /* starts its life */
void sim_client_relogin(struct sim_client *);
void sim_client_takeover(struct sim_client *); /* a second connection at another edge */
void sim_client_forget(struct sim_client *);   /* everything it remembered is gone */
void sim_client_flood(struct sim_client *);    /* one send many times, on whatever connections it has */
bool sim_client_done(const struct sim_client *, const char **why); /* nothing left to do or to wait for */

/* From its links. */
void sim_client_frame(struct sim_client *, struct sim_link *, const struct sim_frame *);
void sim_client_heard(struct sim_client *);
void sim_client_closed(struct sim_client *, struct sim_link *);

/* sim_talk.c */
void sim_talks_init(struct sim_client *);
void sim_client_shown(struct sim_client *, const struct id16 *conv, uint64_t seq, const struct sim_seen *);
uint32_t sim_text_hash(const char *, size_t n);
bool sim_talk_hole(const struct sim_talk *);
void sim_talks_forget(struct sim_client *);
void sim_talk_cursor(struct sim_client *, const struct id16 *conv, uint64_t from, uint64_t upto);
void sim_talk_give_up(struct sim_talk *);

#endif
