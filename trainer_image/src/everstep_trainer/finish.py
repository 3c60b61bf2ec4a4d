"""The end of a job: the model is written, then `result.json` says so."""

from everstep_api.wire.decode import encode
from everstep_trainer.entry import RESULT, Result
from everstep_trainer.errors import FencedError
from everstep_trainer.model.export import export
from everstep_trainer.training import Training


def finish(training: Training) -> str:
    """Write the model with all ranks, and return its address. A world that finds the result has nothing to do.

    Raises:
        FencedError: a later world exists; it writes the model.
    """
    world = training.context.world.place.world
    training.fence.check()
    output = export(training)
    training.fence.check()
    if training.context.world.place.is_first:
        counters = training.counters
        result = Result(
            world=world, step=counters.step, output=output, before=counters.before, after=counters.evaluation
        )
        if not training.context.run.put_if_absent(RESULT, encode(result)):
            raise FencedError(own=world, seen=world)
    return output
