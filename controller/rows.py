"""What the registry holds, as the rows that operators and programs read."""

from __future__ import annotations

from collections.abc import Sequence

from controller.registry import Session, Tunnel, Worker
from controller.surface import SessionRow, TunnelRow, WorkerRow
from shared.addresses import address_text


def session_row(session: Session, now: float) -> SessionRow:
    """Return the row of one session; its uptime counts from when packets first flowed."""
    rx_packets, rx_octets, tx_packets, tx_octets = session.traffic.total
    return SessionRow(
        session_id=session.session_id,
        tunnel_id=session.tunnel.tunnel_id,
        worker=session.worker,
        ifname=f"l2tp{session.tunnel.tunnel_id}-{session.session_id}",
        username=session.username,
        calling_sid=session.call.calling_number or session.tunnel.connection.peer[0],
        ip=session.ip,
        type="l2tp",
        state=session.state.value,
        service="routed",
        uptime_s=0 if session.up_at is None else int(now - session.up_at),
        rx_bytes=rx_octets,
        tx_bytes=tx_octets,
        rx_packets=rx_packets,
        tx_packets=tx_packets,
        peer=address_text(session.tunnel.connection.peer),
    )


def tunnel_row(tunnel: Tunnel, now: float) -> TunnelRow:
    """Return the row of one tunnel."""
    return TunnelRow(
        tunnel_id=tunnel.tunnel_id,
        peer_tunnel_id=tunnel.connection.peer_tunnel_id,
        peer=address_text(tunnel.connection.peer),
        hostname=tunnel.connection.peer_hostname,
        state=tunnel.state.value,
        sessions=len(tunnel.sessions),
        worker=tunnel.worker,
        uptime_s=int(now - tunnel.created_at),
    )


def worker_row(worker: Worker, sockets: Sequence[str], now: float) -> WorkerRow:
    """Return the row of one worker; ``sockets`` are "inode address"."""
    return WorkerRow(
        index=worker.index,
        pid=worker.pid if worker.is_present(now) else None,
        tunnels=worker.tunnels,
        sessions=worker.sessions,
        datapath=worker.datapath,
        offloads=list(worker.offloads),
        sockets=list(sockets),
        rx_packets=worker.totals.get("rx_packets", 0),
        tx_packets=worker.totals.get("tx_packets", 0),
    )
