/* code.c: names and sentences of the codes; docs/errors.md has cause and fix. */
#include "client/lib/parley_code.h"

#include <stddef.h>

static const struct {
    enum parley_code code;
    const char *name, *text;
} codes[] = {
    {PARLEY_OK, "OK", "done"},
    {PARLEY_FRAME_TOO_SHORT, "FRAME_TOO_SHORT", "the server got a frame shorter than its header"},
    {PARLEY_FRAME_TOO_LARGE, "FRAME_TOO_LARGE", "the message is larger than the server takes"},
    {PARLEY_UNKNOWN_TYPE, "UNKNOWN_TYPE", "the server does not know this kind of request"},
    {PARLEY_BAD_PROTOBUF, "BAD_PROTOBUF", "the server could not decode the request"},
    {PARLEY_BAD_TEXT, "BAD_TEXT", "text must be UTF-8 without NUL bytes"},
    {PARLEY_BAD_FIELD, "BAD_FIELD", "a field is missing, too long or out of range"},
    {PARLEY_WRONG_STATE, "WRONG_STATE", "the request does not fit the state of the session"},
    {PARLEY_NOT_LOGGED_IN, "NOT_LOGGED_IN", "log in first"},
    {PARLEY_BAD_CREDENTIALS, "BAD_CREDENTIALS", "wrong password, or no such account"},
    {PARLEY_BAD_TOKEN, "BAD_TOKEN", "the token is not one of this server: log in with the password"},
    {PARLEY_TOKEN_EXPIRED, "TOKEN_EXPIRED", "the token is too old: log in with the password"},
    {PARLEY_ACCOUNT_EXISTS, "ACCOUNT_EXISTS", "this name is taken"},
    {PARLEY_UNKNOWN_USER, "UNKNOWN_USER", "there is no such account"},
    {PARLEY_SESSION_REPLACED, "SESSION_REPLACED", "the same device logged in elsewhere"},
    {PARLEY_SESSION_REVOKED, "SESSION_REVOKED", "the session was revoked: log in with the password"},
    {PARLEY_LOGIN_TIMEOUT, "LOGIN_TIMEOUT", "the log-in took too long"},
    {PARLEY_IDLE_TIMEOUT, "IDLE_TIMEOUT", "the server heard nothing from this client for too long"},
    {PARLEY_TOO_MANY_DEVICES, "TOO_MANY_DEVICES", "the account has too many devices with a session"},
    {PARLEY_TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", "too many requests: wait and try again"},
    {PARLEY_TOO_MANY_UNRESOLVED, "TOO_MANY_UNRESOLVED", "too many sends without an outcome"},
    {PARLEY_BUSY, "BUSY", "the server takes nothing right now: try again later"},
    {PARLEY_SLOW_READER, "SLOW_READER", "this client read too slowly; what it had not confirmed is kept"},
    {PARLEY_TOO_MANY_CONNECTIONS, "TOO_MANY_CONNECTIONS", "too many connections"},
    {PARLEY_BEHIND, "BEHIND", "the history is behind what was just said: ask again in a moment"},
    {PARLEY_STALE, "STALE",
     "the number is older than the last 64: look the message up, do not send it again"},
    {PARLEY_NOT_A_MEMBER, "NOT_A_MEMBER", "not a member of the conversation"},
    {PARLEY_REFUSED, "REFUSED", "the conversation refused it"},
    {PARLEY_BLOCKED, "BLOCKED", "one of the two blocked the other"},
    {PARLEY_NOT_FRIENDS, "NOT_FRIENDS", "only friends may write here"},
    {PARLEY_MUTED, "MUTED", "may not write here now: muted, or only admins may"},
    {PARLEY_NOT_ALLOWED, "NOT_ALLOWED", "needs a higher role"},
    {PARLEY_GROUP_FULL, "GROUP_FULL", "the group is full, or too many ask to join it"},
    {PARLEY_TOO_OLD, "TOO_OLD", "the message is too old for that"},
    {PARLEY_NO_CHANGE, "NO_CHANGE", "it is so already"},
    {PARLEY_GONE, "GONE", "the message was recalled, or the group dissolved"},
    {PARLEY_NO_SUCH_MESSAGE, "NO_SUCH_MESSAGE", "there is no such message"},
    {PARLEY_OWNER_STAYS, "OWNER_STAYS", "the owner hands the group over, or dissolves it, first"},
    {PARLEY_NO_SUCH_MEMBER, "NO_SUCH_MEMBER", "not a member, or did not ask to join"},
    {PARLEY_INTERNAL, "INTERNAL", "the server had a trouble of its own"},
    {PARLEY_SHUTTING_DOWN, "SHUTTING_DOWN", "the server is shutting down"},
    {PARLEY_UNREACHABLE, "UNREACHABLE", "no server could be reached"},
    {PARLEY_DISCONNECTED, "DISCONNECTED", "the connection broke"},
    {PARLEY_PROTOCOL, "PROTOCOL", "the server said something that makes no sense"},
    {PARLEY_STATE_FILE, "STATE_FILE", "the state file cannot be read or written"},
    {PARLEY_STOPPED, "STOPPED", "stopped"},
};

const char *parley_code_name(enum parley_code code)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].code == code)
            return codes[i].name;
    return "UNKNOWN";
}

const char *parley_code_text(enum parley_code code)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].code == code)
            return codes[i].text;
    return "a code this version does not know";
}
