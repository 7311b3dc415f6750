"""Router: what Rules and RuleEndpoints say about messages of people's own between HTTP in the cloud, and MQTT and HTTP at the nodes.

Belongs here: which rule a request or an upload is for, what a rule costs a node (subscriptions, target URLs), deliveries with their retries, the
counters in a Rule's status, who may use it. Not here: sockets (`drivers/http`), frames (`wire/`), what waits at the edge (`actors/edgehub`).
"""
