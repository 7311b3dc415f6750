"""Joining a cloud: certificates over HTTPS, the rules of both sides, and where a node keeps what it got."""
