"""Certificates and tokens: one authority signs for the cloud's servers, people's kubeconfigs and edge nodes.

Here belongs: making, signing and storing keys and certificates, bootstrap tokens, who may have which name.
Not here: what a certificate says (kubernetes/certificates), sockets and HTTP (drivers/link), deciding when to renew (the hubs). `x509.py` alone imports cryptography
(16 MB of memory): it is run in a short-lived process of its own (`python -m kubeedge_actors.drivers.pki.worker`), so that
neither a cloud nor an edge carries it.
"""
