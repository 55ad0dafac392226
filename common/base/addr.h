/* addr.h: "host:port" as written in settings and log lines. Numeric addresses only: no look-up can block. */
#ifndef PARLEY_BASE_ADDR_H
#define PARLEY_BASE_ADDR_H

#include "common/base/macros.h"

#include <stddef.h>
#include <sys/socket.h>

#define ADDR_TEXT 64 /* room for any address as text */

/* "127.0.0.1:7000", "[::1]:7000", "localhost:7000" (IPv4 loopback), "*:7000" (every IPv4 interface). -EINVAL
 */
int MUST_CHECK addr_parse(const char *text, struct sockaddr_storage *out, socklen_t *len);

char *addr_format(char out[ADDR_TEXT],
                  const struct sockaddr *); /* "?" for a family it does not know; returns out */

int addr_check(const char *text, char *why, size_t n); /* for conf_def.check */

#endif
