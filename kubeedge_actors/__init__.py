"""KubeEdge's architecture in Python: every module is an actor with a supervised mailbox."""

__version__ = "0.1.0"
