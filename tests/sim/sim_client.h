/* sim_client.h: a device of a user, as plain as a client can be, and the model's own record of what it did and saw.
 *
 * It registers, logs in by password or token, numbers its sends, sends again what has no outcome, in order, before
 * anything new; confirms, keeps per conversation what it has in a row, tells cursors, asks for what is missing: of
 * two in its queue, of groups in history. What it sent and what it was shown is kept here for the checker, which
 * looks at nothing else of the product's. */
#ifndef PARLEY_SIM_SIM_CLIENT_H
#define PARLEY_SIM_SIM_CLIENT_H

#include "common/im/ids.h"
#include "tests/sim/sim_link.h"

struct sim_user {
    char login[24], password[24];
    struct id16 id;
    bool tried, registered;
    bool blocked; /* it blocked somebody, or was, at least once */
};

/* Conversations of a device by number: the users', nobody's, the groups'. */
#define SIM_GHOST  SIM_USERS /* nobody's name */
#define SIM_ROOM0  (SIM_USERS + 1)
#define SIM_TALKS  (SIM_ROOM0 + SIM_ROOMS)
#define SIM_SYSTEM SIM_TALKS /* announcements: nothing is ever missing */
#define SIM_ALL    (SIM_TALKS + 1)

struct sim_room { /* a group; once it is there, whoever is no member knows of it all the same */
    struct id16 id;
    bool tried, made; /* somebody asked for it to be made; it was seen to be */
};

struct sim_msg { /* one send */
    struct sim_msg *next;
    uint64_t client_seq;
    uint32_t talk;
    struct id16 conv;
    uint32_t device;
    uint32_t kind;  /* Im__ConvKind */
    uint32_t users; /* bits: whom it names */
    uint32_t role, flags, flags_mask, duration_s;
    uint64_t target;
    char text[80];
    uint32_t attempts;
    bool acked, resolved, stale;
    bool refused;   /* it must never be seen */
    bool noted;     /* done, without a place */
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
    uint32_t kind;
    uint64_t target;
    bool blank;   /* from history, which leaves out what was recalled */
    bool nothing; /* `have` is not set: history says that it is not for this user */
};
struct sim_talk { /* a conversation, as this device has it */
    struct id16 id;
    bool room; /* a group: what is missing is in history */
    bool known, dirty;
    uint64_t base, upto, top; /* base … upto without a hole; top: the highest seen */
    struct sim_seen *seen;
    uint64_t cap;
    uint32_t asked; /* for a hole, in vain */
    int64_t asked_us;
    uint64_t news;    /* there is something up to here */
    uint64_t receipt; /* the highest place that it was told somebody has got to */
};

enum sim_client_state { CLIENT_OFF, CLIENT_HELLO, CLIENT_LOGIN, CLIENT_ON };

struct sim_client {
    struct sim *sim;
    char name[48], device_id[24];
    uint32_t user, index;
    uint32_t device; /* number; 0: never logged in */
    char token[256];
    bool lives;
    bool late;                        /* it comes after the beginning */
    int64_t since;                    /* when it was sure to be known to everybody; 0: not yet */
    bool rest_in_history;             /* it was told so */
    bool forgot;                      /* it lost its memory at least once */
    bool fresh;                       /* … and has not been told since what it has */
    struct sim_seen *before[SIM_ALL]; /* what it was shown then */
    uint64_t cap_before[SIM_ALL];
    uint32_t revoked; /* how often somebody wanted to end it, or its tokens */
    bool dropped;     /* it may come back as another device */
    enum sim_client_state state;
    struct sim_link *link, *old;
    bool by_token, silent, logged_in_again, final;
    uint32_t next_seq_id, login_seq_id, old_delivery;
    uint64_t next_seq;
    uint32_t n_sent, to_send, delivery, confirmed;
    struct sim_msg *msgs, **msgs_tail;
    struct sim_talk talks[SIM_ALL];
    bool confirm_scheduled, pulling;
    uint32_t pull_talk; /* whose hole; SIM_ALL: the whole queue */
    uint32_t pull_seq_id;
    uint64_t pull_after;
    bool filling; /* one page of history at a time */
    uint32_t fill_talk, fill_seq_id;
    uint64_t fill_after, fill_upto;
    int64_t fill_us;
    int64_t pull_us, heard_us, heartbeat_us, connect_us, send_us, trouble_us;
};

void sim_clients_init(struct sim *);
void sim_client_go(struct sim_client *); /* starts its life */
void sim_client_relogin(struct sim_client *);
void sim_client_takeover(struct sim_client *); /* a second connection at another edge */
void sim_client_forget(struct sim_client *);   /* everything it remembered is gone */
void sim_client_flood(struct sim_client *);    /* one send many times, on whatever connections it has */
bool sim_client_revoke(
    struct sim_client *); /* another device of its user's, or all; false: there is no other */
bool sim_client_done(const struct sim_client *, const char **why); /* nothing left to do or to wait for */

/* From its links. */
void sim_client_frame(struct sim_client *, struct sim_link *, const struct sim_frame *);
void sim_client_heard(struct sim_client *);
void sim_client_closed(struct sim_client *, struct sim_link *);

/* sim_talk.c */
static inline bool sim_talk_is_room(uint32_t talk)
{
    return talk >= SIM_ROOM0 && talk < SIM_TALKS;
}
void sim_talks_init(struct sim_client *);
void sim_client_shown(struct sim_client *, const struct id16 *conv, uint64_t seq, const struct sim_seen *);
uint32_t sim_text_hash(const char *, size_t n);
bool sim_talk_hole(
    const struct sim_talk *); /* of two: something is missing; of a group: history is to be asked */
void sim_talk_receipt(struct sim_client *, const struct id16 *conv, uint64_t upto);
void sim_talk_news(struct sim_client *, const struct id16 *conv, uint64_t upto);
/* History has nothing for this user above `after` up to `upto`, but what is here. */
void sim_talk_nothing(struct sim_client *, struct sim_talk *, uint64_t after, uint64_t upto);
void sim_talk_begins(struct sim_talk *); /* of a group: everything from its beginning is known */
void sim_talks_forget(struct sim_client *);
void sim_talk_cursor(struct sim_client *, const struct id16 *conv, uint64_t from, uint64_t upto);
void sim_talk_give_up(struct sim_talk *);

#endif
