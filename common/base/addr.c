#include "common/base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_port(const char *text, in_port_t *port)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -EINVAL;
    unsigned long v = strtoul(text, &end, 10);
    if (*end || v > 65535)
        return -EINVAL;
    *port = htons((uint16_t)v);
    return 0;
}

int addr_parse(const char *text, struct sockaddr_storage *out, socklen_t *len)
{
    char host[ADDR_TEXT];
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    in_port_t port;
    if (n == 0 || n >= sizeof host || parse_port(colon + 1, &port))
        return -EINVAL;
    memcpy(host, text, n);
    host[n] = '\0';

    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port};
    if (host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        if (inet_pton(AF_INET6, host + 1, &v6.sin6_addr) != 1)
            return -EINVAL;
        *out = (struct sockaddr_storage){0};
        memcpy(out, &v6, sizeof v6);
        *len = sizeof v6;
        return 0;
    }
    const char *numeric = !strcmp(host, "localhost") ? "127.0.0.1" : !strcmp(host, "*") ? "0.0.0.0" : host;
    if (inet_pton(AF_INET, numeric, &v4.sin_addr) != 1)
        return -EINVAL;
    *out = (struct sockaddr_storage){0};
    memcpy(out, &v4, sizeof v4);
    *len = sizeof v4;
    return 0;
}

char *addr_format(char out[ADDR_TEXT], const struct sockaddr *a)
{
    char host[INET6_ADDRSTRLEN] = "";
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    snprintf(out, ADDR_TEXT, "?");
    if (a->sa_family == AF_INET) {
        memcpy(&v4, a, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
        snprintf(out, ADDR_TEXT, "%s:%u", host, ntohs(v4.sin_port));
    } else if (a->sa_family == AF_INET6) {
        memcpy(&v6, a, sizeof v6);
        inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
        snprintf(out, ADDR_TEXT, "[%s]:%u", host, ntohs(v6.sin6_port));
    }
    return out;
}

int addr_check(const char *text, char *why, size_t n)
{
    struct sockaddr_storage a;
    socklen_t len;
    int rc = addr_parse(text, &a, &len);
    if (rc)
        snprintf(why, n, "a numeric address and a port, such as \"127.0.0.1:7000\" or \"[::1]:7000\"");
    return rc;
}
