"""Tasks: what a model computes of a micro-batch. One file each.

A task is a module around the model whose forward is the loss, so that whatever wraps the module, FSDP above all, has
the output layer at hand while the loss is computed.
"""
