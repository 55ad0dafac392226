#include "common/im/codes.h"

#include "common/base/macros.h"
#include "proto/client.pb-c.h"

#define C(name, cause, fix)                 \
    {                                       \
        IM__CODE__##name, #name, cause, fix \
    }

static const struct code codes[] = {
    C(OK, "Success.", "Nothing to do."),
    C(FRAME_TOO_SHORT, "A frame's totalLen is below 10, the size of the header.",
      "A bug in the client's framing: totalLen counts the whole frame, header included. The connection is "
      "closed."),
    C(FRAME_TOO_LARGE, "A frame is larger than the cap (4 KiB before login, LoginRsp.max_frame after it).",
      "Send less at once; large content belongs in a file. The connection is closed."),
    C(UNKNOWN_TYPE, "The frame's msgType is not a request.",
      "Compare with the table of frame types in docs/protocol.md; the server may be older than the client."),
    C(BAD_PROTOBUF, "The payload is not the message that belongs to the frame's type.",
      "Encode the message named beside the type in client.proto."),
    C(BAD_TEXT, "A text field is not UTF-8, or contains a NUL.",
      "Send text as UTF-8; bytes belong in `data`."),
    C(BAD_FIELD, "A field is missing, too long or out of range; `field` says which.",
      "Correct that field; docs/protocol.md has the limits."),
    C(WRONG_STATE, "The frame makes no sense now, e.g. LOGIN_REQ after a login.",
      "Log in once per connection; open another one for another account."),
    C(NOT_LOGGED_IN, "The request needs a login first.", "Send LOGIN_REQ and wait for LOGIN_RSP."),
    C(BAD_CREDENTIALS, "Wrong password, or no such account; they are not told apart.",
      "Check both. After several failures there is a pause, see retry_after_ms."),
    C(BAD_TOKEN, "The token was not issued by this deployment.", "Log in with the password."),
    C(TOKEN_EXPIRED, "The token is too old.", "Log in with the password; a login returns a fresh token."),
    C(ACCOUNT_EXISTS, "The login name is taken. Names are never given out twice.", "Choose another one."),
    C(UNKNOWN_USER, "There is no account of that name.", "Check the spelling; nothing was sent."),
    C(SESSION_REPLACED, "The same device logged in again elsewhere; this session is over.",
      "Do not reconnect by yourself, or the two will replace each other for ever. Use one device_id per "
      "installation."),
    C(SESSION_REVOKED, "The account's sessions were revoked, or this device was removed.",
      "Log in with the password."),
    C(LOGIN_TIMEOUT, "No login within the deadline.", "Connect when you are ready to log in."),
    C(IDLE_TIMEOUT, "Nothing was heard for three heartbeat intervals.",
      "Send HEARTBEAT at least every LoginRsp.heartbeat_ms; reconnect."),
    C(TOO_MANY_DEVICES, "The account has as many devices with a session as it may have.",
      "Log out on another device."),
    C(TOO_MANY_REQUESTS, "The rate limit was reached; nothing was taken.",
      "Send it again, unchanged, after retry_after_ms."),
    C(TOO_MANY_UNRESOLVED, "64 sends have no outcome yet; this one was not taken.",
      "Wait for outcomes (MSG_ACK SEQUENCED, NOTED or STAGE_REFUSED), then send it again under the same "
      "client_seq."),
    C(BUSY, "The log is nearly full, or something the request needs is away; nothing was taken.",
      "Send it again, unchanged, after retry_after_ms."),
    C(SLOW_READER, "The client reads more slowly than messages arrive; the connection is closed.",
      "Reconnect. What was not confirmed is kept and comes again."),
    C(TOO_MANY_CONNECTIONS, "This address has as many connections as it may have.",
      "Close some; raise edge.connections_per_address when many users share an address."),
    C(BEHIND, "The read model has not reached the place that was waited for.",
      "Ask again in a moment; the message itself is safe."),
    C(STALE,
      "client_seq is older than the last 64 of this device, so whether it was taken is no longer known here.",
      "Look the message up in the history; never send it under another number."),
    C(NOT_A_MEMBER, "The sender is not in the conversation.", "Nothing was stored; do not resend."),
    C(REFUSED, "The conversation's rules do not allow it.", "Nothing was stored; do not resend."),
    C(BLOCKED, "One of the two blocked the other.", "Nothing was stored; it will not pass until unblocked."),
    C(NOT_FRIENDS, "Strangers may not write here: the two have to be friends first.",
      "Send a friend request (CONV_FRIEND_REQUEST) and wait for it to be confirmed."),
    C(MUTED, "The sender is muted in this group, or only its admins may write.",
      "Wait until the mute ends (ConvInfo.muted_until_ms), or ask an admin."),
    C(NOT_ALLOWED, "It needs a higher role in the group, to be the author, or the admin right.",
      "Nothing was changed; do not resend."),
    C(GROUP_FULL, "The group has as many members, or open requests to join, as it may have.",
      "Remove somebody, or decide on the open requests, first."),
    C(TOO_OLD, "The message is too far back to be changed, or the time for a recall is over.",
      "Nothing was changed; do not resend."),
    C(NO_CHANGE, "It is so already.", "Nothing to do."),
    C(GONE, "The message was recalled, or the group dissolved.", "Nothing was changed; do not resend."),
    C(NO_SUCH_MESSAGE, "There is nothing at that place, it is not visible to the user, or it is no message.",
      "Check `target` (or `reply_to`): it is the seq of a message of this conversation."),
    C(OWNER_STAYS, "The owner cannot leave a group that has other members.",
      "Hand the group over (CONV_GROUP_HAND_OVER) or dissolve it first."),
    C(NO_SUCH_MEMBER, "Whom it is about is no member of the group, or did not ask to join.",
      "Ask MEMBERS_REQ or ASKS_REQ who there is."),
    C(INTERNAL, "Something failed on our side.",
      "Send it again under the same client_seq; if it stays, look at the server's log."),
    C(SHUTTING_DOWN, "This edge is going down.",
      "Connect again after retry_after_ms; another edge will answer."),
};

const struct code *code_get(uint32_t number)
{
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].number == number)
            return &codes[i];
    return NULL;
}

const char *code_name(uint32_t number)
{
    const struct code *c = code_get(number);
    return c ? c->name : "?";
}

const char *code_cause(uint32_t number)
{
    const struct code *c = code_get(number);
    return c ? c->cause : "";
}

const struct code *codes_all(size_t *n)
{
    *n = ARRAY_LEN(codes);
    return codes;
}
