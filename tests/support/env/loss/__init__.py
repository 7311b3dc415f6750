"""Drivers whose other side goes away and comes back: one environment for each kind, for one suite (tests/contract/test_loss.py)."""
