"""One session: drives its PPP link, and turns what the link says into forwarding and into messages.

The controller's worker runs it as authenticator; `client` runs the same one as the peer that dials.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from shared.ipc.messages import (
    AddressDecision,
    AddressWish,
    AuthDecision,
    AuthRequest,
    FromWorker,
    Identified,
    LinkDown,
    LinkUp,
    SessionAssigned,
)
from shared.ppp import link as ppp
from shared.ppp.frame import make_frame
from shared.ppp.policy import Authorization, LinkEnd
from workers.datapath import Datagram, Datapath
from workers.session import Network, Prefix, Session

IPV4: Final = 0x0021
IPV6: Final = 0x0057
LINK_LOCAL: Final = bytes.fromhex("fe80000000000000")
EVERYTHING: Final = ("0.0.0.0/0", "::/0")  # what lies behind the end that we dial


class Subscriber:
    """One PPP session of this worker. ``transmit`` and ``report`` are called in the order of events.

    ``assigned`` says whom to talk to; ``credentials`` are those that side PEER presents. After `LinkDown`
    has been reported ``ended`` is true and nothing may be called any more.
    """

    def __init__(
        self,
        assigned: SessionAssigned,
        datapath: Datapath,
        *,
        transmit: Callable[[Datagram], None],
        report: Callable[[FromWorker], object],
        random: Callable[[int], bytes],
        side: ppp.Side = ppp.Side.AUTHENTICATOR,
        credentials: ppp.Credentials | None = None,
        local_interface_id: int = 1,
        interface_id_taken: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self.assigned = assigned
        self.session = Session.assigned(assigned)
        self.ended = False
        self.link = ppp.Link(
            assigned.policy,
            side,
            random=random,
            credentials=credentials,
            authorization=assigned.authorization,
            local_interface_id=local_interface_id,
            interface_id_taken=interface_id_taken,
        )
        self._side = side
        self._local_interface_id = local_interface_id
        self._datapath = datapath
        self._transmit = transmit
        self._report = report
        self._authorization = assigned.authorization
        self._unanswered: AuthRequest | AddressWish | None = None
        self._up_at: float | None = None
        datapath.add(self.session)
