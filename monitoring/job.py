"""The dashboard of one job: is it learning, how fast, what has it lost, and where is its work safe.

Workers export what they see, the operator what it decided; a sum or a maximum over workers makes one series of them.
"""

from monitoring.panels import Board, Choice, Panel, Query, Row

_JOB = 'training_namespace="$namespace", training_job="$job"'


def _of(name: str, **labels: str) -> str:
    """The series of the chosen job that have these labels, too."""
    more = "".join(f', {label}="{value}"' for label, value in labels.items())
    return f"everstep_{name}{{{_JOB}{more}}}"


def _rate(name: str) -> str:
    return f"rate({_of(name)}[$__rate_interval])"


def _part(of: str, whole: str) -> str:
    """A quotient that has no value, rather than one that is no number, where there is nothing to divide by."""
    return f"{of} / ({whole} > 0)"


def _mean(name: str) -> str:
    """The mean of a histogram over workers and ranks."""
    return _part(f"sum({_rate(f'{name}_sum')})", f"sum({_rate(f'{name}_count')})")


_USEFUL, _LOST = f"sum({_rate('useful_seconds_total')})", f"sum({_rate('lost_seconds_total')})"
_STEP, _PLANNED = f"max({_of('step')})", f"max({_of('planned_steps')})"

NOW = Row(
    title="Now",
    panels=(
        Panel(
            title="Phase",
            says="What the job does, in the word of its status.",
            queries=(Query(expr=f"{_of('job_phase')} == 1", legend="{{phase}}"),),
            kind="word",
            width=3,
        ),
        Panel(
            title="Done",
            says="Steps that are done, of all.",
            queries=(Query(expr=f"{_STEP} / {_PLANNED}"),),
            kind="share",
            unit="percentunit",
            width=3,
        ),
        Panel(
            title="Time left",
            says="Time to the last step at the speed of now.",
            queries=(Query(expr=f"({_PLANNED} - {_STEP}) * ({_mean('step_seconds')})"),),
            kind="number",
            unit="s",
            decimals=0,
            width=3,
        ),
        Panel(
            title="Loss",
            says="Training loss of the newest step.",
            queries=(Query(expr=f"max({_of('loss')})"),),
            kind="number",
            decimals=4,
            width=3,
        ),
        Panel(
            title="Tokens/s",
            says="Tokens per second, over all workers.",
            queries=(Query(expr=f"sum({_rate('tokens_total')})"),),
            kind="number",
            decimals=0,
            width=3,
        ),
        Panel(
            title="World size",
            says="Workers that train together.",
            queries=(Query(expr=_of("job_workers", state="training")),),
            kind="number",
            width=3,
        ),
        Panel(
            title="Recoveries",
            says="Losses that the job outlived, in the time that is shown.",
            queries=(Query(expr=f"sum(increase({_of('recoveries_total')}[$__range]))"),),
            kind="number",
            decimals=0,
            width=3,
        ),
        Panel(
            title="Goodput",
            says="Share of the workers' time that went into steps that count.",
            queries=(Query(expr=_part(_USEFUL, f"({_USEFUL} + {_LOST})")),),
            kind="share",
            unit="percentunit",
            width=3,
        ),
    ),
)

LEARNING = Row(
    title="Is it learning?",
    panels=(
        Panel(
            title="Loss",
            says="Training loss of each step, and the loss on held-out data.",
            queries=(
                Query(expr=f"max({_of('loss')})", legend="training"),
                Query(expr=f"max({_of('evaluation', metric='loss')})", legend="held out"),
            ),
            decimals=3,
        ),
        Panel(
            title="Evaluation",
            says="All metrics of the held-out data.",
            queries=(Query(expr=f"max by (metric) ({_of('evaluation')})", legend="{{metric}}"),),
        ),
        Panel(
            title="Gradient norm and learning rate",
            says="Norm of the gradient before clipping, and the rate that the schedule gave.",
            queries=(
                Query(expr=f"max({_of('gradient_norm')})", legend="gradient norm"),
                Query(expr=f"max({_of('learning_rate')})", legend="learning rate"),
            ),
        ),
    ),
)

