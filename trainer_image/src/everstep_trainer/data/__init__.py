"""From sources to micro-batches, exactly: what is read, in which order, in which row, by which rank, and the proof.

`sources.py` finds the objects, `formats.py` and `masks.py` make documents of their records, `prepare.py` writes them
into a token store once, `store.py` reads it. `order.py` and `packing.py` are pure and decide which documents make row
n; `rows.py` joins the two, `deal.py` hands rows to ranks, `ledger.py` and `audit.py` account for them. Start at
`rows.py`.
"""
