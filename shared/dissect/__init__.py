"""What a datagram says, for people: L2TP, PPP and what PPP carries, part by part with the octets."""