SPEED = Row(
    title="How fast is it?",
    panels=(
        Panel(
            title="Tokens per second",
            says="Over all workers; repeated steps count.",
            queries=(Query(expr=f"sum({_rate('tokens_total')})", legend="tokens/s"),),
        ),
        Panel(
            title="Step time",
            says="Mean and slow steps over all ranks, and the part of the mean in which a rank waited for its data.",
            queries=(
                Query(expr=_mean("step_seconds"), legend="mean"),
                Query(
                    expr=f"histogram_quantile(0.95, sum by (le) ({_rate('step_seconds_bucket')}))",
                    legend="95 % are shorter",
                ),
                Query(
                    expr=_part(f"sum({_rate('data_wait_seconds_total')})", f"sum({_rate('step_seconds_count')})"),
                    legend="waiting for data",
                ),
            ),
            unit="s",
        ),
        Panel(
            title="Workers",
            says="Pods of the job, those that could start at once, and those in its world.",
            queries=(Query(expr=_of("job_workers"), legend="{{state}}"),),
        ),
        Panel(
            title="Memory of ranks",
            says="Resident memory of each training process; pages that processes share count in each.",
            queries=(Query(expr=_of("resident_memory_bytes"), legend="worker {{worker}} rank {{local_rank}}"),),
            unit="bytes",
        ),
        Panel(
            title="Launch",
            says="Seconds of each stage from the apply to the first step, and of the start of ranks within `warming`.",
            queries=(
                Query(expr=_of("job_launch_seconds"), legend="{{stage}}"),
                Query(expr=f"max by (stage) ({_of('start_seconds')})", legend="ranks: {{stage}}"),
            ),
            kind="bars",
            unit="s",
            decimals=1,
        ),
        Panel(
            title="Steps",
            says="The newest step. It falls where a loss threw the job back.",
            queries=(Query(expr=_STEP, legend="step"), Query(expr=_PLANNED, legend="planned")),
        ),
    ),
)

LOSSES = Row(
    title="What has it lost?",
    panels=(
        Panel(
            title="Recoveries by cause",
            says="Losses that the job outlived, in the time that is shown.",
            queries=(
                Query(expr=f"sum by (cause) (increase({_of('recoveries_total')}[$__range])) > 0", legend="{{cause}}"),
            ),
            kind="bars",
            decimals=0,
        ),
        Panel(
            title="Lost seconds by cause",
            says="Seconds of workers per second without a new step; 1 is one worker that stands still.",
            queries=(Query(expr=f"sum by (cause) ({_rate('lost_seconds_total')})", legend="{{cause}}"),),
            kind="stacked",
        ),
        Panel(
            title="Seconds of a recovery",
            says="From the loss to the next world, until all state is there, and the first step; in all recoveries.",
            queries=(Query(expr=f"sum by (stage) ({_of('recovery_seconds_total')})", legend="{{stage}}"),),
            kind="bars",
            unit="s",
            decimals=1,
        ),
    ),
)

CHECKPOINTS = Row(
    title="Where is the work safe?",
    panels=(
        Panel(
            title="Steps at risk",
            says="Steps since the newest checkpoint in the storage: what a loss of all workers would cost.",
            queries=(Query(expr=f"{_STEP} - max({_of('durable_step')})", legend="steps"),),
        ),
        Panel(
            title="Seconds of a checkpoint",
            says="From the state to its manifest; training goes on meanwhile.",
            queries=(Query(expr=_mean("checkpoint_seconds"), legend="mean"),),
            unit="s",
        ),
        Panel(
            title="Bytes of checkpoints",
            says="Bytes that were brought into the storage, over the time that is shown.",
            queries=(Query(expr=f"sum(increase({_of('checkpoint_bytes_total')}[$__range]))", legend="bytes"),),
            unit="bytes",
        ),
    ),
)

JOB = Board(
    uid="everstep-job",
    title="Everstep / Job",
    says="One TrainingJob: whether it learns, how fast, what it lost, and where its work is safe.",
    choices=(
        Choice(name="namespace", label="Namespace", series="everstep_job_phase", values_of="training_namespace"),
        Choice(
            name="job",
            label="Job",
            series='everstep_job_phase{training_namespace="$namespace"}',
            values_of="training_job",
        ),
    ),
    rows=(NOW, LEARNING, SPEED, LOSSES, CHECKPOINTS),
)
