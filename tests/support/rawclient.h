/* rawclient.h: one end of a connection that does nothing by itself, for tests: send any bytes or frame, wait
 * for one.
 *
 * No heartbeat, no confirmation, no reconnect. Frames that come while another type is waited for are kept, in
 * order. Every wait has a deadline. Not for threads. */
#ifndef PARLEY_SUPPORT_RAWCLIENT_H
#define PARLEY_SUPPORT_RAWCLIENT_H

#include "common/im/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct raw;

struct raw_frame {
    struct raw_frame *next;
    uint16_t type;
    uint32_t seq_id;
    ProtobufCMessage *msg; /* unpacked; NULL when the type is unknown or the payload is not that */
    const uint8_t *payload;
    size_t n;
};

struct raw *raw_connect(const char *addr, int timeout_ms); /* "127.0.0.1:7000"; NULL: errno */
struct raw *raw_adopt(int fd);  /* a server's end: requests are unpacked instead of answers */
void raw_free(struct raw *);    /* closes; frames not taken go too */
void raw_hang_up(struct raw *); /* closes with a reset, as a crash does */
int raw_fd(const struct raw *);
/* Called again and again while a wait lasts: to let the other end run, when it lives in the same thread. */
void raw_pump(struct raw *, void (*fn)(void *), void *arg);

int raw_bytes(struct raw *, const void *, size_t n); /* all of them, at once; 0 or -errno */
int raw_send(struct raw *, uint16_t type, uint32_t seq_id, const ProtobufCMessage *); /* msg NULL: empty */
/* Into `out` instead of the socket; bytes, or -ENOSPC. */
int raw_encode(uint8_t *out, size_t cap, uint16_t type, uint32_t seq_id, const ProtobufCMessage *);

/* The first frame of this type (0: any) that was not taken yet; the caller frees it. NULL: errno is
 * ETIMEDOUT, or ECONNRESET when the other end closed. */
struct raw_frame *raw_wait(struct raw *, uint16_t type, int timeout_ms);
void raw_frame_free(struct raw_frame *);
bool raw_closed(struct raw *,
                int timeout_ms); /* waits until the other end has closed; keeps what came before */
bool raw_quiet(struct raw *, uint16_t type); /* no frame of this type is waiting right now */

/* Register, log in: the answer's code, or -errno. LoginRsp is copied out when rsp is not NULL (free it with
 * im__login_rsp__free_unpacked). */
int raw_register(struct raw *, const char *login, const char *password, int timeout_ms);
int raw_login(struct raw *, const char *login, const char *password, const char *device_id,
              Im__LoginRsp **rsp, int timeout_ms);
int raw_login_req(struct raw *, const Im__LoginReq *, Im__LoginRsp **rsp, int timeout_ms);

/* A listening socket on a free loopback port; the address is written to `addr`. */
int raw_listen(char *addr, size_t n);
struct raw *raw_accept(int listener, int timeout_ms, void (*pump)(void *), void *arg);

#endif
