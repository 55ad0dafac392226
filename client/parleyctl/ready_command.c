/* ready_command.c: is a process ready? For health checks where there is nothing but Parley's own programs. */
#include "client/parleyctl/ctl.h"

#include <curl/curl.h>
#include <string.h>

#define USUAL_MS 2000

struct said { /* what the process waits for, in its own words */
    char text[400];
    size_t n;
};

static size_t take_body(char *p, size_t size, size_t n, void *ctx)
{
    struct said *s = ctx;
    size_t room = sizeof s->text - 1 - s->n, take_n = size * n < room ? size * n : room;
    memcpy(s->text + s->n, p, take_n);
    s->n += take_n;
    return size * n;
}

/* The status, or 0 when nobody answers: then s->text says why. */
static long ask(const char *address, long timeout_ms, struct said *s)
{
    char url[300];
    long status = 0;
    CURL *curl = curl_easy_init();
    snprintf(url, sizeof url, "http://%s/readyz", address);
    if (!curl)
        return 0;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, s);
    CURLcode rc = curl_easy_perform(curl);
    if (rc == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    else
        s->n = (size_t)snprintf(s->text, sizeof s->text, "%s", curl_easy_strerror(rc));
    curl_easy_cleanup(curl);
    while (s->n && s->text[s->n - 1] == '\n')
        s->n--;
    s->text[s->n] = '\0';
    return status;
}

static int run(struct ctl *c, int argc, char **argv)
{
    struct said s = {0};
    if (argc != 2 || !*argv[1])
        return ctl_usage("ready HOST:PORT");
    long status = ask(argv[1], c->timeout_ms > 0 ? c->timeout_ms : USUAL_MS, &s);
    if (c->json)
        ctl_put(json_pack("{ss sb si ss%}", "address", argv[1], "ready", (int)(status == 200), "status",
                          (int)status, "says", s.text, s.n));
    else if (status != 200)
        ctl_complain("%s: %s", argv[1], s.n ? s.text : "no answer");
    else
        ctl_say(c, "%s: ready", argv[1]);
    return status == 200 ? CTL_OK : CTL_FAILED;
}

const struct ctl_command ctl_ready = {
    .name = "ready",
    .about = "is a process ready? for health checks",
    .help = "Examples\n"
            "  parleyctl ready 127.0.0.1:9101    asks an edge's /readyz\n"
            "  parleyctl ready --timeout 1 127.0.0.1:9103 || echo not yet\n"
            "\n"
            "The address is the process's own `http` setting. Exit code 1 when it is not\n"
            "ready, and says what it waits for, or when nobody answers.\n",
    .run = run,
};
