"""The load model: simulated requests to the pods that are really ready behind each Service.

    model     who answers, with what, how fast: pure, given a source of randomness
    observe   Services and Pods as the API server has them, by one watch each
    record    counts what happened, for Prometheus and for tests
    __main__  wires them and serves `/metrics`, `/served` and `/healthz`

Nothing here knows which version is bad: pods answer as their own annotations say, and only the metrics tell.
"""
