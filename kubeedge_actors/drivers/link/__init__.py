"""The link of the two hubs: text messages over one WebSocket; protocols of both ends.

Here belongs: opening, keeping and losing a connection, TLS, frames, back-pressure, threads and sockets.
Not here: what a text means, who sends what when, reconnecting, KubeEdge's words. Headers and paths are handed in by the hubs.
"""
