#include "webhooks/post.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MAX (1 << 20) /* an answer that goes on longer is cut */

struct poster {
    struct loop *loop;
    struct poster_conf conf;
    CURLM *multi;
    struct timer timer;
    struct loop_job look;
};

struct watch { /* a socket of curl's */
    struct loop_fd fd;
    struct poster *poster;
};

/* ---- curl asks for descriptors and a timer ---- */

static void finish(struct poster *p, CURL *easy, CURLcode rc);

static void collect(struct loop_job *j)
{
    struct poster *p = container_of(j, struct poster, look);
    CURLMsg *m;
    for (int left; (m = curl_multi_info_read(p->multi, &left));)
        if (m->msg == CURLMSG_DONE)
            finish(p, m->easy_handle, m->data.result);
}

static void turn(struct poster *p, curl_socket_t fd, int what)
{
    int running;
    curl_multi_socket_action(p->multi, fd, what, &running);
    loop_defer(p->loop, &p->look, collect);
}

static void on_fd(struct loop_fd *f, uint32_t events)
{
    struct watch *w = container_of(f, struct watch, fd);
    int what = (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (events & (EPOLLHUP | EPOLLERR) ? CURL_CSELECT_ERR : 0);
    turn(w->poster, f->fd, what);
}

static void on_timer(struct timer *t)
{
    turn(container_of(t, struct poster, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int want_timer(CURLM *multi, long ms, void *ctx)
{
    struct poster *p = ctx;
    (void)multi;
    if (ms < 0)
        loop_timer_stop(p->loop, &p->timer);
    else
        loop_timer_start(p->loop, &p->timer, ms > 0 ? ms : 1);
    return 0;
}

static int want_socket(CURL *easy, curl_socket_t s, int what, void *ctx, void *had)
{
    struct poster *p = ctx;
    struct watch *w = had;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (w)
            loop_del(p->loop, &w->fd);
        free(w);
        return 0;
    }
    uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
    if (w)
        return loop_mod(p->loop, &w->fd, events) ? -1 : 0;
    w = calloc(1, sizeof *w);
    if (!w)
        return -1;
    w->poster = p;
    if (loop_add(p->loop, &w->fd, s, events, on_fd)) {
        free(w);
        return -1;
    }
    curl_multi_assign(p->multi, s, w);
    return 0;
}

struct poster *poster_new(struct loop *loop, const struct poster_conf *conf)
{
    static bool ready;
    if (!ready && curl_global_init(CURL_GLOBAL_DEFAULT))
        return NULL;
    ready = true;
    struct poster *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->loop = loop;
    p->conf = *conf;
    timer_init(&p->timer, on_timer);
    p->multi = curl_multi_init();
    if (!p->multi) {
        free(p);
        return NULL;
    }
    curl_multi_setopt(p->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(p->multi, CURLMOPT_SOCKETDATA, p);
    curl_multi_setopt(p->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    curl_multi_setopt(p->multi, CURLMOPT_TIMERDATA, p);
    return p;
}

void poster_free(struct poster *p)
{
    if (!p)
        return;
    curl_multi_cleanup(p->multi); /* gives up its sockets */
    loop_cancel(p->loop, &p->look);
    loop_timer_stop(p->loop, &p->timer);
    free(p);
}

/* ---- one POST ---- */

static size_t on_answer(char *data, size_t size, size_t n, void *ctx)
{
    struct post *post = ctx;
    (void)data;
    post->answer_n += n * size;
    return post->answer_n > ANSWER_MAX ? 0 : n * size;
}

static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct post *post = ctx;
    (void)purpose;
    if (!post->poster->conf.private_addresses && !post_address_public(&a->addr)) {
        post->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static void forget(struct post *post)
{
    if (!post->easy)
        return;
    curl_multi_remove_handle(post->poster->multi, post->easy);
    curl_easy_cleanup(post->easy);
    curl_slist_free_all(post->headers);
    post->easy = post->headers = NULL;
}

static void finish(struct poster *p, CURL *easy, CURLcode rc)
{
    struct post *post;
    curl_off_t wait_s = 0;
    struct post_result r = {0};
    (void)p;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &post);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &r.status);
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &wait_s);
    if (rc != CURLE_OK && rc != CURLE_WRITE_ERROR) /* an answer that was cut is an answer */
        r.status = 0;
    r.retry_after_ms = wait_s > 0 && wait_s < 1000000000 ? (int64_t)wait_s * 1000 : 0;
    r.why = r.status         ? ""
            : post->refused  ? "its address is not public: webhooks.private_addresses"
            : post->error[0] ? post->error
                             : curl_easy_strerror(rc);
    forget(post);
    post->done(post, &r);
}

static void set_up(struct poster *p, struct post *post, const char *url, struct slice body)
{
    CURL *e = post->easy;
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, p->conf.plain_http ? "http,https" : "https");
    curl_easy_setopt(e, CURLOPT_POST, 1L);
    curl_easy_setopt(e, CURLOPT_POSTFIELDS, body.p);
    curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, post->headers);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)p->conf.connect_ms);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)p->conf.timeout_ms);
    curl_easy_setopt(e, CURLOPT_PROXY, p->conf.proxy ? p->conf.proxy : "");
    curl_easy_setopt(e, CURLOPT_USERAGENT, "parley-webhooks");
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, post->error);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, post);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, post);
    curl_easy_setopt(e, CURLOPT_PRIVATE, post);
    if (p->conf.ca_file)
        curl_easy_setopt(e, CURLOPT_CAINFO, p->conf.ca_file);
}

int post_start(struct poster *p, struct post *post, const char *url, const char *const *headers,
               struct slice body)
{
    void (*done)(struct post *, const struct post_result *) = post->done;
    *post = (struct post){.done = done, .poster = p, .easy = curl_easy_init()};
    bool ok = post->easy != NULL;
    for (; ok && *headers; headers++) {
        struct curl_slist *list = curl_slist_append(post->headers, *headers);
        ok = list != NULL;
        post->headers = list ? list : post->headers;
    }
    if (ok)
        set_up(p, post, url, body);
    if (ok && curl_multi_add_handle(p->multi, post->easy) == CURLM_OK)
        return 0;
    if (post->easy)
        curl_easy_cleanup(post->easy);
    curl_slist_free_all(post->headers);
    post->easy = post->headers = NULL;
    return -ENOMEM;
}

void post_cancel(struct post *post)
{
    forget(post);
}
