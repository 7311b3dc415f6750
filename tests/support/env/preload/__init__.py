"""Beside this file Python finds what it is to import when it starts a fork server for tests."""
