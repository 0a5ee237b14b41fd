"""RFC 2661: octets and time in, octets and commands out."""
