#include "bench/args.h"

#include "common/base/addr.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int usage(const char *about, const struct arg *a, size_t n, FILE *to)
{
    fprintf(to, "%s\n\nOptions\n", about);
    for (size_t i = 0; i < n; i++) {
        char left[40];
        snprintf(left, sizeof left, "--%s%s", a[i].name,
                 a[i].kind == ARG_FLAG     ? ""
                 : a[i].kind == ARG_NUMBER ? " N"
                                           : " X");
        fprintf(to, "  %-22s %s\n", left, a[i].help);
    }
    return to == stdout ? 1 : 3;
}

static bool store(const struct arg *a, const char *value)
{
    if (a->kind == ARG_TEXT) {
        *(const char **)a->to = value;
    } else if (a->kind == ARG_NUMBER) {
        char *end;
        errno = 0;
        unsigned long long v = strtoull(value, &end, 0);
        if (errno || *end || end == value || *value == '-')
            return false;
        *(uint64_t *)a->to = v;
    } else {
        struct arg_list *l = a->to;
        if (l->n == sizeof l->v / sizeof l->v[0])
            return false;
        l->v[l->n++] = value;
    }
    return true;
}

int args_parse(const char *about, const struct arg *a, size_t n, int argc, char **argv)
{
    for (int k = 1; k < argc; k++) {
        const char *w = argv[k];
        if (!strcmp(w, "--help") || !strcmp(w, "-h"))
            return usage(about, a, n, stdout);
        size_t i = n, len = strcspn(w, "=");
        if (!strncmp(w, "--", 2))
            for (i = 0; i < n && (strlen(a[i].name) != len - 2 || strncmp(a[i].name, w + 2, len - 2) != 0);
                 i++)
                ;
        if (i == n) {
            fprintf(stderr, "parley-bench: there is no option %s\n", w);
            return usage(about, a, n, stderr);
        }
        if (a[i].kind == ARG_FLAG) {
            *(bool *)a[i].to = true;
            continue;
        }
        const char *value = w[len] ? w + len + 1 : k + 1 < argc ? argv[++k] : NULL;
        if (!value || !store(&a[i], value)) {
            fprintf(stderr, "parley-bench: --%s needs %s\n", a[i].name,
                    a[i].kind == ARG_NUMBER ? "a number" : "a value");
            return 3;
        }
    }
    return 0;
}

const char *args_postgres(const char *given)
{
    return given && strcmp(given, "env") == 0 ? getenv("PARLEY_POSTGRES") : given;
}

int args_edges(struct arg_list *edges)
{
    for (size_t i = 0; i < edges->n; i++) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
        struct sockaddr_storage to;
        socklen_t len;
        char host[256], text[ADDR_TEXT];
        const char *given = edges->v[i], *colon = strrchr(given, ':');
        if (!addr_parse(given, &to, &len))
            continue;
        snprintf(host, sizeof host, "%.*s", colon ? (int)(colon - given) : 0, given);
        if (!colon || getaddrinfo(host, colon + 1, &hints, &found)) {
            fprintf(stderr, "parley-bench: --edge %s: no such address\n", given);
            return -EINVAL;
        }
        edges->v[i] = strdup(addr_format(text, found->ai_addr)); /* kept to the end */
        freeaddrinfo(found);
        if (!edges->v[i])
            return -ENOMEM;
    }
    return 0;
}
