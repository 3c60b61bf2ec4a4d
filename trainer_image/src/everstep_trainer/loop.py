"""The training of a job by one world, on one screen."""

from everstep_api.wire.ranks import Done
from everstep_api.wire.sync import Phase
from everstep_trainer.finish import finish
from everstep_trainer.training import Training


def train(training: Training) -> None:
    """Train from the state that was taken up until the model is written, or all ranks leave after the same step.

    Raises:
        TrainerError: what it means for the job is said by its class; the process is of no use afterwards.
    """
    training.evaluate_before()
    training.begin(Phase.TRAIN)
    while not training.is_over:
        outcome = training.take_step()
        is_best = training.evaluate_if_due()
        if is_best or training.is_save_due(outcome):
            training.save()
        training.snapshot_if_due(outcome)
        if outcome.stop:
            training.leave(outcome)
            return
    training.make_sure_of_last_save()
    training.begin(Phase.EXPORT)
    training.line.tell(Done(output=finish(training)))
