"""What operator, agents and ranks say to each other: plain dataclasses, and nothing but the standard library.

`sync` is between operator and agent (HTTPS), `ranks` between an agent and the processes of its worker (a Unix socket),
`table` says what an agent does in which state, and `decode` reads all of them. The operator checks what it hears by
pydantic's TypeAdapter over the same classes; agents and ranks, which must start fast, by `decode`.
"""
