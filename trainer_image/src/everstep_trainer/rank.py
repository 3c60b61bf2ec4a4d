"""A rank's life: a spare that rehearses and waits, then one rank of one world, then the end of the process.

It enters one world, once, and leaves it by dying: by itself after a pause or at the end, else by SIGKILL. So nothing of
an old world acts in a new one.
"""

import logging
import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import torch

from everstep_api.wire.ranks import Done, Enter, Fenced, Hello, Raised, Refused, Warm
from everstep_trainer.assembly import assemble
from everstep_trainer.entry import enter_world
from everstep_trainer.errors import FencedError, RefusedError
from everstep_trainer.loop import train
from everstep_trainer.rehearsal import rehearse
from everstep_trainer.report import AgentLine

log = logging.getLogger(__name__)

EXIT_FAILED = 1
_LONGEST_TRACEBACK = 8_000
"""Characters; the last ones are kept. What the agent passes on of a rank's last words is as long."""


def live(slot: int, socket: Path, cache: Path) -> NoReturn:
    """Be a spare in this slot of the worker, then whatever the agent wants; never return.

    The end is `os._exit`: a world's threads and sockets are never shut down, which takes 40 ms at its best and for ever
    at its worst.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    line = AgentLine(socket)
    line.tell(Hello(pid=os.getpid(), slot=slot))
    line.listen()
    code = _work(line, cache)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _work(line: AgentLine, cache: Path) -> int:
    """Rehearse, wait, train; return the exit code, after the agent was told what it means."""
    try:
        rehearse()
        line.tell(Warm())
        enter = line.wait_for(Enter)
        entered = enter_world(line, enter, cache)
        if entered.beginning.output is not None:
            line.tell(Done(output=entered.beginning.output))
            return 0
        train(assemble(line, entered))
    except RefusedError as error:
        log.error("The job cannot be done as it is written: %s", error.sentence)  # noqa: TRY400 - the sentence says it all
        line.tell(Refused(sentence=error.sentence))
    except FencedError as error:
        log.error("%s", error)  # noqa: TRY400 - the sentence says it all
        line.tell(Fenced(world_seen=error.world_seen))
    except Exception as error:
        log.exception("This rank ends.")
        kind = type(error)
        line.tell(
            Raised(
                exception=f"{kind.__module__}.{kind.__qualname__}",
                message=str(error),
                traceback=traceback.format_exc()[-_LONGEST_TRACEBACK:],
            )
        )
    else:
        return 0
    return EXIT_FAILED
