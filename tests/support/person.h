/* person.h: one connection of one device of a user, for tests that look at every frame: it keeps what it was
 * sent, and confirms nothing unless told to.
 *
 * Waits have the pipeline's deadline and fail the test. The texts of messages are compared as they are. */
#ifndef PARLEY_SUPPORT_PERSON_H
#define PARLEY_SUPPORT_PERSON_H

#include "tests/support/pipeline.h"
#include "tests/support/rawclient.h"

struct said { /* a message that came */
    uint8_t conv[16];
    uint64_t seq, client_seq;
    uint32_t sender_device, delivery; /* 0: it came in a page */
    char sender[65];
    char text[128]; /* its beginning */
};
struct acked {
    uint64_t client_seq, seq;
    int stage, code;
    uint32_t delivery; /* 0: ACCEPTED */
    uint8_t msg_id[16];
};
struct told { /* an Error */
    int code;
    uint32_t seq_id, retry_ms;
    char field[32];
};
struct page {
    uint32_t seq_id; /* 0: sent by itself after the login */
    uint64_t next;
    size_t n; /* messages in it */
    bool more, rest;
    int code;
};

struct person {
    struct pl *pl;
    struct raw *raw; /* NULL: not connected */
    char login[65], device_id[33], token[512];
    uint8_t user[16];
    uint32_t device, heartbeat_ms;
    uint64_t base, next; /* client_seq: base, and the next one */
    bool new_device;
    struct said *said;
    struct acked *acked;
    struct told *told;
    struct page *pages;
    size_t n_said, n_acked, n_told, n_pages, heartbeats;
    int kicked; /* code of KICKED, or 0 */
    bool goaway, closed;
    uint32_t upto; /* highest delivery number seen */
};

/* ---- coming and going; edge: its index. The int ones return the answer's code ---- */
void person_connect(struct person *, struct pl *, int edge);
int person_register(struct person *, const char *login, const char *password); /* waits out BUSY */
int person_login(struct person *, const char *login, const char *password, const char *device_id);
int person_token(struct person *, const char *token, const char *device_id);
/* An account "NAME-<random>" with the password "correct horse"; the name is in p->login. Connected afterwards. */
void person_new(struct person *, struct pl *, int edge, const char *name, const char *device_id);
/* The same account from another connection: another device, or another edge. */
void person_join(struct person *, struct pl *, int edge, const struct person *as, const char *device_id);
void person_hang_up(struct person *); /* at once, saying nothing; what came is kept */
void person_logout(struct person *);
void person_free(struct person *);   /* closes; forgets all */
void person_forget(struct person *); /* what came */

/* ---- messages ---- */
uint64_t person_say(struct person *, const char *to, const char *fmt, ...)
    PRINTF_LIKE(3, 4); /* its client_seq */
void person_send(struct person *, uint64_t client_seq, const char *to, const char *text);
/* Waits for the outcome; returns the place. A refusal fails the test. */
uint64_t person_placed(struct person *, uint64_t client_seq);
void person_accepted(struct person *, uint64_t client_seq);
const struct acked *person_ack(struct person *, uint64_t client_seq, int stage); /* NULL: not yet */
void person_wait_said(struct person *, size_t n);                  /* until n messages came in all */
void person_confirm(struct person *);                              /* everything that came, with cursors */
void person_pull(struct person *, uint64_t after, uint32_t limit); /* waits for the page */
const struct told *person_wait_told(struct person *, int code);    /* until an Error with this code came */
void person_wait_closed(struct person *);

void person_pump(struct person *); /* takes what is there; no waiting */

/* The same messages (sender, client_seq) in the same order with the same numbers. */
void assert_same_said(const struct person *, const struct person *);
/* Numbers 1 … n without holes, all of one conversation. */
void assert_dense(const struct person *, size_t n);

#endif
