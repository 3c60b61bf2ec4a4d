"""What can go wrong in a rank, by what it means for the job.

TrainerError
├── RefusedError   the job cannot be done as it is written; its sentence says what to change
├── FencedError    a later world exists in the storage: whatever this one would commit is void
├── MalformedRecordError  a record of the data is none; what reads the record says where it stands
├── DamagedError   bytes that were read are not those that were written
└── StorageError   the storage did not do what it was asked; it may do so later
    ├── DeniedError  it will not: there is no such bucket, or these keys do not open it
    └── FullError  it has no room, which somebody may make
"""


class TrainerError(Exception):
    """The root of the tree."""


class RefusedError(TrainerError):
    """The job cannot be done as it is written: trying again is in vain."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class FencedError(TrainerError):
    """A later world exists in the storage, so this one must not commit anything any more."""

    def __init__(self, *, own: int, seen: int) -> None:
        super().__init__(f"World {own} may not commit: world {seen} has begun in the storage.")
        self.world_seen = seen


class MalformedRecordError(TrainerError):
    """A record of the data is none. The text continues a sentence that begins "Line 7 of s3://…"."""


class DamagedError(TrainerError):
    """Bytes that were read are not those that were written."""


class StorageError(TrainerError):
    """The storage did not do what it was asked."""


class DeniedError(StorageError):
    """There is no such bucket or folder, or the keys do not open it: asking again is in vain."""

    def __init__(self, sentence: str, *, remedy: str) -> None:
        super().__init__(sentence)
        self.remedy = remedy

    def refused(self) -> RefusedError:
        """The same, where it ends the job."""
        return RefusedError(f"{self} {self.remedy}")


class FullError(StorageError):
    """The folder has no room for what was to be written."""
