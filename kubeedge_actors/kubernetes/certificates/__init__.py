"""Certificates as bytes and as what they say, read without a cryptography library: DER, PEM text, subjects as Kubernetes reads them.

Belongs here: pure functions over bytes that say the same whoever made the certificate. Does not belong here: keys, signing, files and who may have
which name (`drivers/pki/`).
"""
