"""RFC 1661 and its relatives: frames and time in, frames and commands out."""
