/* chat.h: the state of the chat, for chat.c (what is typed) and chat_events.c (what comes) only. */
#ifndef PARLEY_TERMINAL_CHAT_H
#define PARLEY_TERMINAL_CHAT_H

#include "client/parley/commands.h"

#define CHAT_KEPT      1000 /* lines whose ticks may change */
#define CHAT_TYPING_MS 6000 /* somebody types for so long, when nothing else is heard */
#define CHAT_LINE_SIZE (3 * PARLEY_TEXT_MAX + 4000)

struct chat_line {           /* of a message of one's own */
    int64_t id;              /* 0: none */
    long place;              /* on the screen */
    enum parley_stage stage; /* 0: on its way */
    uint8_t conv[PARLEY_ID];
    uint64_t seq;
    char tick[16];
};

struct chat {
    struct run run;
    struct session se;
    struct chat_line lines[CHAT_KEPT];
    size_t n_lines; /* ever; the last CHAT_KEPT are there */
    bool open, ending;
    bool greeted; /* the unread list was shown */
    char typist[80];
    int64_t typing_until; /* 0: nobody */
    char scratch[CHAT_LINE_SIZE];
};

/* ---- chat_events.c ---- */
void chat_callbacks(struct parley_callbacks *);
void chat_notice(const char *text); /* clean */
void chat_prompt(struct chat *);
/* The place's line for what is sent now. */
void chat_sending(struct session *, const struct place *, int64_t id, const char *text);
void chat_ticks(struct chat *, const struct place *); /* again, after a receipt */
bool chat_is_open(const struct chat *, const uint8_t conv[PARLEY_ID]);
void chat_say(struct chat *, char *line); /* a command; chat.c */

#endif
