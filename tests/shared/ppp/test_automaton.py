"""The automaton against the table as RFC 1661 §4.1 prints it."""

from __future__ import annotations

import pytest

from shared.ppp.automaton import TRANSITIONS, Action, Automaton, Event, State

RFC_1661_SECTION_4_1 = """
      | State
      |    0         1         2         3         4         5
Events| Initial   Starting  Closed    Stopped   Closing   Stopping
------+-----------------------------------------------------------
 Up   |    2     irc,scr/6     -         -         -         -
 Down |    -         -         0       tls/1       0         1
 Open |  tls/1       1     irc,scr/6     3r        5r        5r
 Close|    0       tlf/0       2         2         4         4
      |
  TO+ |    -         -         -         -       str/4     str/5
  TO- |    -         -         -         -       tlf/2     tlf/3
      |
 RCR+ |    -         -       sta/2 irc,scr,sca/8   4         5
 RCR- |    -         -       sta/2 irc,scr,scn/6   4         5
 RCA  |    -         -       sta/2     sta/3       4         5
 RCN  |    -         -       sta/2     sta/3       4         5
      |
 RTR  |    -         -       sta/2     sta/3     sta/4     sta/5
 RTA  |    -         -         2         3       tlf/2     tlf/3
      |
 RUC  |    -         -       scj/2     scj/3     scj/4     scj/5
 RXJ+ |    -         -         2         3         4         5
 RXJ- |    -         -       tlf/2     tlf/3     tlf/2     tlf/3
      |
 RXR  |    -         -         2         3         4         5

      | State
      |    6         7         8           9
Events| Req-Sent  Ack-Rcvd  Ack-Sent    Opened
------+-----------------------------------------
 Up   |    -         -         -           -
 Down |    1         1         1         tld/1
 Open |    6         7         8           9r
 Close|irc,str/4 irc,str/4 irc,str/4 tld,irc,str/4
      |
  TO+ |  scr/6     scr/6     scr/8         -
  TO- | tlf/3p    tlf/3p    tlf/3p         -
      |
 RCR+ |  sca/8   sca,tlu/9   sca/8   tld,scr,sca/8
 RCR- |  scn/6     scn/7     scn/6   tld,scr,scn/6
 RCA  |  irc/7     scr/6x  irc,tlu/9   tld,scr/6x
 RCN  |irc,scr/6   scr/6x  irc,scr/8   tld,scr/6x
      |
 RTR  |  sta/6     sta/6     sta/6   tld,zrc,sta/5
 RTA  |    6         6         8       tld,scr/6
      |
 RUC  |  scj/6     scj/7     scj/8       scj/9
 RXJ+ |    6         6         8           9
 RXJ- |  tlf/3     tlf/3     tlf/3   tld,irc,str/5
      |
 RXR  |    6         7         8         ser/9
"""


def printed_cells() -> dict[tuple[str, int], str]:
    """Return the cells of the print by (event, state number), without the footnotes' letters."""
    cells: dict[tuple[str, int], str] = {}
    first_state = 0
    for line in RFC_1661_SECTION_4_1.splitlines():
        name, bar, rest = line.partition("|")
        columns = rest.split()
        if not name.strip() and columns[:1] in (["0"], ["6"]):
            first_state = int(columns[0])
        elif bar and name.strip() not in ("", "Events"):
            for offset, cell in enumerate(columns):
                cells[name.strip(), first_state + offset] = cell.rstrip("prx")
    return cells


@pytest.mark.parametrize("event", list(Event))
@pytest.mark.parametrize("state", list(State))
def test_every_cell_is_the_rfcs(event: Event, state: State) -> None:
    printed = printed_cells()[event.value, state]
    if printed == "-":
        assert (state, event) not in TRANSITIONS
    else:
        actions, after = TRANSITIONS[state, event]
        assert "/".join(filter(None, (",".join(actions), str(int(after))))) == printed


def test_a_transition_that_the_rfc_calls_illegal_is_our_bug() -> None:
    with pytest.raises(KeyError):
        Automaton().step(Event.RCA)


def test_opened_is_entered_by_this_layer_up_alone_and_left_by_this_layer_down_alone() -> None:
    for (before, _event), (actions, after) in TRANSITIONS.items():
        entered = before is not State.OPENED and after is State.OPENED
        left = before is State.OPENED and after is not State.OPENED
        assert (Action.THIS_LAYER_UP in actions) == entered
        assert (Action.THIS_LAYER_DOWN in actions) == left


def test_nothing_a_peer_can_send_is_illegal_once_the_lower_layer_is_up() -> None:
    from_peer = [event for event in Event if event.value.startswith("R")]
    for state in State:
        if state >= State.CLOSED:
            assert all((state, event) in TRANSITIONS for event in from_peer)


def test_each_state_with_a_restart_timer_ends_when_the_counter_does() -> None:
    for (_, event), (actions, after) in TRANSITIONS.items():
        if event is Event.TIMEOUT_LAST:
            assert Action.THIS_LAYER_FINISHED in actions
            assert after in {State.CLOSED, State.STOPPED}
