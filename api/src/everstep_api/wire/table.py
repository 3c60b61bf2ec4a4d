"""What an agent does in which state, as data: for each state and input the next state, and what it does on the way.

The agent executes this table, and so do tests that play faults against the operator: there is no second description.
An input is either something that the operator said, read by `understand`, or something that happened to the worker.

Three rules stand behind the rows:

* A world is entered once. Which worlds an agent knows outlives its process, so a container that was started again hears
  of "its" world as one that it has left.
* No answer means: go on. Nothing here happens because the operator is silent, but for the end of a grace period.
* A loss is told and then waited upon. The ranks that are left are ended by the next directive and not before: one of
  them may be about to commit a checkpoint.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, assert_never

from everstep_api.wire.sync import Action, AgentState, Finish, Pause, Run, Stop, Wait


class Input(StrEnum):
    """What makes an agent do something."""

    # said by the operator
    WAIT = "wait"
    RUN_LATER = "run later"
    """A world with this worker in it, later than all that it knows."""
    KNOWN = "known"
    """Nothing new: `run` of a world that it knows, or `pause` of an older one."""
    PAUSE = "pause"
    """Pause of the newest world that it knows."""
    FINISH = "finish"
    STOP = "stop"

    # happened to the worker
    WARM = "warm"
    """All spares are warm."""
    COLD = "cold"
    """A spare is missing, or not warm yet."""
    LEFT = "left"
    """The last of its ranks has left the world after a step, or there was none in it yet."""
    FINISHED = "finished"
    """The last of its ranks has finished the job."""
    LOST = "lost"
    """A rank is gone that neither left nor finished."""
    BROKEN = "broken"
    """No spare can be had: the fork server is gone, or spares die before they are warm."""
    SIGNAL = "signal"
    """SIGTERM: the grace period begins."""
    NEAR_END = "near end"
    """Ten seconds of the grace period are left, and nobody has paused the world."""
    END = "end"
    """The grace period is over."""


class Effect(StrEnum):
    """What an agent does. Effects of a row are done in their order."""

    END_RANKS = "end ranks"
    """SIGKILL to all ranks of the world; spares stay."""
    ENTER = "enter"
    """Remember the world, and turn spares into its ranks as soon as all are warm."""
    STOP_AFTER_STEP = "stop after step"
    """Ask the ranks to stop together with all others."""
    TELL_FAILURE = "tell failure"
    """Keep the loss in the report until a later world is heard of."""
    EXIT = "exit"
    """Report once more, then exit with 0: the container has done its work."""
    EXIT_TO_RESTART = "exit to restart"
    """Report once more, then exit with 1: the container shall start again."""


class Reaction(NamedTuple):
    """A row: how the agent is from then on, and what it does."""

    state: AgentState
    effects: tuple[Effect, ...] = ()


_GO = (Effect.END_RANKS, Effect.EXIT)


def _outside(rest: AgentState) -> Mapping[Input, Reaction]:
    """Return the rows of an agent in no world. Whether it is starting or ready depends on its spares alone."""
    return {
        Input.WAIT: Reaction(rest),
        Input.RUN_LATER: Reaction(AgentState.TRAINING, (Effect.ENTER,)),
        Input.KNOWN: Reaction(rest),
        Input.PAUSE: Reaction(rest),
        Input.FINISH: Reaction(AgentState.STOPPING, _GO),
        Input.STOP: Reaction(AgentState.STOPPING, _GO),
        Input.WARM: Reaction(AgentState.READY),
        Input.COLD: Reaction(AgentState.STARTING),
        Input.LEFT: Reaction(rest),
        Input.FINISHED: Reaction(rest),
        Input.LOST: Reaction(rest),
        Input.BROKEN: Reaction(AgentState.STOPPING, (Effect.EXIT_TO_RESTART,)),
        Input.SIGNAL: Reaction(AgentState.STOPPING, _GO),
        Input.NEAR_END: Reaction(rest),
        Input.END: Reaction(rest),
    }


TABLE: Mapping[AgentState, Mapping[Input, Reaction]] = {
    AgentState.STARTING: _outside(AgentState.STARTING),
    AgentState.READY: _outside(AgentState.READY),
    AgentState.TRAINING: {
        Input.WAIT: Reaction(AgentState.STARTING, (Effect.END_RANKS,)),
        Input.RUN_LATER: Reaction(AgentState.TRAINING, (Effect.END_RANKS, Effect.ENTER)),
        Input.KNOWN: Reaction(AgentState.TRAINING),
        Input.PAUSE: Reaction(AgentState.TRAINING, (Effect.STOP_AFTER_STEP,)),
        Input.FINISH: Reaction(AgentState.STOPPING, _GO),
        Input.STOP: Reaction(AgentState.STOPPING, _GO),
        Input.WARM: Reaction(AgentState.TRAINING),
        Input.COLD: Reaction(AgentState.TRAINING),
        Input.LEFT: Reaction(AgentState.STARTING),
        Input.FINISHED: Reaction(AgentState.DONE),
        Input.LOST: Reaction(AgentState.TRAINING, (Effect.TELL_FAILURE,)),
        Input.BROKEN: Reaction(AgentState.STOPPING, (Effect.TELL_FAILURE, Effect.END_RANKS, Effect.EXIT_TO_RESTART)),
        Input.SIGNAL: Reaction(AgentState.STOPPING),
        Input.NEAR_END: Reaction(AgentState.TRAINING),
        Input.END: Reaction(AgentState.TRAINING),
    },
    AgentState.STOPPING: {
        Input.WAIT: Reaction(AgentState.STOPPING, _GO),
        # It must not enter: its place in the later world is given to another once its last report is heard.
        Input.RUN_LATER: Reaction(AgentState.STOPPING, _GO),
        Input.KNOWN: Reaction(AgentState.STOPPING),
        Input.PAUSE: Reaction(AgentState.STOPPING, (Effect.STOP_AFTER_STEP,)),
        Input.FINISH: Reaction(AgentState.STOPPING, _GO),
        Input.STOP: Reaction(AgentState.STOPPING, _GO),
        Input.WARM: Reaction(AgentState.STOPPING),
        Input.COLD: Reaction(AgentState.STOPPING),
        Input.LEFT: Reaction(AgentState.STOPPING, (Effect.EXIT,)),
        Input.FINISHED: Reaction(AgentState.DONE, (Effect.EXIT,)),
        Input.LOST: Reaction(AgentState.STOPPING, (Effect.TELL_FAILURE, *_GO)),
        Input.BROKEN: Reaction(AgentState.STOPPING),
        Input.SIGNAL: Reaction(AgentState.STOPPING),
        Input.NEAR_END: Reaction(AgentState.STOPPING, (Effect.STOP_AFTER_STEP,)),
        Input.END: Reaction(AgentState.STOPPING, _GO),
    },
    AgentState.DONE: {
        Input.WAIT: Reaction(AgentState.DONE),
        # Another member was lost before the end was recorded: the later world finds the result and is done as well.
        Input.RUN_LATER: Reaction(AgentState.TRAINING, (Effect.ENTER,)),
        Input.KNOWN: Reaction(AgentState.DONE),
        Input.PAUSE: Reaction(AgentState.DONE),
        Input.FINISH: Reaction(AgentState.DONE, _GO),
        Input.STOP: Reaction(AgentState.DONE, _GO),
        Input.WARM: Reaction(AgentState.DONE),
        Input.COLD: Reaction(AgentState.DONE),
        Input.LEFT: Reaction(AgentState.DONE),
        Input.FINISHED: Reaction(AgentState.DONE),
        Input.LOST: Reaction(AgentState.DONE),
        Input.BROKEN: Reaction(AgentState.DONE),
        Input.SIGNAL: Reaction(AgentState.DONE, _GO),
        Input.NEAR_END: Reaction(AgentState.DONE),
        Input.END: Reaction(AgentState.DONE, _GO),
    },
}


def understand(action: Action, *, pod_uid: str, newest_world: int) -> Input:  # noqa: PLR0911 - one return a meaning
    """Return what an action means to the agent of the pod `pod_uid` that knows worlds up to `newest_world`.

    A later world without this worker, running or paused, means that the worker is in none: the same as `wait`.
    """
    match action:
        case Run() if action.world <= newest_world:
            return Input.KNOWN
        case Run():
            return Input.RUN_LATER if any(member.pod_uid == pod_uid for member in action.members) else Input.WAIT
        case Pause() if action.world == newest_world:
            return Input.PAUSE
        case Pause():
            return Input.KNOWN if action.world < newest_world else Input.WAIT
        case Wait():
            return Input.WAIT
        case Finish():
            return Input.FINISH
        case Stop():
            return Input.STOP
        case _:
            assert_never(action)
