"""The option negotiation automaton of RFC 1661 §4.1, as its table. LCP and every NCP move by it."""

from __future__ import annotations

from enum import Enum, IntEnum, StrEnum
from typing import Final


class State(IntEnum):
    """§4.2."""

    INITIAL = 0
    STARTING = 1
    CLOSED = 2
    STOPPED = 3
    CLOSING = 4
    STOPPING = 5
    REQ_SENT = 6
    ACK_RCVD = 7
    ACK_SENT = 8
    OPENED = 9


class Event(Enum):
    """§4.3; the values are the table's."""

    UP = "Up"
    DOWN = "Down"
    OPEN = "Open"
    CLOSE = "Close"
    TIMEOUT = "TO+"  # with restart counter > 0
    TIMEOUT_LAST = "TO-"
    RCR_GOOD = "RCR+"
    RCR_BAD = "RCR-"
    RCA = "RCA"
    RCN = "RCN"  # Configure-Nak or Configure-Reject
    RTR = "RTR"
    RTA = "RTA"
    RUC = "RUC"
    RXJ_PERMITTED = "RXJ+"
    RXJ_CATASTROPHIC = "RXJ-"
    RXR = "RXR"  # Echo-Request, Echo-Reply, Discard-Request


class Action(StrEnum):
    """§4.4."""

    THIS_LAYER_UP = "tlu"
    THIS_LAYER_DOWN = "tld"
    THIS_LAYER_STARTED = "tls"
    THIS_LAYER_FINISHED = "tlf"
    INITIALIZE_RESTART_COUNT = "irc"
    ZERO_RESTART_COUNT = "zrc"
    SEND_CONFIGURE_REQUEST = "scr"
    SEND_CONFIGURE_ACK = "sca"
    SEND_CONFIGURE_NAK = "scn"  # or Configure-Reject
    SEND_TERMINATE_REQUEST = "str"
    SEND_TERMINATE_ACK = "sta"
    SEND_CODE_REJECT = "scj"
    SEND_ECHO_REPLY = "ser"


_IDLE_STATES: Final = {
    #            Initial  Starting     Closed       Stopped          Closing   Stopping
    "Up":      ("2",     "irc,scr/6", "-",         "-",             "-",      "-"),
    "Down":    ("-",     "-",         "0",         "tls/1",         "0",      "1"),
    "Open":    ("tls/1", "1",         "irc,scr/6", "3r",            "5r",     "5r"),
    "Close":   ("0",     "tlf/0",     "2",         "2",             "4",      "4"),
    "TO+":     ("-",     "-",         "-",         "-",             "str/4",  "str/5"),
    "TO-":     ("-",     "-",         "-",         "-",             "tlf/2",  "tlf/3"),
    "RCR+":    ("-",     "-",         "sta/2",     "irc,scr,sca/8", "4",      "5"),
    "RCR-":    ("-",     "-",         "sta/2",     "irc,scr,scn/6", "4",      "5"),
    "RCA":     ("-",     "-",         "sta/2",     "sta/3",         "4",      "5"),
    "RCN":     ("-",     "-",         "sta/2",     "sta/3",         "4",      "5"),
    "RTR":     ("-",     "-",         "sta/2",     "sta/3",         "sta/4",  "sta/5"),
    "RTA":     ("-",     "-",         "2",         "3",             "tlf/2",  "tlf/3"),
    "RUC":     ("-",     "-",         "scj/2",     "scj/3",         "scj/4",  "scj/5"),
    "RXJ+":    ("-",     "-",         "2",         "3",             "4",      "5"),
    "RXJ-":    ("-",     "-",         "tlf/2",     "tlf/3",         "tlf/2",  "tlf/3"),
    "RXR":     ("-",     "-",         "2",         "3",             "4",      "5"),
}  # fmt: skip

_OPEN_STATES: Final = {
    #            Req-Sent     Ack-Rcvd     Ack-Sent     Opened
    "Up":      ("-",         "-",         "-",         "-"),
    "Down":    ("1",         "1",         "1",         "tld/1"),
    "Open":    ("6",         "7",         "8",         "9r"),
    "Close":   ("irc,str/4", "irc,str/4", "irc,str/4", "tld,irc,str/4"),
    "TO+":     ("scr/6",     "scr/6",     "scr/8",     "-"),
    "TO-":     ("tlf/3p",    "tlf/3p",    "tlf/3p",    "-"),
    "RCR+":    ("sca/8",     "sca,tlu/9", "sca/8",     "tld,scr,sca/8"),
    "RCR-":    ("scn/6",     "scn/7",     "scn/6",     "tld,scr,scn/6"),
    "RCA":     ("irc/7",     "scr/6x",    "irc,tlu/9", "tld,scr/6x"),
    "RCN":     ("irc,scr/6", "scr/6x",    "irc,scr/8", "tld,scr/6x"),
    "RTR":     ("sta/6",     "sta/6",     "sta/6",     "tld,zrc,sta/5"),
    "RTA":     ("6",         "6",         "8",         "tld,scr/6"),
    "RUC":     ("scj/6",     "scj/7",     "scj/8",     "scj/9"),
    "RXJ+":    ("6",         "6",         "8",         "9"),
    "RXJ-":    ("tlf/3",     "tlf/3",     "tlf/3",     "tld,irc,str/5"),
    "RXR":     ("6",         "7",         "8",         "ser/9"),
}  # fmt: skip


def _parse(cell: str) -> tuple[tuple[Action, ...], State]:
    """Read "action,action/state". The footnotes (p, r, x) change no transition, and we use none."""
    actions, _, state = cell.rstrip("prx").rpartition("/")
    return tuple(Action(name) for name in actions.split(",") if name), State(int(state))


TRANSITIONS: Final = {
    (State(number), event): _parse(cell)
    for event in Event
    for number, cell in enumerate(_IDLE_STATES[event.value] + _OPEN_STATES[event.value])
    if cell != "-"
}


class Automaton:
    """The state of one protocol."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = State.INITIAL

    def step(self, event: Event) -> tuple[Action, ...]:
        """Move on ``event`` and return what the owner must do. `KeyError`, our bug, on a dash."""
        actions, self.state = TRANSITIONS[self.state, event]
        return actions
