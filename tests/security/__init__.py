"""What an attacker tries, and what must hold: hostile nodes, clients, clouds and manifests, at real doors."""
