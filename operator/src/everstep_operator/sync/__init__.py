"""The sync API: where agents report and hear what they shall do.

Start at `server.py`, which has the two calls. `reports` keeps the newest word of each agent, `directives` what each was
told last, `tokens` says who may speak for which pod, `certificates` holds the keys. The contract is
`everstep_api.wire.sync`.
"""
