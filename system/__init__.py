"""What we ask of Linux: sockets, TUN devices, routes, nftables, timers of the event loop."""
