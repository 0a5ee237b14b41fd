"""The network of the demonstration and of the end-to-end tests: two LANs, two routers, one link between them.

    PC1 ──lan1── client ──middle── concentrator ──lan2── PC2
    192.168.150.10   .1  192.0.2.2        192.0.2.1  .22.1   192.168.22.100

The client has no other way to 192.168.22.0/24 than its L2TP tunnel; it hides its LAN behind the address which
the concentrator gives it. The link between them carries 1500 octets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from deploy.lab.namespaces import Lab, Namespace

CLIENT_OUTER: Final = "192.0.2.2"
CONCENTRATOR_OUTER: Final = "192.0.2.1"
CLIENT_OUTER_V6: Final = "2001:db8::2"
CONCENTRATOR_OUTER_V6: Final = "2001:db8::1"
PC1_ADDRESS: Final = "192.168.150.10"
PC2_ADDRESS: Final = "192.168.22.100"
CLIENT_LAN: Final = "192.168.150.1"
CONCENTRATOR_LAN: Final = "192.168.22.1"
LAN2_PREFIX: Final = "192.168.22.0/24"
ALICE_ADDRESS: Final = "10.0.0.10"
GATEWAY: Final = "10.0.0.1"

CONFIGURATION: Final = f"""\
[[listen]]
address = "{CONCENTRATOR_OUTER}"
port = 1701

[workers]
count = 2

[[pool]]
name = "subscribers"
prefix = "10.0.0.0/16"
gateway = "{GATEWAY}"

[profile.default]
service = "routed"
authentication = ["mschapv2", "chap", "pap"]
pool = "subscribers"
dns = ["{CONCENTRATOR_LAN}"]

[[user]]
name = "alice"
password = "secret"
address = "{ALICE_ADDRESS}"
"""


@dataclass(frozen=True, slots=True)
class Topology:
    """The four machines. Interfaces: ``lan`` and ``middle`` at the routers, ``eth0`` at the PCs."""

    pc1: Namespace
    client: Namespace
    concentrator: Namespace
    pc2: Namespace


def build(lab: Lab) -> Topology:
    """Make the four namespaces, their links, addresses and routes."""
    pc1, client = lab.namespace("PC1"), lab.namespace("client")
    concentrator, pc2 = lab.namespace("concentrator"), lab.namespace("PC2")
    lab.link((pc1, "eth0"), (client, "lan"), addresses=([f"{PC1_ADDRESS}/24"], [f"{CLIENT_LAN}/24"]))
    lab.link(
        (client, "middle"),
        (concentrator, "middle"),
        addresses=(
            [f"{CLIENT_OUTER}/24", f"{CLIENT_OUTER_V6}/64"],
            [f"{CONCENTRATOR_OUTER}/24", f"{CONCENTRATOR_OUTER_V6}/64"],
        ),
    )
    lab.link(
        (concentrator, "lan"), (pc2, "eth0"), addresses=([f"{CONCENTRATOR_LAN}/24"], [f"{PC2_ADDRESS}/24"])
    )
    pc1.ip(f"route add default via {CLIENT_LAN}")
    pc2.ip(f"route add default via {CONCENTRATOR_LAN}")
    for router in (client, concentrator):
        router.forward()
    return Topology(pc1, client, concentrator, pc2)
