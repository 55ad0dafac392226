"""cells.py: the scenes of the authorization matrix: who is who, and for each row what is sent where."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "features"))
from world import pb  # noqa: E402

ROLES = ("member", "ex_member", "stranger", "blocked", "muted", "admin", "owner")
COLUMNS = ROLES + ("anonymous", "unknown")
SECRET, LATER = "SECRET of the members", "SECRET of those who stayed"


class Cell:
    """Where one request goes. For the unknown: the same, with ids that nobody has."""
    conversation, login, user, target, own, witness = b"", "", b"", 1, 1, None
    other = other_id = asker = None


def op(kind, **fields):
    return lambda c: (pb.CONV_OP, pb.ConvOp(kind=kind, conversation=c.conversation, **{k: v(c) for k, v in fields.items()}))


def person(kind, **fields):
    return lambda c: (pb.CONV_OP, pb.ConvOp(kind=kind, to=c.login, **fields))


def ask(kind, request, **fields):
    return lambda c: (kind, request(**{k: v(c) for k, v in fields.items()}))


def text(c):
    return "x"


def here(c):
    return c.conversation


def there(c):
    return c.login


def target(c):
    return c.target


def own(c):
    return c.own


def other(c):
    return [c.other]


def asker(c):
    return [c.asker]


def about(kind, where, message, **fields):
    return where, op(kind, target=message, **fields)


def member_op(kind, users=other, pre="", flags=0, **fields):
    return ("group", pre, flags), op(kind, logins=users, **fields)


def group_op(kind, pre="", flags=0, **fields):
    return ("group", pre, flags), op(kind, **fields)


NOWHERE, GROUP, PRIVATE = ("none",), ("group", "", 0), ("group", "", pb.GROUP_PRIVATE)
PINNED, ASKED = ("group", "pin", 0), ("group", "ask", pb.GROUP_APPROVAL)
DIRECT, DIRECT_ID = ("direct", "hello"), ("direct id", "hello")
ADMIN, FIVE = lambda c: pb.ADMIN, lambda c: 5
HOURS = lambda c: 3600  # noqa: E731

# request -> (scene, what is sent). A request has several rows, "NAME variant", where it matters.
ROWS = {
    "LOGIN_REQ": (NOWHERE, lambda c: (pb.LOGIN_REQ, pb.LoginReq(login=c.actor.login, password=c.actor.password, device_id="other"))),
    "LOGIN_REQ wrong-password": (NOWHERE, lambda c: (pb.LOGIN_REQ, pb.LoginReq(login=c.login, password="not this one", device_id="other"))),
    "LOGOUT_REQ": (NOWHERE, ask(pb.LOGOUT_REQ, pb.LogoutReq)),
    "HEARTBEAT": (NOWHERE, ask(pb.HEARTBEAT, pb.Heartbeat)),
    "TOKEN_REQ": (NOWHERE, ask(pb.TOKEN_REQ, pb.TokenReq)),
    "REVOKE_REQ": (NOWHERE, ask(pb.REVOKE_REQ, pb.RevokeReq, device=lambda c: 99)),
    "REGISTER_REQ": (NOWHERE, lambda c: (pb.REGISTER_REQ, pb.RegisterReq(login=c.new_login, password="pass word"))),
    "REGISTER_REQ taken": (NOWHERE, lambda c: (pb.REGISTER_REQ, pb.RegisterReq(login=c.login, password="pass word"))),
    "ACCOUNT_EXISTS_REQ": (NOWHERE, ask(pb.ACCOUNT_EXISTS_REQ, pb.AccountExistsReq, login=there)),
    "SINGLE_CHAT": (DIRECT, ask(pb.SINGLE_CHAT, pb.SingleChat, to=there, text=text)),
    "SINGLE_CHAT by-id": (DIRECT, ask(pb.SINGLE_CHAT, pb.SingleChat, to_user=lambda c: c.user, text=text)),
    "GROUP_CHAT": (GROUP, ask(pb.GROUP_CHAT, pb.GroupChat, conversation=here, text=text)),
    "GROUP_CHAT private": (PRIVATE, ask(pb.GROUP_CHAT, pb.GroupChat, conversation=here, text=text)),
    "GROUP_CHAT quiet": (("group", "", pb.GROUP_QUIET), ask(pb.GROUP_CHAT, pb.GroupChat, conversation=here, text=text)),
    "GROUP_CHAT reply": (GROUP, ask(pb.GROUP_CHAT, pb.GroupChat, conversation=here, text=text, reply_to=target)),
    "GROUP_CHAT direct": (DIRECT_ID, ask(pb.GROUP_CHAT, pb.GroupChat, conversation=here, text=text)),
    "ANNOUNCE": (NOWHERE, ask(pb.ANNOUNCE, pb.Announce, text=text)),
    "MSG_READ": (GROUP, ask(pb.MSG_READ, pb.MsgRead, conversation=here, read=target)),
    "MSG_READ direct": (DIRECT_ID, ask(pb.MSG_READ, pb.MsgRead, conversation=here, read=target)),
    "MSG_READ with": (DIRECT, ask(pb.MSG_READ, pb.MsgRead, **{"with": there}, read=target)),
    "TYPING": (GROUP, ask(pb.TYPING, pb.Typing, conversation=here)),
    "TYPING direct": (DIRECT_ID, ask(pb.TYPING, pb.Typing, conversation=here)),
    "TYPING with": (DIRECT, ask(pb.TYPING, pb.Typing, **{"with": there})),
    "PULL_OFFLINE_REQ": (GROUP, ask(pb.PULL_OFFLINE_REQ, pb.PullOfflineReq, conversation=here)),
    "PULL_OFFLINE_REQ direct": (DIRECT_ID, ask(pb.PULL_OFFLINE_REQ, pb.PullOfflineReq, conversation=here)),
    "DELIVERY_ACK": (GROUP, lambda c: (pb.DELIVERY_ACK, pb.DeliveryAck(cursors=[pb.Cursor(conversation=c.conversation, upto=1, **{"from": 1})]))),
    # operations
    "CONV_NONE": group_op(pb.CONV_NONE, text=text),
    "CONV_MESSAGE": group_op(pb.CONV_MESSAGE, text=text),
    "CONV_ANNOUNCEMENT": group_op(pb.CONV_ANNOUNCEMENT, text=text),
    "CONV_RECEIPT": group_op(pb.CONV_RECEIPT),
    "CONV_EDIT own": about(pb.CONV_EDIT, GROUP, own, text=text),
    "CONV_EDIT other": about(pb.CONV_EDIT, GROUP, target, text=text),
    "CONV_EDIT direct": about(pb.CONV_EDIT, DIRECT_ID, own, text=text),
    "CONV_RECALL own": about(pb.CONV_RECALL, GROUP, own),
    "CONV_RECALL other": about(pb.CONV_RECALL, GROUP, target),
    "CONV_RECALL direct": about(pb.CONV_RECALL, DIRECT_ID, own),
    "CONV_REACT": about(pb.CONV_REACT, GROUP, target, text=text),
    "CONV_REACT direct": about(pb.CONV_REACT, DIRECT_ID, target, text=text),
    "CONV_PIN": about(pb.CONV_PIN, GROUP, target),
    "CONV_PIN direct": about(pb.CONV_PIN, DIRECT_ID, target),
    "CONV_UNPIN": about(pb.CONV_UNPIN, PINNED, target),
    "CONV_UNPIN direct": about(pb.CONV_UNPIN, ("direct id", "pin"), target),
    "CONV_GROUP_CREATE": (NOWHERE, lambda c: (pb.CONV_OP, pb.ConvOp(kind=pb.CONV_GROUP_CREATE, text="x", logins=[c.login]))),
    "CONV_GROUP_LEAVE": group_op(pb.CONV_GROUP_LEAVE),
    "CONV_GROUP_INVITE": member_op(pb.CONV_GROUP_INVITE, users=asker),
    "CONV_GROUP_INVITE private": member_op(pb.CONV_GROUP_INVITE, users=asker, flags=pb.GROUP_PRIVATE),
    "CONV_GROUP_REMOVE": member_op(pb.CONV_GROUP_REMOVE),
    "CONV_GROUP_REMOVE outsider": member_op(pb.CONV_GROUP_REMOVE, users=asker),
    "CONV_GROUP_ROLE": member_op(pb.CONV_GROUP_ROLE, role=ADMIN),
    "CONV_GROUP_HAND_OVER": member_op(pb.CONV_GROUP_HAND_OVER),
    "CONV_GROUP_MUTE": member_op(pb.CONV_GROUP_MUTE, duration_s=HOURS),
    "CONV_GROUP_UNMUTE": member_op(pb.CONV_GROUP_UNMUTE, pre="mute"),
    "CONV_GROUP_RENAME": group_op(pb.CONV_GROUP_RENAME, text=text),
    "CONV_GROUP_NOTICE": group_op(pb.CONV_GROUP_NOTICE, text=text),
    "CONV_GROUP_SETTINGS": (GROUP, op(pb.CONV_GROUP_SETTINGS, flags=FIVE, flags_mask=FIVE)),
    "CONV_GROUP_DISSOLVE": group_op(pb.CONV_GROUP_DISSOLVE),
    "CONV_GROUP_APPROVE": (ASKED, op(pb.CONV_GROUP_APPROVE, logins=asker)),
    "CONV_GROUP_DECLINE": (ASKED, op(pb.CONV_GROUP_DECLINE, logins=asker)),
    "CONV_FRIEND_REQUEST": (DIRECT, person(pb.CONV_FRIEND_REQUEST, text="x")),
    "CONV_FRIEND_CONFIRM": (("direct", "asked"), person(pb.CONV_FRIEND_CONFIRM)),
    "CONV_FRIEND_REFUSE": (("direct", "asked"), person(pb.CONV_FRIEND_REFUSE)),
    "CONV_FRIEND_REMOVE": (("direct", "friends"), person(pb.CONV_FRIEND_REMOVE)),
    "CONV_BLOCK": (DIRECT, person(pb.CONV_BLOCK)),
    "CONV_UNBLOCK": (("direct", "blocks"), person(pb.CONV_UNBLOCK)),
    # questions
    "CONV_LIST_REQ": (GROUP, ask(pb.CONV_LIST_REQ, pb.ConvListReq)),
    "CONV_INFO_REQ": (GROUP, ask(pb.CONV_INFO_REQ, pb.ConvInfoReq, conversation=here)),
    "CONV_INFO_REQ direct": (DIRECT_ID, ask(pb.CONV_INFO_REQ, pb.ConvInfoReq, conversation=here)),
    "CONV_INFO_REQ with": (DIRECT, ask(pb.CONV_INFO_REQ, pb.ConvInfoReq, **{"with": there})),
    "CONV_INFO_REQ wait": (GROUP, lambda c: (pb.CONV_INFO_REQ, pb.ConvInfoReq(
        conversation=c.conversation, wait=pb.Wait(conversation=c.conversation, seq=1)))),
    "HISTORY_REQ": (GROUP, ask(pb.HISTORY_REQ, pb.HistoryReq, conversation=here)),
    "HISTORY_REQ events": (GROUP, ask(pb.HISTORY_REQ, pb.HistoryReq, conversation=here, events=lambda c: True)),
    "HISTORY_REQ time": (GROUP, ask(pb.HISTORY_REQ, pb.HistoryReq, conversation=here, time_ms=lambda c: 1)),
    "HISTORY_REQ direct": (DIRECT_ID, ask(pb.HISTORY_REQ, pb.HistoryReq, conversation=here)),
    "HISTORY_REQ with": (DIRECT, ask(pb.HISTORY_REQ, pb.HistoryReq, **{"with": there})),
    "CHANGES_REQ": (GROUP, ask(pb.CHANGES_REQ, pb.ChangesReq, conversation=here, target=target)),
    "CHANGES_REQ direct": (DIRECT_ID, ask(pb.CHANGES_REQ, pb.ChangesReq, conversation=here, target=target)),
    "SEARCH_REQ": (GROUP, ask(pb.SEARCH_REQ, pb.SearchReq, text=lambda c: "SECRET")),
    "SEARCH_REQ group": (GROUP, ask(pb.SEARCH_REQ, pb.SearchReq, text=lambda c: "SECRET", conversation=here)),
    "SEARCH_REQ direct": (DIRECT_ID, ask(pb.SEARCH_REQ, pb.SearchReq, text=lambda c: "SECRET", conversation=here)),
    "MEMBERS_REQ": (GROUP, ask(pb.MEMBERS_REQ, pb.MembersReq, conversation=here)),
    "MEMBERS_REQ direct": (DIRECT_ID, ask(pb.MEMBERS_REQ, pb.MembersReq, conversation=here)),
    "ASKS_REQ": (ASKED, ask(pb.ASKS_REQ, pb.AsksReq, conversation=here)),
    "USERS_REQ": (NOWHERE, ask(pb.USERS_REQ, pb.UsersReq, logins=lambda c: [c.login])),
    "CONTACTS_REQ": (DIRECT, ask(pb.CONTACTS_REQ, pb.ContactsReq)),
    "DEVICES_REQ": (NOWHERE, ask(pb.DEVICES_REQ, pb.DevicesReq)),
    "PRESENCE_REQ": (("direct", "hide"), ask(pb.PRESENCE_REQ, pb.PresenceReq, users=lambda c: [c.user])),
    "PRESENCE_REQ group": (GROUP, ask(pb.PRESENCE_REQ, pb.PresenceReq, group=here)),
    "PROFILE_REQ": (NOWHERE, ask(pb.PROFILE_REQ, pb.ProfileReq, name=text)),
    "PREFS_REQ": (GROUP, ask(pb.PREFS_REQ, pb.PrefsReq, conversation=here, remark=text)),
    "PREFS_REQ with": (DIRECT, ask(pb.PREFS_REQ, pb.PrefsReq, **{"with": there}, remark=text)),
    # last: afterwards strangers are members
    "CONV_GROUP_JOIN private": group_op(pb.CONV_GROUP_JOIN, flags=pb.GROUP_PRIVATE),
    "CONV_GROUP_JOIN dissolved": group_op(pb.CONV_GROUP_JOIN, pre="dissolve"),
    "CONV_GROUP_JOIN direct": (DIRECT_ID, op(pb.CONV_GROUP_JOIN)),
    "CONV_GROUP_JOIN approval": group_op(pb.CONV_GROUP_JOIN, flags=pb.GROUP_APPROVAL),
    "CONV_GROUP_JOIN": group_op(pb.CONV_GROUP_JOIN),
}
