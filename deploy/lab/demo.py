"""``make demo``: two LANs, a client router and a concentrator; a tunnel between them, seen from its middle.

Everything happens in network namespaces that are gone at the end. The exit status is 0 where all that it
says has come true.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

from deploy.lab import topology as lab_topology
from deploy.lab.capture import Capture
from deploy.lab.concentrator import Concentrator
from deploy.lab.enclose import MARK
from deploy.lab.ladder import Step, ladder, octets, steps
from deploy.lab.namespaces import Lab, Namespace, masquerade
from deploy.lab.pcap import read_datagrams
from deploy.lab.processes import LabFailure, Running, culvert_program, wait_for
from deploy.lab.topology import (
    ALICE_ADDRESS,
    CLIENT_OUTER,
    CONCENTRATOR_OUTER,
    LAN2_PREFIX,
    PC1_ADDRESS,
    PC2_ADDRESS,
    Topology,
)
from shared.errors import SystemRefused

TUN: Final = "culvert-dial"
LARGEST_PACKET: Final = 1462  # 1500 - IPv4 20 - UDP 8 - L2TP 6 - PPP 4
_PINGS: Final = 3
_COLUMNS: Final = "username,ip,state,uptime,tunnel,session,worker,rx-pkts,rx-bytes,tx-pkts,tx-bytes"
_PING_HEADERS: Final = 28  # IPv4 and ICMP
_CONFIGURATION: Final = lab_topology.CONFIGURATION + "\n[l2tp]\nhello_interval_s = 1.0\n"

_DRAWING: Final = """\
     PC1              client router                      concentrator               PC2
192.168.150.10         culvert dial                       culvert run         192.168.22.100
      │            ┌──────────────────┐               ┌─────────────────┐            │
      └────────────┤.150.1   192.0.2.2╞═ 1500 octets ═╡192.0.2.1   .22.1├────────────┘
                   └─────────┬────────┘ captured here └────────┬────────┘
                         10.0.0.10 ─ ─ ─ PPP in L2TP ─ ─ ─ 10.0.0.1
"""
_ADDRESSES: Final = r"(?P<ip>\d+\.\d+\.\d+\.\d+|\.150\.1|\.22\.1)"


@dataclass(slots=True)
class Demonstration:
    """The machines and programs while it runs, and what has been seen so far."""

    console: Console
    machines: Topology
    concentrator: Concentrator
    capture: Capture
    started_s: float
    checks: list[tuple[str, bool]] = field(default_factory=list)

    def conversation(self) -> list[Step]:
        """Return all datagrams up to now."""
        return steps(read_datagrams(self.capture.path), CLIENT_OUTER)

    def check(self, claim: str, holds: bool) -> None:
        """Note whether something came true, for the summary and the exit status."""
        self.checks.append((claim, holds))

    def section(self, title: str, *explanation: str) -> None:
        """Begin a part of the story."""
        self.console.print()
        self.console.print(Rule(f"[bold]{title}[/]", align="left"))
        for line in explanation:
            self.console.print(f"[italic]{line}[/]")


def main() -> int:
    """Run it in here, which is to be an enclosure; return the exit status."""
    detected = Console()
    console = Console(width=max(detected.width, 118), highlight=False)
    if not os.environ.get(MARK) and os.geteuid() != 0:
        console.print("This needs network namespaces of its own: run [bold]make demo[/].")
        return 1
    try:
        with Lab() as lab, tempfile.TemporaryDirectory(prefix="culvert-demo-") as folder:
            return _show(console, lab, Path(folder))
    except (LabFailure, SystemRefused) as failure:
        console.print(Panel(Text(str(failure)), title="the demonstration failed", border_style="red"))
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; everything is gone again.")
        return 130


def _show(console: Console, lab: Lab, folder: Path) -> int:
    drawing = Text(_DRAWING, no_wrap=True)
    drawing.highlight_words(["PC1", "PC2", "client router", "concentrator"], "bold")
    drawing.highlight_regex(_ADDRESSES, "cyan")
    title = "Culvert: a routed L2TP session, end to end"
    console.print(Panel(drawing, title=title, border_style="blue", expand=False))
    console.print("Four network namespaces; the client has no way to PC2 but the tunnel that it dials.")
    machines = lab_topology.build(lab)
    capture = Capture(machines.concentrator, "middle", folder / "middle.pcap")
    lab.at_exit(capture.close)
    concentrator = Concentrator(machines.concentrator, _CONFIGURATION)
    lab.at_exit(concentrator.stop)
    concentrator.wait_until_ready()
    show = Demonstration(console, machines, concentrator, capture, time.time())
    client = _dial(lab, machines.client, folder)
    concentrator.wait_for_sessions(1)
    wait_for(lambda: TUN in machines.client.run("ip", "-brief", "link").stdout, f"{TUN} at the client")
    masquerade(machines.client, TUN)
    _tell_setup(show)
    _tell_ping(show)
    _tell_mtu(show)
    _tell_sessions(show)
    _tell_end(show, client)
    return _tell_summary(show)


def _dial(lab: Lab, client: Namespace, folder: Path) -> Running:
    password = folder / "password"
    password.write_text("secret\n")
    dial = [
        culvert_program(),
        "dial",
        CONCENTRATOR_OUTER,
        "--user",
        "alice",
        "--password-file",
        str(password),
    ]
    running = Running(client, [*dial, "--tun", TUN, "--route", LAN2_PREFIX], folder / "dial.log")
    lab.at_exit(running.stop)
    return running


def _tell_setup(show: Demonstration) -> None:
    conversation = show.conversation()
    control = [step for step in conversation if step.is_control]
    show.section("1. The tunnel: L2TP control messages on the middle link", "UDP port 1701; RFC 2661.")
    show.console.print(ladder(control, show.started_s))
    first = control[0]
    show.section(
        f"2. One of them, octet by octet: {first.dissection.name}",
        "offset, octets, meaning; [M] marks what a peer must understand.",
    )
    for line in octets(first):
        show.console.print(line)
    show.section(
        "3. PPP inside the session: who are you, what is your address?",
        "Whoever first hears the other asks again: its first request may have come too early.",
    )
    negotiation = [step for step in conversation if not step.is_control and " " in step.dissection.name]
    show.console.print(ladder(negotiation, show.started_s))
    names = [step.dissection.name for step in control]
    wanted = ["SCCRQ", "SCCRP", "SCCCN", "ICRQ", "ICRP", "ICCN"]
    show.check(
        "a tunnel and a session came up, message by message", [n for n in names if n in wanted] == wanted
    )


def _tell_ping(show: Demonstration) -> None:
    show.section(f"4. PC1 pings PC2: {PC1_ADDRESS} to {PC2_ADDRESS}")
    done = show.machines.pc1.run("ping", "-c", str(_PINGS), "-i", "0.3", "-W", "2", PC2_ADDRESS, check=False)
    show.console.print(done.stdout.strip(), style="green" if done.returncode == 0 else "red")
    show.check("PC1 reaches PC2 through the tunnel", done.returncode == 0)
    carried = [
        step for step in show.conversation() if step.dissection.name == "IPv4" and "echo" in step.detail
    ]
    masked = bool(carried) and carried[0].detail.startswith(ALICE_ADDRESS)
    show.check(f"the client's LAN is hidden behind {ALICE_ADDRESS}", masked)
    if carried:
        show.section("5. The first of these pings on the middle link, octet by octet")
        for line in octets(carried[0]):
            show.console.print(line)


def _tell_mtu(show: Demonstration) -> None:
    show.section(
        f"6. What fits: {LARGEST_PACKET} octets",
        "A link of 1500 octets, less IPv4 20, UDP 8, L2TP 6, PPP 4.",
    )
    for packet in (LARGEST_PACKET, LARGEST_PACKET + 1):
        size = str(packet - _PING_HEADERS)
        done = show.machines.pc1.run(
            "ping", "-M", "do", "-c", "1", "-W", "2", "-s", size, PC2_ADDRESS, check=False
        )
        show.console.print(f"[bold]{packet} octets[/]: ping -M do -s {size} {PC2_ADDRESS}")
        show.console.print(f"    {_answer(done.stdout + done.stderr)}", markup=False)
        if packet == LARGEST_PACKET:
            show.check(f"a packet of {packet} octets passes whole", done.returncode == 0)
        else:
            told = re.search(rf"mtu ?= ?{LARGEST_PACKET}\b", done.stdout + done.stderr) is not None
            show.check(f"one of {packet} is refused, with the MTU to use", told and done.returncode != 0)


def _answer(said: str) -> str:
    """Return the line of ping's that tells what came back."""
    for line in said.splitlines():
        if re.search(r"bytes from|[Ff]rag needed|Message too long|mtu", line):
            return line
    return "nothing came back"


