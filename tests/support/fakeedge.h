/* fakeedge.h: a scripted edge and a libparley handle in one thread, for the client's unit tests.
 *
 * The test plays the server: it accepts, waits for what the client sends and answers by hand. While it waits, the
 * client runs. What the client told its callbacks is written down, one line each, in `log`. */
#ifndef PARLEY_SUPPORT_FAKEEDGE_H
#define PARLEY_SUPPORT_FAKEEDGE_H

#include "client/lib/parley.h"
#include "tests/support/rawclient.h"

#define FAKE_MS 10000 /* longest wait for anything */

struct fake {
    int listener;
    char addr[64];
    struct parley *p;
    struct raw *s; /* the server's end of the connection now */
    char log[65536];
    size_t log_n;
    bool ended;
};

/* More servers in front of this one may be given ("" for none); options may be NULL. */
void fake_start(struct fake *, const struct parley_options *, const char *other_servers);
void fake_client(struct fake *, const struct parley_options *); /* a new handle, to the same server */
void fake_online(struct fake *, uint64_t base);                 /* started, and logged in as a new device */
void fake_stop(struct fake *);
void fake_run(void *); /* one turn of the client; given to raw_pump() */

void fake_accept(struct fake *);                           /* the next connection */
struct raw_frame *fake_want(struct fake *, uint16_t type); /* fails the test when it does not come */
void fake_login(struct fake *, uint64_t base, uint32_t window,
                bool new_device);               /* accept, take LOGIN_REQ, say yes */
void fake_saw(struct fake *, const char *line); /* waits until the log has this text; fails otherwise */
size_t fake_count(const struct fake *, const char *text); /* how often it is in the log */
void fake_settle(struct fake *); /* a heartbeat's round trip: what the server said before was handled */

void fake_push(struct fake *, uint32_t delivery, uint8_t conv, uint64_t seq, const char *text);
void fake_ack(struct fake *, uint32_t seq_id, uint64_t client_seq, Im__Stage, uint8_t conv, uint64_t seq);
void fake_page(struct fake *, uint32_t seq_id, uint8_t conv, const uint64_t *seqs, size_t n, bool more,
               uint64_t next);
void fake_answer(struct fake *, uint16_t type, const struct raw_frame *question, const ProtobufCMessage *);
void fake_refuse(struct fake *, uint32_t seq_id, Im__Code, uint32_t retry_ms); /* ERROR */
/* Waits for DELIVERY_ACKs until `upto` is confirmed. */
void fake_confirmed(struct fake *, uint32_t upto);

#endif
