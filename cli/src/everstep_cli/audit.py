"""`everstep audit`: the proof that each planned row was committed once, from what lies in the storage alone."""

from rich.console import Console

from everstep_cli.job_options import JobError, as_address
from everstep_trainer.data.audit import audit
from everstep_trainer.errors import TrainerError
from everstep_trainer.objects import Store


def audit_run(folder: str, console: Console) -> int:
    """Audit the job whose folder this is; return 0 when every row up to the last committed step is accounted for.

    Raises:
        JobError: there is nothing to audit.
    """
    try:
        found = audit(Store.at(as_address(folder, {})))
    except TrainerError as error:
        raise JobError(str(error)) from error
    for sentence in found.sentences():
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)
    if found.is_exact:
        console.print("Every row up to the last committed step was committed once.", style="green")
        return 0
    console.print("The ledger is not exact.", style="red")
    return 1