def _tell_sessions(show: Demonstration) -> None:
    show.section("7. What the concentrator knows: culvert show sessions")
    wait_for(
        lambda: show.concentrator.show("sessions")[0]["rx_packets"] >= _PINGS, "the counters", step_s=0.1
    )
    show.console.print(
        show.concentrator.command("show", "sessions", "--columns", _COLUMNS).rstrip(), markup=False
    )
    (row,) = show.concentrator.show("sessions")
    right = (row["username"], row["ip"], row["state"]) == ("alice", ALICE_ADDRESS, "active")
    show.check(f"alice's session is active at {ALICE_ADDRESS}", right)


def _tell_end(show: Demonstration, client: Running) -> None:
    wait_for(lambda: _seen(show, "HELLO"), "a HELLO on the link", step_s=0.2)
    before = len(show.conversation())
    client.send(signal.SIGTERM)
    status = client.wait_for_end()
    show.concentrator.wait_for_sessions(0)
    show.section("8. A HELLO in between, and the end: the client is told to stop")
    hello = [index for index, step in enumerate(show.conversation()) if step.dissection.name == "HELLO"][-1]
    told = show.conversation()
    show.console.print(ladder([*told[hello : hello + 2], *told[max(before, hello + 2) :]], show.started_s))
    names = {step.dissection.name for step in told[before:]}
    show.check("the client hangs up in good order", status == 0 and {"CDN", "StopCCN"} <= names)
    if status:
        show.console.print(client.tail(), markup=False)


def _seen(show: Demonstration, name: str) -> bool:
    return any(step.dissection.name == name for step in show.conversation())


def _tell_summary(show: Demonstration) -> int:
    status = show.concentrator.process.stop()
    show.check("the concentrator stops in good order", status == 0)
    good = all(holds for _, holds in show.checks)
    text = Text()
    for claim, holds in show.checks:
        text.append("  yes  " if holds else "  NO   ", style="bold green" if holds else "bold red")
        text.append(f"{claim}\n")
    text.append("\nNamespaces, devices and processes of this demonstration are gone again.", style="dim")
    show.console.print()
    show.console.print(Panel(text, title="what happened", border_style="green" if good else "red"))
    if not good:
        show.console.print(show.concentrator.log()[-4000:], markup=False)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
