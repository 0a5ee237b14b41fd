"""Two links over a bad network agree, or end with a reason; none is left in between."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ppp.automaton import TRANSITIONS, Action, Automaton, Event, State
from shared.ppp.link import Credentials
from shared.ppp.policy import Authorization, IPv4Service
from tests.support.lossy import Wire
from tests.support.ppp import GRANT, IPV4_ONLY, Pair

WIRES = st.builds(
    Wire,
    drop=st.sampled_from([0.0, 0.05, 0.2]),
    duplicate=st.sampled_from([0.0, 0.05, 0.3]),
    delay_s=st.sampled_from([0.001, 0.3]),
    jitter_s=st.sampled_from([0.0, 0.2, 2.0]),
    seed=st.integers(0, 1 << 16),
)
METHODS = st.permutations(["pap", "chap", "mschapv2"]).flatmap(
    lambda order: st.integers(1, 3).map(lambda size: tuple(order[:size]))
)
GRANTS = st.sampled_from(
    [
        GRANT,
        IPV4_ONLY,
        Authorization("alice", ipv6=True),
        Authorization("alice"),
        Authorization("alice", IPv4Service("10.0.0.1", "10.0.0.10", nbns=("10.0.0.2",)), ipv6=True),
    ]
)
QUIET = {"echo_interval_s": 0.0}


@settings(deadline=None)
@given(WIRES, st.integers(0, 1 << 16))
def test_a_subscriber_gets_through_a_bad_network(wire: Wire, seed: int) -> None:
    pair = Pair(wire, authenticator=QUIET, peer=QUIET, grant=IPV4_ONLY, seed=seed).open()
    for _ in range(40):
        if pair.run(5.0).up() or pair.down(0) or pair.down(1):
            break
    assert pair.up() or pair.down(0) or pair.down(1)


@settings(deadline=None, max_examples=60)
@given(
    WIRES,
    METHODS,
    METHODS,
    GRANTS,
    st.sampled_from(["secret", "wrong", None]),
    st.booleans(),
    st.integers(0, 1 << 16),
)
def test_whatever_the_two_are_set_up_for_neither_hangs(
    wire: Wire,
    offered: tuple[str, ...],
    accepted: tuple[str, ...],
    grant: Authorization,
    password: str | None,
    compressed: bool,
    seed: int,
) -> None:
    common = {"send_acfc": compressed, "send_pfc": compressed}
    pair = Pair(
        wire,
        authenticator={"authentication": offered, **common},
        peer={"authentication": accepted, **common},
        grant=grant,
        credentials=None if password is None else Credentials("alice", password),
        seed=seed,
    )
    pair.open().run(200.0)
    for which in (0, 1):
        opened = [ncp for ncp in pair.links[which]._ncps.values() if ncp.opened]
        awaited = pair.links[which].next_timeout()
        assert opened or awaited or pair.down(which)
    able = password == "secret" and set(offered) & set(accepted)
    if not able:
        assert not pair.up()
        ended = pair.run(200.0).down(0)
        assert ended is not None
        assert ended.reason
    elif wire.drop == wire.duplicate == wire.jitter_s == 0.0 and grant.ipv4 is not None:
        assert pair.up()


@given(st.lists(st.sampled_from(list(Event)), max_size=60))
def test_this_layer_up_and_down_alternate_whatever_happens(events: list[Event]) -> None:
    automaton, up = Automaton(), False
    for event in events:
        if (automaton.state, event) not in TRANSITIONS:
            continue
        for action in automaton.step(event):
            if action is Action.THIS_LAYER_UP:
                assert not up
                up = True
            elif action is Action.THIS_LAYER_DOWN:
                assert up
                up = False
        assert up == (automaton.state is State.OPENED)
