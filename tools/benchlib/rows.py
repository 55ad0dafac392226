"""What each row is: its name, its floor, the goal that holds now, and how its figure is written."""


def ms(us):
    return f"{us / 1000:.3f} ms"


def per_s(v):
    return f"{v:,.0f}/s"


def times(v):
    return f"× {v:.2f}"


class Row:
    """`more`: True when a higher figure is better; then the ratio has to reach the goal, else to stay within it."""

    def __init__(self, metric, floor, goal, shown, more):
        self.metric, self.floor, self.goal, self.shown, self.more = metric, floor, goal, shown, more

    def met(self, ratio):
        return ratio >= self.goal if self.more else ratio <= self.goal

    def goal_text(self):
        return f"{'≥' if self.more else '≤'} {self.goal}"


ROWS = {
    1: Row("send → ack, 1 in flight, p50", "E0 + Kp", 1.4, ms, False),
    2: Row("send → deliver, 1 in flight, p50", "E0 + 3·Kc", 1.4, ms, False),
    3: Row("deliver p99 at half of the highest rate, open loop", "row 2's p50", 4, ms, False),
    4: Row("1:1 messages/s, history on, no lag growth", "raw chain + COPY", 0.4, per_s, True),
    5: Row("group 1 → 1000, deliveries/s, 1 in flight", "writev loop", 0.4, per_s, True),
    6: Row("group 100 → 10,000, deliveries/s kept", "writev loop kept", 0.7, times, True),
    9: Row("logins/s by token", "connect + accept + echo", 0.4, per_s, True),
    10: Row("history rows/s committed, from a backlog", "COPY", 0.5, per_s, True),
    11: Row("history page of 50 in the query process, mean", "keyset SELECT", 0.6, ms, True),
}
ON_DISK = {1, 4}  # measured with fsync before each acknowledgement as well
